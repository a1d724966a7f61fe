package pcaps_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"netlab/capture"
	"netlab/pcaps"
)

// order is a byte order to read and to append in.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var (
	littleEndian order = binary.LittleEndian
	bigEndian    order = binary.BigEndian
	orders             = map[string]order{"little": littleEndian, "big": bigEndian}
)

// maker makes a capture file by hand. The numbers of the formats are spelled out
// here: borrowed from the code under test they could not find it wrong.
type maker struct {
	order
	out   []byte
	extra int // bytes that a pcap record header has beyond 16
}

func (m *maker) u16(v uint16) *maker   { m.out = m.AppendUint16(m.out, v); return m }
func (m *maker) u32(v uint32) *maker   { m.out = m.AppendUint32(m.out, v); return m }
func (m *maker) bytes(b []byte) *maker { m.out = append(m.out, b...); return m }

// pcap begins a pcap file of Ethernet, version 2.4.
func pcap(o order, magic uint32) *maker { return pcapHeader(o, magic, 2, 4, 65535, 1) }

func pcapHeader(o order, magic uint32, major, minor uint16, snaplen, link uint32) *maker {
	m := &maker{order: o}
	if magic == 0xa1b2cd34 {
		m.extra = 8
	}
	return m.u32(magic).u16(major).u16(minor).u32(0).u32(0).u32(snaplen).u32(link)
}

// record adds a pcap record whose two lengths are whatever is said.
func (m *maker) record(sec, frac, first, second uint32, data []byte) *maker {
	m.u32(sec).u32(frac).u32(first).u32(second)
	// Not zeros: bytes that are not skipped must show.
	return m.bytes(bytes.Repeat([]byte{0xee}, m.extra)).bytes(data)
}

// pcapng begins a pcapng file.
func pcapng(o order) *maker { return new(maker).section(o) }

// section begins a section, from which on the byte order is o.
func (m *maker) section(o order) *maker {
	m.order = o
	body := &maker{order: o}
	body.u32(0x1a2b3c4d).u16(1).u16(0).u32(0xffffffff).u32(0xffffffff)
	return m.block(0x0a0d0d0a, body.out)
}

// block adds a block, and pads the body.
func (m *maker) block(typ uint32, body []byte) *maker {
	body = pad(body)
	n := uint32(12 + len(body))
	return m.u32(typ).u32(n).bytes(body).u32(n)
}

// pad returns b and zeros up to a multiple of four bytes; b may be part of more.
func pad(b []byte) []byte { return append(b[:len(b):len(b)], make([]byte, -len(b)&3)...) }

// iface adds an interface with options, which option makes.
func (m *maker) iface(link uint16, snaplen uint32, options ...[]byte) *maker {
	body := (&maker{order: m.order}).u16(link).u16(0).u32(snaplen)
	return m.block(1, body.bytes(bytes.Join(options, nil)).out)
}

func (m *maker) option(code uint16, value ...byte) []byte {
	return (&maker{order: m.order}).u16(code).u16(uint16(len(value))).bytes(pad(value)).out
}

func (m *maker) tsresol(v byte) []byte { return m.option(9, v) }

func (m *maker) tsoffset(v int64) []byte {
	return m.option(14, m.AppendUint64(nil, uint64(v))...)
}

func (m *maker) enhanced(iface uint32, ts uint64, captured, length uint32, data []byte) *maker {
	body := (&maker{order: m.order}).u32(iface).u32(uint32(ts >> 32)).u32(uint32(ts)).u32(captured).u32(length)
	return m.block(6, body.bytes(data).out)
}

func (m *maker) obsolete(iface uint16, ts uint64, captured, length uint32, data []byte) *maker {
	// The two bytes behind the interface count drops and are no part of it.
	body := (&maker{order: m.order}).u16(iface).u16(0xffff).u32(uint32(ts >> 32)).u32(uint32(ts)).u32(captured).u32(length)
	return m.block(2, body.bytes(data).out)
}

func (m *maker) simple(length uint32, data []byte) *maker {
	return m.block(3, (&maker{order: m.order}).u32(length).bytes(data).out)
}

// secrets adds a block of secrets.
func (m *maker) secrets(kind uint32, data []byte, options ...[]byte) *maker {
	body := (&maker{order: m.order}).u32(kind).u32(uint32(len(data))).bytes(pad(data))
	return m.block(10, body.bytes(bytes.Join(options, nil)).out)
}

// statistics adds counts of an interface.
func (m *maker) statistics(iface uint32, options ...[]byte) *maker {
	return m.block(5, (&maker{order: m.order}).u32(iface).u32(0).u32(7).bytes(bytes.Join(options, nil)).out)
}

// names adds a block with the name of an address.
func (m *maker) names() *maker {
	record := (&maker{order: m.order}).u16(1).u16(10).bytes(pad([]byte("\x0a\x01\x00\x02host\x00\x00"))).u32(0)
	return m.block(4, record.out)
}

// everything continues a pcapng file with at least one of all there is.
func (m *maker) everything() *maker {
	data := fill(9)
	m.names().iface(1, 65535, m.option(2, []byte("eth0")...), m.tsresol(9), m.tsoffset(-1), m.option(1, []byte("an interface")...), m.option(0))
	m.secrets(0x544c534b, []byte("CLIENT_RANDOM 00 00\n")).iface(101, 4, m.tsresol(0xff))
	m.enhanced(0, 2e9, 9, 90, slices.Concat(pad(data), m.option(1, []byte("a packet")...), m.option(2, 1, 0, 0, 0), m.option(0)))
	m.simple(9, data).obsolete(1, 7, 9, 9, slices.Concat(pad(data), m.option(1, []byte("old")...)))
	m.block(0x0bad, fill(8)).block(0x40000bad, fill(12)).block(0x80000001, nil).block(77, fill(5))
	return m.statistics(0, m.option(1, []byte("counted")...), m.option(4, fill(8)...)).enhanced(1, 1<<62, 3, 3, fill(3))
}

// read returns copies of all packets of src, the error they end in, and the
// Reader. A file whose header can't be read has no Reader.
func read(t testing.TB, src io.Reader) ([]capture.Packet, *pcaps.Reader, error) {
	t.Helper()
	r, err := pcaps.NewReader(src)
	if err != nil {
		return nil, nil, err
	}
	packets, err := drain(t, r)
	return packets, r, err
}

func drain(t testing.TB, src capture.Source) ([]capture.Packet, error) {
	t.Helper()
	var packets []capture.Packet
	for {
		p, err := src.Next()
		if err != nil {
			if p != nil {
				t.Errorf("a packet beside the error %v", err)
			}
			return packets, err
		}
		if p.Time.Location() != time.UTC {
			t.Errorf("packet %d: time zone %v", p.Number, p.Time.Location())
		}
		kept := *p
		kept.Data = bytes.Clone(p.Data)
		packets = append(packets, kept)
	}
}

// readWhole is read of a file that has no fault.
func readWhole(t testing.TB, file []byte) ([]capture.Packet, *pcaps.Reader) {
	t.Helper()
	packets, r, err := read(t, bytes.NewReader(file))
	if !errors.Is(err, io.EOF) {
		t.Fatalf("after %d packets: %v", len(packets), err)
	}
	if r.Offset() != int64(len(file)) {
		t.Errorf("%d of %d bytes were taken", r.Offset(), len(file))
	}
	return packets, r
}

// same compares packets; no data is like empty data.
func same(t testing.TB, want, got []capture.Packet) {
	t.Helper()
	// cmp finds what differs, but takes long to find that nothing does.
	if slices.EqualFunc(want, got, equal) {
		return
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("packets differ (-want +got):\n%s", diff)
	}
}

func equal(a, b capture.Packet) bool {
	return a.Number == b.Number && a.Time.Equal(b.Time) && bytes.Equal(a.Data, b.Data) &&
		a.Length == b.Length && a.Link == b.Link && a.Interface == b.Interface
}

// at is a time in UTC.
func at(sec, ns int64) time.Time { return time.Unix(sec, ns).UTC() }

// fill makes n bytes that tell where they stand.
func fill(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + n)
	}
	return b
}
