package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"netlab/decode/printer"
)

func listenCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "listen",
		Usage:     "be a server socket, to try things with",
		ArgsUsage: "ADDR",
		Description: "Sends back what comes, or answers with a text or a file. What comes is printed. Ctrl-C ends it.\n\n" +
			"Example: netlab listen localhost:8888",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "udp", Usage: "UDP in place of TCP"},
			&cli.StringFlag{Name: "reply", Usage: "answer with `TEXT`"},
			&cli.StringFlag{Name: "file", Usage: "answer with the contents of `FILE`"},
			&cli.IntFlag{Name: "count", Aliases: []string{"c"}, Usage: "end after `N` connections, or datagrams"},
		},
		Action: func(c *cli.Context) error { return std.listen(c.Context, c) },
	}
}

// maxPrinted bounds what is printed of what one client says at a time.
const maxPrinted = 4096

// silence ends a connection on which nothing is said for so long.
const silence = 10 * time.Minute

func (std stdio) listen(ctx context.Context, c *cli.Context) error {
	if c.NArg() != 1 {
		return hinted{usagef("netlab listen: on which one ADDR?"), "netlab listen localhost:8888"}
	}
	a := &answerer{std: std, reply: []byte(c.String("reply")), fixed: c.IsSet("reply"), count: c.Int("count")}
	switch {
	case c.IsSet("reply") && c.IsSet("file"):
		return usagef("netlab listen: --reply and --file are two answers")
	case c.IsSet("count") && a.count <= 0:
		return usagef("netlab listen: --count wants a number above 0")
	case c.IsSet("file"):
		data, err := os.ReadFile(c.String("file"))
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		a.reply, a.fixed = data, true
	}
	addr := c.Args().First()
	if c.Bool("udp") {
		pc, err := net.ListenPacket("udp", addr)
		if err != nil {
			return listenHint(err)
		}
		fmt.Fprintf(std.err, "netlab: listening on %s, udp; Ctrl-C ends\n", pc.LocalAddr())
		return a.datagrams(ctx, pc)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return listenHint(err)
	}
	fmt.Fprintf(std.err, "netlab: listening on %s, tcp; Ctrl-C ends\n", l.Addr())
	return a.connections(ctx, l)
}

// listenHint adds what to do when an address can't be listened on.
func listenHint(err error) error {
	err = fmt.Errorf("listen: %w", err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return hinted{err, "another port, or port 0 for a free one; ss -lntup shows who has it"}
	case errors.Is(err, syscall.EACCES):
		return hinted{err, "a port above 1023"}
	}
	return hinted{err, "an address of this machine, as localhost:8888 or :8888"}
}

// answerer is a server socket's behaviour.
type answerer struct {
	std   stdio
	fixed bool // answer with reply; else send back what comes
	reply []byte
	count int // to end after; 0 is never

	mu sync.Mutex // guards std.out
}

// print shows what a client said.
func (a *answerer) print(from net.Addr, data []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	more := ""
	if len(data) > maxPrinted {
		data, more = data[:maxPrinted], "…"
	}
	fmt.Fprintf(a.std.out, "%s: %s%s\n", from, printer.Clean(string(data)), more)
}

func (a *answerer) connections(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	var all sync.WaitGroup
	defer all.Wait()
	for n := 0; a.count == 0 || n < a.count; n++ {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("listen: accept: %w", err)
		}
		all.Go(func() {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			defer conn.Close()
			a.talk(conn)
		})
	}
	return nil
}

// talk answers one client: each piece that comes, or, when the answer is fixed,
// once.
func (a *answerer) talk(conn net.Conn) {
	b := make([]byte, 64<<10)
	answered := false
	for {
		conn.SetReadDeadline(time.Now().Add(silence))
		n, err := conn.Read(b)
		if n > 0 {
			a.print(conn.RemoteAddr(), b[:n])
			out := b[:n]
			if a.fixed {
				out = a.reply
			}
			if !answered || !a.fixed {
				if _, err := conn.Write(out); err != nil {
					return
				}
				answered = true
			}
		}
		if err != nil {
			return // the client is done, or gone
		}
		if answered && a.fixed {
			return
		}
	}
}

func (a *answerer) datagrams(ctx context.Context, pc net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { pc.Close() })
	defer stop()
	defer pc.Close()
	b := make([]byte, 64<<10)
	for n := 0; a.count == 0 || n < a.count; n++ {
		size, from, err := pc.ReadFrom(b)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("listen: read: %w", err)
		}
		a.print(from, b[:size])
		out := b[:size]
		if a.fixed {
			out = a.reply
		}
		if _, err := pc.WriteTo(out, from); err != nil && ctx.Err() == nil {
			fmt.Fprintf(a.std.err, "netlab: answer %s: %v\n", from, err)
		}
	}
	return nil
}
