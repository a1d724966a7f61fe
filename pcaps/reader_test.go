package pcaps_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"netlab/capture"
	"netlab/pcaps"
)

// large makes a file of n packets, most of them small, and what is in it.
func large(format pcaps.Format, n int, size func(i int) int) ([]byte, []capture.Packet) {
	m := pcap(littleEndian, 0xa1b23c4d)
	if format == pcaps.PcapNG {
		m = pcapng(littleEndian)
		m.iface(1, 0, m.tsresol(9))
	}
	var packets []capture.Packet
	for i := range n {
		data := fill(size(i))
		packets = append(packets, capture.Packet{Number: int64(i) + 1, Time: at(1, int64(i)), Data: data, Length: len(data), Link: 1})
		if format == pcaps.PcapNG {
			m.enhanced(0, 1e9+uint64(i), uint32(len(data)), uint32(len(data)), data)
		} else {
			m.record(1, uint32(i), uint32(len(data)), uint32(len(data)), data)
		}
	}
	return m.out, packets
}

func small(i int) int { return 60 + i%64 }

// TestHoweverRead wants the same packets in whatever pieces the file arrives.
// The file is larger than what is read at once, and so is one of its packets.
func TestHoweverRead(t *testing.T) {
	for _, format := range []pcaps.Format{pcaps.Pcap, pcaps.PcapNG} {
		file, want := large(format, 4000, func(i int) int {
			if i == 3000 {
				return 600_000
			}
			return small(i)
		})
		for _, test := range []struct {
			trait string
			cut   func(io.Reader) io.Reader
		}{
			{"whole", func(r io.Reader) io.Reader { return r }},
			{"byte_by_byte", iotest.OneByteReader},
			{"halves", iotest.HalfReader},
			{"end_with_the_last_bytes", iotest.DataErrReader},
			{"empty_reads", func(r io.Reader) io.Reader { return &hesitant{r: r} }},
		} {
			t.Run(fmt.Sprint(format, "/", test.trait), func(t *testing.T) {
				got, _, err := read(t, test.cut(bytes.NewReader(file)))
				if err != io.EOF {
					t.Errorf("ends with %v", err)
				}
				same(t, want, got)
			})
		}
	}
}

// hesitant reads nothing every other time.
type hesitant struct {
	r    io.Reader
	wait bool
}

func (h *hesitant) Read(b []byte) (int, error) {
	if h.wait = !h.wait; h.wait {
		return 0, nil
	}
	return h.r.Read(b)
}

// TestNextAllocates holds the hot path to no allocation at all.
func TestNextAllocates(t *testing.T) {
	const runs = 5000 // over several fillings of the window
	for _, format := range []pcaps.Format{pcaps.Pcap, pcaps.PcapNG} {
		t.Run(format.String(), func(t *testing.T) {
			file, _ := large(format, runs+10, small)
			r, err := pcaps.NewReader(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			allocs := testing.AllocsPerRun(runs, func() {
				if _, err := r.Next(); err != nil {
					t.Fatal(err)
				}
				n++
			})
			if allocs != 0 {
				t.Errorf("%v allocations a packet", allocs)
			}
			if n < runs {
				t.Errorf("only %d packets were read", n)
			}
		})
	}
}

// BenchmarkReader measures a packet; its file has no end, and stays in the cache.
func BenchmarkReader(b *testing.B) {
	for _, format := range []pcaps.Format{pcaps.Pcap, pcaps.PcapNG} {
		for _, size := range []int{80, 1500, 60_000} {
			b.Run(fmt.Sprint(format, "/", size), func(b *testing.B) {
				of := func(int) int { return size }
				head, _ := large(format, 0, of)
				packets := 120_000 / size
				file, _ := large(format, packets, of)
				r, err := pcaps.NewReader(&endless{file: file, again: len(head)})
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64((len(file) - len(head)) / packets))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := r.Next(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// endless is a file whose bytes from again on come again and again.
type endless struct {
	file      []byte
	at, again int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.at == len(e.file) {
		e.at = e.again
	}
	n := copy(b, e.file[e.at:])
	e.at += n
	return n, nil
}
