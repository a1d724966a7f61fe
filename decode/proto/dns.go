package proto

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/miekg/dns"

	"netlab/decode/flow"
)

// DNS is the Domain Name System (RFC 1035) over UDP, and over TCP with a length
// before each message (section 4.2.2). Multicast DNS and LLMNR look the same.
var DNS = Protocol{
	Name:        "dns",
	Probe:       probeDNS,
	New:         newDNSParser,
	Pairing:     ByID,
	Unasked:     true, // multicast DNS announces, and LLMNR answers from elsewhere
	AnyStart:    true,
	RequestName: "query",
}

const dnsHeaderLen = 12

// maxDNSName bounds a name as it is sent (RFC 1035, section 2.3.4), which leaves
// room for 127 labels. More pointers than that serve no name.
const (
	maxDNSName     = 255
	maxDNSPointers = 127
)

// maxDNSOpening bounds the first message over TCP that is known for DNS: two
// letters, read as a length, are more.
const maxDNSOpening = 8192

// maxDNSQuestions bounds the questions of a message that is known for DNS: one is
// usual, multicast DNS asks for all that it looks for at once.
const maxDNSQuestions = 256

// maxDNSRecords bounds the questions and records of one message; 64 KiB hold
// some 5,000 of the smallest.
const maxDNSRecords = 8192

// DNSMessage is one query or response. It is taken apart only when asked.
type DNSMessage struct {
	Wire []byte // without the length that TCP puts before it
}

// Held returns how much memory the message has need of.
func (m *DNSMessage) Held() int { return cap(m.Wire) }

// DNSQuestion is what is asked for.
type DNSQuestion struct {
	Name  string // without the final dot; "" is the root
	Type  uint16
	Class uint16
}

// DNSRecord is one resource record.
type DNSRecord struct {
	DNSQuestion
	TTL  uint32
	Data string // as dig prints it
}

// ID returns the number that pairs query and response.
func (m *DNSMessage) ID() uint16 { return binary.BigEndian.Uint16(m.Wire) }

// Flags returns the second word of the header.
func (m *DNSMessage) Flags() uint16 { return binary.BigEndian.Uint16(m.Wire[2:]) }

// IsResponse reports the QR bit.
func (m *DNSMessage) IsResponse() bool { return m.Flags()&0x8000 != 0 }

// Truncated reports the TC bit.
func (m *DNSMessage) Truncated() bool { return m.Flags()&0x0200 != 0 }

// Rcode returns the response code as text.
func (m *DNSMessage) Rcode() string {
	code := int(m.Flags() & 15)
	if s, ok := dns.RcodeToString[code]; ok {
		return s
	}
	return "RCODE" + strconv.Itoa(code)
}

// Sections returns the questions, answers, authorities and additional records.
// What is malformed ends the list.
func (m *DNSMessage) Sections() (questions []DNSQuestion, records [3][]DNSRecord) {
	off := dnsHeaderLen
	for range binary.BigEndian.Uint16(m.Wire[4:]) {
		q, next := readQuestion(m.Wire, off)
		if next < 0 || len(questions) >= maxDNSRecords {
			return questions, records
		}
		questions, off = append(questions, q), next
	}
	for i := range records {
		for range binary.BigEndian.Uint16(m.Wire[6+2*i:]) {
			r, next := readRecord(m.Wire, off)
			if next < 0 || len(records[i]) >= maxDNSRecords {
				return questions, records
			}
			records[i], off = append(records[i], r), next
		}
	}
	return questions, records
}

// Summary is the questions of a query, the code and the answers of a response.
func (m *DNSMessage) Summary() string {
	questions, records := m.Sections()
	var b strings.Builder
	if !m.IsResponse() {
		for i, q := range questions {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%s %s", dnsType(q.Type), dotted(q.Name))
		}
		return b.String()
	}
	b.WriteString(m.Rcode())
	if m.Truncated() {
		b.WriteString(" truncated")
	}
	const few = 4
	for i, r := range records[0] {
		if i == few {
			fmt.Fprintf(&b, " and %d more", len(records[0])-few)
			break
		}
		fmt.Fprintf(&b, " %s %s", dnsType(r.Type), r.Data)
	}
	return b.String()
}

func dotted(name string) string {
	if name == "" {
		return "."
	}
	return name
}

// dnsType names a record type.
func dnsType(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t)) // RFC 3597, section 5
}

// AppendJSON appends the questions, and for a response code and records.
func (m *DNSMessage) AppendJSON(dst []byte) []byte {
	questions, records := m.Sections()
	if m.IsResponse() {
		dst = append(dst, `"rcode":`...)
		dst = AppendString(dst, m.Rcode())
		dst = append(dst, `,"truncated":`...)
		dst = strconv.AppendBool(dst, m.Truncated())
		dst = append(dst, ',')
	}
	dst = append(dst, `"questions":[`...)
	for i, q := range questions {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		dst = q.appendJSON(dst)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	for i, name := range [3]string{"answers", "authorities", "additionals"} {
		if len(records[i]) == 0 && (i > 0 || !m.IsResponse()) {
			continue
		}
		dst = append(dst, ',', '"')
		dst = append(dst, name...)
		dst = append(dst, `":[`...)
		for j, r := range records[i] {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '{')
			dst = r.appendJSON(dst)
			dst = append(dst, `,"ttl":`...)
			dst = strconv.AppendUint(dst, uint64(r.TTL), 10)
			dst = append(dst, `,"data":`...)
			dst = AppendString(dst, r.Data)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	return dst
}

func (q *DNSQuestion) appendJSON(dst []byte) []byte {
	dst = append(dst, `"name":`...)
	dst = AppendString(dst, q.Name)
	dst = append(dst, `,"type":`...)
	return AppendString(dst, dnsType(q.Type))
}

// probeDNS knows a message that is well-formed from its first byte to its last.
func probeDNS(o Opening) Verdict {
	verdict := NoMatch
	for d, first := range o.First {
		response := flow.Direction(d) == flow.ServerToClient
		switch {
		case len(first) == 0:
		case o.Transport == flow.UDP:
			if isDNS(first) && isResponse(first) == response && !isNBNS(first) {
				return Match
			}
		case len(first) < 2+dnsHeaderLen:
			if (len(first) < 2 || binary.BigEndian.Uint16(first) < maxDNSOpening) && !o.Ended[d] {
				verdict = NeedMore
			}
		default:
			n := int(binary.BigEndian.Uint16(first))
			if !dnsHeader(first[2:]) || isResponse(first[2:]) != response || n < dnsHeaderLen || n >= maxDNSOpening {
				continue
			}
			if len(first) < 2+n {
				if !o.Ended[d] {
					verdict = NeedMore
				}
				continue
			}
			if isDNS(first[2 : 2+n]) {
				return Match
			}
		}
	}
	return verdict
}

func isResponse(b []byte) bool { return b[2]&0x80 != 0 }

// dnsHeader judges a header: a known opcode, the reserved bit clear, and what a
// query must not have.
func dnsHeader(b []byte) bool {
	flags := binary.BigEndian.Uint16(b[2:])
	questions, answers := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	if opcode := flags >> 11 & 15; opcode > 6 || opcode == 3 || flags&0x0040 != 0 {
		return false
	}
	if flags&0x8000 == 0 {
		return questions > 0 && questions <= maxDNSQuestions && flags&15 == 0
	}
	return questions <= maxDNSQuestions && (questions > 0 || answers > 0 || flags&15 != 0)
}

// isDNS reports whether b is one whole message.
func isDNS(b []byte) bool {
	if len(b) < dnsHeaderLen || !dnsHeader(b) {
		return false
	}
	off, count := dnsHeaderLen, 0
	for i := range 4 {
		for range binary.BigEndian.Uint16(b[4+2*i:]) {
			if count++; count > maxDNSRecords {
				return false
			}
			off = skipName(b, off)
			size := 4
			if i > 0 {
				size = 10
			}
			if off < 0 || off+size > len(b) {
				return false
			}
			off += size
			if i > 0 {
				off += int(binary.BigEndian.Uint16(b[off-2:]))
			}
		}
	}
	return off <= len(b)
}

// isNBNS tells NetBIOS name service (RFC 1002, section 4.1) from DNS: its names
// begin with a label of 32 letters from A to P, and it asks for types NB and
// NBSTAT.
func isNBNS(b []byte) bool {
	if len(b) < dnsHeaderLen+33 || b[dnsHeaderLen] != 32 {
		return false
	}
	for _, c := range b[dnsHeaderLen+1 : dnsHeaderLen+33] {
		if c < 'A' || c > 'P' {
			return false
		}
	}
	return true
}

// skipName returns the offset behind a name, -1 when it is malformed.
func skipName(b []byte, off int) int {
	return walkName(b, off, nil)
}

// readName returns the name at off and the offset behind it, -1 when it is
// malformed.
func readName(b []byte, off int) (string, int) {
	var name []byte
	next := walkName(b, off, func(label []byte) {
		if len(name) > 0 {
			name = append(name, '.')
		}
		name = appendLabel(name, label)
	})
	if next < 0 {
		return "", -1
	}
	return string(name), next
}

// walkName calls f, if any, for each label of a name, and returns the offset
// behind it, -1 when it is malformed. Pointers lead backwards only, so that none
// can loop (RFC 1035, section 4.1.4).
func walkName(b []byte, off int, f func(label []byte)) int {
	next, size, pointers := -1, 1, 0
	for limit := off; off < len(b); {
		n := int(b[off])
		switch {
		case n == 0:
			if next < 0 {
				next = off + 1
			}
			return next
		case n >= 0xc0:
			if off+1 >= len(b) {
				return -1
			}
			to := n&0x3f<<8 | int(b[off+1])
			if pointers++; to >= limit || pointers > maxDNSPointers {
				return -1
			}
			if next < 0 {
				next = off + 2
			}
			off, limit = to, to
		case n >= 0x40 || off+1+n > len(b):
			return -1
		default:
			if size += 1 + n; size > maxDNSName {
				return -1
			}
			if f != nil {
				f(b[off+1 : off+1+n])
			}
			off += 1 + n
		}
	}
	return -1
}

// appendLabel escapes what would be read as structure (RFC 4343, section 2.1),
// and what is no text. Names of services are meant to be read: they hold spaces
// and UTF-8 (RFC 6763, section 4.1.1).
func appendLabel(dst, label []byte) []byte {
	for len(label) > 0 {
		c := label[0]
		r, n := utf8.DecodeRune(label)
		switch {
		case c == '.' || c == '\\':
			dst = append(dst, '\\', c)
		case Harmful(r), r == utf8.RuneError && n == 1:
			for _, c := range label[:n] {
				dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			}
		default:
			dst = append(dst, label[:n]...)
		}
		label = label[n:]
	}
	return dst
}

func readQuestion(b []byte, off int) (DNSQuestion, int) {
	name, off := readName(b, off)
	if off < 0 || off+4 > len(b) {
		return DNSQuestion{}, -1
	}
	return DNSQuestion{name, binary.BigEndian.Uint16(b[off:]), binary.BigEndian.Uint16(b[off+2:])}, off + 4
}

func readRecord(b []byte, start int) (DNSRecord, int) {
	name, off := readName(b, start)
	if off < 0 || off+10 > len(b) {
		return DNSRecord{}, -1
	}
	r := DNSRecord{DNSQuestion{name, binary.BigEndian.Uint16(b[off:]), binary.BigEndian.Uint16(b[off+2:])}, binary.BigEndian.Uint32(b[off+4:]), ""}
	n := int(binary.BigEndian.Uint16(b[off+8:]))
	off += 10
	if off+n > len(b) {
		return DNSRecord{}, -1
	}
	r.Data = recordData(b, start, off, n, r.Type)
	return r, off + n
}

// recordData is a record's data as text: the usual types here, the rest as dig
// prints them.
func recordData(b []byte, start, off, n int, typ uint16) string {
	switch {
	case typ == dns.TypeA && n == 4:
		return netip.AddrFrom4([4]byte(b[off:])).String()
	case typ == dns.TypeAAAA && n == 16:
		return netip.AddrFrom16([16]byte(b[off:])).String()
	case typ == dns.TypeCNAME || typ == dns.TypeNS || typ == dns.TypePTR:
		if name, _ := readName(b, off); name != "" {
			return name
		}
	case typ == dns.TypeOPT:
		return strconv.Itoa(n) + " bytes of options"
	}
	rr, _, err := dns.UnpackRR(b[:off+n], start)
	if _, unknown := rr.(*dns.RFC3597); err == nil && !unknown {
		return strings.TrimPrefix(rr.String(), rr.Header().String())
	}
	return fmt.Sprintf("\\# %d %x", n, b[off:off+n]) // RFC 3597, section 5
}

// dnsParser reads messages; over TCP each has its length before it.
type dnsParser struct {
	tcp   bool
	alone bool    // what is asked is not answered within the conversation
	lost  [2]bool // the place in the stream is lost, for good: lengths are all there is
}

// newDNSParser returns a parser. What is asked of a group is answered to the
// group, or from an address of the answerer's own (RFC 6762, section 6; RFC 4795,
// section 2.1).
func newDNSParser(w Waiting) Parser {
	const multicastPort = 5353
	c := w.Conversation()
	return &dnsParser{
		tcp: c.Transport == flow.TCP,
		alone: c.Server.Addr().IsMulticast() || c.Client.Addr().IsMulticast() ||
			c.Client.Port() == multicastPort && c.Server.Port() == multicastPort,
	}
}

func (p *dnsParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	if len(data) == 0 && (p.tcp || !end) {
		return 0, nil
	}
	if p.lost[d] {
		return len(data), &Message{Direction: d, Kind: Skipped}
	}
	wire, n := data, len(data)
	if p.tcp {
		short := len(data) < 2
		if !short {
			n = 2 + int(binary.BigEndian.Uint16(data))
			short = len(data) < n
		}
		if short && !end {
			return 0, nil
		}
		if short {
			return len(data), &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "the connection ended inside a DNS message"}
		}
		wire = data[2:n]
	}
	if len(wire) < dnsHeaderLen {
		return n, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: fmt.Sprintf("%d bytes are too short for a DNS message", len(wire))}
	}
	body := &DNSMessage{Wire: append([]byte(nil), wire...)}
	m := &Message{Direction: d, ID: uint32(body.ID()), Complete: true, Alone: p.alone, Body: body}
	if body.IsResponse() {
		m.Kind = Response
	}
	if !isDNS(wire) {
		m.Complete, m.Malformed, m.Why = false, true, "malformed DNS message"
	}
	return n, m
}

func (p *dnsParser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	p.lost[d] = true
	return 0, nil
}

// TypeName returns the type as dig prints it.
func (q *DNSQuestion) TypeName() string { return dnsType(q.Type) }
