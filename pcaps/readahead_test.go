package pcaps_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/klauspost/compress/gzip"

	"netlab/capture"
	"netlab/pcaps"
)

// TestReadAheadEnds wants nothing left running of a Reader that was closed or read
// to its end, wherever it was: a bubble waits for all that was started in it, and
// fails when that is stuck.
func TestReadAheadEnds(t *testing.T) {
	file, want := large(pcaps.Pcap, 40_000, small) // 4 MB, more than is read ahead
	text := bytes.Repeat([]byte("hello\n"), 1_000_000)
	boom := errors.New("boom")
	for name, to := range packers {
		packed := pack(t, to, file)
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, packed, 0o600); err != nil {
			t.Fatal(err)
		}
		bubble := func(trait string, f func(t *testing.T)) {
			t.Run(name+"/"+trait, func(t *testing.T) { synctest.Test(t, f) })
		}
		for _, n := range []int{0, 1, 20_000} { // packets that are read first
			bubble("closed", func(t *testing.T) {
				f, err := pcaps.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				for range n {
					if _, err := f.Next(); err != nil {
						t.Fatal(err)
					}
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
				if _, err := drain(t, f); !errors.Is(err, os.ErrClosed) {
					t.Errorf("reading on ends with %v", err)
				}
				if err := f.Reader.Close(); err != nil {
					t.Errorf("closed again: %v", err)
				}
			})
		}
		bubble("closed_by_another", func(t *testing.T) {
			r, w := io.Pipe() // says nothing more, and never ends
			go w.Write(packed)
			f, err := pcaps.NewReader(r)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				synctest.Wait() // the packets are read, and more is waited for
				go f.Close()
				r.Close() // or Close would wait for its Read
			}()
			got, err := drain(t, f)
			if err == nil || errors.Is(err, io.EOF) {
				t.Errorf("ends with %v", err)
			}
			same(t, want[:len(got)], got)
		})
		bubble("read", func(t *testing.T) {
			got, _ := readPacked(t, bytes.NewReader(packed), io.EOF)
			same(t, want, got)
		})
		bubble("fails", func(t *testing.T) {
			got, _ := readPacked(t, io.MultiReader(bytes.NewReader(packed[:len(packed)/2]), iotest.ErrReader(boom)), boom)
			same(t, want[:len(got)], got)
		})
		bubble("no_capture", func(t *testing.T) {
			_, _, err := read(t, bytes.NewReader(pack(t, to, text)))
			wantError(t, err, pcaps.ErrFormat, "inside "+name)
		})
	}
}

// readPacked is read of what ends in an error.
func readPacked(t *testing.T, src io.Reader, is error) ([]capture.Packet, *pcaps.Reader) {
	t.Helper()
	packets, r, err := read(t, src)
	wantError(t, err, is, "")
	return packets, r
}

// TestReadAheadErrors wants all that unpacks to come before the error.
func TestReadAheadErrors(t *testing.T) {
	file, want := large(pcaps.Pcap, 40_000, small)
	packed := pack(t, packers["gzip"], file)
	for _, n := range []int{100, len(packed) / 3, len(packed) - 9} {
		z, err := gzip.NewReader(bytes.NewReader(packed[:n]))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		whole, _, _ := read(t, bytes.NewReader(plain))
		got, _ := readPacked(t, bytes.NewReader(packed[:n]), capture.ErrDamaged)
		same(t, whole, got)
		same(t, want[:len(got)], got)
	}
}

// TestReadAheadBounded wants no more of a file read than was asked for and some.
func TestReadAheadBounded(t *testing.T) {
	file, _ := large(pcaps.Pcap, 150_000, small) // 16 MB
	for name, to := range packers {
		packed := pack(t, to, file)
		synctest.Test(t, func(t *testing.T) {
			src := &counted{Reader: iotest.OneByteReader(bytes.NewReader(packed))}
			r, err := pcaps.NewReader(src)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			synctest.Wait()
			if src.n > len(packed)/2 {
				t.Errorf("%s: %d of %d bytes were read for the header", name, src.n, len(packed))
			}
		})
	}
}
