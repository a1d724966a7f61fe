package live

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"netlab/capture"
)

// talk sends datagrams of a size to a port of loopback, each with its number.
func talk(t *testing.T, port, n, size int) {
	t.Helper()
	l, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // what it has not read is lost, which is all the same here
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, size)
	for i := range n {
		binary.BigEndian.PutUint32(b, uint32(i))
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// rest reads to the end, which Stop brings about.
func rest(t *testing.T, h Handle) []capture.Packet {
	t.Helper()
	h.Stop()
	return read(t, h)
}

// during reads what comes while something is done, and then the rest. What takes long fills the
// kernel's buffer, however little it is.
func during(t *testing.T, h Handle, do func()) []capture.Packet {
	t.Helper()
	var packets []capture.Packet
	var done sync.WaitGroup
	done.Go(func() { packets = read(t, h) })
	do()
	h.Stop()
	done.Wait()
	return packets
}

func read(t *testing.T, h Handle) (packets []capture.Packet) {
	for {
		p, err := h.Next()
		switch {
		case err == nil:
			kept := *p
			kept.Data = bytes.Clone(p.Data)
			packets = append(packets, kept)
		case errors.Is(err, capture.ErrIdle):
		case err == io.EOF:
			return packets
		default:
			t.Error(err)
			return packets
		}
	}
}

// TestLoopback sees each packet once, in order and whole.
func TestLoopback(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		h := open(t, Options{Engine: e, Filter: "udp dst port 9009"}, "lo")
		before := time.Now()
		packets := during(t, h, func() {
			talk(t, 9009, 1000, 100)
			talk(t, 9010, 10, 100)
		})
		if len(packets) != 1000 || h.Link() != capture.LinkEthernet {
			t.Fatalf("%d packets of %s", len(packets), h.Link())
		}
		for i, p := range packets {
			if p.Number != int64(i+1) || p.Link != capture.LinkEthernet || p.Length != 142 || len(p.Data) != 142 || binary.BigEndian.Uint32(p.Data[42:]) != uint32(i) {
				t.Fatalf("packet %d: %+v", i, p)
			}
			if p.Time.Before(before) || p.Time.After(time.Now()) {
				t.Errorf("packet %d was seen at %v", i, p.Time)
			}
		}
		s, err := h.Stats()
		if err != nil || s.Dropped != 0 || s.IfDropped != 0 || e == Ring && s.Received != 1000 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// TestStop ends soon on an idle interface, also while Next waits. Where much else is done it may
// take longer to be told so, but not each time.
func TestStop(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		var took []time.Duration
		for range 20 {
			h := open(t, Options{Engine: e, Filter: "port 9"}, "lo")
			if _, err := h.Next(); !errors.Is(err, capture.ErrIdle) {
				t.Fatal(err)
			}
			ended := make(chan int)
			go func() {
				for {
					if _, err := h.Next(); err == io.EOF {
						close(ended)
						return
					}
				}
			}()
			begin := time.Now()
			h.Stop()
			h.Stop() // again does no harm
			<-ended
			if took = append(took, time.Since(begin)); slices.Min(took) < 100*time.Millisecond {
				return
			}
		}
		t.Errorf("that took %v", took)
	})
}

// TestSnapLen cuts packets.
func TestSnapLen(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		h := open(t, Options{Engine: e, Filter: "udp dst port 9009", SnapLen: 60}, "lo")
		talk(t, 9009, 1, 100)
		for _, p := range rest(t, h) {
			if len(p.Data) != 60 || p.Length != 142 {
				t.Errorf("%d of %d bytes", len(p.Data), p.Length)
			}
		}
	})
}

// TestDropped counts what there was no room for: what came and was not lost is what
// was read.
func TestDropped(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		h := open(t, Options{Engine: e, Filter: "udp dst port 9009", Buffer: 1 << 16}, "lo")
		talk(t, 9009, 2000, 1000)
		packets := rest(t, h)
		s, err := h.Stats()
		if err != nil || s.Dropped == 0 || e == Ring && (s.Received != 2000 || s.Received-s.Dropped != int64(len(packets))) {
			t.Errorf("%d packets read, %+v, %v", len(packets), s, err)
		}
		if again, _ := h.Stats(); again != s {
			t.Errorf("%+v, and asked again %+v", s, again)
		}
		if parts := h.Parts(); len(parts) != 1 || parts[0].Name != "lo" || parts[0].Stats != s {
			t.Errorf("%+v", parts)
		}
	})
}

// datagram is a frame of Ethernet with UDP to port 9009, behind these tags.
func datagram(tags ...uint16) []byte {
	f := append(bytes.Repeat([]byte{0xff}, 6), 2, 0, 0, 0, 0, 1)
	for _, tag := range tags {
		f = binary.BigEndian.AppendUint16(append(f, 0x81, 0), tag)
	}
	f = append(f, 8, 0, 0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
	return append(f, 0x12, 0x34, 9009>>8, 9009&0xff, 0, 12, 0, 0, 'n', 'e', 't', '!')
}

// veth makes two interfaces with a wire between them, without addresses.
func veth(t *testing.T) {
	t.Helper()
	ip(t, "link add left type veth peer name right", "link del left")
	for _, name := range []string{"left", "right"} {
		ip(t, "link set dev "+name+" addrgenmode none")
		ip(t, "link set "+name+" up")
	}
}

// TestVLAN puts the tags back that the kernel takes out, and finds packets by them, on
// both ends of a wire.
func TestVLAN(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		veth(t)
		frames := [][]byte{datagram(), datagram(7), datagram(8), datagram(7, 9)}
		for _, test := range []struct {
			at, filter string
			want       []int
		}{
			{"right", "", []int{0, 1, 2, 3}},
			{"left", "", []int{0, 1, 2, 3}},
			{"right", "vlan", []int{1, 2, 3}},
			{"left", "vlan", []int{1, 2, 3}},
			{"right", "vlan 7", []int{1, 3}},
			{"right", "not vlan", []int{0}},
			{"right", "udp port 9009", []int{0, 1, 2}},
			{"left", "udp port 9009", []int{0}}, // these still have their tags
			{"right", "vlan and udp port 9009", []int{1, 2}},
			{"right", "vlan 7 and vlan 9 and udp", []int{3}},
			{"right", "inbound and udp port 9009", []int{0, 1, 2}},
			{"left", "inbound", nil},
			{"right", "outbound", nil},
			{"left", "outbound", []int{0, 1, 2, 3}},
			{"right", "greater 47", []int{1, 2, 3}},
			{"right", "len - 4 = 46 or vlan 8", []int{1, 2}},
			{"right", "vlan 8 or ether[12:2] = 2048", []int{0, 1, 2}}, // the kernel has the tag of 1 beside it
		} {
			if e == Pcap && (strings.HasPrefix(test.filter, "greater") || strings.HasPrefix(test.filter, "len") || strings.Contains(test.filter, "bound")) {
				continue // libpcap counts without the tag, and finds nothing by the way that packets went
			}
			h := open(t, Options{Engine: e, Filter: test.filter}, test.at)
			inject(t, "left", frames...)
			var want [][]byte
			for _, i := range test.want {
				want = append(want, frames[i])
			}
			packets := rest(t, h)
			same := slices.EqualFunc(packets, want, func(p capture.Packet, f []byte) bool {
				return bytes.Equal(p.Data, f) && p.Length == len(f)
			})
			if !same {
				t.Errorf("%q at %s: %d packets, want %v", test.filter, test.at, len(packets), test.want)
			}
		}
	})
}

// TestAny sees all interfaces, each packet of loopback once.
func TestAny(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		veth(t)
		h := open(t, Options{Engine: e, Filter: "udp dst port 9009"}, Any)
		talk(t, 9009, 3, 100)
		inject(t, "left", datagram(), datagram(7))
		lo, err := lookUp("lo")
		if err != nil {
			t.Fatal(err)
		}
		var loopback, wire int
		for _, p := range rest(t, h) {
			switch {
			case e == Pcap && p.Link == capture.LinkLinuxSLL: // libpcap's is of version 1
			case p.Link != capture.LinkLinuxSLL2:
				t.Fatalf("link type %s", p.Link)
			case binary.BigEndian.Uint32(p.Data[4:]) == uint32(lo.index):
				if loopback++; p.Data[0] != 8 || p.Data[10] != 0 || len(p.Data) != 20+128 || p.Length != len(p.Data) {
					t.Errorf("on loopback: %x", p.Data)
				}
			default:
				if wire++; string(p.Data[len(p.Data)-4:]) != "net!" || !bytes.Equal(p.Data[12:18], []byte{2, 0, 0, 0, 0, 1}) {
					t.Errorf("on the wire: %x", p.Data)
				}
				if tagged := p.Data[0] == 0x81; tagged && binary.BigEndian.Uint32(p.Data[20:]) != 7<<16|0x0800 {
					t.Errorf("tagged: %x", p.Data)
				}
			}
		}
		if e == Ring && (loopback != 3 || wire != 3) {
			t.Errorf("%d packets on loopback and %d on the wire", loopback, wire)
		}
	})
}

// TestSeveral hands on the packets of several interfaces in the order of time.
func TestSeveral(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		if e != Ring {
			if _, err := OpenAll([]string{"lo", Any}, Options{Engine: e}); err == nil {
				t.Error("it listens on two interfaces")
			}
			return
		}
		veth(t)
		h := open(t, Options{Engine: e, Filter: "udp dst port 9009"}, "lo", "left", "right")
		var of [3]int
		var last time.Time
		packets := during(t, h, func() {
			for range 50 {
				talk(t, 9009, 2, 100)
				inject(t, "left", datagram())
			}
		})
		for i, p := range packets {
			of[p.Interface]++
			if p.Time.Before(last) || p.Number != int64(i+1) {
				t.Errorf("packet %d is number %d, %v after the one before", i, p.Number, p.Time.Sub(last))
			}
			last = p.Time
		}
		if of != [3]int{100, 50, 50} {
			t.Errorf("%v packets", of)
		}
		if _, err := OpenAll([]string{"lo", "lo"}, Options{Engine: e}); err == nil {
			t.Error("it listens on one interface twice")
		}
	})
}

// TestGone ends when the interface is taken away.
func TestGone(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		ip(t, "link add gone type veth peer name there", "link del gone")
		ip(t, "link set gone up")
		h := open(t, Options{Engine: e, Filter: "port 9"}, "gone")
		ip(t, "link del gone")
		for {
			switch _, err := h.Next(); {
			case errors.Is(err, capture.ErrIdle):
			case err == nil || err == io.EOF:
				t.Fatal(err)
			default:
				return
			}
		}
	})
}

// TestOpenErrors tells what can't be listened on, and what is wrong with a filter.
func TestOpenErrors(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		_, err := Open(Options{Engine: e, Interface: "nosuch0"})
		var no *InterfaceError
		if !errors.As(err, &no) || !slices.Contains(no.Known, "lo") {
			t.Error(err)
		}
		_, err = Open(Options{Engine: e, Interface: "lo", Filter: "tcp prt 80"})
		var wrong *FilterError
		if !errors.As(err, &wrong) {
			t.Error(err)
		}
	})
	if _, err := Open(Options{Engine: "magic", Interface: "lo"}); err == nil {
		t.Error("magic is no engine")
	}
}

// TestNextAllocates reads packets without making any garbage.
func TestNextAllocates(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		if e != Ring {
			t.Skip("gopacket's does")
		}
		h := open(t, Options{Engine: e, Filter: "udp dst port 9009"}, "lo")
		talk(t, 9009, 2000, 100)
		h.Stop()
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := h.Next(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations a packet", n)
		}
	})
}
