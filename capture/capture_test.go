package capture_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
)

// script is a Source that answers what it is told to: a packet for nil. Behind
// its end it goes on answering the last error, as a Source promises.
type script struct {
	answers []error
	asked   int
	packet  capture.Packet
}

func (s *script) Next() (*capture.Packet, error) {
	i := min(s.asked, len(s.answers)-1)
	s.asked++
	switch err := s.answers[i]; {
	case err == nil:
		s.packet.Number++
		return &s.packet, nil
	case errors.Is(err, capture.ErrIdle):
		return &capture.Packet{}, err
	default:
		return nil, err
	}
}

// sink writes down what it is asked to do.
type sink struct {
	log      []string
	failAt   int64 // number of the packet that can't be written
	writeErr error
	flushErr error
}

func (s *sink) WritePacket(p *capture.Packet) error {
	s.log = append(s.log, fmt.Sprint("packet ", p.Number))
	if p.Number == s.failAt {
		return s.writeErr
	}
	return nil
}

// flusher is a sink that can flush.
type flusher struct{ sink }

func (f *flusher) Flush() error {
	f.log = append(f.log, "flush")
	return f.flushErr
}

func TestCopy(t *testing.T) {
	boom := errors.New("boom")
	idle := fmt.Errorf("waited: %w", capture.ErrIdle)
	for _, test := range []struct {
		trait   string
		answers []error
		sink    sink
		plain   bool // the sink can't flush
		n       int64
		err     error
		log     []string
	}{
		{trait: "empty", answers: []error{io.EOF}},
		{
			trait: "until_eof", answers: []error{nil, nil, io.EOF},
			n: 2, log: []string{"packet 1", "packet 2"},
		},
		{
			trait: "wrapped_eof_is_the_end", answers: []error{nil, fmt.Errorf("x: %w", io.EOF)},
			n: 1, log: []string{"packet 1"},
		},
		{
			trait: "idle_flushes", answers: []error{nil, idle, capture.ErrIdle, nil, io.EOF},
			n: 2, log: []string{"packet 1", "flush", "flush", "packet 2"},
		},
		{
			trait: "idle_without_flusher", answers: []error{nil, idle, nil, io.EOF}, plain: true,
			n: 2, log: []string{"packet 1", "packet 2"},
		},
		{
			trait: "idle_flush_fails", answers: []error{nil, idle, nil, io.EOF}, sink: sink{flushErr: boom},
			n: 1, err: boom, log: []string{"packet 1", "flush"},
		},
		{
			trait: "source_fails", answers: []error{nil, fmt.Errorf("x: %w", capture.ErrDamaged)},
			n: 1, err: capture.ErrDamaged, log: []string{"packet 1"},
		},
		{
			trait: "sink_fails", answers: []error{nil, nil, nil, io.EOF}, sink: sink{failAt: 2, writeErr: boom},
			n: 1, err: boom, log: []string{"packet 1", "packet 2"},
		},
		{
			// The end of the source is no error; the same value from the sink is one.
			trait: "sink_fails_with_eof", answers: []error{nil, nil, io.EOF}, sink: sink{failAt: 1, writeErr: io.EOF},
			n: 0, err: io.EOF, log: []string{"packet 1"},
		},
	} {
		t.Run(test.trait, func(t *testing.T) {
			src := &script{answers: test.answers}
			f := &flusher{test.sink}
			var dst capture.Sink = f
			if test.plain {
				dst = &f.sink
			}
			n, err := capture.Copy(dst, src)
			if n != test.n || !errors.Is(err, test.err) {
				t.Errorf("got %d, %v, want %d, %v", n, err, test.n, test.err)
			}
			if diff := cmp.Diff(test.log, f.log); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	boom := errors.New("boom")
	for _, test := range []struct {
		trait   string
		answers []error
		limit   int64
		n       int64
		err     error
		asked   int // how often the source is asked: never for more than the limit
	}{
		{"none", []error{nil, io.EOF}, 0, 0, nil, 0},
		{"negative", []error{nil, io.EOF}, -1, 0, nil, 0},
		{"below", []error{nil, nil, nil, io.EOF}, 2, 2, nil, 2},
		{"exact", []error{nil, nil, io.EOF}, 2, 2, nil, 2},
		{"above", []error{nil, nil, io.EOF}, 3, 2, nil, 3},
		{"idle_does_not_count", []error{capture.ErrIdle, nil, capture.ErrIdle, nil, io.EOF}, 2, 2, nil, 4},
		{"error_passes", []error{nil, boom}, 5, 1, boom, 2},
		{"error_behind_limit", []error{nil, boom}, 1, 1, nil, 1},
	} {
		t.Run(test.trait, func(t *testing.T) {
			src := &script{answers: test.answers}
			limited := capture.Limit(src, test.limit)
			n, err := capture.Copy(&sink{}, limited)
			if n != test.n || !errors.Is(err, test.err) {
				t.Errorf("got %d, %v, want %d, %v", n, err, test.n, test.err)
			}
			if src.asked != test.asked {
				t.Errorf("the source was asked %d times, want %d", src.asked, test.asked)
			}
			// The end stays the end.
			want := test.err
			if want == nil {
				want = io.EOF
			}
			if _, err := limited.Next(); !errors.Is(err, want) {
				t.Errorf("asked again: %v, want %v", err, want)
			}
		})
	}
}

// TestLimitIdle wants what comes beside ErrIdle: the Packet says how late it is.
func TestLimitIdle(t *testing.T) {
	limited := capture.Limit(&script{answers: []error{capture.ErrIdle}}, 1)
	if p, err := limited.Next(); p == nil || !errors.Is(err, capture.ErrIdle) {
		t.Errorf("got %v, %v, want a packet beside %v", p, err, capture.ErrIdle)
	}
}

// lender is a script that takes note of being told to lend.
type lender struct {
	script
	told bool
}

func (l *lender) Lend(func([]byte) []byte) { l.told = true }

// TestLimitLends wants a Limit to lend if, and only if, what it limits does.
func TestLimitLends(t *testing.T) {
	src := &lender{script: script{answers: []error{nil, nil, io.EOF}}}
	limited := capture.Limit(src, 1)
	if l, ok := limited.(capture.Lender); ok {
		l.Lend(nil)
	}
	if !src.told {
		t.Error("a Limit of a Lender does not lend")
	}
	if n, err := capture.Copy(&sink{}, limited); n != 1 || err != nil {
		t.Errorf("got %d packets and %v, want 1", n, err)
	}
	if _, ok := capture.Limit(&src.script, 1).(capture.Lender); ok {
		t.Error("a Limit of no Lender is one")
	}
}

func TestLinkTypeString(t *testing.T) {
	for link, want := range map[capture.LinkType]string{
		0:   "null",
		1:   "ethernet",
		12:  "raw",
		14:  "raw",
		101: "raw",
		108: "loop",
		113: "linux_sll",
		228: "ipv4",
		229: "ipv6",
		276: "linux_sll2",
		105: "ieee802_11",
		149: "pktap",
		258: "pktap",
		// A link type has more than 8 bits: 257 is not ethernet.
		257:        "linktype 257",
		200:        "linktype 200",
		4294967295: "linktype 4294967295",
	} {
		if got := link.String(); got != want {
			t.Errorf("%d: got %q, want %q", uint32(link), got, want)
		}
	}
}

func TestPacketCut(t *testing.T) {
	for _, test := range []struct {
		trait  string
		data   int
		length int
		want   bool
	}{
		{"whole", 60, 60, false},
		{"one_byte_missing", 59, 60, true},
		{"nothing_captured", 0, 60, true},
		{"empty", 0, 0, false},
		{"length_below_data", 60, 59, false},
	} {
		t.Run(test.trait, func(t *testing.T) {
			p := capture.Packet{Data: make([]byte, test.data), Length: test.length}
			if got := p.Cut(); got != test.want {
				t.Errorf("%d of %d bytes: got %v", test.data, test.length, got)
			}
		})
	}
}
