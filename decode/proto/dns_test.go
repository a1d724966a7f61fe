package proto

import (
	"encoding/binary"
	"strings"
	"testing"

	"netlab/decode/flow"
)

// TestDNSRecordBound gives a message more questions than are read.
func TestDNSRecordBound(t *testing.T) {
	for _, n := range []int{maxDNSRecords, maxDNSRecords + 1} {
		wire := make([]byte, dnsHeaderLen, 1<<16)
		binary.BigEndian.PutUint16(wire[4:], uint16(n))
		for range n {
			wire = append(wire, 0, 0, 1, 0, 1)
		}
		if dnsHeader(wire) {
			t.Errorf("a query with %d questions is taken for DNS", n)
		}
		questions, _ := (&DNSMessage{Wire: wire}).Sections()
		if want := min(n, maxDNSRecords); len(questions) != want {
			t.Errorf("%d of %d questions were read, want %d", len(questions), n, want)
		}
		answers := append([]byte{0, 1, 0x80, 0, 0, 0, byte(n >> 8), byte(n), 0, 0, 0, 0}, []byte(strings.Repeat("\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x00", n))...)
		if got := isDNS(answers); got != (n <= maxDNSRecords) {
			t.Errorf("a message of %d records is DNS: %t", n, got)
		}
	}
}

// TestDNSPointerBound leads from pointer to pointer.
func TestDNSPointerBound(t *testing.T) {
	for _, n := range []int{1, maxDNSPointers, maxDNSPointers + 1, 5000} {
		b := []byte{1, 'a', 0}
		to := 0
		for range n {
			at := len(b)
			b = append(b, byte(0xc0|to>>8), byte(to))
			to = at
		}
		name, next := readName(b, to)
		if n > maxDNSPointers {
			if next >= 0 {
				t.Errorf("%d pointers lead to %q", n, name)
			}
			continue
		}
		if name != "a" || next != len(b) {
			t.Errorf("%d pointers lead to %q, and the name ends at %d of %d", n, name, next, len(b))
		}
	}
}

func TestDNSMessage(t *testing.T) {
	m := &DNSMessage{Wire: []byte("\x12\x34\x83\x83\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x1c\x00\x01")}
	if m.ID() != 0x1234 || m.Flags() != 0x8383 || !m.IsResponse() || !m.Truncated() || m.Rcode() != "NXDOMAIN" {
		t.Errorf("id %x, flags %x, response %t, truncated %t, %s", m.ID(), m.Flags(), m.IsResponse(), m.Truncated(), m.Rcode())
	}
	questions, _ := m.Sections()
	if len(questions) != 1 || questions[0] != (DNSQuestion{Name: "a.example", Type: 28, Class: 1}) || questions[0].TypeName() != "AAAA" {
		t.Errorf("questions: %+v", questions)
	}
	if got := (&DNSQuestion{Type: 65280}).TypeName(); got != "TYPE65280" {
		t.Errorf("an unknown type is %s", got)
	}
}

// TestDNSOverUDPIsFoundOnce keeps to the protocol of the first datagram.
func TestDNSOverUDPIsFoundOnce(t *testing.T) {
	s := &silent{}
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.UDP)}, s, Options{})
	g.Datagram(c2s, &flow.Chunk{Data: []byte("hello")}, 0)
	g.Datagram(c2s, &flow.Chunk{Data: []byte(dnsQuery)}, 0)
	g.Close()
	if g.Protocol() != &Raw || len(s.exchanges) != 2 || s.exchanges[1].Protocol != &Raw {
		t.Errorf("%s, %d exchanges", protocolName(g.Protocol()), len(s.exchanges))
	}
}

// TestUsualName has names that are written quickly be as those that are walked.
func TestUsualName(t *testing.T) {
	long := strings.Repeat("\x3f"+strings.Repeat("x", 63), 4)
	for name, c := range map[string]struct {
		wire  string
		usual bool
	}{
		"root":           {"\x00", true},
		"usual":          {"\x03www\x07example\x03com\x00\x00\x01\x00\x01", true},
		"at_the_end":     {"\x01a\x02de\x00", true},
		"long_labels":    {"\x08eightlet\x09nineletrs\x11seventeen-letters\x00", true},
		"largest":        {long[:3*64] + "\x3d" + strings.Repeat("y", 61) + "\x00", true},
		"too_large":      {long[:3*64] + "\x3e" + strings.Repeat("y", 62) + "\x00", false},
		"dot":            {"\x03a.b\x03com\x00\x00\x01\x00\x01", false},
		"backslash":      {"\x0cabcdefghijk\\\x00", false},
		"quote":          {"\x02a\"\x00", false},
		"less":           {"\x02<a\x00", false},
		"control":        {"\x01\x01\x00", false},
		"utf8":           {"\x02\xc3\xa4\x00", false},
		"del":            {"\x09aaaaaaaa\x7f\x00", false},
		"pointer":        {"\x01a\xc0\x00", false},
		"no_end":         {"\x01a", false},
		"cut_in_a_label": {"\x05abc", false},
	} {
		got, next := appendUsualName([]byte("so far "), []byte(c.wire), 0)
		want, end := walkName([]byte("so far "), []byte(c.wire), 0, maxDNSPointers, asText)
		switch {
		case next > 0 != c.usual:
			t.Errorf("%s: it ends at %d", name, next)
		case next > 0 && (string(got) != string(want) || next != end):
			t.Errorf("%s: %q up to %d, want %q up to %d", name, got, next, want, end)
		case next == 0 && string(got) != "so far ":
			t.Errorf("%s: %q was left behind", name, got)
		}
	}
}
