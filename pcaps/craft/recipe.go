package craft

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"netlab/capture"
)

// Recipe reads a conversation written as text and returns its packets. A line is
// a step; # begins a comment. First what holds for all:
//
//	link ethernet|raw|null|loop|sll|sll2
//	time 2026-01-02T03:04:05Z      of the first packet
//	step 100us                     between packets
//	snaplen 96
//
// then conversations, each with a name, and what happens in them:
//
//	tcp NAME CLIENT > SERVER [isn N N] [vlan N] [mss N]
//	udp NAME CLIENT > SERVER [vlan N]
//	NAME open                      the handshake
//	NAME > DATA…                   the client sends; < is the server
//	NAME > at OFFSET DATA…         at this offset of its stream
//	NAME > drop DATA…              sent, but not captured
//	NAME > ack|synack|fin|rst      an empty segment
//	NAME > syn [DATA…]
//	NAME close [<]                 FIN both ways, the client first
//	wait 5ms                       before the next packet
//	packet hex …                   any bytes
//
// DATA is Go strings, `hex 0a0b`, `N * "text"`, or for DNS
// `dns ID query NAME TYPE` and `dns ID answer [truncated] [TYPE] "NAME TTL IN TYPE DATA"…`,
// where TYPE is what was asked for, if that is not what the first record is.
//
// Every mistake is an error with its line, and so is a recipe of more than some
// 16 MiB of packets.
func Recipe(src io.Reader) (*Builder, error) {
	c := cook{talks: make(map[string]*Talk)}
	lines := bufio.NewScanner(src)
	n := 1
	for ; lines.Scan(); n++ {
		words, err := split(lines.Text())
		if err == nil && len(words) > 0 {
			err = c.step(words)
		}
		if err == nil && c.b != nil {
			err = c.b.err
		}
		if err != nil {
			return nil, fmt.Errorf("craft: line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("craft: line %d: %w", n, err)
	}
	return c.builder(), nil
}

// A recipe of a few lines must not fill the memory.
const (
	maxData    = 1 << 20  // that the DATA of a line may become
	maxPackets = 16 << 20 // bytes that all packets may take; a sample has 64 KiB
)

type cook struct {
	opts  Options
	b     *Builder // nil until the first step that needs it
	talks map[string]*Talk
}

func (c *cook) builder() *Builder {
	if c.b == nil {
		c.b = New(c.opts)
		c.b.limit = maxPackets
	}
	return c.b
}

// split cuts a line into words; quoted strings keep their quotes.
func split(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return words, nil
		}
		var word string
		if line[0] == '"' || line[0] == '`' {
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("a string that does not end: %s", line)
			}
			word = q
		} else if i := strings.IndexAny(line, " \t"); i >= 0 {
			word = line[:i]
		} else {
			word = line
		}
		words = append(words, word)
		line = line[len(word):]
	}
}

var links = map[string]capture.LinkType{
	"ethernet": capture.LinkEthernet, "raw": capture.LinkRaw, "null": NullLink, "loop": capture.LinkLoop,
	"sll": capture.LinkLinuxSLL, "sll2": capture.LinkLinuxSLL2,
}

func (c *cook) step(words []string) error {
	var err error
	rest := words[1:]
	arg := strings.Join(rest, " ")
	switch words[0] {
	case "link", "time", "step", "snaplen":
		if c.b != nil {
			return fmt.Errorf("%s holds for all packets, so it stands before the first", words[0])
		}
	}
	switch words[0] {
	case "link":
		var ok bool
		if c.opts.Link, ok = links[arg]; !ok {
			return fmt.Errorf("unknown link type %q", arg)
		}
	case "time":
		c.opts.Start, err = time.Parse(time.RFC3339Nano, arg)
	case "step":
		c.opts.Step, err = time.ParseDuration(arg)
	case "snaplen":
		var n uint64
		n, err = strconv.ParseUint(arg, 10, 31)
		c.opts.SnapLen = int(n)
	case "wait":
		var d time.Duration
		d, err = time.ParseDuration(arg)
		c.builder().Wait(d)
	case "packet":
		var data []byte
		if data, err = literal(rest); err == nil {
			c.builder().Packet(data)
		}
	case "tcp", "udp":
		return c.declare(words[0] == "udp", rest)
	default:
		t := c.talks[words[0]]
		if t == nil {
			return fmt.Errorf("no conversation is called %q", words[0])
		}
		return act(t, rest)
	}
	return err
}

// declare begins a conversation.
func (c *cook) declare(udp bool, words []string) error {
	if len(words) < 4 || words[2] != ">" {
		return fmt.Errorf("want NAME CLIENT > SERVER")
	}
	client, err := netip.ParseAddrPort(words[1])
	if err != nil {
		return err
	}
	server, err := netip.ParseAddrPort(words[3])
	if err != nil {
		return err
	}
	if client.Addr().Is4() != server.Addr().Is4() {
		return fmt.Errorf("%s and %s are of different IP versions", client, server)
	}
	t := c.builder().TCP(client, server)
	t.udp = udp
	c.talks[words[0]] = t
	for words = words[4:]; len(words) > 0; {
		want := map[string]int{"isn": 2, "vlan": 1, "mss": 1}[words[0]]
		bits := map[string]int{"isn": 32, "vlan": 12, "mss": 31}[words[0]]
		if want == 0 || len(words) < 1+want {
			return fmt.Errorf("unknown or incomplete option %q", words[0])
		}
		var n [2]uint64
		for i := range want {
			if n[i], err = strconv.ParseUint(words[1+i], 0, bits); err != nil {
				return err
			}
		}
		switch words[0] {
		case "isn":
			t.ISN(uint32(n[0]), uint32(n[1]))
		case "vlan":
			t.VLAN = uint16(n[0])
		case "mss":
			t.MSS = int(n[0])
		}
		words = words[1+want:]
	}
	return nil
}

// act does one step of a conversation.
func act(t *Talk, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("nothing to do")
	}
	switch words[0] {
	case "open":
		t.Open()
		return nothing(words)
	case "close":
		first := Client
		if len(words) > 1 && words[1] == "<" {
			first, words = Server, words[1:]
		}
		t.Close(first)
		return nothing(words)
	}
	var s Side
	switch words[0] {
	case ">":
	case "<":
		s = Server
	default:
		return fmt.Errorf("unknown step %q", words[0])
	}
	words = words[1:]
	if len(words) == 0 {
		return fmt.Errorf("nothing to send")
	}
	switch words[0] {
	case "ack":
		t.Ack(s)
		return nothing(words)
	case "syn":
		data, err := literal(words[1:])
		if err == nil {
			t.Segment(s, 0, Flags{SYN: true}, data)
		}
		return err
	case "synack":
		t.Segment(s, 0, Flags{SYN: true, ACK: true}, nil)
		return nothing(words)
	case "fin":
		t.Fin(s)
		return nothing(words)
	case "rst":
		t.Reset(s)
		return nothing(words)
	case "at":
		if len(words) < 2 {
			return fmt.Errorf("at what offset?")
		}
		off, err := strconv.ParseInt(words[1], 0, 64)
		if err != nil {
			return err
		}
		data, err := literal(words[2:])
		if err == nil {
			t.Segment(s, off, Flags{ACK: true, PSH: true}, data)
		}
		return err
	case "drop":
		data, err := literal(words[1:])
		if err == nil {
			t.Drop(s, data)
		}
		return err
	}
	data, err := literal(words)
	if err == nil {
		t.Send(s, data)
	}
	return err
}

// nothing refuses words behind a step that takes none: they would be lost.
func nothing(words []string) error {
	if len(words) > 1 {
		return fmt.Errorf("nothing may follow %q", words[0])
	}
	return nil
}

// literal reads DATA.
func literal(words []string) ([]byte, error) {
	var data []byte
	for len(words) > 0 {
		switch w := words[0]; {
		case w == "hex":
			b, err := hex.DecodeString(strings.Join(words[1:], ""))
			return append(data, b...), err
		case w == "dns":
			b, err := message(words[1:])
			return append(data, b...), err
		case len(words) >= 3 && words[1] == "*":
			n, err := strconv.Atoi(w)
			if err != nil || n < 0 || n > 1<<20 {
				return nil, fmt.Errorf("how often is %q?", w)
			}
			s, err := strconv.Unquote(words[2])
			if err != nil {
				return nil, fmt.Errorf("%s is no string", words[2])
			}
			if n*len(s) > maxData-len(data) {
				return nil, fmt.Errorf("more than %d bytes of data", maxData)
			}
			data = append(data, bytes.Repeat([]byte(s), n)...)
			words = words[3:]
		default:
			s, err := strconv.Unquote(w)
			if err != nil {
				return nil, fmt.Errorf("%s is no data", w)
			}
			data = append(data, s...)
			words = words[1:]
		}
	}
	return data, nil
}

// message makes a DNS message: ID query NAME TYPE, or ID answer RECORD….
func message(words []string) ([]byte, error) {
	if len(words) < 3 {
		return nil, fmt.Errorf("want dns ID query NAME TYPE, or dns ID answer RECORD")
	}
	id, err := strconv.ParseUint(words[0], 0, 16)
	if err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	switch words[1] {
	case "query":
		typ, ok := dns.StringToType[words[len(words)-1]]
		if !ok || len(words) != 4 {
			return nil, fmt.Errorf("want a name and a type")
		}
		m.SetQuestion(dns.Fqdn(words[2]), typ)
	case "answer":
		m.Response, m.RecursionDesired, m.RecursionAvailable = true, true, true
		records := words[2:]
		if records[0] == "truncated" {
			m.Truncated, records = true, records[1:]
		}
		var asked uint16 // the type, when it is not the first record's
		if len(records) > 0 && dns.StringToType[records[0]] != 0 {
			asked, records = dns.StringToType[records[0]], records[1:]
		}
		for i, w := range records {
			text, err := strconv.Unquote(w)
			if err != nil {
				return nil, fmt.Errorf("%s is no record", w)
			}
			// Not dns.NewRR: it reads the files that an $INCLUDE names.
			zone := dns.NewZoneParser(strings.NewReader(text+"\n"), ".", "")
			zone.SetDefaultTTL(3600)
			rr, _ := zone.Next()
			if err := zone.Err(); err != nil {
				return nil, err
			}
			if rr == nil { // a comment or a directive
				return nil, fmt.Errorf("%s is no record", w)
			}
			if i == 0 {
				if asked == 0 {
					asked = rr.Header().Rrtype
				}
				m.Question = []dns.Question{{Name: rr.Header().Name, Qtype: asked, Qclass: dns.ClassINET}}
			}
			m.Answer = append(m.Answer, rr)
		}
	default:
		return nil, fmt.Errorf("unknown DNS message %q", words[1])
	}
	m.Id = uint16(id)
	return m.Pack()
}
