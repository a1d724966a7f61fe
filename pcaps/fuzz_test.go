package pcaps_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"netlab/capture"
	"netlab/pcaps"
)

// FuzzReader wants whatever is read to be in bounds, a Writer to be able to write
// it such that the same packets are read again, and a Filter to copy it: all of it
// as it was, half of it with the same packets. What is lent is the same too.
func FuzzReader(f *testing.F) {
	for _, file := range files(f) {
		f.Add(file)
	}
	data := fill(9)
	for _, o := range orders {
		f.Add(pcap(o, 0xa1b2c3d4).record(1, 2, 9, 9, data).out)
		f.Add(pcap(o, 0xa1b23c4d).record(1, 2e9, 9, 5, data).record(1, 2, 0, 0, nil).out)
		f.Add(pcap(o, 0xa1b2cd34).record(1, 2, 9, 100, data).out)
		f.Add(pcapHeader(o, 0xa1b2c3d4, 2, 3, 0, 276).record(1, 2, 100, 9, data).out)
		m := pcapng(o)
		m.iface(1, 65535, m.option(2, []byte("eth0")...), m.tsresol(9), m.tsoffset(-1), m.option(0))
		m.iface(101, 4, m.tsresol(0xff))
		m.enhanced(0, 2e9, 9, 90, data).simple(9, data).obsolete(1, 7, 9, 9, data).block(5, data)
		m.section(littleEndian).iface(113, 0, m.tsresol(20)).enhanced(0, math.MaxUint64, 9, 9, data)
		m.section(bigEndian).iface(276, 0, m.tsresol(0), m.tsoffset(math.MaxInt64)).enhanced(0, math.MaxUint64, 9, 9, data)
		f.Add(m.out)
		f.Add(m.out[:len(m.out)-1])
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		packets, r, err := read(t, bytes.NewReader(file))
		switch {
		case r == nil:
			if !errors.Is(err, pcaps.ErrFormat) && !errors.Is(err, capture.ErrDamaged) {
				t.Fatalf("does not open, with the error %v", err)
			}
			return
		case err == io.EOF:
			if r.Offset() != int64(len(file)) {
				t.Errorf("ends at byte %d of %d", r.Offset(), len(file))
			}
		case !errors.Is(err, capture.ErrDamaged):
			t.Errorf("ends with %v", err)
		}
		compareLent(t, file, packets, err)
		if i := inspected(t, file); i.Packets != int64(len(packets)) || (i.Damage == "") != (err == io.EOF) {
			t.Errorf("%d packets are counted of %d, with %q", i.Packets, len(packets), i.Damage)
		}
		ifaces := r.Interfaces()
		total := 0
		for i, p := range packets {
			if p.Number != int64(i)+1 {
				t.Errorf("packet %d has the number %d", i+1, p.Number)
			}
			if p.Length < len(p.Data) {
				t.Errorf("packet %d: %d of %d bytes were captured", i+1, len(p.Data), p.Length)
			}
			if p.Interface >= len(ifaces) || p.Link != ifaces[p.Interface].Link {
				t.Errorf("packet %d: link type %v of interface %d is not as declared", i+1, p.Link, p.Interface)
			}
			total += len(p.Data)
		}
		if total > len(file) {
			t.Errorf("%d bytes of packets were read from %d", total, len(file))
		}

		var whole bytes.Buffer
		r = open(t, file)
		if _, e := pcaps.Filter(&whole, r, nil); fmt.Sprint(e) != fmt.Sprint(err) && err != io.EOF {
			t.Errorf("the copy ends with %v, reading with %v", e, err)
		}
		if r.Compression() == "" && (!bytes.HasPrefix(file, whole.Bytes()) || err == io.EOF && whole.Len() < len(file)) {
			t.Error("the copy differs")
		}
		if whole.Len() > 0 { // else the first block was damaged in itself
			got, _ := readWhole(t, whole.Bytes())
			same(t, packets, got)
		}
		var half bytes.Buffer
		var kept []capture.Packet
		r = open(t, file)
		if _, e := pcaps.Filter(&half, r, func(p *capture.Packet) (bool, error) {
			if p.Number%2 == 1 {
				return false, nil
			}
			// Simple packets have the time of the one before, which is another now.
			q := packets[p.Number-1]
			if r.Block().Type == 3 {
				q.Time = time.Time{}
			}
			q.Number = int64(len(kept)) + 1
			kept = append(kept, q)
			return true, nil
		}); (e == nil) != (err == io.EOF) {
			t.Errorf("half a copy ends with %v, reading with %v", e, err)
		}
		if half.Len() > 0 {
			again := open(t, half.Bytes())
			var got []capture.Packet
			for {
				p, err := again.Next()
				if err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("half a copy reads with %v", err)
				}
				q := *p
				q.Data = bytes.Clone(p.Data)
				if again.Block().Type == 3 {
					q.Time = time.Time{}
				}
				got = append(got, q)
			}
			same(t, kept, got)
		}

		// Numbers and interfaces are counted anew in what is written.
		var pcapPackets, ngPackets []capture.Packet
		ids := make(map[[2]int]int)
		for _, p := range packets {
			if p.Link == packets[0].Link && holds(p.Time, math.MaxUint32) {
				q := p
				q.Number, q.Interface = int64(len(pcapPackets))+1, 0
				pcapPackets = append(pcapPackets, q)
			}
			if holds(p.Time, math.MaxInt64/1_000_000_000-1) { // what Time.UnixNano can count
				key := [2]int{int(p.Link), p.Interface}
				id, ok := ids[key]
				if !ok {
					id = len(ids)
					ids[key] = id
				}
				p.Number, p.Interface = int64(len(ngPackets))+1, id
				ngPackets = append(ngPackets, p)
			}
		}
		got, _ := readWhole(t, write(t, pcaps.Options{Format: pcaps.PcapNG}, ngPackets))
		same(t, ngPackets, got)
		if len(pcapPackets) > 0 {
			got, _ = readWhole(t, write(t, pcaps.Options{Link: packets[0].Link}, pcapPackets))
			same(t, pcapPackets, got)
		}
	})
}

// holds reports whether a format that counts up to so many seconds since 1970 can
// hold a time: neither counts below zero.
func holds(t time.Time, seconds int64) bool { return t.Unix() >= 0 && t.Unix() <= seconds }
