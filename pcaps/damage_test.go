package pcaps_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"netlab/capture"
	"netlab/pcaps"
)

func wantError(t testing.TB, err, is error, text string) {
	t.Helper()
	if !errors.Is(err, is) || err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got the error %q, want one that is %q and says %q", err, is, text)
	}
	if errors.Is(err, pcaps.ErrFormat) && errors.Is(err, capture.ErrDamaged) {
		t.Errorf("the error %q is of both kinds", err)
	}
}

func TestHostile(t *testing.T) {
	data := fill(60)
	good := func() *maker { return pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 60, 60, data) }
	goodNG := func() *maker { return pcapng(littleEndian).iface(1, 0).enhanced(0, 5, 60, 60, data) }
	// raw is a block whose length is whatever is said.
	raw := func(m *maker, typ, first uint32, body []byte, last uint32) *maker {
		return m.u32(typ).u32(first).bytes(body).u32(last)
	}
	for _, test := range []struct {
		trait string
		file  []byte
		n     int // packets before the error
		is    error
		text  string
	}{
		{"empty", nil, 0, pcaps.ErrFormat, "the capture is empty"},
		{"one_byte", []byte{0xd4}, 0, pcaps.ErrFormat, `begins with "\xd4"`},
		{"text", []byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 0, pcaps.ErrFormat, `begins with "GET / HTTP/1.1\r\nHost: a."`},
		{"short_text", []byte("hello\n"), 0, pcaps.ErrFormat, `begins with "hello\n"`},
		{"terminal_escape", []byte("\x1b]0;owned\x07"), 0, pcaps.ErrFormat, `begins with "\x1b]0;owned\a"`},
		{"zeros", make([]byte, 64), 0, pcaps.ErrFormat, "begins with"},
		{"gzip", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"), 0, pcaps.ErrFormat, "gzip: unexpected EOF"},
		{"zstd_garbage", []byte("\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff"), 0, capture.ErrDamaged, "zstd: "},
		{"lz4_garbage", []byte("\x04\x22\x4d\x18\xff\xff\xff\xff\xff\xff"), 0, capture.ErrDamaged, "lz4: "},

		{"pcap_captured_4GiB", good().record(1, 2, math.MaxUint32, math.MaxUint32, data).out, 1, capture.ErrDamaged,
			"the record at byte 100 declares 4294967295 captured bytes, more than the 16777216 that are possible"},
		{"pcap_captured_above_limit", good().record(1, 2, pcaps.MaxRecord+1, pcaps.MaxRecord+1, data).out, 1, capture.ErrDamaged,
			"declares 16777217 captured bytes"},
		{"pcap_captured_at_limit", good().record(1, 2, pcaps.MaxRecord, pcaps.MaxRecord, data).out, 1, capture.ErrDamaged,
			"the file ends inside a packet at byte 100"},
		{"pcap_swapped_4GiB", pcapHeader(littleEndian, 0xa1b2c3d4, 2, 2, 0, 1).record(1, 2, 60, math.MaxUint32, data).out, 0, capture.ErrDamaged,
			"declares 4294967295 captured bytes"},
		{"pcap_modified_cut", good().bytes(data).out, 1, capture.ErrDamaged, "captured bytes"},

		{"section_without_magic", raw(&maker{order: littleEndian}, 0x0a0d0d0a, 28, make([]byte, 16), 28).out, 0, capture.ErrDamaged,
			"the section at byte 0 has no byte-order magic"},
		{"section_too_short", (&maker{order: littleEndian}).block(0x0a0d0d0a, (&maker{order: littleEndian}).u32(0x1a2b3c4d).out).out, 0, capture.ErrDamaged,
			"the section header is 4 bytes long"},
		{"section_version_2", (&maker{order: bigEndian}).block(0x0a0d0d0a,
			(&maker{order: bigEndian}).u32(0x1a2b3c4d).u16(2).u16(0).u32(0).u32(0).out).out, 0, capture.ErrDamaged,
			"the section is of pcapng version 2, only 1 is known"},
		{"second_section_version_2", goodNG().block(0x0a0d0d0a,
			(&maker{order: littleEndian}).u32(0x1a2b3c4d).u16(2).u16(0).u32(0).u32(0).out).out, 1, capture.ErrDamaged,
			"the section is of pcapng version 2, only 1 is known"},
		{"second_section_without_magic", goodNG().block(0x0a0d0d0a, make([]byte, 16)).out, 1, capture.ErrDamaged,
			"has no byte-order magic"},

		{"block_length_0", raw(goodNG(), 6, 0, data, 0).out, 1, capture.ErrDamaged, "the block at byte 140 declares a length of 0"},
		{"block_length_8", raw(goodNG(), 6, 8, data, 8).out, 1, capture.ErrDamaged, "the block at byte 140 declares a length of 8"},
		{"block_length_odd", raw(goodNG(), 6, 93, slices.Concat(make([]byte, 20), data, []byte{0}), 93).out, 1, capture.ErrDamaged,
			"declares a length of 93"},
		{"block_length_4GiB", raw(goodNG(), 6, 1<<32-4, data, 1<<32-4).out, 1, capture.ErrDamaged,
			"the block at byte 140 declares 4294967292 bytes, more than the"},
		{"block_length_all_ones", raw(goodNG(), 6, 1<<32-1, data, 1<<32-1).out, 1, capture.ErrDamaged, "declares a length of 4294967295"},
		{"block_length_at_limit", raw(goodNG(), 6, pcaps.MaxRecord, data, pcaps.MaxRecord).out, 1, capture.ErrDamaged,
			"the file ends inside a block at byte 140"},
		{"block_trailer_differs", raw(goodNG(), 6, 92, make([]byte, 80), 96).out, 1, capture.ErrDamaged,
			"declares a length of 92 at its start and 96 at its end"},
		{"skipped_block_trailer_differs", raw(goodNG(), 5, 92, make([]byte, 80), 0).out, 1, capture.ErrDamaged,
			"declares a length of 92 at its start and 0 at its end"},
		{"block_in_the_other_order", goodNG().bytes((&maker{order: bigEndian}).block(6, data).out).out, 1, capture.ErrDamaged,
			"the block at byte 140 declares"},

		{"interface_too_short", goodNG().block(1, make([]byte, 4)).out, 1, capture.ErrDamaged,
			"the block of type 1 at byte 140 is too short for what it holds"},
		{"enhanced_too_short", goodNG().block(6, make([]byte, 16)).out, 1, capture.ErrDamaged,
			"the block of type 6 at byte 140 is too short for what it holds"},
		{"enhanced_empty", goodNG().block(6, nil).out, 1, capture.ErrDamaged, "the block of type 6 at byte 140 is too short"},
		{"enhanced_captured_above_block", goodNG().enhanced(0, 5, 61, 61, data).out, 1, capture.ErrDamaged,
			"the block of type 6 at byte 140 is too short"},
		{"enhanced_captured_4GiB", goodNG().enhanced(0, 5, math.MaxUint32, math.MaxUint32, data).out, 1, capture.ErrDamaged,
			"the block of type 6 at byte 140 is too short"},
		{"enhanced_captured_above_limit", goodNG().enhanced(0, 5, pcaps.MaxRecord+1, pcaps.MaxRecord+1, make([]byte, pcaps.MaxRecord+4)).out, 1,
			capture.ErrDamaged, "a packet declares 16777217 captured bytes"},
		{"obsolete_too_short", goodNG().block(2, make([]byte, 16)).out, 1, capture.ErrDamaged, "the block of type 2 at byte 140 is too short"},
		{"obsolete_captured_above_block", goodNG().obsolete(0, 5, 64, 64, data).out, 1, capture.ErrDamaged, "the block of type 2 at byte 140 is too short"},
		{"simple_too_short", goodNG().block(3, nil).out, 1, capture.ErrDamaged, "the block of type 3 at byte 140 is too short"},

		{"interface_undeclared", pcapng(littleEndian).enhanced(0, 5, 60, 60, data).out, 0, capture.ErrDamaged,
			"a packet is of interface 0, and the section has declared 0"},
		{"interface_next", goodNG().enhanced(1, 5, 60, 60, data).out, 1, capture.ErrDamaged,
			"a packet is of interface 1, and the section has declared 1"},
		{"interface_all_ones", goodNG().enhanced(math.MaxUint32, 5, 60, 60, data).out, 1, capture.ErrDamaged,
			"a packet is of interface 4294967295, and the section has declared 1"},
		{"interface_of_the_section_before", goodNG().section(littleEndian).enhanced(0, 5, 60, 60, data).out, 1, capture.ErrDamaged,
			"a packet is of interface 0, and the section has declared 0"},
		{"obsolete_undeclared", goodNG().obsolete(7, 5, 60, 60, data).out, 1, capture.ErrDamaged,
			"a packet is of interface 7, and the section has declared 1"},
		{"simple_undeclared", goodNG().section(littleEndian).simple(60, data).out, 1, capture.ErrDamaged,
			"a packet is of interface 0, and the section has declared 0"},
	} {
		t.Run(test.trait, func(t *testing.T) {
			packets, _, err := read(t, bytes.NewReader(test.file))
			wantError(t, err, test.is, test.text)
			if len(packets) != test.n {
				t.Errorf("%d packets came before it, want %d", len(packets), test.n)
			}
		})
	}
}

// TestCutAnywhere cuts files at every byte: all whole packets come, and the end
// is io.EOF only where a record ends.
func TestCutAnywhere(t *testing.T) {
	m := pcap(littleEndian, 0xa1b23c4d)
	pcapEnds := []int{len(m.out)}
	n := pcapng(bigEndian)
	ngEnds := []int{len(n.out)}
	ngPackets := []int{0}
	var want []capture.Packet
	n.iface(1, 0, n.tsresol(9))
	ngEnds, ngPackets = append(ngEnds, len(n.out)), append(ngPackets, 0)
	for i := range 3 {
		data := fill(5 + 3*i) // with 3, 0 and 1 bytes of padding
		want = append(want, capture.Packet{Number: int64(i) + 1, Time: at(0, int64(i)), Data: data, Length: 2 * len(data), Link: 1})
		size := uint32(len(data))
		m.record(0, uint32(i), size, 2*size, data)
		n.enhanced(0, uint64(i), size, 2*size, data)
		pcapEnds = append(pcapEnds, len(m.out))
		ngEnds, ngPackets = append(ngEnds, len(n.out)), append(ngPackets, i+1)
	}
	for _, test := range []struct {
		trait   string
		file    []byte
		ends    []int // where a record ends; the first is the header
		packets []int // how many packets there are up to there
	}{
		{"pcap", m.out, pcapEnds, []int{0, 1, 2, 3}},
		{"pcapng", n.out, ngEnds, ngPackets},
	} {
		t.Run(test.trait, func(t *testing.T) {
			for cut := range len(test.file) + 1 {
				got, r, err := read(t, bytes.NewReader(test.file[:cut]))
				if cut < test.ends[0] {
					is := capture.ErrDamaged
					if cut < 4 {
						is = pcaps.ErrFormat // not even a magic number is there
					}
					if r != nil || !errors.Is(err, is) {
						t.Errorf("cut at byte %d: opens with the error %v, want %v", cut, err, is)
					}
					continue
				}
				i, whole := slices.BinarySearch(test.ends, cut)
				if !whole {
					i--
				}
				switch {
				case whole && err != io.EOF:
					t.Errorf("cut at byte %d, between records: %v", cut, err)
				case !whole:
					wantError(t, err, capture.ErrDamaged, "the file ends inside a ")
					wantError(t, err, capture.ErrDamaged, fmt.Sprintf("at byte %d", test.ends[i]))
				}
				if r.Offset() != int64(test.ends[i]) {
					t.Errorf("cut at byte %d: %d bytes were taken, want %d", cut, r.Offset(), test.ends[i])
				}
				same(t, want[:test.packets[i]], got)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestMemory reads files that declare far more than they hold, and bounds what
// is allocated for that.
func TestMemory(t *testing.T) {
	const limit = pcaps.MaxRecord
	data := fill(44)
	section := (&maker{order: bigEndian}).u32(0x0a0d0d0a).u32(limit).u32(0x1a2b3c4d).u16(1).u16(0).u32(0).u32(0).bytes(data)
	for _, test := range []struct {
		trait string
		file  []byte
		bytes uint64
	}{
		{"pcap", pcap(littleEndian, 0xa1b2c3d4).record(1, 2, limit, limit, data).out, 2 << 20},
		{"pcapng_packet", pcapng(littleEndian).iface(1, 0).u32(6).u32(limit).bytes(data).out, 2 << 20},
		{"pcapng_skipped", pcapng(littleEndian).u32(5).u32(limit).bytes(data).out, 2 << 20},
		{"pcapng_section", section.out, 2 << 20},
		// A window that doubles allocates less than four times what has arrived,
		// all its earlier sizes included.
		{"pcap_of_a_mebibyte", pcap(littleEndian, 0xa1b2c3d4).record(1, 2, limit, limit, fill(1<<20-40)).out, 4 << 20},
	} {
		t.Run(test.trait, func(t *testing.T) {
			src := bytes.NewReader(test.file)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := pcaps.NewReader(src)
			if err == nil {
				_, err = r.Next()
			}
			runtime.ReadMemStats(&after)
			wantError(t, err, capture.ErrDamaged, "the file ends inside")
			if got := after.TotalAlloc - before.TotalAlloc; got > test.bytes {
				t.Errorf("%d bytes were allocated for a file of %d, at most %d should be", got, len(test.file), test.bytes)
			}
		})
	}
}

// TestErrorsStick wants the same error for ever, and the file left alone.
func TestErrorsStick(t *testing.T) {
	boom := errors.New("boom")
	whole := pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 60, 60, fill(60)).out
	for _, test := range []struct {
		trait string
		src   io.Reader
		is    error
	}{
		{"end", bytes.NewReader(whole), io.EOF},
		{"damage", bytes.NewReader(whole[:len(whole)-1]), capture.ErrDamaged},
		{"damage_with_more_behind", bytes.NewReader(slices.Concat(
			pcapng(littleEndian).iface(1, 0).block(6, nil).enhanced(0, 0, 4, 4, fill(4)).out)), capture.ErrDamaged},
		{"source", io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(boom)), boom},
	} {
		t.Run(test.trait, func(t *testing.T) {
			src := &counted{Reader: test.src}
			_, r, first := read(t, src)
			if !errors.Is(first, test.is) {
				t.Fatalf("got %v, want %v", first, test.is)
			}
			reads, offset := src.n, r.Offset()
			for range 3 {
				if p, err := r.Next(); p != nil || err != first {
					t.Errorf("asked again: %v, %v, want %v", p, err, first)
				}
			}
			if src.n != reads || r.Offset() != offset {
				t.Errorf("asked again: %d reads more, now at byte %d, before at %d", src.n-reads, r.Offset(), offset)
			}
		})
	}
}

// counted counts how often it is read from.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(b []byte) (int, error) { c.n++; return c.Reader.Read(b) }

// TestSourceFails wants an error of the source told as what it is, and the
// packets that came before it.
func TestSourceFails(t *testing.T) {
	boom := errors.New("boom")
	whole := pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 60, 60, fill(60)).record(3, 4, 50, 50, fill(50)).out
	for _, test := range []struct {
		trait string
		n     int // bytes before the error
		open  bool
		want  int
		text  string
	}{
		{"at_once", 0, false, 0, "pcaps: read the capture: boom"},
		{"in_the_magic", 2, false, 0, "pcaps: read the capture: boom"},
		{"in_the_header", 20, false, 0, "pcaps: read the header of the capture: boom"},
		{"at_a_record", 24, true, 0, "pcaps: read packet 1 of the capture: boom"},
		{"in_a_record_header", 30, true, 0, "pcaps: read packet 1 of the capture: boom"},
		{"in_a_packet", 24 + 76 + 16 + 49, true, 1, "pcaps: read packet 2 of the capture: boom"},
		{"behind_the_last", len(whole), true, 2, "pcaps: read packet 3 of the capture: boom"},
	} {
		t.Run(test.trait, func(t *testing.T) {
			packets, r, err := read(t, io.MultiReader(bytes.NewReader(whole[:test.n]), iotest.ErrReader(boom)))
			if (r != nil) != test.open || len(packets) != test.want {
				t.Errorf("opens: %v, with %d packets; want %v, %d", r != nil, len(packets), test.open, test.want)
			}
			wantError(t, err, boom, test.text)
			if errors.Is(err, capture.ErrDamaged) || errors.Is(err, pcaps.ErrFormat) {
				t.Errorf("%v blames the file", err)
			}
		})
	}
}

// stuck reads nothing and says nothing.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestStuckSource(t *testing.T) {
	_, _, err := read(t, stuck{})
	wantError(t, err, io.ErrNoProgress, "pcaps: read the capture")
	_, _, err = read(t, io.MultiReader(bytes.NewReader(pcap(bigEndian, 0xa1b2c3d4).out), stuck{}))
	wantError(t, err, io.ErrNoProgress, "pcaps: read packet 1 of the capture")
}

// TestErrorsNameFile wants whoever reads the error to find the place.
func TestErrorsNameFile(t *testing.T) {
	dir := t.TempDir()
	whole := pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 60, 60, fill(60)).record(3, 4, 50, 50, fill(50)).out
	for _, test := range []struct {
		name string
		file []byte
		is   error
		text string // with the path for %s
	}{
		{"cut.pcap", whole[:len(whole)-1], capture.ErrDamaged,
			"pcaps: read packet 2 of %s: capture is damaged: the file ends inside a packet at byte 100"},
		{"header.pcap", whole[:23], capture.ErrDamaged,
			"pcaps: read the header of %s: capture is damaged: the file ends inside the file header at byte 0"},
		{"notes.txt", []byte("buy milk\n"), pcaps.ErrFormat, `pcaps: %s begins with "buy milk\n": not a capture file`},
		{"empty.pcap", nil, pcaps.ErrFormat, "pcaps: %s is empty: not a capture file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, test.name)
			if err := os.WriteFile(path, test.file, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := pcaps.Open(path)
			if err == nil {
				defer f.Close()
				_, err = drain(t, f)
			}
			wantError(t, err, test.is, fmt.Sprintf(test.text, path))
		})
	}
	missing := filepath.Join(dir, "missing.pcap")
	_, err := pcaps.Open(missing)
	wantError(t, err, fs.ErrNotExist, missing)
}
