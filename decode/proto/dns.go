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
	UDP:         true,
	Unasked:     true, // multicast DNS announces, and LLMNR answers from elsewhere
	AnyStart:    true,
	Reuses:      true,
	RequestName: "query",
	Attributes:  dnsAttributes,
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
func (m *DNSMessage) Held() int { return len(m.Wire) }

func (m *DNSMessage) room() int { return cap(m.Wire) }

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
func (m *DNSMessage) Rcode() string { return RcodeName(m.Code()) }

// Code returns the response code.
func (m *DNSMessage) Code() int { return int(m.Flags() & 15) }

// RcodeName names a response code, of which only the lower four bits count.
func RcodeName(code int) string { return dnsRcodes[code&15] }

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
func (m *DNSMessage) Summary() string { return string(m.AppendSummary(nil)) }

// AppendSummary reads the message as Sections does, and writes each part as it comes.
func (m *DNSMessage) AppendSummary(dst []byte) []byte {
	b, off, response := m.Wire, dnsHeaderLen, m.IsResponse()
	if response {
		dst = append(dst, m.Rcode()...)
		if m.Truncated() {
			dst = append(dst, " truncated"...)
		}
	}
	for i := range int(binary.BigEndian.Uint16(b[4:])) {
		end := skipName(b, off)
		if end < 0 || end+4 > len(b) || i >= maxDNSRecords {
			return dst
		}
		if !response {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(append(dst, dnsType(binary.BigEndian.Uint16(b[end:]))...), ' ')
			dst = appendDotted(dst, b, off)
		}
		off = end + 4
	}
	if !response {
		return dst
	}
	const few = 4
	count := 0
	for range int(binary.BigEndian.Uint16(b[6:])) {
		r, ok := fixedPart(b, skipName(b, off))
		if !ok || count >= maxDNSRecords {
			break
		}
		if count++; count <= few {
			dst = append(append(append(dst, ' '), dnsType(r.typ)...), ' ')
			dst = appendData(dst, b, off, r)
		}
		off = r.end
	}
	if count > few {
		dst = fmt.Appendf(dst, " and %d more", count-few)
	}
	return dst
}

// appendDotted appends the name at off, which is well-formed; that of the root as a dot.
func appendDotted(dst, b []byte, off int) []byte {
	start := len(dst)
	if dst, _ = walkName(dst, b, off, maxDNSPointers, asText); len(dst) == start {
		dst = append(dst, '.')
	}
	return dst
}

// dnsType names a record type.
func dnsType(t uint16) string {
	if int(t) < len(dnsTypes) && dnsTypes[t] != "" {
		return dnsTypes[t]
	}
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t)) // RFC 3597, section 5
}

// dnsTypes and dnsRcodes are the names that nearly all messages have need of,
// where a look at a map for each would be felt.
var (
	dnsTypes = func() (names [512]string) {
		for t := range names {
			names[t] = dns.TypeToString[uint16(t)]
		}
		return names
	}()
	dnsRcodes = func() (names [16]string) {
		for code := range names {
			s, ok := dns.RcodeToString[code]
			if !ok {
				s = "RCODE" + strconv.Itoa(code)
			}
			names[code] = s
		}
		return names
	}()
)

// AppendJSON appends the questions, and for a response code and records. It reads
// the message as Sections does, and writes each part as it comes.
func (m *DNSMessage) AppendJSON(dst []byte) []byte {
	b := m.Wire
	response := m.IsResponse()
	if response {
		dst = append(dst, `"rcode":"`...)
		dst = append(dst, m.Rcode()...)
		dst = append(dst, `","truncated":`...)
		dst = strconv.AppendBool(dst, m.Truncated())
		dst = append(dst, ',')
	}
	dst = append(dst, `"questions":[`...)
	var asked dnsAsked
	off := dnsHeaderLen
	for i := range int(binary.BigEndian.Uint16(b[4:])) {
		begin := len(dst)
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, off = asked.appendName(append(dst, `{"name":`...), b, off)
		if off < 0 || off+4 > len(b) || i >= maxDNSRecords {
			dst, off = dst[:begin], len(b)
			break
		}
		if i == 0 {
			asked = dnsAsked{begin + len(`{"name":`), len(dst)}
		}
		dst = append(appendType(dst, binary.BigEndian.Uint16(b[off:])), '}')
		off += 4
	}
	dst = append(dst, ']')
	for i, name := range [3]string{`,"answers":[`, `,"authorities":[`, `,"additionals":[`} {
		n := int(binary.BigEndian.Uint16(b[6+2*i:]))
		begin := len(dst)
		dst = append(dst, name...)
		empty := len(dst)
		dst, off = asked.appendRecords(dst, b, off, n)
		if len(dst) == empty && (i > 0 || !response) {
			dst = dst[:begin]
			continue
		}
		dst = append(dst, ']')
	}
	return dst
}

// dnsAsked says where dst holds the name of the first question, quoted.
type dnsAsked struct{ from, to int }

// appendName appends a name as a JSON string. It returns the offset behind it, -1
// when it is malformed.
func (a dnsAsked) appendName(dst, b []byte, off int) ([]byte, int) {
	if a.to > 0 && pointsToFirst(b, off) {
		return append(dst, dst[a.from:a.to]...), off + 2
	}
	start := len(dst)
	dst = append(dst, '"')
	if dst, next := appendUsualName(dst, b, off); next > 0 {
		return append(dst, '"'), next
	}
	dst, off = walkName(dst, b, off, maxDNSPointers, asText)
	return quote(dst, start), off
}

// appendRecords appends n records, or as many as are there, and returns the
// offset behind them, that of the end when one is malformed.
func (a dnsAsked) appendRecords(dst, b []byte, off, n int) ([]byte, int) {
	for i := range n {
		begin, start := len(dst), off
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, off = a.appendName(append(dst, `{"name":`...), b, off)
		r, ok := fixedPart(b, off)
		if !ok || i >= maxDNSRecords {
			return dst[:begin], len(b)
		}
		dst = appendType(dst, r.typ)
		dst = append(dst, `,"ttl":`...)
		dst = AppendNatural(dst, uint64(r.ttl))
		dst = append(dst, `,"data":`...)
		data := len(dst)
		dst = appendData(append(dst, '"'), b, start, r)
		dst = append(quote(dst, data), '}')
		off = r.end
	}
	return dst, off
}

// appendType appends a type as the second field.
func appendType(dst []byte, t uint16) []byte {
	dst = append(dst, `,"type":"`...)
	dst = append(dst, dnsType(t)...)
	return append(dst, '"')
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
			if i > 0 && pointsToFirst(b, off) && binary.BigEndian.Uint16(b[4:]) > 0 {
				off += 2 // it was looked at
			} else {
				off = skipName(b, off)
			}
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

// pointsToFirst reports whether a name is a pointer to the first name of the
// message, that of the question if there is any: most of the others are.
func pointsToFirst(b []byte, off int) bool {
	return off+1 < len(b) && b[off] == 0xc0 && b[off+1] == dnsHeaderLen
}

// skipName returns the offset behind a name, -1 when it is malformed.
func skipName(b []byte, off int) int {
	for end := off; end < len(b) && end-off < maxDNSName && b[end] < 0x40; end += 1 + int(b[end]) {
		if b[end] == 0 {
			return end + 1
		}
	}
	_, next := walkName(nil, b, off, maxDNSPointers, notAtAll)
	return next
}

// readName returns the name at off and the offset behind it, -1 when it is
// malformed.
func readName(b []byte, off int) (string, int) {
	var text [maxDNSName]byte
	name, next := walkName(text[:0], b, off, maxDNSPointers, asText)
	if next < 0 {
		return "", -1
	}
	return string(name), next
}

// nameForm is how a name is written.
type nameForm uint8

const (
	notAtAll nameForm = iota
	asText            // without the final dot
	asDig             // with it, and all escaped that a zone file might take for something else
)

// walkName appends a name in a form. It returns the offset behind it, -1 when it
// is malformed. Pointers lead backwards only, so that none can loop (RFC 1035,
// section 4.1.4).
func walkName(dst, b []byte, off, maxPointers int, form nameForm) ([]byte, int) {
	start := len(dst)
	next, size, pointers := -1, 1, 0
	for limit := off; off < len(b); {
		n := int(b[off])
		switch {
		case n == 0:
			if form == asDig && len(dst) == start {
				dst = append(dst, '.')
			}
			if next < 0 {
				next = off + 1
			}
			return dst, next
		case n >= 0xc0:
			if off+1 >= len(b) {
				return dst, -1
			}
			to := n&0x3f<<8 | int(b[off+1])
			if pointers++; to >= limit || pointers > maxPointers {
				return dst, -1
			}
			if next < 0 {
				next = off + 2
			}
			off, limit = to, to
		case n >= 0x40 || off+1+n > len(b):
			return dst, -1
		default:
			if size += 1 + n; size > maxDNSName {
				return dst, -1
			}
			label := b[off+1 : off+1+n]
			switch form {
			case asText:
				if len(dst) > start {
					dst = append(dst, '.')
				}
				dst = appendLabel(dst, label)
			case asDig:
				dst = append(appendDigLabel(dst, label), '.')
			}
			off += 1 + n
		}
	}
	return dst, -1
}

// plainInLabel tells which bytes of a label stand for themselves.
var plainInLabel = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = c != '.' && c != '\\'
	}
	return t
}()

// appendLabel escapes what would be read as structure (RFC 4343, section 2.1),
// and what is no text. Names of services are meant to be read: they hold spaces
// and UTF-8 (RFC 6763, section 4.1.1).
func appendLabel(dst, label []byte) []byte {
	start := 0
	for i := 0; i < len(label); {
		c := label[i]
		if plainInLabel[c] {
			i++
			continue
		}
		r, n := utf8.DecodeRune(label[i:])
		switch {
		case c == '.' || c == '\\':
			dst = append(append(dst, label[start:i]...), '\\', c)
			start = i + 1
		case Harmful(r), r == utf8.RuneError && n == 1:
			dst = append(dst, label[start:i]...)
			for _, c := range label[i : i+n] {
				dst = appendDecimal(dst, c)
			}
			start = i + n
		}
		i += n
	}
	return append(dst, label[start:]...)
}

// appendDecimal appends a byte that is no text (RFC 1035, section 5.1).
func appendDecimal(dst []byte, c byte) []byte {
	return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
}

// appendDigLabel escapes a label as dig does.
func appendDigLabel(dst, label []byte) []byte {
	for _, c := range label {
		switch c {
		case '.', ' ', '\'', '@', ';', '(', ')', '"', '\\':
			dst = append(dst, '\\', c)
		default:
			if c < ' ' || c > '~' {
				dst = appendDecimal(dst, c)
			} else {
				dst = append(dst, c)
			}
		}
	}
	return dst
}

// appendDigString quotes a character string (RFC 1035, section 3.3) as dig does.
func appendDigString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		n := plainLen(s, i)
		dst = append(dst, s[i:n]...)
		if i = n; i == len(s) {
			break
		}
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c > '~':
			dst = appendDecimal(dst, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
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
	r, ok := fixedPart(b, off)
	if !ok {
		return DNSRecord{}, -1
	}
	var text [maxDNSName]byte
	data := string(appendData(text[:0], b, start, r))
	return DNSRecord{DNSQuestion{name, r.typ, r.class}, r.ttl, data}, r.end
}

// dnsFixed is what follows the name of a record, and where its data is.
type dnsFixed struct {
	typ, class uint16
	ttl        uint32
	data, end  int
}

// fixedPart reads what follows the name of a record, unless that or the data is
// not there.
func fixedPart(b []byte, off int) (r dnsFixed, ok bool) {
	const size = 10
	if off < 0 || off+size > len(b) {
		return r, false
	}
	p := b[off : off+size]
	r = dnsFixed{binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint32(p[4:]), off + size, 0}
	r.end = r.data + int(binary.BigEndian.Uint16(p[8:]))
	return r, r.end <= len(b)
}

// appendData appends a record's data as text: the usual types here, the rest as
// dig prints them. The record's name is at start.
func appendData(dst, b []byte, start int, r dnsFixed) []byte {
	begin, data := len(dst), b[r.data:r.end]
	switch r.typ {
	case dns.TypeA:
		if len(data) == 4 {
			for _, n := range data {
				dst = append(AppendNatural(dst, uint64(n)), '.')
			}
			return dst[:len(dst)-1]
		}
	case dns.TypeAAAA:
		if len(data) == 16 {
			return netip.AddrFrom16([16]byte(data)).AppendTo(dst)
		}
	case dns.TypeCNAME, dns.TypeNS, dns.TypePTR:
		// The root is left to dig.
		if dst, next := walkName(dst, b, r.data, maxDNSPointers, asText); next >= 0 && len(dst) > begin {
			return dst
		}
	case dns.TypeOPT:
		dst = strconv.AppendInt(dst, int64(len(data)), 10)
		return append(dst, " bytes of options"...)
	case dns.TypeMX, dns.TypeSOA, dns.TypeSRV, dns.TypeTXT:
		if dst, ok := appendDigData(dst, b[:r.end], start, r); ok {
			return dst
		}
	}
	rr, _, err := dns.UnpackRR(b[:r.end], start)
	if _, unknown := rr.(*dns.RFC3597); err == nil && !unknown {
		return append(dst[:begin], strings.TrimPrefix(rr.String(), rr.Header().String())...)
	}
	return fmt.Appendf(dst[:begin], "\\# %d %x", len(data), data) // RFC 3597, section 5
}

// digPointers is how many pointers the dns package follows; one more and the name
// is malformed for it.
const digPointers = 126

// appendDigData appends the data of the usual types with names and strings as the
// dns package does, and reports whether it is all there, and no more; else it is
// left to that package. The message b ends with the record.
func appendDigData(dst, b []byte, start int, r dnsFixed) ([]byte, bool) {
	if _, next := walkName(nil, b, start, digPointers, notAtAll); next < 0 {
		return dst, false // that package sees no more of b
	}
	off := r.data
	switch r.typ {
	case dns.TypeTXT:
		for off < len(b) {
			from, to := off+1, off+1+int(b[off])
			if to > len(b) {
				return dst, false
			}
			if off > r.data {
				dst = append(dst, ' ')
			}
			dst, off = appendDigString(dst, b[from:to]), to
		}
		return dst, true
	case dns.TypeSOA:
		for range 2 {
			if dst, off = walkName(dst, b, off, digPointers, asDig); off < 0 {
				return dst, false
			}
			dst = append(dst, ' ')
		}
		if off+5*4 != len(b) {
			return dst, false
		}
		for ; off < len(b); off += 4 {
			dst = append(strconv.AppendUint(dst, uint64(binary.BigEndian.Uint32(b[off:])), 10), ' ')
		}
		return dst[:len(dst)-1], true
	}
	numbers := 1
	if r.typ == dns.TypeSRV {
		numbers = 3
	}
	if off+2*numbers > len(b) {
		return dst, false
	}
	for range numbers {
		dst = append(strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(b[off:])), 10), ' ')
		off += 2
	}
	dst, off = walkName(dst, b, off, digPointers, asDig)
	return dst, off == len(b)
}

// dnsParser reads messages; over TCP each has its length before it.
type dnsParser struct {
	waiting Waiting
	tcp     bool
	alone   bool    // what is asked is not answered within the conversation
	lost    [2]bool // the place in the stream is lost, for good: lengths are all there is
}

func newDNSParser(w Waiting) Parser {
	p := new(dnsParser)
	p.Reset(w)
	return p
}

// Reset makes it the parser of another conversation. What is asked of a group is
// answered to the group, or from an address of the answerer's own (RFC 6762,
// section 6; RFC 4795, section 2.1).
func (p *dnsParser) Reset(w Waiting) {
	const multicastPort = 5353
	f := &w.Conversation().Tuple
	*p = dnsParser{
		waiting: w, tcp: f.Transport() == flow.TCP,
		alone: f.Src().Addr().IsMulticast() || f.Dst().Addr().IsMulticast() || f.SrcPort() == multicastPort && f.DstPort() == multicastPort,
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
	m := spare(p.waiting)
	if m == nil {
		var both struct { // they live as long as each other
			message Message
			body    DNSMessage
		}
		m = &both.message
		m.Body = &both.body
	}
	body := m.Body.(*DNSMessage)
	body.Wire = append(body.Wire[:0], wire...)
	m.Direction, m.ID, m.Complete, m.Alone = d, uint32(body.ID()), true, p.alone
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
