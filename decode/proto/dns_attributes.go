package proto

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"
)

// dnsAttributes are what can be asked about an exchange of DNS.
var dnsAttributes = []Attribute{
	{Name: "dns.id", Kind: Number, About: "what pairs query and response", Get: func(vs []Value, e *Exchange) []Value {
		for _, m := range [...]*Message{e.Request, e.Response} {
			if d, ok := bodyOf[*DNSMessage](m); ok {
				return AppendNumber(vs, int64(d.ID()))
			}
		}
		return vs
	}},
	{Name: "dns.name", About: "the names asked for", Get: ofQuestions(func(vs []Value, q *DNSQuestion) []Value { return AppendText(vs, q.Name) })},
	{Name: "dns.type", About: "the types asked for", Get: ofQuestions(func(vs []Value, q *DNSQuestion) []Value { return AppendText(vs, dnsType(q.Type)) })},
	{Name: "dns.rcode", About: "the response code by name", Get: of(responseOf, func(vs []Value, d *DNSMessage) []Value { return AppendText(vs, d.Rcode()) })},
	{Name: "dns.code", Kind: Number, About: "the response code", Get: of(responseOf, func(vs []Value, d *DNSMessage) []Value { return AppendNumber(vs, int64(d.Code())) })},
	{Name: "dns.truncated", Kind: Truth, About: "the response is cut", Get: of(responseOf, func(vs []Value, d *DNSMessage) []Value { return AppendTruth(vs, d.Truncated()) })},
	{Name: "dns.answers", Kind: Number, About: "how many answers the response says it has", Get: of(responseOf, func(vs []Value, d *DNSMessage) []Value {
		return AppendNumber(vs, int64(binary.BigEndian.Uint16(d.Wire[6:])))
	})},
	{Name: "dns.answer", About: "the data of the answers, as dig prints it", Get: ofAnswers(func(vs []Value, r *DNSRecord) []Value { return AppendText(vs, r.Data) })},
	{Name: "dns.address", Kind: Address, About: "the addresses among the answers", Get: ofAnswers(func(vs []Value, r *DNSRecord) []Value {
		if r.Type == dns.TypeA || r.Type == dns.TypeAAAA {
			if a, err := netip.ParseAddr(r.Data); err == nil {
				return append(vs, Value{Addr: a})
			}
		}
		return vs
	})},
	{Name: "dns.ttl", Kind: Number, About: "how long each answer is good for, in seconds", Get: ofAnswers(func(vs []Value, r *DNSRecord) []Value { return AppendNumber(vs, int64(r.TTL)) })},
}

// ofQuestions gets something of each question of the query, or else of the
// response.
func ofQuestions(get func([]Value, *DNSQuestion) []Value) func([]Value, *Exchange) []Value {
	return func(vs []Value, e *Exchange) []Value {
		for _, m := range [...]*Message{e.Request, e.Response} {
			d, ok := bodyOf[*DNSMessage](m)
			if !ok {
				continue
			}
			off := dnsHeaderLen
			for range min(binary.BigEndian.Uint16(d.Wire[4:]), maxDNSRecords) {
				q, next := readQuestion(d.Wire, off)
				if next < 0 {
					break
				}
				vs, off = get(vs, &q), next
			}
			return vs
		}
		return vs
	}
}

// ofAnswers gets something of each answer.
func ofAnswers(get func([]Value, *DNSRecord) []Value) func([]Value, *Exchange) []Value {
	return of(responseOf, func(vs []Value, d *DNSMessage) []Value {
		_, records := d.Sections()
		for i := range records[0] {
			vs = get(vs, &records[0][i])
		}
		return vs
	})
}
