package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"netlab/decode/printer"
)

func sendCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "send",
		Usage:     "be a client socket, to try things with",
		ArgsUsage: "ADDR TEXT",
		Description: "Connects, sends TEXT (- is standard input), and prints what comes back.\n\n" +
			"Example: netlab send localhost:8888 'Hello, world'",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "udp", Usage: "UDP in place of TCP"},
			&cli.BoolFlag{Name: "escapes", Aliases: []string{"e"}, Usage: `read \r, \n and other escapes in TEXT`},
			&cli.DurationFlag{Name: "timeout", Value: 5 * time.Second, Usage: "wait `D` for an answer"},
			&cli.BoolFlag{Name: "keep-open", Usage: "don't say that nothing more will be sent"},
		},
		Action: func(c *cli.Context) error { return std.send(c.Context, c) },
	}
}

// maxInput bounds what is sent.
const maxInput = 64 << 20

func (std stdio) send(ctx context.Context, c *cli.Context) error {
	if c.NArg() != 2 {
		return hinted{usagef("netlab send: want ADDR and TEXT; a TEXT of several words is quoted"), "netlab send localhost:8888 'Hello, world'"}
	}
	addr, text := c.Args().Get(0), c.Args().Get(1)
	if err := checkTarget(addr); err != nil {
		return err
	}
	timeout := c.Duration("timeout")
	if timeout <= 0 {
		return usagef("netlab send: --timeout wants a time above 0, as 5s")
	}
	data := []byte(text)
	switch {
	case text == "-":
		in, err := io.ReadAll(io.LimitReader(std.in, maxInput+1))
		if err != nil {
			return fmt.Errorf("send: read standard input: %w", err)
		}
		if len(in) > maxInput {
			return fmt.Errorf("send: more than %d MiB on standard input", maxInput>>20)
		}
		data = in
	case c.Bool("escapes"):
		s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
		if err != nil {
			return usagef("netlab send: %q has an escape that is none", text)
		}
		data = []byte(s)
	}
	network := "tcp"
	if c.Bool("udp") {
		network = "udp"
	}
	dialing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(dialing, network, addr)
	if err != nil {
		return sendHint(err, addr)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(timeout))
	if _, err := conn.Write(data); err != nil {
		return sendHint(err, addr)
	}
	if t, ok := conn.(*net.TCPConn); ok && !c.Bool("keep-open") {
		t.CloseWrite()
	}
	n, err := std.receive(conn, timeout)
	switch {
	case ctx.Err() != nil:
		return status(exitCanceled)
	case errors.Is(err, os.ErrDeadlineExceeded) && n > 0:
		return nil // an answer came; that the server keeps the connection is its affair
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("send: no answer from %s within %v", addr, timeout)
	case err != nil:
		return sendHint(err, addr)
	}
	return nil
}

// receive prints what comes: over TCP until the end, over UDP one datagram. A
// terminal gets no control characters.
func (std stdio) receive(conn net.Conn, timeout time.Duration) (int, error) {
	b := make([]byte, 64<<10)
	total, last := 0, byte('\n')
	_, udp := conn.(*net.UDPConn)
	for {
		n, err := conn.Read(b)
		total += n
		if n > 0 {
			last = b[n-1]
			if werr := std.show(b[:n]); werr != nil {
				return total, werr
			}
			conn.SetReadDeadline(time.Now().Add(timeout))
		}
		if udp && err == nil {
			err = io.EOF
		}
		if err != nil {
			if last != '\n' && std.terminal() {
				fmt.Fprintln(std.out)
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return total, err
		}
	}
}

// show writes bytes as they are, but for a terminal.
func (std stdio) show(data []byte) error {
	if !std.terminal() {
		_, err := std.out.Write(data)
		return err
	}
	for line := range strings.Lines(string(data)) {
		end := ""
		if strings.HasSuffix(line, "\n") {
			end = "\n"
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if _, err := io.WriteString(std.out, printer.Clean(strings.ReplaceAll(line, "\t", "    "))+end); err != nil {
			return err
		}
	}
	return nil
}

func sendHint(err error, addr string) error {
	err = fmt.Errorf("send: %w", err)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return hinted{err, "netlab listen " + addr + ", in another terminal"}
	}
	return err
}
