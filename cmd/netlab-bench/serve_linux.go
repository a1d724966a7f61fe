package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/craft"
)

// servedPaths are what is asked for: something small, and something large.
var servedPaths = []string{"/small0.json", "/page2.html", "/large4.bin"}

// serveCommand measures how many requests a second the stand-in answers, beside the
// server that it stands in for.
func serveCommand(ctx context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	rounds := fs.Int("rounds", 3, "rounds, of each in turn")
	netlab := fs.String("netlab", "bin/netlab", "the netlab to measure")
	length := fs.Duration("length", 3*time.Second, "of each measurement")
	inside := fs.String("inside", "", "is set by serve, in a network of its own: where nginx has its files")
	if err := std.parse(fs, args, "", "nginx and a netlab serve that stands in for it answer wrk in turn, with the same bodies, in a network of their own."); err != nil {
		return err
	}
	if fs.NArg() > 0 || *rounds < 1 || *length < time.Second {
		return usageError("it takes no arguments, and at least a round and a second")
	}
	bin, err := filepath.Abs(*netlab)
	if err != nil {
		return err
	}
	if *inside != "" {
		return measureServe(ctx, std, *inside, bin, *rounds, *length)
	}
	for _, program := range []string{"nginx", "wrk"} {
		if _, err := find(program); err != nil {
			return fmt.Errorf("%s is not installed; it takes nginx and wrk", program)
		}
	}
	dir, err := os.MkdirTemp("", "netlab-serve-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeSite(dir, 1); err != nil {
		return fmt.Errorf("write what nginx serves: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "wrk, 1 thread, %d connections, %v each, %d rounds; %s\n\n", recordConnections, *length, *rounds, machine())
	c := child{args: []string{self, "serve", "-inside", dir, "-netlab", bin, "-rounds", strconv.Itoa(*rounds), "-length", length.String()}, out: std.out, isolated: true}
	if res := c.run(ctx); res.failure != "" {
		return errors.New(res.failure)
	}
	return nil
}

// measureServe is the part that runs in its own network.
func measureServe(ctx context.Context, std stdio, dir, netlab string, rounds int, length time.Duration) error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("set lo up in a network of its own: %w", err)
	}
	r := &recording{ctx: ctx, dir: dir, file: filepath.Join(dir, "site.pcap")}
	nginx, err := r.start("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	if err != nil {
		return err
	}
	defer nginx.stop(syscall.SIGKILL)
	if _, err := r.await(nginx, func(status) bool { return true }); err != nil {
		return err
	}
	if err := recordSite(r.file); err != nil {
		return err
	}
	addr, stop, err := standIn(ctx, netlab, r.file)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(std.out, "| what is asked for | nginx, requests/s | netlab serve, requests/s | netlab / nginx, median | min..max |\n|---|---|---|---|---|\n")
	for _, path := range servedPaths {
		var theirs, ours, ratios []float64
		for range rounds {
			x, err := r.wrk("http://"+recordAddr+path, length)
			if err != nil {
				return err
			}
			y, err := r.wrk("http://"+addr+path, length)
			if err != nil {
				return err
			}
			theirs, ours, ratios = append(theirs, x), append(ours, y), append(ratios, y/x)
		}
		fmt.Fprintf(std.out, "| %s, %d bytes | %.0f | %.0f | %.2f | %.2f..%.2f |\n", path, bodySize(dir, path), median(theirs), median(ours), median(ratios), slices.Min(ratios), slices.Max(ratios))
	}
	return nil
}

func bodySize(dir, path string) int64 {
	st, err := os.Stat(filepath.Join(dir, "www", path))
	if err != nil {
		return 0
	}
	return st.Size()
}

// wrk asks for something over and over, and returns how often a second it was answered.
// Errors, and answers that say something is wrong, count as failure.
func (r *recording) wrk(url string, length time.Duration) (float64, error) {
	wrk, err := r.start("wrk", "-t", "1", "-c", strconv.Itoa(recordConnections), "-d", fmt.Sprintf("%ds", int(length.Seconds())), url)
	if err != nil {
		return 0, err
	}
	defer wrk.stop(syscall.SIGKILL)
	if err := r.until(wrk, length+30*time.Second, wrk.over); err != nil && !wrk.over() {
		return 0, err
	}
	said := wrk.said.String()
	if wrk.err != nil || strings.Contains(said, "Non-2xx") || strings.Contains(said, "Socket errors") {
		return 0, fmt.Errorf("wrk %s: %v: %s", url, wrk.err, said)
	}
	m := regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`).FindStringSubmatch(said)
	if m == nil {
		return 0, fmt.Errorf("wrk %s said: %s", url, said)
	}
	return strconv.ParseFloat(m[1], 64)
}

// recordSite asks nginx for each of the paths, and writes that as a capture.
func recordSite(file string) error {
	conn, err := net.Dial("tcp", recordAddr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	b := craft.New(craft.Options{Step: time.Microsecond})
	t := b.TCP(netip.MustParseAddrPort("10.1.0.1:40000"), netip.MustParseAddrPort("10.1.0.2:80"))
	t.Open()
	in := bufio.NewReader(conn)
	for _, path := range servedPaths {
		request := "GET " + path + " HTTP/1.1\r\nHost: site.example\r\n\r\n"
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		answer, err := readAnswer(in)
		if err != nil {
			return fmt.Errorf("ask nginx for %s: %w", path, err)
		}
		t.Send(craft.Client, []byte(request))
		for part := range slices.Chunk(answer, 16<<10) {
			t.Send(craft.Server, part)
		}
	}
	t.Close(craft.Client)
	packets, err := b.Packets()
	if err != nil {
		return err
	}
	f, err := pcaps.Create(file, pcaps.Options{Link: capture.LinkEthernet})
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

// readAnswer reads an answer with Content-Length, as its bytes are.
func readAnswer(in *bufio.Reader) ([]byte, error) {
	var head bytes.Buffer
	length := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		head.WriteString(line)
		if value, ok := strings.CutPrefix(strings.ToLower(line), "content-length:"); ok {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return nil, err
			}
		}
		if line == "\r\n" {
			break
		}
	}
	_, err := io.CopyN(&head, in, int64(length))
	return head.Bytes(), err
}

// standIn starts netlab serve on a capture, and returns where it listens.
func standIn(ctx context.Context, netlab, file string) (addr string, stop func(), err error) {
	cmd := exec.CommandContext(ctx, netlab, "serve", file, "--listen", "127.0.0.1:0", "--quiet")
	var said tail
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		cmd.Process.Signal(syscall.SIGINT)
		cmd.Wait()
	}
	var first struct{ Address string }
	if err := json.NewDecoder(out).Decode(&first); err != nil || first.Address == "" {
		stop()
		return "", nil, fmt.Errorf("netlab serve said nothing of where it listens: %s", said.lastWords())
	}
	return first.Address, stop, nil
}
