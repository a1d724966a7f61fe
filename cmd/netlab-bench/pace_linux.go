package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// paceCommand measures how exactly a recording is replayed in time, as a capture at the
// server shows it, beside a client that does nothing else.
func paceCommand(ctx context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet("pace", flag.ContinueOnError)
	rounds := fs.Int("rounds", 3, "rounds, of each in turn")
	netlab := fs.String("netlab", "netlab", "the netlab to measure")
	network := fs.String("network", "udp", "udp or tcp")
	rate := fs.Float64("rate", 1000, "messages a second")
	length := fs.Duration("length", 10*time.Second, "of the recording")
	if err := std.parse(fs, args, "", "Replays random arrivals at their own pace to a server on loopback that says nothing."); err != nil {
		return err
	}
	if fs.NArg() > 0 || *rounds < 1 || *rate <= 0 || *length < time.Second || *network != "udp" && *network != "tcp" {
		return usageError("it takes no arguments, at least a round and a second, and -network udp or tcp")
	}
	dir, err := os.MkdirTemp("", "netlab-pace-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if *netlab, err = filepath.Abs(*netlab); err != nil {
		return err
	}
	due := arrivals(*rate, *length, 1)
	file := filepath.Join(dir, "pace.pcap")
	if err := makePace(file, *network, due); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%d messages in %v over %d %s clients, at --speed 1; %s\n\n", len(due), *length, paceClients, *network, machine())
	fmt.Fprintf(std.out, "| client | median µs | p99 µs | max µs | median of the first tenth, of the last µs |\n|---|---|---|---|---|\n")
	clients := []struct {
		name string
		args func(addr string) []string
	}{
		{"bare, clock_nanosleep", func(addr string) []string { return []string{self, "sleeper", file, *network, addr} }},
		{"netlab replay", func(addr string) []string {
			return []string{*netlab, "replay", file, "--to", addr, "--speed", "1", "--timeout", "1s"}
		}},
	}
	for range *rounds {
		for _, c := range clients {
			late, err := measurePace(ctx, dir, *network, due, c.args)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			tenth := len(late) / 10
			first, last := quantileMicros(late[:tenth], 0.5), quantileMicros(late[len(late)-tenth:], 0.5)
			fmt.Fprintf(std.out, "| %s | %.0f | %.0f | %.0f | %.0f, %.0f |\n", c.name, quantileMicros(late, 0.5), quantileMicros(late, 0.99), quantileMicros(late, 1), first, last)
		}
	}
	return nil
}

// quantileMicros returns a quantile of seconds in microseconds.
func quantileMicros(list []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[int(q*float64(len(sorted)-1))] * 1e6
}

// measurePace captures what a client sends, and returns how late each message was.
func measurePace(ctx context.Context, dir, network string, due []time.Duration, args func(string) []string) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, due[len(due)-1]+time.Minute)
	defer cancel()
	addr, closer, err := sink(network)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	seen := filepath.Join(dir, "seen.pcap")
	r := &recording{ctx: ctx, dir: dir, file: seen}
	dump := []string{"-i", "lo", "-s", "256", "-B", strconv.Itoa(recordBuffer), "--time-stamp-precision=nano", "-w", seen, "dst port " + port}
	if os.Geteuid() == 0 {
		dump = append([]string{"-Z", "root"}, dump...)
	}
	tcpdump, err := r.start("tcpdump", dump...)
	if err != nil {
		return nil, err
	}
	defer tcpdump.stop(syscall.SIGKILL)
	if err := r.until(tcpdump, 10*time.Second, func() bool { return strings.Contains(tcpdump.said.String(), "listening on") }); err != nil {
		return nil, err
	}
	// What it says of answers that do not come is not what is measured.
	list := args(addr)
	client, err := r.start(list[0], list[1:]...)
	if err != nil {
		return nil, err
	}
	defer client.stop(syscall.SIGKILL)
	// How it ends does not matter: nothing is answered. What it sent is in the capture.
	if err := r.until(tcpdump, due[len(due)-1]+30*time.Second, client.over); err != nil {
		return nil, err
	}
	if err := r.silent(tcpdump); err != nil {
		return nil, err
	}
	if err := tcpdump.stop(syscall.SIGINT); err != nil {
		return nil, err
	}
	times, err := seenTimes(seen, len(due))
	if err != nil {
		return nil, err
	}
	return paceErrors(due, times), nil
}

// sink is a server that reads everything and says nothing.
func sink(network string) (string, io.Closer, error) {
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return "", nil, err
		}
		go io.Copy(io.Discard, c.(*net.UDPConn))
		return c.LocalAddr().String(), c, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(io.Discard, c)
			}()
		}
	}()
	return l.Addr().String(), l, nil
}

// sleeperCommand is the client that nothing in Go is more exact than: one thread that
// sleeps until each time and then writes.
func sleeperCommand(_ context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet("sleeper", flag.ContinueOnError)
	if err := std.parse(fs, args, "FILE NETWORK ADDR", "Is run by pace."); err != nil {
		return err
	}
	if fs.NArg() != 3 {
		return usageError("it takes FILE NETWORK ADDR")
	}
	due, err := paceTimes(fs.Arg(0))
	if err != nil {
		return err
	}
	var conns []net.Conn
	for range paceClients {
		c, err := net.Dial(fs.Arg(1), fs.Arg(2))
		if err != nil {
			return err
		}
		defer c.Close()
		conns = append(conns, c)
	}
	runtime.LockOSThread() // for the sleep
	var start unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &start); err != nil {
		return err
	}
	for i, m := range due {
		until := unix.NsecToTimespec(start.Nano() + m.at.Nanoseconds())
		for {
			err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &until, nil)
			if err == nil {
				break
			} else if !errors.Is(err, unix.EINTR) {
				return err
			}
		}
		if _, err := conns[i%len(conns)].Write(m.data); err != nil {
			return err
		}
	}
	return nil
}
