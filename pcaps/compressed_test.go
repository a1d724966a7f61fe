package pcaps_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"netlab/capture"
	"netlab/pcaps"
)

// packer is a compressing writer whose Flush makes all so far readable.
type packer interface {
	io.WriteCloser
	Flush() error
}

var packers = map[string]func(io.Writer) packer{
	"gzip": func(w io.Writer) packer { return gzip.NewWriter(w) },
	"zstd": func(w io.Writer) packer {
		z, err := zstd.NewWriter(w)
		if err != nil {
			panic(err)
		}
		return z
	},
	"lz4": func(w io.Writer) packer { return lz4.NewWriter(w) },
}

// pack returns the parts, each compressed by itself, one behind the other.
func pack(t testing.TB, to func(io.Writer) packer, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, part := range parts {
		w := to(&out)
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestCompressed(t *testing.T) {
	for name, to := range packers {
		t.Run(name, func(t *testing.T) {
			file := pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 60, 60, fill(60)).record(3, 4, 50, 50, fill(50)).out
			// Members, or frames, one behind the other are one file, as cat makes it.
			for _, packed := range [][]byte{pack(t, to, file), pack(t, to, file[:33], file[33:])} {
				packets, r, err := read(t, bytes.NewReader(packed))
				if err != io.EOF || len(packets) != 2 {
					t.Fatalf("%d packets and %v, want 2 and the end", len(packets), err)
				}
				if r.Compression() != name || !bytes.Equal(packets[1].Data, fill(50)) {
					t.Errorf("compressed with %q, the second packet is %x", r.Compression(), packets[1].Data)
				}
			}
			_, _, err := read(t, bytes.NewReader(pack(t, to, []byte("hello\n"))))
			wantError(t, err, pcaps.ErrFormat, fmt.Sprintf(`inside %s, begins with "hello\n"`, name))
			_, _, err = read(t, bytes.NewReader(pack(t, to, nil)))
			wantError(t, err, pcaps.ErrFormat, "is empty")
		})
	}
}

// TestCompressedCut wants damage told where a compressed file was cut, wherever
// that leaves the packets: an unpacker says io.ErrUnexpectedEOF, never io.EOF.
func TestCompressedCut(t *testing.T) {
	for name, m := range map[string]*maker{
		"pcap":   pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 60, 60, fill(60)),
		"pcapng": pcapng(littleEndian).iface(1, 0).enhanced(0, 5, 60, 60, fill(60)),
	} {
		for method, to := range packers {
			for _, extra := range []int{0, 1} { // between two packets, and inside one
				t.Run(fmt.Sprint(name, "_", method, extra), func(t *testing.T) {
					var packed bytes.Buffer
					w := to(&packed)
					w.Write(m.out)
					w.Write(make([]byte, extra))
					if err := w.Flush(); err != nil { // and no Close: the end is missing
						t.Fatal(err)
					}
					packets, _, err := read(t, &packed)
					if len(packets) != 1 {
						t.Errorf("%d packets, want 1", len(packets))
					}
					wantError(t, err, capture.ErrDamaged, "pcaps: read packet 2 of the capture: ")
				})
			}
		}
	}
}

// TestCompressedChanged wants what no longer unpacks called damaged, and nothing
// made of it.
func TestCompressedChanged(t *testing.T) {
	m := pcap(littleEndian, 0xa1b2c3d4)
	for i := range uint32(2000) {
		m.record(i, 0, 60, 60, fill(60))
	}
	for name, to := range packers {
		packed := pack(t, to, m.out)
		packed[len(packed)-2] ^= 0x55 // in the checksum, or the length
		_, _, err := read(t, bytes.NewReader(packed))
		wantError(t, err, capture.ErrDamaged, name+": ")
	}
}

// TestCompressedSourceFails wants a broken disk told from a broken file.
func TestCompressedSourceFails(t *testing.T) {
	file := pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 60, 60, fill(60)).out
	for _, to := range packers {
		packed := pack(t, to, file)
		_, _, err := read(t, io.MultiReader(bytes.NewReader(packed[:len(packed)/2]), stuck{}))
		wantError(t, err, io.ErrNoProgress, "pcaps: read ")
		if strings.Contains(err.Error(), "damaged") {
			t.Errorf("%v blames the file", err)
		}
	}
}
