package pcaps_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/pcaps"
)

// write returns a file of packets.
func write(t testing.TB, opts pcaps.Options, packets []capture.Packet) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := pcaps.NewWriter(&out, opts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		if err := w.WritePacket(&packets[i]); err != nil {
			t.Fatalf("packet %d: %v", i+1, err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if w.Packets() != int64(len(packets)) {
		t.Errorf("%d packets were counted, %d written", w.Packets(), len(packets))
	}
	return out.Bytes()
}

func TestRoundTrip(t *testing.T) {
	// various are packets of every length modulo four, and of what is special.
	various := func(link capture.LinkType) []capture.Packet {
		var list []capture.Packet
		add := func(ts time.Time, data []byte, length int) {
			list = append(list, capture.Packet{Number: int64(len(list)) + 1, Time: ts, Data: data, Length: length, Link: link})
		}
		for n := range 9 {
			add(at(1767323045, int64(n)), fill(n), n)
			add(at(1767323045, 999999990+int64(n)), fill(n), n+1400) // cut by the snapshot length
		}
		add(at(0, 0), nil, 0)
		add(at(0, 1), nil, 1500)
		add(at(1<<31, 123456789), fill(60), 60) // beyond 2038
		add(at(1<<32-1, 999999999), fill(60), 60)
		add(at(1, 0), fill(500_000), 500_000) // more than the writer and the reader hold at once
		add(at(0, 5), fill(1), 1)             // time goes back
		return list
	}
	// mixed are of several interfaces: two of one link type, and one number of two
	// link types.
	mixed := various(capture.LinkEthernet)
	for i := range mixed {
		kind := []struct {
			link  capture.LinkType
			iface int
		}{{1, 0}, {276, 1}, {1, 2}, {101, 3}, {0, 4}, {65535, 5}}[i%6]
		mixed[i].Link, mixed[i].Interface = kind.link, kind.iface
	}
	for _, test := range []struct {
		trait   string
		opts    pcaps.Options
		packets []capture.Packet
		ifaces  []pcaps.Interface
	}{
		{"pcap", pcaps.Options{Link: 1}, various(1), []pcaps.Interface{{Link: 1, SnapLen: pcaps.DefaultSnapLen}}},
		{"pcap_null", pcaps.Options{}, various(0), []pcaps.Interface{{SnapLen: pcaps.DefaultSnapLen}}},
		{"pcap_sll2", pcaps.Options{Link: 276, SnapLen: 96}, various(276), []pcaps.Interface{{Link: 276, SnapLen: 96}}},
		{"pcap_no_packets", pcaps.Options{Link: 1}, nil, []pcaps.Interface{{Link: 1, SnapLen: pcaps.DefaultSnapLen}}},
		{"pcapng", pcaps.Options{Format: pcaps.PcapNG}, various(1), []pcaps.Interface{{Link: 1, SnapLen: pcaps.DefaultSnapLen}}},
		{"pcapng_no_packets", pcaps.Options{Format: pcaps.PcapNG}, nil, nil},
		{"pcapng_interfaces", pcaps.Options{Format: pcaps.PcapNG, SnapLen: 128}, mixed, []pcaps.Interface{
			{Link: 1, SnapLen: 128}, {Link: 276, SnapLen: 128}, {Link: 1, SnapLen: 128},
			{Link: 101, SnapLen: 128}, {Link: 0, SnapLen: 128}, {Link: 65535, SnapLen: 128},
		}},
	} {
		t.Run(test.trait, func(t *testing.T) {
			got, r := readWhole(t, write(t, test.opts, test.packets))
			same(t, test.packets, got)
			if r.Format() != test.opts.Format {
				t.Errorf("the format is %v", r.Format())
			}
			if diff := cmp.Diff(test.ifaces, r.Interfaces()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestInterfaceOfTwoLinks wants one interface for each link type, even where the
// packets say that they are of one: in pcapng an interface has one link type.
func TestInterfaceOfTwoLinks(t *testing.T) {
	packets := []capture.Packet{
		{Number: 1, Time: at(0, 0), Link: 1, Interface: 7},
		{Number: 2, Time: at(0, 0), Link: 101, Interface: 7},
		{Number: 3, Time: at(0, 0), Link: 1, Interface: 7},
	}
	got, r := readWhole(t, write(t, pcaps.Options{Format: pcaps.PcapNG}, packets))
	for i, iface := range []int{0, 1, 0} {
		packets[i].Interface = iface
	}
	same(t, packets, got)
	if n := len(r.Interfaces()); n != 2 {
		t.Errorf("%d interfaces, want 2", n)
	}
}

// TestLargestPacket wants what one format can hold to fit the other one too.
func TestLargestPacket(t *testing.T) {
	packets := []capture.Packet{{Number: 1, Time: at(0, 0), Data: make([]byte, pcaps.MaxRecord), Length: pcaps.MaxRecord, Link: 1}}
	packets[0].Data[pcaps.MaxRecord-1] = 1
	for _, format := range []pcaps.Format{pcaps.Pcap, pcaps.PcapNG} {
		t.Run(format.String(), func(t *testing.T) {
			got, _ := readWhole(t, write(t, pcaps.Options{Format: format, Link: 1}, packets))
			same(t, packets, got)
		})
	}
}

// TestWrittenBytes holds files to their bytes: the same packets make the same
// file for ever, and other programs read it.
func TestWrittenBytes(t *testing.T) {
	data := fill(5)
	packets := []capture.Packet{{Number: 1, Time: at(1767323045, 123456789), Data: data, Length: 9, Link: 1}}
	const ts = 1767323045123456789
	ng := pcapng(littleEndian)
	ng.iface(1, 262144, ng.tsresol(9), ng.option(0)).enhanced(0, ts, 5, 9, data)
	for _, test := range []struct {
		trait string
		opts  pcaps.Options
		want  []byte
	}{
		{"pcap", pcaps.Options{Link: 1}, pcapHeader(littleEndian, 0xa1b23c4d, 2, 4, 262144, 1).record(1767323045, 123456789, 5, 9, data).out},
		{"pcapng", pcaps.Options{Format: pcaps.PcapNG}, ng.out},
	} {
		t.Run(test.trait, func(t *testing.T) {
			if diff := cmp.Diff(test.want, write(t, test.opts, packets)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSecondLinkType wants a pcap file to refuse what it can't hold, and to say
// what can.
func TestSecondLinkType(t *testing.T) {
	var out bytes.Buffer
	w, err := pcaps.NewWriter(&out, pcaps.Options{Link: capture.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	p := capture.Packet{Time: at(0, 0), Link: capture.LinkEthernet}
	if err := w.WritePacket(&p); err != nil {
		t.Fatal(err)
	}
	p.Link = capture.LinkLinuxSLL2
	const want = "pcaps: write packet 2: it is of link type linux_sll2 in a pcap file of ethernet; a file named .pcapng can hold both"
	first := w.WritePacket(&p)
	if first == nil || first.Error() != want {
		t.Errorf("got the error %v, want %s", first, want)
	}
	for _, link := range []capture.LinkType{capture.LinkEthernet, capture.LinkRaw} {
		p.Link = link
		if err := w.WritePacket(&p); err != first {
			t.Errorf("a packet of %v after it: %v, want the error again", link, err)
		}
	}
	if err := w.Flush(); err != first {
		t.Errorf("flush after it: %v, want the error again", err)
	}
	if w.Packets() != 1 {
		t.Errorf("%d packets were counted, 1 written", w.Packets())
	}
}

// full is a disk that holds only so many bytes.
type full struct{ left int }

var errFull = errors.New("disk full")

func (f *full) Write(b []byte) (int, error) {
	n := min(len(b), f.left)
	f.left -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestWriteFails(t *testing.T) {
	for _, format := range []pcaps.Format{pcaps.Pcap, pcaps.PcapNG} {
		t.Run(format.String()+"_flush", func(t *testing.T) {
			w, err := pcaps.NewWriter(&full{10}, pcaps.Options{Format: format, Link: 1})
			if err != nil {
				t.Fatal(err) // the header is still held back
			}
			first := w.Flush()
			wantError(t, first, errFull, "pcaps: write: disk full")
			if err := w.WritePacket(&capture.Packet{Link: 1}); err != first {
				t.Errorf("a packet after it: %v, want the error again", err)
			}
			if w.Packets() != 0 {
				t.Errorf("%d packets were counted, none written", w.Packets())
			}
		})
		t.Run(format.String()+"_packet", func(t *testing.T) {
			w, err := pcaps.NewWriter(&full{1 << 20}, pcaps.Options{Format: format, Link: 1})
			if err != nil {
				t.Fatal(err)
			}
			p := capture.Packet{Time: at(0, 0), Data: fill(700_000), Length: 700_000, Link: 1}
			if err := w.WritePacket(&p); err != nil {
				t.Fatal(err)
			}
			first := w.WritePacket(&p)
			wantError(t, first, errFull, "pcaps: write packet 2: disk full")
			if err := w.Flush(); err != first {
				t.Errorf("flush after it: %v, want the error again", err)
			}
			if w.Packets() != 1 {
				t.Errorf("%d packets were counted, 1 written", w.Packets())
			}
		})
	}
}

// TestWriteAllocates holds the writing of packets to no allocation.
func TestWriteAllocates(t *testing.T) {
	for _, format := range []pcaps.Format{pcaps.Pcap, pcaps.PcapNG} {
		t.Run(format.String(), func(t *testing.T) {
			w, err := pcaps.NewWriter(&full{1 << 30}, pcaps.Options{Format: format, Link: 1})
			if err != nil {
				t.Fatal(err)
			}
			p := capture.Packet{Time: at(1767323045, 5), Data: fill(61), Length: 61, Link: 1}
			allocs := testing.AllocsPerRun(5000, func() {
				if err := w.WritePacket(&p); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations a packet", allocs)
			}
		})
	}
}

// TestCreate wants files of traffic to be their owner's alone, those too that
// were there before and were not.
func TestCreate(t *testing.T) {
	for _, test := range []struct {
		trait string
		mode  fs.FileMode // before; 0 is no file
		want  fs.FileMode
	}{
		{"new", 0, 0o600},
		{"was_0644", 0o644, 0o600},
		{"was_0666", 0o666, 0o600},
		{"was_0640", 0o640, 0o600},
		{"was_0601", 0o601, 0o600},
		{"was_0600", 0o600, 0o600},
	} {
		t.Run(test.trait, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.pcap")
			if test.mode != 0 {
				if err := os.WriteFile(path, fill(9999), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, test.mode); err != nil { // whatever the umask is
					t.Fatal(err)
				}
			}
			f, err := pcaps.Create(path, pcaps.Options{Link: 1})
			if err != nil {
				t.Fatal(err)
			}
			p := capture.Packet{Number: 1, Time: at(1, 2), Data: fill(3), Length: 3, Link: 1}
			if err := f.WritePacket(&p); err != nil {
				t.Error(err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := st.Mode().Perm(); got != test.want {
				t.Errorf("the mode is %v, want %v", got, test.want)
			}
			r, err := pcaps.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, err := drain(t, r)
			same(t, []capture.Packet{p}, got)
			if r.Offset() != st.Size() {
				t.Errorf("the file ends at byte %d with %v, and has %d", r.Offset(), err, st.Size())
			}
		})
	}
}

func TestCreateFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "a.pcap")
	_, err := pcaps.Create(path, pcaps.Options{})
	wantError(t, err, fs.ErrNotExist, "pcaps: create: open "+path)
}

// TestCloseTwice wants the loss of a file told, whoever lost it.
func TestCloseTwice(t *testing.T) {
	f, err := pcaps.Create(filepath.Join(t.TempDir(), "a.pcap"), pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Close(), fs.ErrClosed, "pcaps: close")
}

func TestFormatOf(t *testing.T) {
	for name, want := range map[string]pcaps.Format{
		"a.pcap":        pcaps.Pcap,
		"a.pcapng":      pcaps.PcapNG,
		"dir/A.PcapNG":  pcaps.PcapNG,
		".pcapng":       pcaps.PcapNG,
		"a.pcapng.pcap": pcaps.Pcap,
		"a.pcapng/b":    pcaps.Pcap,
		"pcapng":        pcaps.Pcap,
		"a.cap":         pcaps.Pcap,
		"a":             pcaps.Pcap,
		"":              pcaps.Pcap,
		"-":             pcaps.Pcap,
	} {
		if got := pcaps.FormatOf(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
	if got := strings.Join([]string{pcaps.Pcap.String(), pcaps.PcapNG.String()}, " "); got != "pcap pcapng" {
		t.Errorf("the formats are called %s", got)
	}
}
