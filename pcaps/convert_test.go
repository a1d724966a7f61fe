package pcaps_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"netlab/capture"
	"netlab/pcaps"
)

// converted returns what Convert makes of files.
func converted(t testing.TB, opts pcaps.Options, how pcaps.Conversion, files ...[]byte) ([]byte, pcaps.Converted) {
	t.Helper()
	var out bytes.Buffer
	w, err := pcaps.NewWriter(&out, opts)
	if err != nil {
		t.Fatal(err)
	}
	var readers []*pcaps.Reader
	for _, file := range files {
		readers = append(readers, open(t, file))
	}
	done, err := pcaps.Convert(w, readers, how)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), done
}

// commentsOf are those of the packets of a file, and its secrets.
func commentsOf(t testing.TB, file []byte) (comments []string, secrets []string) {
	t.Helper()
	r := open(t, file)
	r.OnBlock = func(b pcaps.Block) error {
		if _, data, ok := b.Secrets(); ok {
			secrets = append(secrets, string(data))
		}
		return nil
	}
	for {
		if _, err := r.Next(); err != nil {
			return comments, secrets
		}
		for code, value := range r.Block().Options() {
			if code == pcaps.OptionComment {
				comments = append(comments, string(value))
			}
		}
	}
}

// TestConvertKeepsWhatFits converts a file that has all there is: packets with their times,
// comments, names of interfaces and secrets go over, and the rest is counted.
func TestConvertKeepsWhatFits(t *testing.T) {
	for name, o := range orders {
		t.Run(name, func(t *testing.T) {
			m := pcapng(o).iface(1, 999, m0(o).option(2, []byte("eth7")...), m0(o).tsresol(9))
			m.secrets(pcaps.SecretsTLS, []byte("CLIENT_RANDOM 00 01\n"))
			m.enhanced(0, 1_000_002_003, 9, 90, bytes.Join([][]byte{pad(fill(9)), m.option(1, []byte("first")...), m.option(1, []byte("and more")...), m.option(0)}, nil))
			m.names().statistics(0).enhanced(0, 3e9, 5, 5, fill(5))
			want, _ := readWhole(t, m.out)

			out, done := converted(t, pcaps.Options{Format: pcaps.PcapNG}, pcaps.Conversion{}, m.out)
			if (done != pcaps.Converted{Packets: 2, Comments: 2, Lost: 2}) {
				t.Errorf("became %+v", done)
			}
			got, r := readWhole(t, out)
			same(t, want, got)
			if i := r.Interfaces(); len(i) != 1 || i[0].Name != "eth7" || i[0].SnapLen != 999 {
				t.Errorf("interfaces %+v", i)
			}
			comments, secrets := commentsOf(t, out)
			if len(comments) != 2 || comments[0] != "first" || comments[1] != "and more" || len(secrets) != 1 || secrets[0] != "CLIENT_RANDOM 00 01\n" {
				t.Errorf("comments %q, secrets %q", comments, secrets)
			}

			out, done = converted(t, pcaps.Options{Micro: true}, pcaps.Conversion{SnapLen: 7}, m.out)
			if (done != pcaps.Converted{Packets: 2, Cut: 1, Lost: 5}) {
				t.Errorf("a pcap file became %+v", done)
			}
			got, _ = readWhole(t, out)
			want[0].Data, want[0].Time = want[0].Data[:7], want[0].Time.Truncate(time.Microsecond)
			same(t, want, got)
		})
	}
}

// m0 is a maker of options.
func m0(o order) *maker { return &maker{order: o} }

// TestConvertMerges merges files of two link types, in the order of time.
func TestConvertMerges(t *testing.T) {
	a := pcap(littleEndian, 0xa1b2c3d4).record(1, 0, 3, 3, fill(3)).record(3, 0, 4, 4, fill(4)).out
	b := pcapng(bigEndian).iface(113, 0, m0(bigEndian).option(2, []byte("any")...)).enhanced(0, 2e6, 5, 5, fill(5)).out
	out, done := converted(t, pcaps.Options{Format: pcaps.PcapNG}, pcaps.Conversion{}, a, b)
	got, r := readWhole(t, out)
	if done.Packets != 3 || len(got) != 3 || got[1].Link != 113 || r.Interfaces()[1].Name != "any" || got[2].Time != at(3, 0) {
		t.Errorf("%+v, packets %v of %v", done, got, r.Interfaces())
	}
	w, err := pcaps.NewWriter(new(bytes.Buffer), pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = pcaps.Convert(w, []*pcaps.Reader{open(t, a), open(t, b)}, pcaps.Conversion{}); err == nil {
		t.Error("a pcap file took packets of two link types")
	}
	stop := errors.New("stop")
	w, err = pcaps.NewWriter(new(bytes.Buffer), pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = pcaps.Convert(w, []*pcaps.Reader{open(t, a)}, pcaps.Conversion{Keep: func(*capture.Packet) (bool, error) { return false, stop }})
	if !errors.Is(err, stop) {
		t.Errorf("what Keep says ends in %v", err)
	}
}

// TestLongComment has comments that fit, and one that is cut to what does.
func TestLongComment(t *testing.T) {
	var out bytes.Buffer
	w, err := pcaps.NewWriter(&out, pcaps.Options{Format: pcaps.PcapNG})
	if err != nil {
		t.Fatal(err)
	}
	p := &capture.Packet{Time: at(1, 2), Data: fill(7), Length: 7, Link: 1}
	long := string(bytes.Repeat([]byte("x"), 70_000))
	for _, comments := range [][]string{nil, {"a", "", "abc"}, {long}} {
		if err := w.WriteCommented(p, comments...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if packets, _ := readWhole(t, out.Bytes()); len(packets) != 3 || !bytes.Equal(packets[2].Data, fill(7)) {
		t.Errorf("packets %v", packets)
	}
	got, _ := commentsOf(t, out.Bytes())
	if len(got) != 4 || got[0] != "a" || got[2] != "abc" || got[3] != long[:65535] {
		t.Errorf("%d comments", len(got))
	}
}
