package pcaps_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netlab/capture"
	"netlab/pcaps"
)

// numbered is a packet that holds its number.
func numbered(i, size int) *capture.Packet {
	data := fill(size)
	binary.BigEndian.PutUint32(data, uint32(i))
	return &capture.Packet{Time: at(1767323045, 0).Add(time.Duration(i) * 10 * time.Millisecond), Data: data, Length: size, Link: capture.LinkEthernet}
}

// TestRotation has each packet in one file, and files as small and as short as wanted.
func TestRotation(t *testing.T) {
	for _, test := range []struct {
		name  string
		r     pcaps.Rotation
		files int
	}{
		{"app.pcap", pcaps.Rotation{Size: 10_000}, 125},
		{"app.pcapng", pcaps.Rotation{Size: 10_000}, 125},
		{"app.pcap", pcaps.Rotation{Every: time.Second}, 10},
		{"app.pcap.gz", pcaps.Rotation{Every: time.Second, Size: 1 << 30}, 10},
		{"app.pcapng.zst", pcaps.Rotation{Every: time.Second, Keep: 3}, 10},
		{"app.pcap", pcaps.Rotation{Size: 1}, 100}, // a packet fits in any
	} {
		total := 1000
		if test.r.Size == 1 {
			total = test.files
		}
		dir := t.TempDir()
		const begun = "begun with each file\n"
		if strings.Contains(test.name, "pcapng") {
			test.r.Begin = func(f *pcaps.NewFile) error { return f.Secrets(pcaps.SecretsTLS, []byte(begun)) }
		}
		w, err := pcaps.CreateRotating(filepath.Join(dir, test.name), pcaps.Options{Format: pcaps.FormatOf(test.name), Link: 1}, test.r, at(1767323045, 0))
		if err != nil {
			t.Fatal(err)
		}
		for i := range total {
			if err := w.WritePacket(numbered(i, 1130)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil || w.Packets() != int64(total) {
			t.Fatalf("%d packets, %v", w.Packets(), err)
		}
		made, names := w.Files()
		there, err := filepath.Glob(filepath.Join(dir, "app_*"))
		if err != nil || len(there) != len(names) || made != test.files || test.r.Keep > 0 && len(names) != test.r.Keep {
			t.Errorf("%s, %+v: %d files made, %d named, %d there", test.name, test.r, made, len(names), len(there))
		}
		next := -1
		for _, name := range names { // which are in order
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			packets, _, err := read(t, f)
			if err != io.EOF {
				t.Fatalf("%s: %v", name, err)
			}
			f.Close()
			if st, err := os.Stat(name); err != nil || test.r.Size > 1 && st.Size() > test.r.Size {
				t.Errorf("%s has %d bytes, %v", name, st.Size(), err)
			}
			for _, p := range packets {
				if i := int(binary.BigEndian.Uint32(p.Data)); next >= 0 && i != next {
					t.Fatalf("%s: packet %d, where %d follows", name, i, next)
				} else {
					next = i + 1
				}
			}
		}
		if next != total {
			t.Errorf("%s: the last packet is %d", test.name, next-1)
		}
	}
}

// TestFlushedFile reads files up to what was flushed, though nobody closes them.
func TestFlushedFile(t *testing.T) {
	for _, name := range []string{"x.pcap", "x.pcapng", "x.pcap.gz", "x.pcapng.zst", "x.pcap.lz4"} {
		path := filepath.Join(t.TempDir(), name)
		w, err := pcaps.Create(path, pcaps.Options{Format: pcaps.FormatOf(name), Link: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			if err := w.WritePacket(numbered(i, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := pcaps.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		packets, _ := drain(t, r) // a compressed one has no end yet
		if len(packets) != 1000 {
			t.Errorf("%s: %d packets of 1000 can be read", name, len(packets))
		}
		r.Close()
		w.Close()
	}
}

// TestStatistics writes what the interfaces counted, their names and secrets.
func TestStatistics(t *testing.T) {
	var out bytes.Buffer
	opts := pcaps.Options{Format: pcaps.PcapNG, Interfaces: []pcaps.Interface{{Name: "lo", Link: 1}, {Name: "wg0", Link: capture.LinkRaw}}}
	w, err := pcaps.NewWriter(&out, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Secrets(pcaps.SecretsTLS, []byte("CLIENT_RANDOM 00 11\n")); err != nil {
		t.Fatal(err)
	}
	p := numbered(1, 50)
	p.Link, p.Interface = capture.LinkRaw, 1
	if err := w.WritePacket(p); err != nil {
		t.Fatal(err)
	}
	counts := pcaps.Counts{Start: at(1, 2), End: at(3, 4), Received: -1, Accepted: 10, IfDropped: 2, OSDropped: 3, Delivered: 7}
	if err := w.Statistics(1, counts); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	r, err := pcaps.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	var secret string
	options := make(map[uint16]uint64)
	r.OnBlock = func(b pcaps.Block) error {
		if _, data, ok := b.Secrets(); ok {
			secret = string(data)
		}
		if b.Type == 5 {
			if i := b.Order.Uint32(b.Body); i != 1 {
				t.Errorf("statistics of interface %d", i)
			}
			for code, v := range b.Options() {
				options[code] = b.Order.Uint64(v)
			}
		}
		return nil
	}
	packets, err := drain(t, r)
	if len(packets) != 1 || packets[0].Interface != 1 || packets[0].Link != capture.LinkRaw {
		t.Errorf("%+v, %v", packets, err)
	}
	if i := r.Interfaces(); len(i) != 2 || i[0].Name != "lo" || i[1].Name != "wg0" {
		t.Errorf("%+v", i)
	}
	if secret != "CLIENT_RANDOM 00 11\n" {
		t.Errorf("secrets %q", secret)
	}
	if len(options) != 6 || options[5] != 2 || options[6] != 10 || options[7] != 3 || options[8] != 7 {
		t.Errorf("options %v", options)
	}

	plain, err := pcaps.NewWriter(&out, pcaps.Options{Link: 1})
	if err != nil {
		t.Fatal(err)
	}
	if plain.Statistics(0, counts) != nil || plain.Secrets(pcaps.SecretsTLS, nil) == nil {
		t.Error("a pcap file has no place for statistics, and says so of secrets")
	}
}

// limited takes so many bytes, as a disk that is full then.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	l.Buffer.Write(b[:n])
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

// TestFull counts the packets that are whole in a file when the disk is full.
func TestFull(t *testing.T) {
	for _, format := range []pcaps.Format{pcaps.Pcap, pcaps.PcapNG} {
		for _, size := range []int{100, 1001, 40_000} {
			for left := 0; left < 1<<20; left += 77_777 {
				dst := &limited{left: left}
				w, err := pcaps.NewWriter(dst, pcaps.Options{Format: format, Link: 1})
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; err == nil; i++ {
					err = w.WritePacket(numbered(i, size))
				}
				r, err := pcaps.NewReader(&dst.Buffer)
				if err != nil {
					if w.Packets() != 0 {
						t.Errorf("%s: %d packets are counted in no file", format, w.Packets())
					}
					continue
				}
				if packets, _ := drain(t, r); int64(len(packets)) != w.Packets() {
					t.Errorf("%s of %d bytes, packets of %d: %d can be read, %d are counted", format, left, size, len(packets), w.Packets())
				}
			}
		}
	}
}
