package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"netlab/pcaps"
)

// captureCommand measures captures of loads on loopback, in a network of its own.
func captureCommand(ctx context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet("capture", flag.ContinueOnError)
	rounds := fs.Int("rounds", 3, "rounds, of each in turn")
	length := fs.Duration("time", 10*time.Second, "of each load; 10 s make a million packets of the slowest")
	netlab := fs.String("netlab", "netlab", "the netlab to measure")
	rotate := fs.Duration("rotate", time.Minute, "how long to rotate files, one a second; 0 leaves that out")
	only := fs.String("only", "", "only loads whose names hold one of these words, separated by commas")
	inside := fs.String("inside", "", "is for the run in the network of its own")
	if err := std.parse(fs, args, "", "Captures loads on loopback with netlab, tcpdump and dumpcap in turn."); err != nil {
		return err
	}
	if fs.NArg() > 0 || *rounds < 0 || *length < time.Second || *length > blastMost || *rotate > blastMost {
		return usageError("it takes no arguments, and times from a second to 5m")
	}
	if *inside != "" {
		b := &captureBench{std: std, rounds: *rounds, length: *length, rotate: *rotate, netlab: *netlab, only: strings.Split(*only, ",")}
		return b.run(ctx, *inside)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path, err := filepath.Abs(*netlab)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "netlab-capture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := child{args: []string{self, "capture", "-inside", dir, "-netlab", path, "-rounds", strconv.Itoa(*rounds), "-time", length.String(), "-rotate", rotate.String(), "-only", *only},
		out: std.out, isolated: true}
	switch res := c.run(ctx); {
	case !res.started:
		return fmt.Errorf("no network of its own can be made (%s): that takes root, or the right to make user namespaces", res.failure)
	case strings.Contains(res.failure, errWrong.Error()):
		return errWrong
	case res.failure != "":
		return errors.New(res.failure)
	}
	return nil
}

// captureBench are the captures in the network of their own.
type captureBench struct {
	std            stdio
	rounds         int
	length, rotate time.Duration
	netlab         string
	self           string
	rec            *recording
	file           string
	only           []string
	wrong          bool
}

// capturer is a program that captures to a file.
type capturer struct {
	name    string
	program string
	args    func(file, filter string) []string
	begun   string // what it says when it listens
	dropped string // what it says in the end of what it lost
}

func (b *captureBench) capturers() []capturer {
	dump := func(more ...string) func(string, string) []string {
		return func(file, filter string) []string {
			args := append([]string{"-i", "lo", "-n", "-w", file}, more...)
			if os.Geteuid() == 0 {
				args = append(args, "-Z", "root")
			}
			return append(args, filter)
		}
	}
	all := []capturer{
		{"netlab capture", b.netlab, func(file, filter string) []string {
			return []string{"capture", "-i", "lo", "-w", file, filter}
		}, "listening on", `(\d+) dropped by the kernel`},
		{"tcpdump", "tcpdump", dump(), "listening on", droppedPackets},
		{"tcpdump -B 65536", "tcpdump", dump("-B", "65536"), "listening on", droppedPackets},
		{"dumpcap", "dumpcap", func(file, filter string) []string {
			return []string{"-q", "-P", "-i", "lo", "-w", file, "-f", filter}
		}, "File:", `received/dropped on interface '.*': \d+/(\d+)`},
	}
	var here []capturer
	for _, c := range all {
		if _, err := find(c.program); err == nil {
			here = append(here, c)
		} else {
			fmt.Fprintf(b.std.err, "%s is left out: it is not installed\n", c.name)
		}
	}
	return here
}

// captureLoad is what is captured.
type captureLoad struct {
	name, filter string
	rate         int // datagrams a second; 0 is as many as can be
	http         bool
}

var captureLoads = []captureLoad{
	{"100,000 datagrams a second", "udp dst port 9999", 100_000, false},
	{"200,000 datagrams a second", "udp dst port 9999", 200_000, false},
	{"400,000 datagrams a second", "udp dst port 9999", 400_000, false},
	{"a flood of datagrams", "udp dst port 9999", 0, false},
	{"nginx and wrk", "tcp port 8080", 0, true},
}

// caught is how a capture went.
type caught struct {
	sent, stored, dropped, cut int64   // cut is of packets twice or out of order
	speed                      float64 // of the load, a second
	cpu, setup                 float64 // seconds, in all and until it listened
	peak                       int64   // bytes
}

func (b *captureBench) run(ctx context.Context, dir string) error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("set lo up in a network of its own: %w", err)
	}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	b.rec = &recording{ctx: ctx, dir: dir}
	b.file = filepath.Join(dir, "captured.pcap")
	if err := writeSite(dir, 1); err != nil {
		return err
	}
	fmt.Fprintf(b.std.out, "Loads of %v on loopback, %d rounds; %s\n", b.length, b.rounds, machine())
	all := b.capturers()
	for _, load := range captureLoads {
		if b.rounds == 0 || !b.wanted(load.name) {
			continue
		}
		if err := b.measure(load, all); err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
	}
	if b.rotate > 0 {
		if err := b.rotation(); err != nil {
			return fmt.Errorf("rotation: %w", err)
		}
	}
	if b.wrong {
		return errWrong
	}
	return nil
}

// wanted reports whether a load is to be measured.
func (b *captureBench) wanted(name string) bool {
	return slices.ContainsFunc(b.only, func(word string) bool { return strings.Contains(name, word) })
}

// measure runs a load under each capturer in turn, and under none.
func (b *captureBench) measure(load captureLoad, all []capturer) error {
	if load.http {
		for _, program := range []string{"nginx", "wrk"} {
			if _, err := find(program); err != nil {
				fmt.Fprintf(b.std.err, "%s is left out: %s is not installed\n", load.name, program)
				return nil
			}
		}
		nginx, err := b.rec.start("nginx", "-p", b.rec.dir, "-c", filepath.Join(b.rec.dir, "nginx.conf"))
		if err != nil {
			return err
		}
		defer nginx.stop(syscall.SIGKILL)
		if _, err := b.rec.await(nginx, func(status) bool { return true }); err != nil {
			return err
		}
	}
	alone := make([]float64, b.rounds)
	of := make([][]caught, len(all))
	for round := range b.rounds {
		var err error
		if _, alone[round], err = b.load(load); err != nil {
			return err
		}
		for i, c := range all {
			got, err := b.once(load, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			of[i] = append(of[i], got)
			fmt.Fprintf(b.std.err, "%s, round %d, %s: %+v\n", load.name, round+1, c.name, got)
		}
	}
	b.print(load, all, of, alone)
	return nil
}

// load runs a load to its end, and returns how many packets it sent, where that is
// known, and how fast it was.
func (b *captureBench) load(load captureLoad) (sent int64, speed float64, err error) {
	args := []string{b.self, "blast", strconv.Itoa(load.rate), b.length.String()}
	if load.http {
		args = []string{"wrk", "-t", "1", "-c", strconv.Itoa(recordConnections), "-d", strconv.Itoa(int(b.length.Seconds())), "-s", filepath.Join(b.rec.dir, "mix.lua"), "http://" + recordAddr + "/"}
	}
	p, err := b.rec.start(args[0], args[1:]...)
	if err != nil {
		return 0, 0, err
	}
	select {
	case <-p.ended:
	case <-b.rec.ctx.Done():
		return 0, 0, b.rec.ctx.Err()
	}
	if p.err != nil {
		return 0, 0, fmt.Errorf("%s: %w: %s", p.name, p.err, p.said.lastWords())
	}
	if load.http {
		n, err := countIn(p.said.String(), `(\d+) requests in`)
		return 0, float64(n) / b.length.Seconds(), err
	}
	sent, err = countIn(p.said.String(), `sent (\d+)`)
	return sent, float64(sent) / b.length.Seconds(), err
}

// once captures a load.
func (b *captureBench) once(load captureLoad, c capturer) (caught, error) {
	var got caught
	defer os.Remove(b.file)
	p, err := b.rec.start(c.program, c.args(b.file, load.filter)...)
	if err != nil {
		return got, err
	}
	defer p.stop(syscall.SIGKILL)
	if err := b.rec.until(p, 10*time.Second, func() bool { return strings.Contains(p.said.String(), c.begun) }); err != nil {
		return got, err
	}
	got.setup = spent(p)
	if got.sent, got.speed, err = b.load(load); err != nil {
		return got, err
	}
	if err := b.settled(p); err != nil {
		return got, err
	}
	if err := p.stop(syscall.SIGINT); err != nil {
		return got, err
	}
	state := p.cmd.ProcessState
	got.cpu = (state.UserTime() + state.SystemTime()).Seconds()
	got.peak, _ = peak(state)
	if got.dropped, err = countIn(p.said.String(), c.dropped); err != nil {
		return got, err
	}
	got.stored, got.cut, err = stored(!load.http, b.file)
	if c.program == b.netlab && (got.dropped > 0 || got.cut > 0 || !load.http && got.stored != got.sent) {
		b.wrong = true
	}
	return got, err
}

// proc returns where /proc has a program that we started. It knows processes by other
// numbers than we do, who are in a namespace of our own.
func proc(p *program) string {
	self, _ := os.Readlink("/proc/self")
	ours := fmt.Sprintf("\nPPid:\t%s\n", self)
	called := fmt.Sprintf("\t%d\n", p.cmd.Process.Pid)
	all, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, name := range all {
		data, _ := os.ReadFile(name) // it may have ended
		_, ids, _ := strings.Cut(string(data), "\nNSpid:")
		first, _, _ := strings.Cut(ids, "NSpgid")
		if strings.Contains(string(data), ours) && strings.HasSuffix(first, called) {
			return filepath.Dir(name)
		}
	}
	return ""
}

// spent returns the processor time that a program has used so far, in seconds: what
// making its buffer and starting cost. The kernel tells it in ticks of 10 ms.
func spent(p *program) float64 {
	stat, _ := os.ReadFile(filepath.Join(proc(p), "stat"))
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return float64(user+system) / 100
}

// settled waits until the file no longer grows, for longer than a kernel keeps packets
// to itself.
func (b *captureBench) settled(p *program) error {
	var size int64 = -1
	since := time.Now()
	return b.rec.until(p, 30*time.Second, func() bool {
		if st, err := os.Stat(b.file); err == nil && st.Size() != size {
			size, since = st.Size(), time.Now()
		}
		return time.Since(since) > 1500*time.Millisecond
	})
}

// stored counts the packets in files; of numbered ones, those that do not follow the one
// before but come again.
func stored(numbered bool, files ...string) (packets, again int64, err error) {
	next := uint64(0)
	for _, name := range files {
		f, err := pcaps.Open(name)
		if err != nil {
			return packets, again, err
		}
		for {
			p, err := f.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				f.Close()
				return packets, again, err
			}
			packets++
			if data := payload(p.Data); numbered && len(data) >= 8 {
				if i := binary.BigEndian.Uint64(data); i < next {
					again++
				} else {
					next = i + 1
				}
			}
		}
		f.Close()
	}
	return packets, again, nil
}

// print prints the table of a load. What is a ratio is the median of those within rounds.
func (b *captureBench) print(load captureLoad, all []capturer, of [][]caught, alone []float64) {
	each := func(i int, what func(caught, int) float64) float64 {
		var list []float64
		for round, c := range of[i] {
			list = append(list, what(c, round))
		}
		return median(list)
	}
	perMillion := func(c caught) float64 { return c.cpu / float64(max(c.stored, 1)) * 1e6 }
	fmt.Fprintf(b.std.out, "\n%s\n\n", load.name)
	what, base := "sent a second", -1
	if load.http {
		what = "requests a second"
	}
	for i, c := range all {
		if c.name == "tcpdump" {
			base = i
		}
	}
	fmt.Fprintf(b.std.out, "| capture | %s | × without | packets in the file | dropped in all rounds | lost %% | CPU s a million | × tcpdump | CPU s before | peak MiB |\n|---|---|---|---|---|---|---|---|---|---|\n", what)
	fmt.Fprintf(b.std.out, "| none | %s | 1.00 | | | | | | | |\n", thousands(int64(median(alone))))
	for i, c := range all {
		var dropped int64
		for _, one := range of[i] {
			dropped += one.dropped
		}
		lost := "unknown"
		if !load.http {
			lost = fmt.Sprintf("%.2f", each(i, func(c caught, _ int) float64 { return 100 * (1 - float64(c.stored)/float64(c.sent)) }))
		} else if dropped >= 0 {
			lost = fmt.Sprintf("%.2f", each(i, func(c caught, _ int) float64 { return 100 * float64(c.dropped) / float64(max(c.dropped+c.stored, 1)) }))
		}
		ratio := ""
		if base >= 0 {
			ratio = fmt.Sprintf("%.2f", each(i, func(c caught, round int) float64 { return perMillion(c) / perMillion(of[base][round]) }))
		}
		fmt.Fprintf(b.std.out, "| %s | %s | %.2f | %s | %s | %s | %.3f | %s | %.3f | %.0f |\n", c.name,
			thousands(int64(each(i, func(c caught, _ int) float64 { return c.speed }))),
			each(i, func(c caught, round int) float64 { return c.speed / alone[round] }),
			thousands(int64(each(i, func(c caught, _ int) float64 { return float64(c.stored) }))),
			thousands(dropped), lost,
			each(i, func(c caught, _ int) float64 { return perMillion(c) }), ratio,
			each(i, func(c caught, _ int) float64 { return c.setup }),
			each(i, func(c caught, _ int) float64 { return float64(c.peak) / (1 << 20) }))
	}
}

// rotation captures with a new file each second, and looks for packets that are lost
// between two files or in both.
func (b *captureBench) rotation() error {
	const rate = 20_000
	name := filepath.Join(b.rec.dir, "rotated.pcapng")
	p, err := b.rec.start(b.netlab, "capture", "-i", "lo", "-w", name, "--rotate-every", "1s", "--rotate-size", "100MB", "udp dst port 9999")
	if err != nil {
		return err
	}
	defer p.stop(syscall.SIGKILL)
	if err := b.rec.until(p, 10*time.Second, func() bool { return strings.Contains(p.said.String(), "listening on") }); err != nil {
		return err
	}
	resident := func() int64 {
		status, _ := os.ReadFile(filepath.Join(proc(p), "status"))
		n, _ := countIn(string(status), `VmRSS:\s+(\d+) kB`)
		return n / 1024
	}
	whole := *b
	whole.length = b.rotate
	var atHalf int64
	half := time.AfterFunc(b.rotate/2, func() { atomic.StoreInt64(&atHalf, resident()) })
	defer half.Stop()
	sent, _, err := whole.load(captureLoad{rate: rate})
	if err != nil {
		return err
	}
	atEnd := resident()
	if err := p.stop(syscall.SIGINT); err != nil { // which takes what the kernel has
		return err
	}
	files, err := filepath.Glob(filepath.Join(b.rec.dir, "rotated_*"))
	if err != nil {
		return err
	}
	packets, again, err := stored(true, files...)
	if err != nil {
		return err
	}
	dropped, err := countIn(p.said.String(), `(\d+) dropped by the kernel`)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.std.out, "\nA file a second for %v, at %s datagrams a second: %d files, %s packets sent, %s in the files, %d dropped; %d MiB resident at half time, %d in the end.\n",
		b.rotate, thousands(rate), len(files), thousands(sent), thousands(packets), dropped, atomic.LoadInt64(&atHalf), atEnd)
	if packets != sent || again > 0 || dropped > 0 {
		b.wrong = true
	}
	return nil
}
