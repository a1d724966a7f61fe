package filter

import (
	"flag"
	"fmt"
	"math/rand"
	"os/exec"
	"strings"
	"testing"

	"netlab/capture"
)

// grammar makes random expressions of what is done, which are right for Ethernet.
type grammar struct {
	*rand.Rand
	sized int // what may still be asked for, so that expressions end
}

func (g *grammar) of(list ...string) string { return list[g.Intn(len(list))] }

func (g *grammar) expr() string {
	g.sized--
	switch n := g.Intn(10); {
	case n < 4 || g.sized <= 0:
		return g.primitive()
	case n < 7:
		return g.expr() + g.of(" and ", " or ", " && ", " || ") + g.expr()
	case n < 8:
		return g.of("not ", "! ", "!") + g.term()
	}
	return "(" + g.expr() + ")"
}

func (g *grammar) term() string {
	if g.Intn(2) == 0 {
		return g.primitive()
	}
	return "(" + g.expr() + ")"
}

func (g *grammar) ids(list ...string) string {
	switch g.Intn(6) {
	case 0:
		return g.of(list...) + g.of(" or ", " and ", " or not ") + g.of(list...)
	case 1:
		return "(" + g.of(list...) + " or " + g.of(list...) + ")"
	}
	return g.of(list...)
}

func (g *grammar) primitive() string {
	dir := g.of("", "", "", "src ", "dst ", "src or dst ", "src and dst ")
	v4 := []string{"10.0.0.1", "10.0.0.2", "10.0.0.42", "127.0.0.1", "0.0.0.0", "192.168.1.5"}
	v6 := []string{"::1", "2001:db8::1", "2001:db8::2", "ff02::1", "::"}
	switch g.Intn(14) {
	case 0:
		return g.of("", "", "ip ", "arp ") + dir + "host " + g.ids(v4...)
	case 1:
		return g.of("", "ip6 ") + dir + "host " + g.ids(v6...)
	case 2:
		return g.of("", "ip ", "arp ", "rarp ") + dir + "net " + g.ids("10", "10.0", "10.0.0.0/8", "10.128.0.0/9", "192.168.0.0/16", "10.0.0.0 mask 255.255.255.0", "0.0.0.0/1")
	case 3:
		return dir + "net " + g.ids("2001:db8::/32", "2001:db8:8000::/34", "fe80::/10", "2001:db8:1::/48", "::/1")
	case 4, 5:
		return g.of("", "", "tcp ", "udp ", "sctp ") + dir + "port " + g.ids("80", "443", "53", "22", "8080", "0", "65535", "domain")
	case 6:
		return g.of("", "tcp ", "udp ") + dir + "portrange " + g.ids("1-1023", "80-443", "8000-9000", "53-53", "1024-65535")
	case 7:
		return g.of("tcp", "udp", "sctp", "icmp", "icmp6", "ip", "ip6", "arp", "rarp", "igmp", "pim", "esp", "ah", "stp", "iso", "ipx", "atalk", "netbeui", "pppoed")
	case 8:
		return "ether " + dir + g.hostWord(dir) + g.ids("02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff")
	case 9:
		return g.of("ip proto ", "ip6 proto ", "proto ") + g.ids("6", "17", "1", "58", `\tcp`, `\udp`, "44")
	case 10:
		return g.of("broadcast", "multicast", "ip multicast", "ip6 multicast", "ip broadcast", "greater 80", "less 70", "ether proto 0x800", `ether proto \ip6`, "ether proto 0x42")
	case 11:
		return g.of("vlan", "vlan 10", "vlan 20", "mpls", "mpls 100", "pppoes", "pppoes 7")
	}
	return g.sum(2) + g.of(" = ", " != ", " > ", " < ", " >= ", " <= ", " == ") + g.of(g.number(), g.number(), g.sum(1))
}

func (g *grammar) hostWord(dir string) string {
	if dir == "" {
		return "host "
	}
	return ""
}

func (g *grammar) number() string {
	return g.of("0", "1", "2", "6", "64", "80", "0x45", "0xff", "255", "1000", "0xffffffff", "tcp-syn", "icmp-echo", "010")
}

// sum is arithmetic. Bytes stand on the left only: on the right libpcap forgets
// which packets have them.
func (g *grammar) sum(depth int) string {
	if depth > 0 {
		switch g.Intn(5) {
		case 0:
			return "(" + g.sum(depth-1) + g.of(" + ", " - ", " * ", " & ", " | ") + g.number() + ")"
		case 1:
			return "(" + g.sum(depth-1) + g.of(" << ", " >> ", " / ", " % ") + g.of("1", "2", "4", "31") + ")"
		case 2:
			return g.of("ip[", "ether[", "tcp[", "udp[") + "(" + g.bytes() + " & 0xf) " + g.of("* 4", "+ 2", "<< 1") + g.of("]", ":2]", ":4]")
		}
	}
	return g.bytes()
}

func (g *grammar) bytes() string {
	return g.of("len", g.of("ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "ether", "link", "igmp", "sctp")+
		"["+g.of("0", "1", "2", "4", "6", "8", "12", "13", "20", "tcpflags")+g.of("", "", ":2", ":4")+"]")
}

var seed = flag.Int64("seed", 1, "what random expressions begin from")

// TestRandom has tcpdump compile random expressions too, and compares which packets
// both pick.
// What one of them refuses is refused by the other.
func TestRandom(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("there is no tcpdump to be held against")
	}
	n := 400
	if testing.Short() {
		n = 50
	}
	g := &grammar{Rand: rand.New(rand.NewSource(*seed))}
	links := []capture.LinkType{capture.LinkEthernet, capture.LinkEthernet, capture.LinkLinuxSLL2, capture.LinkRaw, capture.LinkLinuxSLL, capture.LinkNull}
	packets := make(map[capture.LinkType][]capture.Packet)
	for _, l := range links {
		packets[l] = corpus(t, l)
	}
	both, refusals, skipped, answers := 0, 0, 0, 0
	for i := range n {
		link := links[i%len(links)]
		g.sized = 8
		expr := g.expr()
		got, err := Compile(expr, link, 0)
		var want answer
		var theirs error
		want.code, theirs = tcpdump(link, expr, true)
		switch {
		case err != nil && theirs != nil:
			refusals++
			continue
		case err != nil && strings.Contains(err.Error(), "can't be told on linux_sll2"), err != nil && strings.Contains(err.Error(), "there is no pppoes on"):
			refusals++
			continue
		case err != nil:
			t.Errorf("%s on %s: refused: %v", expr, link, err)
			continue
		case theirs != nil && strings.Contains(theirs.Error(), "out of registers"):
			continue
		case theirs != nil:
			t.Errorf("%s on %s: tcpdump refuses it: %v", expr, link, theirs)
			continue
		}
		if want.plain, err = tcpdump(link, expr, false); err != nil {
			t.Errorf("%s on %s: %v", expr, link, err)
			continue
		}
		both++
		answers += len(packets[link])
		d, k := difference(got, want, packets[link])
		skipped += k
		if d != "" {
			t.Errorf("%s on %s: %s", expr, link, d)
		}
	}
	t.Logf("%d compared, %d of %d answers left out; %d refused by both", both, skipped, answers, refusals)
	if both < n/2 {
		t.Errorf("%d of %d are few", both, n)
	}
}

// FuzzCompile has any text compiled for every link type: it is refused with a mark
// inside of it, or comes to a program of bounded length that runs to its end, and
// is the same without its branches shortened.
func FuzzCompile(f *testing.F) {
	for _, expr := range expressions(f) {
		f.Add(expr)
	}
	for i := range int64(50) {
		g := &grammar{rand.New(rand.NewSource(i)), 10}
		f.Add(g.expr())
	}
	packets := make(map[capture.LinkType][]capture.Packet)
	for link := range layers {
		all := corpus(f, link)
		for i := 0; i < len(all); i += 151 {
			packets[link] = append(packets[link], all[i])
		}
	}
	f.Fuzz(func(t *testing.T, expr string) { agrees(t, expr, packets) })
}

// TestShortened is the same for more expressions that are right.
func TestShortened(t *testing.T) {
	packets := make(map[capture.LinkType][]capture.Packet)
	for link := range layers {
		packets[link] = corpus(t, link)[:300]
	}
	for i := range int64(200) {
		g := &grammar{rand.New(rand.NewSource(i)), 12}
		agrees(t, g.expr(), packets)
	}
}

// agrees compiles an expression for all link types, and compares what is picked
// with what the tree of tests says.
func agrees(t *testing.T, expr string, packets map[capture.LinkType][]capture.Packet) {
	n, err := parse(expr)
	if err != nil {
		marked(t, expr, err)
		return
	}
	for link := range layers {
		code, err := compile(gen{expr: expr}, n, link, 0)
		if err != nil {
			marked(t, expr, err)
			continue
		}
		if len(code) > maxProgram {
			t.Fatalf("%d instructions", len(code))
		}
		l, _ := layerOf(link)
		g := gen{expr: expr, layer: l}
		tree := yes
		if n != nil {
			tree = g.node(n)
		}
		for i := range packets[link] {
			p := &packets[link][i]
			want := tree.of(p) == picked
			if got := program(code).run(p.Data, uint32(p.Length)) != 0; got != want {
				t.Fatalf("%s on %s, packet %d: %v, and %v from the tree\n%s", expr, link, p.Number, got, want, dump(code))
			}
		}
	}
}

func marked(t *testing.T, expr string, err error) {
	s, ok := err.(*SyntaxError)
	if !ok || s.Offset < 0 || s.Offset > len(expr) || s.Reason == "" || err.Error() == "" {
		t.Fatalf("%q: %#v", expr, err)
	}
}

// What a tree says of a packet: it can end in the middle, with a read behind the
// end of the packet.
type verdict int

const (
	left verdict = iota
	picked
	ended
)

// of asks a tree as it is written, test by test.
func (c *cond) of(p *capture.Packet) verdict {
	switch c.kind {
	case always:
		return picked
	case never:
		return left
	case not:
		switch c.a.of(p) {
		case picked:
			return left
		case left:
			return picked
		}
		return ended
	case both:
		if v := c.a.of(p); v != picked {
			return v
		}
		return c.b.of(p)
	case either:
		if v := c.a.of(p); v != left {
			return v
		}
		return c.b.of(p)
	}
	// One test is a program of its own: 2 where it holds, 1 where not, 0 where it ends.
	f := &flow{blocks: make([]block, ends), entry: ends}
	f.blocks = append(f.blocks, block{c.test, accept, reject})
	code, _ := f.emit(2)
	code[len(code)-1].K = 1
	switch program(code).run(p.Data, uint32(p.Length)) {
	case 2:
		return picked
	case 1:
		return left
	}
	return ended
}

func ExampleCompile() {
	code, err := Compile("ip6 or arp", capture.LinkEthernet, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(dump(code))
	// Output:
	//   0 ldh [12]
	//   1 jeq #34525,1
	//   2 jneq #2054,1
	//   3 ret #262144
	//   4 ret #0
}
