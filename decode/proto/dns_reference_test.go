package proto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// The first and plain form of what dns.go reads, which it is held to: the same for
// every input.

func oldSections(m *DNSMessage) (questions []DNSQuestion, records [3][]DNSRecord) {
	off := dnsHeaderLen
	for range binary.BigEndian.Uint16(m.Wire[4:]) {
		q, next := oldReadQuestion(m.Wire, off)
		if next < 0 || len(questions) >= maxDNSRecords {
			return questions, records
		}
		questions, off = append(questions, q), next
	}
	for i := range records {
		for range binary.BigEndian.Uint16(m.Wire[6+2*i:]) {
			r, next := oldReadRecord(m.Wire, off)
			if next < 0 || len(records[i]) >= maxDNSRecords {
				return questions, records
			}
			records[i], off = append(records[i], r), next
		}
	}
	return questions, records
}

func oldDNSJSON(m *DNSMessage, dst []byte) []byte {
	questions, records := oldSections(m)
	if m.IsResponse() {
		dst = append(dst, `"rcode":`...)
		dst = oldAppendString(dst, oldRcode(m))
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
		dst = oldQuestionJSON(&q, dst)
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
			dst = oldQuestionJSON(&r.DNSQuestion, dst)
			dst = append(dst, `,"ttl":`...)
			dst = strconv.AppendUint(dst, uint64(r.TTL), 10)
			dst = append(dst, `,"data":`...)
			dst = oldAppendString(dst, r.Data)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	return dst
}

func oldQuestionJSON(q *DNSQuestion, dst []byte) []byte {
	dst = append(dst, `"name":`...)
	dst = oldAppendString(dst, q.Name)
	dst = append(dst, `,"type":`...)
	return oldAppendString(dst, oldDNSType(q.Type))
}

func oldIsDNS(b []byte) bool {
	if len(b) < dnsHeaderLen || !dnsHeader(b) {
		return false
	}
	off, count := dnsHeaderLen, 0
	for i := range 4 {
		for range binary.BigEndian.Uint16(b[4+2*i:]) {
			if count++; count > maxDNSRecords {
				return false
			}
			off = oldWalkName(b, off, nil)
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

func oldReadName(b []byte, off int) (string, int) {
	var name []byte
	next := oldWalkName(b, off, func(label []byte) {
		if len(name) > 0 {
			name = append(name, '.')
		}
		name = oldAppendLabel(name, label)
	})
	if next < 0 {
		return "", -1
	}
	return string(name), next
}

func oldWalkName(b []byte, off int, f func(label []byte)) int {
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

func oldAppendLabel(dst, label []byte) []byte {
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

func oldReadQuestion(b []byte, off int) (DNSQuestion, int) {
	name, off := oldReadName(b, off)
	if off < 0 || off+4 > len(b) {
		return DNSQuestion{}, -1
	}
	return DNSQuestion{name, binary.BigEndian.Uint16(b[off:]), binary.BigEndian.Uint16(b[off+2:])}, off + 4
}

func oldReadRecord(b []byte, start int) (DNSRecord, int) {
	name, off := oldReadName(b, start)
	if off < 0 || off+10 > len(b) {
		return DNSRecord{}, -1
	}
	r := DNSRecord{DNSQuestion{name, binary.BigEndian.Uint16(b[off:]), binary.BigEndian.Uint16(b[off+2:])}, binary.BigEndian.Uint32(b[off+4:]), ""}
	n := int(binary.BigEndian.Uint16(b[off+8:]))
	off += 10
	if off+n > len(b) {
		return DNSRecord{}, -1
	}
	r.Data = oldRecordData(b, start, off, n, r.Type)
	return r, off + n
}

func oldRecordData(b []byte, start, off, n int, typ uint16) string {
	switch {
	case typ == dns.TypeA && n == 4:
		return netip.AddrFrom4([4]byte(b[off:])).String()
	case typ == dns.TypeAAAA && n == 16:
		return netip.AddrFrom16([16]byte(b[off:])).String()
	case typ == dns.TypeCNAME || typ == dns.TypeNS || typ == dns.TypePTR:
		if name, _ := oldReadName(b, off); name != "" {
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

func oldRcode(m *DNSMessage) string {
	code := int(m.Flags() & 15)
	if s, ok := dns.RcodeToString[code]; ok {
		return s
	}
	return "RCODE" + strconv.Itoa(code)
}

func oldDNSType(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t)) // RFC 3597, section 5
}

// sameDNS holds what is read of a message to the reference.
func sameDNS(t *testing.T, wire []byte) {
	t.Helper()
	if got, want := isDNS(wire), oldIsDNS(wire); got != want {
		t.Errorf("%x: a whole message: %t, want %t", wire, got, want)
	}
	if len(wire) < dnsHeaderLen {
		return
	}
	m := &DNSMessage{Wire: wire}
	// What stands before must not matter.
	got, want := m.AppendJSON([]byte(`{"a":`)), oldDNSJSON(m, []byte(`{"a":`))
	if string(got) != string(want) {
		t.Errorf("%x:\n%s", wire, cmp.Diff(string(want), string(got)))
	}
	questions, records := m.Sections()
	oldQuestions, oldRecords := oldSections(m)
	if !reflect.DeepEqual(questions, oldQuestions) || !reflect.DeepEqual(records, oldRecords) {
		t.Errorf("%x:\n%s%s", wire, cmp.Diff(oldQuestions, questions), cmp.Diff(oldRecords, records))
	}
	if got, want := m.Summary(), oldDNSSummary(m); got != want {
		t.Errorf("%x:\n%s", wire, cmp.Diff(want, got))
	}
}

func oldDNSSummary(m *DNSMessage) string {
	questions, records := oldSections(m)
	var parts []string
	if !m.IsResponse() {
		for _, q := range questions {
			if q.Name == "" {
				q.Name = "."
			}
			parts = append(parts, oldDNSType(q.Type)+" "+q.Name)
		}
		return strings.Join(parts, ", ")
	}
	parts = append(parts, oldRcode(m))
	if m.Truncated() {
		parts = append(parts, "truncated")
	}
	for i, r := range records[0] {
		if i == 4 {
			parts = append(parts, fmt.Sprintf("and %d more", len(records[0])-4))
			break
		}
		parts = append(parts, oldDNSType(r.Type)+" "+r.Data)
	}
	return strings.Join(parts, " ")
}

// dnsTypesTried are those with a form of their own, and some without.
var dnsTypesTried = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeNS, dns.TypePTR, dns.TypeMX, dns.TypeTXT, dns.TypeSOA, dns.TypeSRV, dns.TypeOPT,
	dns.TypeHINFO, dns.TypeCAA, dns.TypeHTTPS, dns.TypeANY, 0, 300, dns.TypeDLV, 65280,
}

// dnsWriter writes messages at random, most of them as they should be.
type dnsWriter struct {
	*rand.Rand
	b     []byte
	names []int // where one may point to
}

// one reports one time out of n.
func (w *dnsWriter) one(n int) bool { return w.IntN(n) == 0 }

func (w *dnsWriter) name() {
	for range w.IntN(4) {
		if w.one(3) && len(w.names) > 0 {
			break
		}
		if len(w.b) < 1<<14 {
			w.names = append(w.names, len(w.b))
		}
		n := 1 + w.IntN(12)
		if w.one(20) {
			n = 63
		}
		w.b = append(w.b, byte(n))
		w.text(n)
	}
	switch {
	case w.one(40):
		w.b = binary.BigEndian.AppendUint16(w.b, 0xc000|uint16(w.IntN(len(w.b)+20)))
	case w.one(60):
		w.b = append(w.b, byte(w.Uint32()))
	case !w.one(4) && len(w.names) > 0:
		at := w.names[w.IntN(len(w.names))]
		if len(w.b) < 1<<14 {
			w.names = append(w.names, len(w.b))
		}
		w.b = binary.BigEndian.AppendUint16(w.b, 0xc000|uint16(at))
	default:
		w.b = append(w.b, 0)
	}
}

// text writes n bytes, which may end inside a character.
func (w *dnsWriter) text(n int) {
	alphabet := []rune("abcdefghijklmnopqrstuvwxyz-0123456789")
	if w.one(6) {
		alphabet = []rune("a9.\\\"<>@;()' \n\t\x00\x1f\x7f\u0085\u00e4\u2028\u202e\u4e16\ufeff\ufffd\U0001f389")
	}
	var s []byte
	for len(s) < n {
		if w.one(50) {
			s = append(s, byte(w.Uint32()))
		} else {
			s = utf8.AppendRune(s, alphabet[w.IntN(len(alphabet))])
		}
	}
	w.b = append(w.b, s[:n]...)
}

func (w *dnsWriter) numbers(n int) {
	for range n {
		w.b = append(w.b, byte(w.Uint32()))
	}
}

func (w *dnsWriter) record() {
	w.name()
	typ := dnsTypesTried[w.IntN(len(dnsTypesTried))]
	w.b = binary.BigEndian.AppendUint16(w.b, typ)
	w.b = append(w.b, 0, 1, 0, 0, byte(w.Uint32()), byte(w.Uint32()), 0, 0)
	data := len(w.b)
	switch typ {
	case dns.TypeA:
		w.numbers(4)
	case dns.TypeAAAA:
		if w.b = append(w.b, make([]byte, 10)...); w.one(4) {
			w.b = append(w.b, 0xff, 0xff)
			w.numbers(4)
		} else {
			w.numbers(6)
		}
	case dns.TypeCNAME, dns.TypeNS, dns.TypePTR:
		w.name()
	case dns.TypeMX:
		w.numbers(2)
		w.name()
	case dns.TypeSRV:
		w.numbers(6)
		w.name()
	case dns.TypeSOA:
		w.name()
		w.name()
		w.numbers(20)
	case dns.TypeTXT, dns.TypeHINFO:
		for range w.IntN(4) {
			n := w.IntN(40)
			w.b = append(w.b, byte(n))
			w.text(n)
		}
	default:
		w.numbers(w.IntN(10))
	}
	switch n := len(w.b) - data; {
	case w.one(12): // cut short
		w.b = w.b[:data+w.IntN(n+1)]
	case w.one(20):
		w.numbers(1 + w.IntN(3))
	}
	binary.BigEndian.PutUint16(w.b[data-2:], uint16(len(w.b)-data))
}

// message writes a whole message, some in a way that is broken.
func (w *dnsWriter) message() []byte {
	w.b, w.names = w.b[:0], w.names[:0]
	counts := [4]int{1, w.IntN(4), w.IntN(2), w.IntN(2)}
	if w.one(10) {
		counts[0] = w.IntN(4)
	}
	flags := uint16(0x8180)
	switch {
	case w.one(3):
		flags = 0x0100
	case w.one(10):
		flags = uint16(w.Uint32())
	}
	w.b = binary.BigEndian.AppendUint16(w.b, uint16(w.Uint32()))
	w.b = binary.BigEndian.AppendUint16(w.b, flags)
	for _, n := range counts {
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(n))
	}
	for range counts[0] {
		w.name()
		w.b = binary.BigEndian.AppendUint16(w.b, dnsTypesTried[w.IntN(len(dnsTypesTried))])
		w.b = binary.BigEndian.AppendUint16(w.b, 1)
	}
	for range counts[1] + counts[2] + counts[3] {
		w.record()
	}
	switch {
	case w.one(10):
		w.b = w.b[:w.IntN(len(w.b)+1)]
	case w.one(10):
		w.b[w.IntN(len(w.b))] = byte(w.Uint32())
	}
	return w.b
}

// TestDNSAsReference writes messages at random.
func TestDNSAsReference(t *testing.T) {
	w := &dnsWriter{Rand: rand.New(rand.NewPCG(1, 2))}
	n := 20_000
	if testing.Short() {
		n = 1000
	}
	for i := 0; i < n && !t.Failed(); i++ {
		sameDNS(t, w.message())
	}
}

// TestDNSOwnerAtBounds has a record's name follow as many pointers as we do and
// the dns package does not, and reach beyond the record's end.
func TestDNSOwnerAtBounds(t *testing.T) {
	mx := "\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x05\x00\x0a\x01m\x00"
	for _, n := range []int{1, digPointers - 1, digPointers, digPointers + 1, digPointers + 2} {
		b := []byte("\x00\x01\x81\x80\x00\x00\x00\x02\x00\x00\x00\x00\x01a\x00\x00\x10\x00\x01\x00\x00\x00\x3c\x02\x58")
		data := len(b)
		to := dnsHeaderLen
		for range n - 1 {
			at := len(b)
			b = binary.BigEndian.AppendUint16(b, 0xc000|uint16(to))
			to = at
		}
		b = append(b, make([]byte, data+600-len(b))...)
		b = binary.BigEndian.AppendUint16(b, 0xc000|uint16(to))
		sameDNS(t, append(b, mx...))
	}
	// The first word, the ID, is a label that ends behind the MX record.
	b := []byte("\x3f\x01\x81\x80\x00\x00\x00\x02\x00\x00\x00\x00\xc0\x00" + mx)
	sameDNS(t, append(b, make([]byte, 64)...))
	b = []byte("\x3f\x01\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\xc0\x00\x00\x0f\x00\x01\xc0\x0c" + mx)
	sameDNS(t, append(b, make([]byte, 64)...))
}

func FuzzDNSJSON(f *testing.F) {
	w := &dnsWriter{Rand: rand.New(rand.NewPCG(3, 4))}
	for range 20 {
		f.Add(bytes.Clone(w.message()))
	}
	for _, tr := range transcripts(f, "dns") {
		for _, l := range tr.lines {
			if l.kind == saysData && len(l.data) < 2<<10 {
				f.Add(l.data)
			}
		}
	}
	f.Fuzz(sameDNS)
}
