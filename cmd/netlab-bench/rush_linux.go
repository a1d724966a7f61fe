package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/craft"
)

// What is asked for, at full speed.
const rushTarget = "/small0.json"

// rushCommand measures how many requests a second a replay comes to at --speed max, every
// answer compared, beside wrk and a client in Go that does nothing else.
func rushCommand(ctx context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet("rush", flag.ContinueOnError)
	rounds := fs.Int("rounds", 3, "rounds, of each in turn")
	netlab := fs.String("netlab", "netlab", "the netlab to measure")
	conns := fs.Int("connections", 64, "at a time")
	requests := fs.Int("requests", 200_000, "of a round, of netlab and of the client in Go")
	if err := std.parse(fs, args, "", "Replays requests of HTTP to nginx on loopback as fast as it answers."); err != nil {
		return err
	}
	if fs.NArg() > 0 || *rounds < 1 || *conns < 1 || *conns > 10_000 || *requests < *conns {
		return usageError("it takes no arguments, and at least a round and a request for each of up to 10000 connections")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if *netlab, err = filepath.Abs(*netlab); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "netlab-rush-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeSite(dir, 1); err != nil {
		return err
	}
	c := child{args: []string{self, "rushed", dir, *netlab, strconv.Itoa(*rounds), strconv.Itoa(*conns), strconv.Itoa(*requests)}, out: std.out, isolated: true}
	if res := c.run(ctx); res.failure != "" {
		return fmt.Errorf("measure in a network of its own: %s", res.failure)
	}
	return nil
}

// rushedCommand is the part of rush that runs in its own network.
func rushedCommand(ctx context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet("rushed", flag.ContinueOnError)
	if err := std.parse(fs, args, "DIR NETLAB ROUNDS CONNECTIONS REQUESTS", "Is run by rush."); err != nil {
		return err
	}
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(fs.Arg(i + 2)); err != nil {
			return usageError(err.Error())
		}
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("set lo up in a network of its own: %w", err)
	}
	if err := openMany(); err != nil {
		return err
	}
	r := &rush{recording: recording{ctx: ctx, dir: fs.Arg(0)}, netlab: fs.Arg(1), conns: n[1], requests: n[2]}
	nginx, err := r.start("nginx", "-p", r.dir, "-c", filepath.Join(r.dir, "nginx.conf"))
	if err != nil {
		return err
	}
	defer nginx.stop(syscall.SIGKILL)
	if _, err := r.await(nginx, func(status) bool { return true }); err != nil {
		return err
	}
	if err := r.make(); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "GET %s, on %d connections; %s\n\n| client | requests a second | × wrk | peak MiB |\n|---|---|---|---|\n", rushTarget, r.conns, machine())
	for range n[0] {
		if err := r.round(std.out); err != nil {
			return err
		}
	}
	return nil
}

// openMany has us, and who we start, open as many files as may be. Programs in Go do so by
// themselves, and set it back for who they start.
func openMany() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("ask how many files may be open: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("have %d files open: %w", limit.Max, err)
	}
	return nil
}

// rush is what is measured.
type rush struct {
	recording
	netlab          string
	conns, requests int
	request, answer []byte
}

// make writes a recording of the requests, with nginx's answer.
func (r *rush) make() error {
	r.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", rushTarget, recordAddr)
	c, err := net.Dial("tcp", recordAddr)
	if err != nil {
		return err
	}
	defer c.Close()
	if r.answer, err = r.ask(c, bufio.NewReader(c)); err != nil {
		return fmt.Errorf("ask nginx: %w", err)
	}
	f, err := pcaps.Create(filepath.Join(r.dir, "rush.pcap"), pcaps.Options{Link: capture.LinkEthernet})
	if err != nil {
		return err
	}
	b := craft.New(craft.Options{Step: time.Microsecond})
	var talks []*craft.Talk
	for i := range r.conns {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), uint16(20000+i%40000))
		t := b.TCP(client, netip.MustParseAddrPort("10.2.0.2:8080"))
		t.Open()
		talks = append(talks, t)
	}
	for range r.requests / r.conns {
		for _, t := range talks {
			t.Send(craft.Client, r.request)
		}
		for _, t := range talks {
			t.Send(craft.Server, r.answer)
		}
	}
	for _, t := range talks {
		t.Close(craft.Client)
	}
	packets, err := b.Packets()
	if err != nil {
		return err
	}
	for i := range packets {
		if err := f.WritePacket(&packets[i]); err != nil {
			break // Close says it too
		}
	}
	return f.Close()
}

// ask asks once, and returns the answer.
func (r *rush) ask(c net.Conn, in *bufio.Reader) ([]byte, error) {
	if _, err := c.Write(r.request); err != nil {
		return nil, err
	}
	var raw []byte
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(in, writer{&raw})), nil)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return raw, err
}

// writer appends.
type writer struct{ to *[]byte }

func (w writer) Write(p []byte) (int, error) {
	*w.to = append(*w.to, p...)
	return len(p), nil
}

// round measures each in turn.
func (r *rush) round(out io.Writer) error {
	var said tail
	wrk, err := find("wrk")
	if err != nil {
		return err
	}
	res := (&child{args: []string{wrk, "-t", "1", "-c", strconv.Itoa(r.conns), "-d", "5s", "http://" + recordAddr + rushTarget}, out: &said}).run(r.ctx)
	if res.failure != "" {
		return fmt.Errorf("wrk: %s", res.failure)
	}
	done, err := countIn(said.String(), `(\d+) requests in`)
	if err != nil {
		return err
	}
	base := float64(done) / 5
	line := func(name string, rate float64, memory string) {
		fmt.Fprintf(out, "| %s | %.0f | %.2f | %s |\n", name, rate, rate/base, memory)
	}
	line("wrk -t 1", base, row{runs: []result{res}}.memory())
	rate, err := r.bare()
	if err != nil {
		return fmt.Errorf("the client in Go: %w", err)
	}
	line("bare, in Go", rate, "")
	said = tail{}
	res = (&child{args: []string{r.netlab, "replay", filepath.Join(r.dir, "rush.pcap"), "--to", recordAddr, "--speed", "max", "--memory", "1GiB"}, out: &said}).run(r.ctx)
	if res.failure != "" {
		return fmt.Errorf("netlab replay: %s: %s", res.failure, said.String())
	}
	same, err := countIn(said.String(), `answers: +\d+ recorded = (\d+) same \+ 0 different \+ 0 failed \+ 0 skipped`)
	if err != nil {
		return fmt.Errorf("netlab replay: %w", err)
	}
	took, err := time.ParseDuration(strings.ReplaceAll(regexp.MustCompile(`sent in ([0-9.]+ [mµn]?s)`).FindStringSubmatch(said.String() + "sent in 0 s")[1], " ", ""))
	if err != nil || took == 0 {
		return fmt.Errorf("netlab replay does not say how long it took: %s", said.String())
	}
	line("netlab replay", float64(same)/took.Seconds(), row{runs: []result{res}}.memory())
	return nil
}

// bare asks as often, with a goroutine for each connection, and looks at nothing but how
// long an answer is.
func (r *rush) bare() (float64, error) {
	var all sync.WaitGroup
	errs := make(chan error, r.conns)
	begin := time.Now()
	for range r.conns {
		all.Go(func() {
			c, err := net.Dial("tcp", recordAddr)
			if err != nil {
				errs <- err
				return
			}
			defer c.Close()
			buf := make([]byte, len(r.answer))
			for range r.requests / r.conns {
				if _, err := c.Write(r.request); err != nil {
					errs <- err
					return
				}
				if _, err := io.ReadFull(c, buf); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
	}
	return float64(r.requests/r.conns*r.conns) / time.Since(begin).Seconds(), nil
}
