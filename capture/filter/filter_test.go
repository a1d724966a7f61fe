package filter

import (
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"netlab/capture"
)

// TestRefused are expressions that are refused, with a mark at the word.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ expr, mark, why string }{
		{"10.0.0.1", "10.0.0.1", "write what it is"},
		{"host example.com", "example.com", "names are not looked up"},
		{"host localhost", "localhost", "names are not looked up"},
		{"net localnet", "localnet", "names are not looked up"},
		{"tcp and host a and udp", "a and udp", "names are not looked up"},
		{"gateway 10.0.0.1", "gateway", "takes the name of a host"},
		{"ip protochain 6", "protochain", "chain of headers"},
		{"geneve 5", "geneve", "is refused"},
		{"wlan host 1:2:3:4:5:6", "wlan", "802.11"},
		{"type mgt", "type", "802.11"},
		{"vpi 3", "vpi", "ATM"},
		{"llc", "llc", "LLC"},
		{"ifname eth0", "ifname", "pf"},
		{"tcp port 80 and isis", "isis", "OSI"},
		{"TCP port 80", "TCP", "write tcp"},
		{"tcp AND udp", "AND", "write and"},
		{"tcp udp", "udp", "unexpected"},
		{"tcp 80", "80", "unexpected"},
		{"dst tcp port 80", "tcp port", "unexpected"},
		{"tcp and", "", "something is missing"},
		{"and tcp", "and", "unexpected"},
		{"tcp or or udp", "or udp", "unexpected"},
		{"()", ")", "unexpected"},
		{"(tcp", "(", "( is not closed"},
		{"tcp)", ")", ") closes nothing"},
		{"tcp[0)", ")", ") closes nothing"},
		{"host", "", "something is missing"},
		{"port", "", "something is missing"},
		{"src and 10.0.0.1", "and", "unexpected"},
		{"ip port 80", "ip", "ip has no ports"},
		{"icmp port 80", "icmp", "icmp has no ports"},
		{"arp port 80", "arp", "arp has no ports"},
		{"tcp host 10.0.0.1", "tcp", "tcp has no host"},
		{"tcp net 10", "tcp", "tcp has no net"},
		{"port 70000", "70000", "65535 is the highest"},
		{"port 80-90", "80-90", "perhaps portrange"},
		{"port nosuch", "nosuch", "there is no port"},
		{"portrange 1-70000", "1-70000", "two numbers"},
		{"portrange http-https", "http-https", "two numbers"},
		{"portrange 010-020", "010-020", "two numbers"},
		{"udp port http", "http", "no port of udp"},
		{"sctp port http", "http", "no port of sctp"},
		{"tcp port mdns", "mdns", "no port of tcp"},
		{"(port 80) or 443", "443", "write what it is"},
		{"tcp or 80", "80", "write what it is"},
		{"port 22 or (10 or host 10.0.0.1)", "host", "unexpected"},
		{"host 10.0.0.0/8", "10.0.0.0", "a mask is for net"},
		{"src 10.0.0.0/8", "10.0.0.0", "a mask is for net"},
		{"net 10.0.0.1/8", "10.0.0.1", "bits outside its mask"},
		{"net 10.0.0.1 mask 255.0.0.0", "10.0.0.1", "bits outside its mask"},
		{"net 10/8", "10/8", "write more of the address"},
		{"net 10 mask 255.0.0.0", "10 mask", "write more of the address"},
		{"net 192.168.0.0/33", "33", "a length up to 32"},
		{"net 192.168.0.0/x", "x", "a length up to 32"},
		{"net 10.0.0.0 mask 8", "8", "a mask is written"},
		{"net 2001:db8::1/32", "2001", "bits outside its mask"},
		{"host 2001:db8::/32", "2001", "a mask is for net"},
		{"net ::/129", "129", "a length up to 128"},
		{"ip host ::1", "::1", "no address of ip"},
		{"ip6 host 10.0.0.1", "10.0.0.1", "no address of ip6"},
		{"ip6 net 10", "10", "no address of ip6"},
		{"host 10.0.0.256", "10.0.0.256", "no IPv4 address"},
		{"host 1.2.3.4.5", "1.2.3.4.5", "no address"},
		{"host 02:00:00:00:00:01", "02", "write ether host"},
		{"ether host 10.0.0.1", "10.0.0.1", "wants an Ethernet address"},
		{"ether net 10", "10", "wants an Ethernet address"},
		{"ether port 80", "ether", "ether has no ports"},
		{"decnet host 10.1", "decnet", "not done"},
		{"ether", "", "something is missing"},
		{"ether proto ip", "ip", `write \ip`},
		{"ip proto tcp", "tcp", `write \tcp`},
		{`ip proto \icmp6`, `\icmp6`, "none that is known"},
		{"ip proto nosuch", "nosuch", "none that is known"},
		{"ip proto 256", "256", "up to 255"},
		{"ether proto 65536", "65536", "up to 65535"},
		{"tcp proto 6", "tcp", "means nothing"},
		{"tcp multicast", "multicast", "tcp has no multicast"},
		{"ip6 broadcast", "broadcast", "ip6 has no broadcast"},
		{"less x", "x", "wants a number"},
		{"greater len", "len", "wants a number"},
		{"vlan 4096", "vlan", "4095 is the highest"},
		{"mpls 1048576", "mpls", "1048575 is the highest"},
		{"pppoes 65536", "pppoes", "65535 is the highest"},
		{"mpls and arp", "arp", "can't be told"},
		{"mpls and vlan", "vlan", "behind mpls"},
		{"1", "1", "write what it is"},
		{"len", "", "a comparison is missing"},
		{"tcp[0]", "", "a comparison is missing"},
		{"tcp[0] and 1", "and", "a comparison is missing"},
		{"len-8 > 4", "len-8", "unexpected"},
		{"4-2 = 2", "4-2", "spaces around -"},
		{"tcp[0:3] = 1", "3", "1, 2 and 4"},
		{"tcp[0:x] = 1", "x", "1, 2 and 4"},
		{"tcp[0 = 1", "[", "is not closed"},
		{"ah[0] = 1", "ah", "can't be asked for"},
		{"stp[0] = 1", "stp", "can't be asked for"},
		{"nosuch[0] = 1", "nosuch", "can't be asked for"},
		{"tcp[4294967295] = 1", "4294967295", "no packet has"},
		{"tcp[0 - 1] = 1", "-", "no packet has"},
		{"ip[0] = 4294967296", "4294967296", "32 bits"},
		{"ip[0] = 09", "09", "octal"},
		{"ip[0] = 0x", "0x", "unexpected"},
		{"ip[0] / 0 = 1", "/", "division by zero"},
		{"ip[0] % (1 - 1) = 1", "%", "division by zero"},
		{"ip[0] << 32 = 1", "<<", "31 bits"},
		{"ip[0] & 1 ^ 2 = 1", "^", "write parentheses"},
		{"ip[0] % 3 * 2 = 1", "%", "write parentheses"},
		{"~ip[0] = 1", "~", "unexpected"},
		{"ip[0] = 1 = 1", "= 1", "unexpected"},
		{"ip6 and tcp[0] = é", "é", "unexpected"},
		{`ip proto \`, `\`, "a name is missing"},
		{strings.Repeat("(", 200) + "tcp" + strings.Repeat(")", 200), "", "nested too deep"},
		{strings.Repeat("not ", 200) + "tcp", "", "nested too deep"},
		{strings.Repeat("- ", 200) + "1 = 1", "", "nested too deep"},
		{"len = " + strings.Repeat("(len + ", 30) + "1" + strings.Repeat(")", 30), "", "nested too deep"},
		{strings.Repeat("tcp or ", 10000) + "tcp", "", "is the most"},
		{"port 1" + strings.Repeat(" or 1000", 3000), "", "more than 4096"},
	} {
		_, err := New(c.expr)
		var s *SyntaxError
		switch {
		case !errors.As(err, &s):
			t.Errorf("%.80s: %v, want a syntax error", c.expr, err)
		case !strings.Contains(s.Reason, c.why):
			t.Errorf("%.80s: %q, want %q", c.expr, s.Reason, c.why)
		case len(c.expr) < 100 && !strings.HasPrefix(c.expr[s.Offset:], c.mark), c.mark == "" && len(c.expr) < 100 && s.Offset != len(c.expr):
			t.Errorf("%.80s: the mark is at %d: %q", c.expr, s.Offset, c.expr[s.Offset:])
		}
	}
}

func TestErrorText(t *testing.T) {
	if _, err := New(strings.Repeat(" ", maxExpr+1)); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	_, long := New(strings.Repeat("tcp or ", 100) + "é or prt or" + strings.Repeat(" tcp or", 100))
	if long == nil || len(long.Error()) > 500 || !strings.Contains(long.Error(), "prt or") {
		t.Errorf("%v", long)
	}
	_, err := New("tcp\tprt 80")
	want := "unexpected \"prt\": write what it is, as host, net, port or ether host before it\n  tcp prt 80\n      ^"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// TestRefusedByLink are expressions that are right, for other link types.
func TestRefusedByLink(t *testing.T) {
	for _, c := range []struct {
		expr string
		link capture.LinkType
		why  string
	}{
		{"ether host 1:2:3:4:5:6", capture.LinkRaw, "no Ethernet addresses on raw"},
		{"broadcast", capture.LinkLinuxSLL, "no broadcast on linux_sll"},
		{"ether multicast", capture.LinkNull, "no multicast on null"},
		{"vlan", capture.LinkLinuxSLL2, "no vlan on linux_sll2"},
		{"mpls", capture.LinkRaw, "no mpls on raw"},
		{"pppoes", capture.LinkLoop, "no pppoes on loop"},
		{"inbound", capture.LinkEthernet, "does not hold which way"},
		{"ifindex 3", capture.LinkLinuxSLL, "number of the interface"},
		{"stp", capture.LinkLinuxSLL2, "can't be told"},
		{"tcp", capture.LinkWiFi, "ieee802_11 can't be filtered"},
	} {
		if _, err := Compile(c.expr, c.link, 0); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s on %s: %v, want %q", c.expr, c.link, err, c.why)
		}
		f, err := New(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if _, err := f.Match(&capture.Packet{Link: c.link, Data: make([]byte, 60)}); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s on %s: %v, want %q", c.expr, c.link, err, c.why)
		}
	}
	if _, err := New("inbound and vlan"); err == nil {
		t.Error("inbound and vlan: there is no link type for it")
	}
}

// TestForeignLoopback has a packet of BSD's loopback picked whoever wrote it.
func TestForeignLoopback(t *testing.T) {
	for _, link := range []capture.LinkType{capture.LinkNull, capture.LinkLoop} {
		packets := corpus(t, link)
		for _, expr := range []string{"ip", "ip6", "tcp port 80", "host 10.0.0.1", "not ip and not ip6", "icmp6[0] = 128 or udp[0:2] = 53"} {
			f, err := New(expr)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range packets {
				if len(p.Data) < 4 || p.Number > 4000 {
					continue
				}
				native := binary.LittleEndian.Uint32(p.Data)
				if link == capture.LinkLoop {
					native = binary.BigEndian.Uint32(p.Data)
				}
				list := map[uint32][]uint32{2: families[etherIP], 10: families[etherIP6]}[native]
				want, _ := f.Match(&p)
				for _, family := range list {
					other := p
					other.Data = append(binary.BigEndian.AppendUint32(nil, family), p.Data[4:]...)
					if got, _ := f.Match(&other); got != want {
						t.Fatalf("%s, packet %d: %v with family %#x, and %v as it was", expr, p.Number, got, family, want)
					}
				}
			}
		}
	}
}

// TestOtherVM has programs run by another machine: it says the same of what was
// not cut, for it does not know the length on the wire.
func TestOtherVM(t *testing.T) {
	packets := corpus(t, capture.LinkEthernet)
	for _, expr := range expressions(t) {
		code, err := Compile(expr, capture.LinkEthernet, 65535)
		if err != nil {
			continue
		}
		list, ok := bpf.Disassemble(code)
		if !ok {
			t.Fatalf("%s: does not disassemble", expr)
		}
		vm, err := bpf.NewVM(list)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		for i := 0; i < len(packets); i += 7 {
			p := &packets[i]
			if len(p.Data) != p.Length {
				continue
			}
			want, err := vm.Run(p.Data)
			if err != nil && strings.Contains(err.Error(), "NegateA") {
				break // which it can assemble and not run
			}
			if got := program(code).run(p.Data, uint32(p.Length)); err != nil || got != uint32(want) {
				t.Fatalf("%s, packet %d: %d, the other machine %d %v\n%s", expr, i, got, want, err, dump(code))
			}
		}
	}
}

// TestLongJumps has programs of more than a jump with 8 bits can pass.
func TestLongJumps(t *testing.T) {
	var list []string
	for i := range 100 {
		list = append(list, "tcp port "+strconv.Itoa(1+i))
	}
	expr := "(" + strings.Join(list, ") or (") + ") or udp port 53 and not (" + strings.Join(list, ") and not (") + ")"
	f, err := New(expr)
	if err != nil {
		t.Fatal(err)
	}
	short, err := New("(tcp portrange 1-100 or udp port 53) and not tcp portrange 1-100")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.program) < 1000 {
		t.Errorf("%d instructions: no long jumps", len(f.program))
	}
	for _, p := range corpus(t, capture.LinkEthernet) {
		if len(p.Data) < p.Length {
			continue
		}
		a, _ := f.Match(&p)
		b, _ := short.Match(&p)
		if a != b {
			t.Fatalf("packet %d: %v, and %v from a short one", p.Number, a, b)
		}
	}
}

// listSource is a Source of packets, and a Lender if lend is not nil.
type listSource struct{ list []capture.Packet }

func (s *listSource) Next() (*capture.Packet, error) {
	if len(s.list) == 0 {
		return nil, io.EOF
	}
	p := s.list[0]
	s.list = s.list[1:]
	return &p, nil
}

type lending struct {
	listSource
	lent bool
}

func (l *lending) Lend(func([]byte) []byte) { l.lent = true }

func TestSource(t *testing.T) {
	packets := corpus(t, capture.LinkEthernet)
	packets = append(packets, corpus(t, capture.LinkRaw)...)
	f, err := New("udp port 53")
	if err != nil {
		t.Fatal(err)
	}
	src := f.Source(&listSource{packets})
	if _, ok := src.(capture.Lender); ok {
		t.Error("a Lender of a Source that is none")
	}
	var picked int64
	for {
		p, err := src.Next()
		if err != nil {
			break
		}
		if ok, _ := f.Match(p); !ok {
			t.Errorf("packet %d is not picked", p.Number)
		}
		picked++
	}
	if left := src.(capture.Chooser).LeftOut(); picked == 0 || picked+left != int64(len(packets)) {
		t.Errorf("%d picked and %d left out of %d", picked, left, len(packets))
	}
	under := &lending{}
	lender, ok := f.Source(under).(capture.Lender)
	if !ok {
		t.Fatal("no Lender")
	}
	if lender.Lend(nil); !under.lent {
		t.Error("Lend does not come through")
	}
	if _, ok := lender.(capture.Chooser); !ok {
		t.Error("a Lender that is no Chooser")
	}
	packets[2].Link = capture.LinkWiFi
	src = f.Source(&listSource{packets[2:]})
	_, err = src.Next()
	if _, again := src.Next(); err == nil || again != err || !strings.Contains(err.Error(), "packet 3: filter: packets of link type ieee802_11") {
		t.Errorf("%v, then %v", err, again)
	}
}

func TestNoAllocation(t *testing.T) {
	packets := corpus(t, capture.LinkEthernet)
	f, err := New("tcp port 80 and host 10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() {
		for i := range packets {
			f.Match(&packets[i])
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSnap(t *testing.T) {
	for snap, want := range map[int]uint32{0: 262144, 96: 96} {
		for _, expr := range []string{"", " ", "tcp or not tcp"} {
			code, err := Compile(expr, capture.LinkEthernet, snap)
			if err != nil {
				t.Fatal(err)
			}
			if got := program(code).run(make([]byte, 60), 60); got != want {
				t.Errorf("%q with snap %d: %d", expr, snap, got)
			}
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	packets := corpus(b, capture.LinkEthernet)
	for _, expr := range []string{"tcp", "tcp port 80", "tcp[tcpflags] & tcp-syn != 0", "net 10.0.0.0/8 and not port 22"} {
		f, err := New(expr)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strings.ReplaceAll(expr, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				f.Match(&packets[i%len(packets)])
			}
		})
		b.Run(strings.ReplaceAll(expr, " ", "_")+"/other_vm", func(b *testing.B) {
			list, _ := bpf.Disassemble(f.program)
			vm, err := bpf.NewVM(list)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := range b.N {
				vm.Run(packets[i%len(packets)].Data)
			}
		})
	}
}
