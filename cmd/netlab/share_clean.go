package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/decode/printer"
	"netlab/decode/redact"
	"netlab/decode/rewrite"
	"netlab/pcaps"
)

// cleaning puts pseudonyms in place of secrets: what it learns in one reading it says in the
// next as edits, and packets are rewritten by these in a third.
type cleaning struct {
	redact *redact.Sanitizer
	edits  *rewrite.Edits   // when all is learned
	sum    *rewrite.Summary // of what was written
	// unopened is what was left out of TLS that was opened but for that.
	unopened redact.Blank
}

// notUnderstood is what was blanked of messages, or left out.
func (k *cleaning) notUnderstood() []redact.Blank {
	list := k.redact.Summary().Blanked
	if k.unopened.Bytes > 0 {
		list = append(list, k.unopened)
	}
	return list
}

// newCleaning reads the flags that say what is a secret.
func newCleaning(c *cli.Context, room int64, beside *scratch) (*cleaning, error) {
	opts := redact.Options{Allow: c.StringSlice("allow"), Memory: room}
	for name, list := range map[string]*[]redact.Rule{"keep": &opts.Keep, "hide": &opts.Hide} {
		for _, s := range c.StringSlice(name) {
			r, err := redact.ParseRule(s)
			if err != nil {
				return nil, hinted{usagef("netlab share: --%s: %v", name, err), "--" + name + " email, --" + name + " x-trace-id, or --" + name + " '/ACME-[0-9]+/'"}
			}
			*list = append(*list, r)
		}
	}
	var err error
	if opts.Key, err = shareKey(c.String("key")); err != nil {
		return nil, err
	}
	if opts.Scratch, err = beside.file(); err != nil {
		return nil, err
	}
	k := &cleaning{}
	if k.redact, err = redact.NewSanitizer(opts); err != nil {
		return nil, usagef("netlab share: %v", err)
	}
	return k, nil
}

// shareKey reads a key, or makes one: in its file, or for this time only.
func shareKey(name string) ([]byte, error) {
	fresh := make([]byte, 32)
	rand.Read(fresh) // which never fails
	if name == "" {
		return fresh, nil
	}
	data, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		data = []byte(hex.EncodeToString(fresh) + "\n")
		if err := writePrivate(name, data); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("share: --key: %w", err)
	}
	return bytes.TrimSpace(data), nil
}

// learn reads FILE for what has to be replaced, and again for where, which is said to who rewrites
// packets, and for what a plan of it is.
func (s *sharing) learn(ctx context.Context) error {
	if s.cleaning == nil {
		return s.run(ctx, s.cut.numbering, s.cut)
	}
	k := s.cleaning
	s.stages.begin("learning what to replace")
	if err := s.run(ctx, s.cut.numbering, s.cut, k.redact.Learn()); err != nil || ctx.Err() != nil {
		return err
	}
	f, err := s.scratch.file()
	if err != nil {
		return err
	}
	k.edits = rewrite.NewEdits(s.room/16*3, f)
	s.stages.begin("finding where")
	if err := s.run(ctx, s.cut.of, append(s.was.Sinks(), k.redact.Edit(k.edits))...); err != nil || ctx.Err() != nil {
		return err
	}
	if k.edits.Full() || k.redact.Summary().Lost > 0 {
		return s.tooMuch("replace")
	}
	return nil
}

// tooMuch is the error that there is more to do than there is room for.
func (s *sharing) tooMuch(to string) error {
	return hinted{fmt.Errorf("share: there is more to %s than %s of memory hold", to, s.c.String("memory")), "more, as --memory 2GiB, or a part of the recording"}
}

// commented is a Sink that writes packets with comments.
type commented struct {
	w *pcaps.Writer
	// comments are by the number of the packet in the cut, out the numbers of what it became.
	comments map[int64]string
	out      map[int64]int64
	next     string // of the packet that comes
}

// onPacket is told which packet comes.
func (c *commented) onPacket(in, out int64) {
	if _, ok := c.out[in]; ok {
		return // another piece of it
	}
	if comment, ok := c.comments[in]; ok {
		c.next, c.out[in] = comment, out
	}
}

func (c *commented) WritePacket(p *capture.Packet) error {
	comment := c.next
	if c.next = ""; comment == "" {
		return c.w.WritePacket(p)
	}
	return c.w.WriteCommented(p, comment)
}

// makePackets makes the file of the packets that are shared: what is asked for if that is such a
// file, and else a scratch file.
func (s *sharing) makePackets() (err error) {
	if !s.isBundle() && pcaps.FormatOf(s.out) == pcaps.PcapNG && strings.HasSuffix(s.out, ".pcapng") {
		if s.draft, err = newDraft(s.out); err != nil {
			return err
		}
		if !s.draft.asItIs() {
			s.packets, err = os.OpenFile(s.draft.path, os.O_RDWR, 0)
			return err
		}
		s.draft = nil
	}
	s.packets, err = s.scratch.file()
	return err
}

// write writes the packets that are shared.
func (s *sharing) write(ctx context.Context) error {
	s.stages.begin("replacing it")
	if err := s.makePackets(); err != nil {
		return err
	}
	w, err := pcaps.NewWriter(s.packets, pcaps.Options{Format: pcaps.PcapNG})
	if err != nil {
		return err
	}
	src, closer, err := s.open()
	if err != nil {
		return err
	}
	defer closer.Close()
	from, to := s.cut.of(s.followed(ctx, src)), &commented{w: w, comments: s.comments(), out: make(map[int64]int64)}
	if s.cleaning == nil {
		err = copyAsIs(to, from)
	} else {
		r := rewrite.New(to, s.cleaning.edits, s.cleaning.redact.Pseudonyms(), rewrite.Options{OnPacket: to.onPacket})
		_, err = capture.Copy(r, from)
		sum, e := r.Close()
		s.cleaning.edits = nil // the memory is free
		if s.cleaning.sum = sum; err == nil || errors.Is(err, capture.ErrDamaged) {
			err = e
		}
	}
	if err == nil || errors.Is(err, capture.ErrDamaged) {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("share: %w", err)
	}
	s.written = w.Packets()
	s.findings = s.cut.settled(s.findings, to.out, s.text())
	return nil
}

// copyAsIs copies packets that nobody rewrites.
func copyAsIs(to *commented, from capture.Source) error {
	for {
		p, err := from.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		to.onPacket(p.Number, p.Number)
		if err := to.WritePacket(p); err != nil {
			return err
		}
	}
}

// text is what replaces secrets in texts about a recording.
func (s *sharing) text() func(string) string {
	if s.cleaning == nil {
		return func(t string) string { return t }
	}
	return s.cleaning.redact.Replace
}

// comments say at the packets of answers what differs, by their numbers in the cut.
func (s *sharing) comments() map[int64]string {
	comments, text := make(map[int64]string), s.text()
	for _, f := range s.findings {
		for i := range f.Differences {
			f.Differences[i].Path = text(f.Differences[i].Path)
		}
		at := s.cut.numbers[f.AnswerPacket]
		if at == 0 {
			at = s.cut.numbers[f.Packet]
		}
		if at == 0 {
			continue
		}
		if before := comments[at]; before != "" {
			comments[at] = before + "\n" + f.Comment()
		} else {
			comments[at] = f.Comment()
		}
	}
	return comments
}

// replaced says what was, a line for each kind.
func (k *cleaning) replaced() []string {
	var lines []string
	for _, c := range k.redact.Summary().Found {
		var where []string
		for _, name := range slices.Sorted(maps.Keys(c.Where)) {
			where = append(where, fmt.Sprintf("%d in %s", c.Where[name], name))
		}
		lines = append(lines, fmt.Sprintf("%s: %s in %s: %s", c.Kind, printer.Count(c.Values, "value"), printer.Count(c.Places, "place"), strings.Join(where, ", ")))
	}
	if n := k.sum.Addresses; n > 0 {
		lines = append(lines, fmt.Sprintf("IP addresses: %s in packets", printer.Count(n, "place")))
	}
	if n := k.sum.MACs; n > 0 {
		lines = append(lines, fmt.Sprintf("hardware addresses: %s in packets", printer.Count(n, "place")))
	}
	if n := k.sum.Names; n > 0 {
		lines = append(lines, fmt.Sprintf("names: %s outside of conversations", printer.Count(n, "place")))
	}
	return lines
}

// blanked says what was: what was not understood in messages, and what of packets is in none.
func (k *cleaning) blanked() []string {
	var lines []string
	for _, b := range k.notUnderstood() {
		lines = append(lines, fmt.Sprintf("%s: %s in %s", b.Why, printer.Bytes(b.Bytes), printer.Count(b.Messages, "place")))
	}
	for _, why := range slices.Sorted(maps.Keys(k.sum.Blanks)) {
		lines = append(lines, fmt.Sprintf("%s, of packets: %s", why, printer.Bytes(k.sum.Blanks[why])))
	}
	for _, why := range slices.Sorted(maps.Keys(k.sum.Dropped)) {
		lines = append(lines, fmt.Sprintf("left out, %s: %s", why, printer.Count(k.sum.Dropped[why], "packet")))
	}
	return lines
}
