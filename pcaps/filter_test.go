package pcaps_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/samples"
)

// open returns a Reader of file, for as long as the test takes.
func open(t testing.TB, file []byte) *pcaps.Reader {
	t.Helper()
	r, err := pcaps.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// filter returns the copy of file that Filter makes.
func filter(t testing.TB, file []byte, keep pcaps.Keep) []byte {
	t.Helper()
	var out bytes.Buffer
	n, err := pcaps.Filter(&out, open(t, file), keep)
	if err != nil {
		t.Fatal(err)
	}
	if packets, _ := readWhole(t, out.Bytes()); int64(len(packets)) != n {
		t.Errorf("%d packets are in the copy, %d were said to be", len(packets), n)
	}
	return out.Bytes()
}

// sections is a file of several sections, in either byte order.
func sections() *maker {
	m := pcapng(littleEndian).everything().section(bigEndian).everything().section(bigEndian).section(littleEndian)
	return m.iface(113, 0, m.tsresol(20)).enhanced(0, 5, 9, 9, fill(9))
}

// files are whole files, each with a trait.
func files(t testing.TB) map[string][]byte {
	t.Helper()
	data := fill(9)
	all := map[string][]byte{"sections": sections().out}
	for name, o := range orders {
		all["micro_"+name] = pcap(o, 0xa1b2c3d4).record(1, 2, 9, 9, data).out
		all["nano_"+name] = pcap(o, 0xa1b23c4d).record(1, 2, 9, 90, data).record(1, 3, 0, 0, nil).out
		all["modified_"+name] = pcap(o, 0xa1b2cd34).record(1, 2, 9, 9, data).record(1, 3, 9, 9, data).out
		all["version_2_3_"+name] = pcapHeader(o, 0xa1b2c3d4, 2, 3, 0, 0x24000001).record(1, 2, 90, 9, data).out
		all["pcapng_"+name] = pcapng(o).everything().out
		all["empty_"+name] = pcapng(o).out
		all["interface_alone_"+name] = pcapng(o).iface(1, 0).out
	}
	for _, s := range samples.List() {
		r, err := samples.Open(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		if all[s.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestFilterKeepsAll wants a copy to be the same, byte by byte.
func TestFilterKeepsAll(t *testing.T) {
	for trait, file := range files(t) {
		t.Run(trait, func(t *testing.T) {
			if diff := cmp.Diff(file, filter(t, file, nil)); diff != "" {
				t.Errorf("the copy differs (-file +copy):\n%s", diff)
			}
		})
	}
}

// TestFilterPacked wants what was inside.
func TestFilterPacked(t *testing.T) {
	file := sections().out
	for name, to := range packers {
		if got := filter(t, pack(t, to, file), nil); !bytes.Equal(got, file) {
			t.Errorf("%s: the copy differs from what was packed", name)
		}
	}
}

// TestFilter wants a copy without some packets to be the file without their
// blocks, but for what no longer is true.
func TestFilter(t *testing.T) {
	packet := func(m *maker, n uint64) { m.enhanced(0, n, 3, 3, slices.Concat(pad(fill(3)), m.option(1, byte(n)))) }
	header := func(m *maker, length uint32) {
		body := (&maker{order: m.order}).u32(0x1a2b3c4d).u16(1).u16(0).u32(length).u32(length)
		m.block(0x0a0d0d0a, body.bytes(m.option(1, []byte("a section")...)).out)
	}
	for name, o := range orders {
		t.Run(name, func(t *testing.T) {
			file, want := &maker{order: o}, &maker{order: o}
			header(file, 77)
			header(want, 0xffffffff)
			for _, m := range []*maker{file, want} {
				m.iface(1, 0, m.tsresol(9))
				packet(m, 1)
				m.secrets(1, fill(5)).block(0x0bad, fill(8))
			}
			packet(file, 2)
			file.block(0x40000bad, fill(8)).simple(3, fill(3))
			for _, m := range []*maker{file, want} {
				m.names().statistics(0).iface(101, 0)
				m.obsolete(1, 4, 3, 3, fill(3))
			}
			odd := func(p *capture.Packet) (bool, error) { return p.Number == 1 || p.Number == 4, nil }
			if diff := cmp.Diff(want.out, filter(t, file.out, odd)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			old := pcap(o, 0xa1b2cd34).record(1, 2, 3, 3, fill(3))
			head := slices.Clone(old.out)
			old.record(3, 4, 9, 9, fill(9))
			second := func(p *capture.Packet) (bool, error) { return p.Time.Unix() == 3, nil }
			if got := filter(t, old.out, second); !bytes.Equal(got, slices.Concat(head[:24], old.out[len(head):])) {
				t.Errorf("of a pcap file: %x", got)
			}
		})
	}
}

// TestFilterDamaged wants all that was whole in the copy, and the damage told.
func TestFilterDamaged(t *testing.T) {
	for trait, file := range files(t) {
		if trait == "empty_big" || trait == "empty_little" {
			continue
		}
		var out bytes.Buffer
		r := open(t, file[:len(file)-1])
		_, err := pcaps.Filter(&out, r, nil)
		wantError(t, err, capture.ErrDamaged, "the file ends inside")
		if !bytes.Equal(out.Bytes(), file[:r.Offset()]) {
			t.Errorf("%s: %d bytes were copied, %d were whole", trait, out.Len(), r.Offset())
		}
	}
}

func TestFilterFails(t *testing.T) {
	file := sections().out
	_, err := pcaps.Filter(&full{10}, open(t, file), nil)
	wantError(t, err, errFull, "pcaps: write")

	large, _ := large(pcaps.PcapNG, 10_000, small)
	n, err := pcaps.Filter(&full{10}, open(t, large), nil)
	wantError(t, err, errFull, "pcaps: write the copy of packet ")
	if n == 0 || n > 5000 {
		t.Errorf("%d packets were copied to a full disk", n)
	}

	r := open(t, file)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	_, err = pcaps.Filter(io.Discard, r, nil)
	if want := "pcaps: copy the capture: it has been read from already; open it anew"; err == nil || err.Error() != want {
		t.Errorf("after a packet was read: %v, want %s", err, want)
	}

	boom := errors.New("boom")
	r = open(t, file)
	r.OnBlock = func(pcaps.Block) error { return boom }
	_, err = pcaps.Filter(io.Discard, r, nil)
	wantError(t, err, boom, "pcaps: read packet 1 of the capture: boom")
}

// TestBlocks wants all that is no packet seen in its place, as it stands there.
func TestBlocks(t *testing.T) {
	for name, o := range orders {
		t.Run(name, func(t *testing.T) {
			r := open(t, pcapng(o).everything().out)
			var got []string
			note := func(b pcaps.Block) {
				line := fmt.Sprintf("%#x, %d bytes", b.Type, len(b.Body))
				for code, v := range b.Options() {
					if code == pcaps.OptionComment {
						line += fmt.Sprintf(", %q", v)
					} else {
						line += fmt.Sprintf(", option %d of %d", code, len(v))
					}
				}
				if kind, data, ok := b.Secrets(); ok {
					line += fmt.Sprintf(", %#x %q", kind, data)
				}
				got = append(got, line)
			}
			r.OnBlock = func(b pcaps.Block) error {
				note(b)
				return nil
			}
			for {
				if _, err := r.Next(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				note(r.Block())
			}
			want := []string{
				`0xa0d0d0a, 16 bytes`,
				`0x4, 20 bytes`,
				`0x1, 56 bytes, option 2 of 4, option 9 of 1, option 14 of 8, "an interface"`,
				`0xa, 28 bytes, 0x544c534b "CLIENT_RANDOM 00 00\n"`,
				`0x1, 16 bytes, option 9 of 1`,
				`0x6, 56 bytes, "a packet", option 2 of 4`,
				`0x3, 16 bytes`,
				`0x2, 40 bytes, "old"`,
				`0xbad, 8 bytes`,
				`0x40000bad, 12 bytes`,
				`0x80000001, 0 bytes`,
				`0x4d, 8 bytes`,
				`0x5, 36 bytes, "counted", option 4 of 8`,
				`0x6, 24 bytes`,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	r := open(t, pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 9, 9, fill(9)).out)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if b := r.Block(); b.Type != 0 || b.Body != nil {
		t.Errorf("a record of a pcap file came in a block of type %d", b.Type)
	}
	for range r.Block().Options() {
		t.Error("and has options")
	}
}

// TestCutBlocks wants no option and no secret of a block that is too short.
func TestCutBlocks(t *testing.T) {
	for n := range 13 {
		m := pcapng(littleEndian)
		for _, typ := range []uint32{4, 5, 10, 0x0bad, 77} {
			m.block(typ, bytes.Repeat([]byte{0xff}, 4*n))
		}
		r := open(t, m.out)
		r.OnBlock = func(b pcaps.Block) error {
			for code, v := range b.Options() {
				t.Errorf("a block of type %d and %d bytes has the option %d: %x", b.Type, len(b.Body), code, v)
			}
			if _, data, ok := b.Secrets(); ok {
				t.Errorf("a block of type %d and %d bytes has the secrets %x", b.Type, len(b.Body), data)
			}
			return nil
		}
		if _, err := drain(t, r); err != io.EOF {
			t.Error(err)
		}
	}
}
