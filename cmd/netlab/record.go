package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"netlab/capture"
	"netlab/decode/printer"
	"netlab/pcaps"
)

// packetFile is what packets are written to.
type packetFile interface {
	capture.Sink
	capture.Flusher
	Packets() int64
	Secrets(kind uint32, data []byte) error
}

// recorder writes packets, and sees to it that a file lacks no more than the last
// moment, whatever happens to us.
type recorder struct {
	k       *captureRun
	file    packetFile
	close   func() error
	flushed time.Time // by the packets' clock
	flush   time.Time // when to do so again
	written []int64   // of each interface, in the current file
	first   time.Time // of these
	secrets []byte    // of all files
}

// flushEvery is how old what is not in the file may become, beside what the kernel has
// not handed on.
const flushEvery = 500 * time.Millisecond

// WritePacket adds a packet, and lets go of those before it when they are old.
func (r *recorder) WritePacket(p *capture.Packet) error {
	if !p.Time.Before(r.flush) || p.Time.Before(r.flushed) {
		r.flushed, r.flush = p.Time, p.Time.Add(flushEvery)
		if err := r.file.Flush(); err != nil {
			return err
		}
	}
	if err := r.file.WritePacket(p); err != nil {
		return err
	}
	if r.first.IsZero() {
		r.first = p.Time
	}
	if p.Interface < len(r.written) {
		r.written[p.Interface]++
	}
	return nil
}

func (r *recorder) Flush() error { return r.file.Flush() }

// record writes the packets to a file, or several.
func (k *captureRun) record(name string) error {
	r := &recorder{k: k}
	k.meter()
	src := k.src
	if k.keys.f != nil {
		src = &withKeys{src: src, r: r}
	}
	opts := pcaps.Options{Format: pcaps.FormatOf(name), SnapLen: uint32(k.c.Int("snaplen"))}
	if err := k.describe(&opts, &src); err != nil {
		return err
	}
	r.written = make([]int64, len(opts.Interfaces))
	if err := r.create(name, opts); err != nil {
		return err
	}
	if k.from.handle != nil {
		k.announce()
	}
	captured, err := capture.Copy(r, src)
	if e := r.close(); err == nil {
		err = e
	}
	more := fmt.Sprintf(", %s written to %s", printer.Count(r.file.Packets(), "packet"), r.where(name))
	if lost := captured - r.file.Packets(); lost > 0 && err == nil {
		more += fmt.Sprintf(", %d could not be written", lost)
	}
	k.summary(captured, more)
	if errors.Is(err, syscall.ENOSPC) {
		return hinted{err, "more room, or --rotate-size with --keep; what is in the file can be read"}
	}
	return err
}

// describe says what the packets begin with. A stream says so with its first one.
func (k *captureRun) describe(opts *pcaps.Options, src *capture.Source) error {
	if k.from.handle == nil {
		k.announce() // it may take its time
		first := &peeked{src: *src}
		*src = first
		if p, err := first.peek(); err == nil {
			opts.Link = p.Link
		} else if !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}
	for _, p := range k.from.handle.Parts() {
		opts.Interfaces = append(opts.Interfaces, pcaps.Interface{Name: p.Name, Link: p.Link})
		if opts.Link = p.Link; opts.Format == pcaps.Pcap && p.Link != opts.Interfaces[0].Link {
			return hinted{usagef("netlab capture: %s has packets of link type %s and %s of %s, and a pcap file can hold one kind",
				opts.Interfaces[0].Name, opts.Interfaces[0].Link, p.Name, p.Link), "-w with a name that ends in .pcapng"}
		}
	}
	return nil
}

// peeked is a Source whose first packet can be looked at before.
type peeked struct {
	src capture.Source
	p   *capture.Packet
	err error
	has bool
}

func (s *peeked) peek() (*capture.Packet, error) {
	for !s.has || errors.Is(s.err, capture.ErrIdle) {
		s.p, s.err = s.src.Next()
		s.has = true
	}
	return s.p, s.err
}

func (s *peeked) Next() (*capture.Packet, error) {
	if s.has {
		s.has = false
		return s.p, s.err
	}
	return s.src.Next()
}

// create makes what is written to.
func (r *recorder) create(name string, opts pcaps.Options) error {
	c := r.k.c
	switch {
	case name == "-":
		w, err := pcaps.NewWriter(r.k.std.out, opts)
		if err != nil {
			return err
		}
		r.file, r.close = w, func() error {
			if err := r.finish(w); err != nil {
				return err
			}
			return w.Flush()
		}
		return w.Flush() // who reads it waits for the header
	case c.IsSet("rotate-size") || c.IsSet("rotate-every"):
		rotation := pcaps.Rotation{Every: c.Duration("rotate-every"), Keep: c.Int("keep")}
		if c.IsSet("rotate-size") {
			n, err := size(c.String("rotate-size"), humanize.MByte)
			if err != nil || n < 1 {
				return usagef("netlab capture: --rotate-size wants a size, as 100MB; %q is none", c.String("rotate-size"))
			}
			rotation.Size = int64(n)
		}
		rotation.Begin = func(f *pcaps.NewFile) error {
			if len(r.secrets) == 0 {
				return nil
			}
			return f.Secrets(pcaps.SecretsTLS, r.secrets)
		}
		rotation.End = func(f *pcaps.NewFile) error { return r.finish(f.Writer) }
		f, err := pcaps.CreateRotating(name, opts, rotation, r.k.begin)
		if err != nil {
			return err
		}
		r.file, r.close = f, f.Close
		return nil
	}
	f, err := pcaps.Create(name, opts)
	if err != nil {
		return err
	}
	r.file, r.close = f, func() error { return errors.Join(r.finish(f.Writer), f.Close()) }
	return f.Flush()
}

// finish writes what is known of the interfaces at the end of a file.
func (r *recorder) finish(w *pcaps.Writer) error {
	if r.k.from.handle == nil {
		return nil
	}
	start := r.first
	if start.IsZero() {
		start = r.k.begin
	}
	for i, p := range r.k.from.handle.Parts() {
		counts := pcaps.Counts{Start: start, End: time.Now(), Received: -1, Accepted: p.Stats.Received,
			IfDropped: p.Stats.IfDropped, OSDropped: p.Stats.Dropped, Delivered: r.written[i]}
		if err := w.Statistics(i, counts); err != nil {
			return nil // what failed before has been told
		}
	}
	return nil
}

// where names the files.
func (r *recorder) where(name string) string {
	f, ok := r.file.(*pcaps.Rotating)
	if !ok {
		return name
	}
	made, names := f.Files()
	if len(names) == 0 {
		return name
	}
	s := printer.Count(int64(made), "file") + ", the last " + names[len(names)-1]
	if gone := made - len(names); gone > 0 {
		s += fmt.Sprintf("; %d of them removed", gone)
	}
	return s
}

// withKeys is a Source that has the keys that a client logs in the file before the
// packets that need them. It hands packets on a little late, since a client has keys
// only when it has read what they open.
type withKeys struct {
	src capture.Source
	r   *recorder
}

const (
	// keysAfter is how long a client may take from a packet to its keys in the log.
	keysAfter = 100 * time.Millisecond
	// maxSecrets bounds the keys that are written again into each file of a rotation:
	// those of a hundred thousand connections.
	maxSecrets = 64 << 20
)

func (w *withKeys) Next() (*capture.Packet, error) {
	p, err := w.src.Next()
	if err == nil {
		// The kernel's buffer keeps what comes meanwhile.
		if young := keysAfter - time.Since(p.Time); young > 0 && young <= keysAfter {
			time.Sleep(young)
		}
	}
	k := w.r.k.keys
	if now := time.Now(); now.Sub(k.looked) >= lookEvery || errors.Is(err, io.EOF) {
		k.looked = now
		var lines []byte
		if e := k.look(func(b []byte) { lines = append(lines, b...) }); e != nil {
			return nil, e
		}
		if e := w.add(lines); e != nil {
			return nil, e
		}
	}
	return p, err
}

// add writes lines of a key log.
func (w *withKeys) add(lines []byte) error {
	if strings.TrimSpace(string(lines)) == "" {
		return nil
	}
	if len(w.r.secrets)+len(lines) <= maxSecrets {
		w.r.secrets = append(w.r.secrets, lines...)
	}
	return w.r.file.Secrets(pcaps.SecretsTLS, lines)
}
