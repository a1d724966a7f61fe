package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/redact"
	"netlab/decode/rewrite"
	"netlab/decode/tls"
	"netlab/pcaps"
)

// unsealed is what is shared in place of FILE where there are keys to some of it: the same packets, in
// which what was inside of TLS is in clear.
type unsealed struct {
	packets *os.File // nil when nothing could be opened
	// conversations were opened, upgraded of which were in clear at first.
	conversations, upgraded int64
}

// lookForKeys finds out whether there are keys: in a key log, or in FILE.
func (s *sharing) lookForKeys(ctx context.Context) error {
	keys, err := openKeylog(s.c.String("keylog"), false)
	if err != nil {
		return err
	}
	if n, _ := keys.secrets.Count(); n > 0 {
		s.keyed = true
		return keys.Close()
	}
	src, closer, err := s.open()
	if err != nil {
		return err
	}
	defer closer.Close()
	for _, r := range readers(closer) {
		if r.Format() != pcaps.PcapNG {
			return nil
		}
		r.OnBlock = func(b pcaps.Block) error {
			if kind, _, ok := b.Secrets(); ok && kind == pcaps.SecretsTLS {
				s.keyed = true
				return errEnough
			}
			return nil
		}
	}
	for src = until(ctx, src); err == nil; {
		_, err = src.Next()
	}
	return nil // what is wrong with FILE shows when it is read for what is in it
}

// openKeyed opens FILE as open does, with the keys to it.
func (s *sharing) openKeyed() (capture.Source, io.Closer, *tls.Secrets, error) {
	src, closer, err := s.open()
	if err != nil || !s.keyed {
		return src, closer, nil, err
	}
	keys, err := openKeylog(s.c.String("keylog"), false)
	if err != nil {
		closer.Close()
		return nil, nil, nil, err
	}
	keys.within(readers(closer)...)
	return src, closer, keys.secrets, nil
}

// unseal writes what is shared anew, where some of it can be opened.
func (s *sharing) unseal(ctx context.Context) error {
	if !s.keyed {
		return nil
	}
	f, err := s.scratch.file()
	if err != nil {
		return err
	}
	edits := rewrite.NewEdits(s.room/16*3, f)
	opener := rewrite.NewOpener(edits)
	s.stages.begin("opening what is encrypted")
	src, closer, keys, err := s.openKeyed()
	if err != nil {
		return err
	}
	defer closer.Close()
	src = s.followed(ctx, src)
	err = s.decode(lending(s.cut.numbering(src), src), decode.Options{Memory: s.room / 4, Secrets: keys}, opener, edits)
	switch {
	case err != nil || ctx.Err() != nil || opener.Conversations == 0:
		return err
	case edits.Full():
		return s.tooMuch("open")
	}
	s.opened.conversations, s.opened.upgraded = opener.Conversations, opener.Upgraded
	if s.cleaning != nil {
		s.cleaning.unopened = redact.Blank{Why: "left out, of TLS that was opened but for that", Messages: opener.Places, Bytes: opener.Unopened}
	}
	return s.writeOpened(ctx, edits)
}

// writeOpened writes the packets of the cut with what was opened in its place, and has them be what
// is read in place of FILE.
func (s *sharing) writeOpened(ctx context.Context, edits *rewrite.Edits) error {
	f, err := s.scratch.file()
	if err != nil {
		return err
	}
	w, err := pcaps.NewWriter(f, pcaps.Options{Format: pcaps.PcapNG})
	if err != nil {
		return err
	}
	src, closer, err := s.open()
	if err != nil {
		return err
	}
	defer closer.Close()
	became := newBecame(s.cut.numbers)
	r := rewrite.New(w, edits, nil, rewrite.Options{EditedOnly: true, OnPacket: became.onPacket})
	_, err = capture.Copy(r, s.cut.of(until(ctx, src)))
	if _, e := r.Close(); err == nil || errors.Is(err, capture.ErrDamaged) {
		err = e
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("share: write what is inside of TLS: %w", err)
	}
	s.opened.packets = f
	s.cut.settle(became.numbers)
	return nil
}

// became finds out what packets became, by their numbers: one that is no more, as fragments of what
// became shorter, the next.
type became struct {
	numbers map[int64]int64
	asked   []int64 // those to come
}

// newBecame asks for the numbers that others stand for.
func newBecame(numbers map[int64]int64) *became {
	return &became{numbers: make(map[int64]int64), asked: slices.Sorted(maps.Values(numbers))}
}

func (b *became) onPacket(in, out int64) {
	for len(b.asked) > 0 && b.asked[0] <= in {
		b.numbers[b.asked[0]] = out
		b.asked = b.asked[1:]
	}
}
