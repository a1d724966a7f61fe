package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"netlab/capture/live"
	"netlab/decode/printer"
)

func demoCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "capture, decode and replay, all in one go on loopback",
		Description: "Starts three little servers, talks to them, captures that, and replays it to the same servers and to changed\n" +
			"ones. Every step is shown as the command that does it. Without the right to capture it takes a sample.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "write", Aliases: []string{"w"}, Value: "netlab-demo.pcap", Usage: "leave the capture in `FILE`"},
		},
		Action: func(c *cli.Context) error { return std.demo(c.Context, c.String("write")) },
	}
}

// demoTime bounds the whole demo.
const demoTime = time.Minute

// demo runs the commands that a user would type, with servers to try them on.
func (std stdio) demo(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	d := &demonstration{stdio: std, ctx: ctx}
	servers, err := startDemoServers(ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.servers = servers
	d.say("Three servers are up on loopback: HTTP on %s, raw TCP on %s, UDP on %s.", servers.http, servers.tcp, servers.udp)
	if err := d.record(file); err != nil {
		d.say("Capturing is not possible here: %s.", strings.TrimRight(printer.Clean(firstLine(err.Error())), "."))
		var h hinted
		if errors.As(err, &h) {
			d.say("To change that: %s", h.hint)
		}
		return d.withoutCapture()
	}
	d.run(exitDone, "decode", file)
	rounds := []round{
		{"HTTP", servers.http, "has another price and no longer knows /about"},
		{"raw TCP", servers.tcp, "adds wrongly"},
		{"UDP", servers.udp, "shouts"},
	}
	for _, r := range rounds {
		d.say("%s: the same server again, so all answers are the same.", r.what)
		d.run(exitDone, "replay", file, "--to", r.addr, "--speed", "max")
	}
	servers.changed.Store(true)
	for _, r := range rounds {
		d.say("%s: now the server %s, and replay says where.", r.what, r.change)
		d.run(exitDiffers, "replay", file, "--to", r.addr, "--speed", "max")
	}
	d.say("The capture is in %s: tcpdump, Wireshark and netlab read it.", file)
	return d.failed
}

// round is one server of the demo.
type round struct{ what, addr, change string }

// demonstration shows commands and checks what they come to.
type demonstration struct {
	stdio
	ctx     context.Context
	servers *demoServers
	failed  error
}

func (d *demonstration) say(format string, args ...any) {
	fmt.Fprintf(d.out, "\n# "+format+"\n", args...)
}

// run runs a command of netlab, shown as a user would type it, and notes when it
// does not end as it should.
func (d *demonstration) run(want int, args ...string) {
	d.show(args...)
	got := run(d.ctx, append([]string{"netlab"}, args...), d.in, d.out, d.out)
	fmt.Fprintf(d.out, "(exit status %d)\n", got)
	if got != want && d.failed == nil {
		d.failed = fmt.Errorf("demo: netlab %s ended with exit status %d, not %d", args[0], got, want)
	}
}

// show prints a command line.
func (d *demonstration) show(args ...string) {
	fmt.Fprintf(d.out, "$ netlab %s\n", strings.Join(args, " "))
}

// record captures while the clients talk.
func (d *demonstration) record(file string) error {
	if !live.Available {
		return captureHint(live.ErrNoEngine)
	}
	args := []string{"capture", "-i", "lo", "-w", file, fmt.Sprintf("port %s or port %s or port %s", port(d.servers.http), port(d.servers.tcp), port(d.servers.udp))}
	if err := canCapture("lo"); err != nil {
		return err
	}
	d.say("Everything that is said on these ports is captured, while clients talk.")
	d.show(args...)
	ctx, stop := context.WithCancel(d.ctx)
	defer stop()
	listening := newWatcher("listening on")
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"netlab"}, args...), d.in, d.out, io.MultiWriter(d.out, listening))
	}()
	select {
	case <-listening.seen:
	case code := <-ended:
		return fmt.Errorf("netlab capture ended with exit status %d", code)
	}
	if err := d.servers.talk(d.ctx); err != nil {
		return err
	}
	stop()
	if code := <-ended; code != exitDone {
		return fmt.Errorf("netlab capture ended with exit status %d", code)
	}
	return nil
}

// canCapture tries whether an interface may be listened on.
func canCapture(name string) error {
	h, err := live.Open(live.Options{Interface: name})
	if err != nil {
		return captureHint(err)
	}
	h.Close()
	return nil
}

// watcher tells when a text was written to it.
type watcher struct {
	text string
	seen chan struct{}
	buf  bytes.Buffer
	done bool
}

func newWatcher(text string) *watcher { return &watcher{text: text, seen: make(chan struct{})} }

func (w *watcher) Write(p []byte) (int, error) {
	if !w.done {
		w.buf.Write(p)
		if w.done = strings.Contains(w.buf.String(), w.text); w.done {
			close(w.seen)
		}
	}
	return len(p), nil
}

// withoutCapture shows the rest of the loop on a sample, with a stand-in for its
// server.
func (d *demonstration) withoutCapture() error {
	const sample = "sample:http1-keepalive"
	d.say("So here is a capture that comes with netlab.")
	d.run(exitDone, "decode", sample)
	d.say("A stand-in answers as the recorded server did, so all answers are the same.")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	addr := l.Addr().String()
	l.Close()
	ctx, stop := context.WithCancel(d.ctx)
	defer stop()
	answering := newWatcher("answering on")
	ended := make(chan int, 1)
	args := []string{"serve", sample, "--listen", addr}
	d.show(args...)
	go func() { ended <- run(ctx, append([]string{"netlab"}, args...), d.in, io.Discard, answering) }()
	select {
	case <-answering.seen:
	case code := <-ended:
		return fmt.Errorf("demo: netlab serve ended with exit status %d", code)
	}
	d.run(exitDone, "replay", sample, "--to", addr, "--speed", "max")
	stop()
	<-ended
	d.say("Another server answers differently, and replay says where.")
	d.run(exitDiffers, "replay", sample, "--to", d.servers.http, "--speed", "max")
	return d.failed
}

// demoServers are three servers that can change their minds.
type demoServers struct {
	http, tcp, udp string
	changed        atomic.Bool
}

// startDemoServers starts them on free ports of loopback; they end with ctx.
func startDemoServers(ctx context.Context) (*demoServers, error) {
	s := &demoServers{}
	h, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.http, s.tcp, s.udp = h.Addr().String(), t.Addr().String(), u.LocalAddr().String()
	web := &http.Server{Handler: s.web(), ReadHeaderTimeout: demoTime}
	context.AfterFunc(ctx, func() { web.Close(); t.Close(); u.Close() })
	go web.Serve(h)
	go s.calculate(t)
	go s.echo(u)
	return s, nil
}

// web sells one thing.
func (s *demoServers) web() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		price := 950
		if s.changed.Load() {
			price = 1050
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":%q,"name":"teapot","price":%d}`+"\n", r.PathValue("id"), price)
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"ordered":%s}`+"\n", body)
	})
	mux.HandleFunc("GET /about", func(w http.ResponseWriter, r *http.Request) {
		if s.changed.Load() {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintln(w, "A shop for teapots.")
	})
	return mux
}

// calculate adds numbers, a line at a time, after a greeting.
func (s *demoServers) calculate(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(demoTime))
			fmt.Fprintln(conn, "READY")
			buf := make([]byte, 256)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				sum := 0
				for _, f := range strings.Fields(string(buf[:n])) {
					v, err := strconv.Atoi(f)
					if err != nil {
						fmt.Fprintln(conn, "?")
						return
					}
					sum += v
				}
				if s.changed.Load() {
					sum++
				}
				fmt.Fprintln(conn, sum)
			}
		}()
	}
}

// echo sends datagrams back.
func (s *demoServers) echo(pc net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		out := buf[:n]
		if s.changed.Load() {
			out = bytes.ToUpper(out)
		}
		pc.WriteTo(out, from)
	}
}

// talk is what the clients say.
func (s *demoServers) talk(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/items/7", ""}, {"POST", "/orders", `{"item":7,"count":2}`}, {"GET", "/about", ""},
	} {
		req, err := http.NewRequestWithContext(ctx, r.method, "http://"+s.http+r.path, strings.NewReader(r.body))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
	}
	if err := converse(ctx, "tcp", s.tcp, "", "2 3\n", "40 2\n"); err != nil {
		return err
	}
	return converse(ctx, "udp", s.udp, "ping", "hello")
}

// converse says lines and waits for an answer to each; "" only listens.
func converse(ctx context.Context, network, addr string, lines ...string) error {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	buf := make([]byte, 1500)
	for _, line := range lines {
		if line != "" {
			if _, err := io.WriteString(conn, line); err != nil {
				return err
			}
		}
		if _, err := conn.Read(buf); err != nil {
			return err
		}
	}
	return nil
}

func port(addr string) string {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return p
}
