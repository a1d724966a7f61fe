package flow

import (
	"encoding/binary"
	"math/rand"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// parse makes a flow of two endpoints.
func parse(t Transport, src, dst string) Flow { return NewFlow(t, addrPort(src), addrPort(dst)) }

// header makes the same flow as a packet decoder does: of the bytes of headers,
// over whatever the flow was before.
func header(f *Flow, t Transport, src, dst netip.AddrPort) {
	f.SetAddrs(src.Addr().AsSlice(), dst.Addr().AsSlice())
	f.SetPorts(t, src.Port(), dst.Port())
}

func TestFlow(t *testing.T) {
	tests := map[string]struct {
		transport Transport
		src, dst  string
		want      string
	}{
		"tcp_ipv4":              {TCP, "10.0.0.1:1000", "10.0.0.2:80", "tcp 10.0.0.1:1000 > 10.0.0.2:80"},
		"udp_ipv4":              {UDP, "10.0.0.1:1000", "10.0.0.2:53", "udp 10.0.0.1:1000 > 10.0.0.2:53"},
		"tcp_ipv6":              {TCP, "[fd00::1]:1000", "[fd00::2]:80", "tcp [fd00::1]:1000 > [fd00::2]:80"},
		"udp_ipv6":              {UDP, "[fd00::1]:1000", "[fd00::2]:53", "udp [fd00::1]:1000 > [fd00::2]:53"},
		"ipv4_mapped_ipv6":      {TCP, "[::ffff:10.0.0.1]:1000", "[::ffff:10.0.0.2]:80", "tcp [::ffff:10.0.0.1]:1000 > [::ffff:10.0.0.2]:80"},
		"lowest":                {UDP, "0.0.0.0:0", "0.0.0.0:0", "udp 0.0.0.0:0 > 0.0.0.0:0"},
		"lowest_ipv6":           {UDP, "[::]:0", "[::]:0", "udp [::]:0 > [::]:0"},
		"highest":               {UDP, "255.255.255.255:65535", "255.255.255.254:65534", "udp 255.255.255.255:65535 > 255.255.255.254:65534"},
		"to_itself":             {TCP, "127.0.0.1:1000", "127.0.0.1:1001", "tcp 127.0.0.1:1000 > 127.0.0.1:1001"},
		"protocol_with_no_name": {132, "10.0.0.1:1000", "10.0.0.2:80", "protocol 132 10.0.0.1:1000 > 10.0.0.2:80"},
	}
	reused := parse(UDP, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src, dst := addrPort(tt.src), addrPort(tt.dst)
			f := NewFlow(tt.transport, src, dst)
			if f.Transport() != tt.transport || f.Src() != src || f.Dst() != dst || f.SrcPort() != src.Port() || f.DstPort() != dst.Port() {
				t.Errorf("%v, %v:%d > %v:%d", f.Transport(), f.Src(), f.SrcPort(), f.Dst(), f.DstPort())
			}
			if diff := cmp.Diff(tt.want, f.String()); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
			if header(&reused, tt.transport, src, dst); reused != f {
				t.Errorf("%v out of a header is not equal to %v", reused, f)
			}
			r := f.Reverse()
			if r != NewFlow(tt.transport, dst, src) || r.Reverse() != f {
				t.Errorf("the reverse is %v", r)
			}
		})
	}
}

// TestFlowsDiffer wants every part of a flow to count when flows are compared.
func TestFlowsDiffer(t *testing.T) {
	flows := []Flow{
		parse(TCP, "10.0.0.1:1000", "10.0.0.2:80"),
		parse(UDP, "10.0.0.1:1000", "10.0.0.2:80"),
		parse(TCP, "10.0.0.2:80", "10.0.0.1:1000"),
		parse(TCP, "10.0.0.1:80", "10.0.0.2:1000"),
		parse(TCP, "10.0.0.3:1000", "10.0.0.2:80"),
		parse(TCP, "10.0.0.1:1000", "10.0.0.3:80"),
		parse(TCP, "10.0.0.1:1001", "10.0.0.2:80"),
		parse(TCP, "10.0.0.1:1000", "10.0.0.2:81"),
		// Those that would be one of the above if families were mixed up.
		parse(TCP, "[::ffff:10.0.0.1]:1000", "[::ffff:10.0.0.2]:80"),
		parse(TCP, "[a00:1::]:1000", "[a00:2::]:80"),
	}
	seen := make(map[Flow]bool)
	for _, f := range flows {
		if seen[f] {
			t.Errorf("%v is equal to another", f)
		}
		seen[f] = true
	}
}

// someFlow returns a flow between few endpoints, so that parts of flows are
// often equal.
func someFlow(random *rand.Rand) Flow {
	hosts := []string{"10.0.0.1", "10.0.0.2", "192.168.0.1"}
	if random.Intn(2) == 0 {
		hosts = []string{"fd00::1", "fd00::2", "fd00:0:0:1::1", "::ffff:10.0.0.1"}
	}
	end := func() netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(hosts[random.Intn(len(hosts))]), uint16(1+random.Intn(3)))
	}
	return NewFlow([]Transport{TCP, UDP}[random.Intn(2)], end(), end())
}

// TestIs wants what the Table compares flows with to be what == says of them.
func TestIs(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	var same, reversed int
	for range 50000 {
		f, g := someFlow(random), someFlow(random)
		if is := f == g; f.Is(&g) != is {
			t.Fatalf("%v is %v: %v", f, g, !is)
		} else if is {
			same++
		}
		if reverses := f == g.Reverse(); f.Reverses(&g) != reverses {
			t.Fatalf("%v is the reverse of %v: %v", f, g, !reverses)
		} else if reverses {
			reversed++
		}
	}
	if same < 50 || reversed < 50 {
		t.Errorf("%d were the same, %d the reverse: that tries too little", same, reversed)
	}
}

// seed has no chance in it, so that a test that fails does so again.
var seed = Seed{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb}

func hashOf(f Flow) uint64 { return seed.Hash(&f) }

func TestHashOfTheReverse(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for range 2000 {
		if f := someFlow(random); hashOf(f) != hashOf(f.Reverse()) {
			t.Fatalf("%v has the hash %#x, its reverse %#x", f, hashOf(f), hashOf(f.Reverse()))
		}
	}
}

// TestHashesDiffer wants every part of a conversation to count.
func TestHashesDiffer(t *testing.T) {
	tests := map[string]Flow{
		"plain":               parse(TCP, "10.0.0.1:1000", "10.0.0.2:80"),
		"transport":           parse(UDP, "10.0.0.1:1000", "10.0.0.2:80"),
		"source_port":         parse(TCP, "10.0.0.1:1001", "10.0.0.2:80"),
		"destination_port":    parse(TCP, "10.0.0.1:1000", "10.0.0.2:81"),
		"source":              parse(TCP, "10.0.0.3:1000", "10.0.0.2:80"),
		"destination":         parse(TCP, "10.0.0.1:1000", "10.0.0.3:80"),
		"ports_of_each_other": parse(TCP, "10.0.0.1:80", "10.0.0.2:1000"),
		"to_itself":           parse(TCP, "10.0.0.1:1000", "10.0.0.1:1000"),
		"ipv4_mapped_ipv6":    parse(TCP, "[::ffff:10.0.0.1]:1000", "[::ffff:10.0.0.2]:80"),
		// Its addresses begin with the same bytes.
		"ipv6":            parse(TCP, "[a00:1::]:1000", "[a00:2::]:80"),
		"ipv6_upper_half": parse(TCP, "[a00:1:0:1::]:1000", "[a00:2::]:80"),
		"ipv6_lower_half": parse(TCP, "[a00:1::1]:1000", "[a00:2::]:80"),
		"ipv6_transport":  parse(UDP, "[a00:1::]:1000", "[a00:2::]:80"),
		"ipv6_port":       parse(TCP, "[a00:1::]:1001", "[a00:2::]:80"),
	}
	seen := make(map[uint64]string)
	for name, f := range tests {
		if other, ok := seen[hashOf(f)]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[hashOf(f)] = name
		for i := range seed {
			other := seed
			other[i]++
			if f.v4 && i == 1 {
				continue // is for the longer addresses
			}
			if other.Hash(&f) == hashOf(f) {
				t.Errorf("%s has the same hash with another seed", name)
			}
		}
	}
}

// counted is the i-th of many flows of a kind, which are as alike as those of a
// scan, or of one busy server.
func counted(kind string, i int) Flow {
	var f Flow
	switch kind {
	case "ipv4_ports":
		f.SetAddrs([]byte{10, 0, 0, 1}, []byte{10, 0, 0, 2})
		f.SetPorts(TCP, uint16(i), uint16(80+i>>16))
	case "ipv4_hosts":
		f.SetAddrs([]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}, []byte{192, 168, 0, 1})
		f.SetPorts(UDP, 1000, 53)
	case "ipv6_ports":
		f.SetAddrs([]byte{0: 0xfd, 15: 1}, []byte{0: 0xfd, 15: 2})
		f.SetPorts(TCP, uint16(i), uint16(80+i>>16))
	case "ipv6_hosts":
		f.SetAddrs([]byte{0: 0xfd, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}, []byte{0: 0xfd, 7: 1, 15: 0})
		f.SetPorts(UDP, 1000, 53)
	}
	return f
}

// TestHashSpreads wants no two of 100,000 flows to have the same hash, and the
// bits of it that choose a slot to be as good as thrown dice, and so those above
// bit 32, by which conversations are split between tables.
func TestHashSpreads(t *testing.T) {
	const (
		flows   = 100_000
		buckets = 1 << 10
		mean    = flows / buckets
		most    = 6 * 10 // six standard deviations: the root of the mean
	)
	seen := make(map[uint64]string, 4*flows)
	for _, kind := range []string{"ipv4_ports", "ipv4_hosts", "ipv6_ports", "ipv6_hosts"} {
		var low, high [buckets]int
		for i := range flows {
			f := counted(kind, i)
			hash := hashOf(f)
			if other, ok := seen[hash]; ok {
				t.Fatalf("%v has the hash of another of %s", f, other)
			}
			seen[hash] = kind
			low[hash%buckets]++
			high[hash>>32%buckets]++
		}
		for i := range buckets {
			if n := low[i]; n < mean-most || n > mean+most {
				t.Errorf("%s: %d of %d hashes end in %#x", kind, n, flows, i)
			}
			if n := high[i]; n < mean-most || n > mean+most {
				t.Errorf("%s: %d of %d hashes have %#x above bit 32", kind, n, flows, i)
			}
		}
	}
}

func TestNewSeed(t *testing.T) {
	if a, b := NewSeed(), NewSeed(); a == b {
		t.Errorf("two seeds are %x", a)
	}
}

func TestAddrSum(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for i := range 1000 {
		addrs := make([]byte, []int{8, 32}[i%2])
		random.Read(addrs)
		if i%10 < 2 {
			for i := range addrs {
				addrs[i] = 0xff
			}
		}
		var want uint64
		for b := addrs; len(b) > 0; b = b[4:] {
			want += uint64(binary.LittleEndian.Uint32(b))
		}
		// What a longer address left behind must not count.
		f := parse(TCP, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1")
		f.SetAddrs(addrs[:len(addrs)/2], addrs[len(addrs)/2:])
		if got := f.AddrSum(); got != want {
			t.Fatalf("%v: %#x, want %#x", f, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	tests := map[string]interface{ String() string }{
		"tcp":              Transport(6), // IP's numbers
		"udp":              Transport(17),
		"protocol 1":       Transport(1),
		"client_to_server": ClientToServer,
		"server_to_client": ServerToClient,
		"open":             Open,
		"midstream":        Midstream,
		"closed":           Closed,
		"reset":            Reset,
	}
	for want, v := range tests {
		if got := v.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if ClientToServer.Reverse() != ServerToClient || ServerToClient.Reverse() != ClientToServer {
		t.Error("a direction is not the reverse of its reverse")
	}
}
