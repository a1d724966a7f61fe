package main

import (
	"fmt"
	"math/rand/v2"
	"net"

	"github.com/miekg/dns"

	"netlab/capture"
	"netlab/pcaps/craft"
)

// What the lookups of dns are like.
const (
	dnsPerTuple = 5  // lookups on each 5-tuple, in the mean
	dnsWaiting  = 64 // lookups whose answers are under way, at a time
)

// makeDNS writes pairs of a query and its answer, over many 5-tuples.
func makeDNS(dst capture.Sink, seed, pairs int64) (Truth, error) {
	tuples := max(pairs/dnsPerTuple, 1)
	truth := Truth{Conversations: tuples, Requests: pairs, Responses: pairs, Streams: &Streams{}}
	r := rand.New(rand.NewPCG(uint64(seed), 'D'))
	clock := ticking(r, 8)
	write := func(p *capture.Packet) error {
		const headers = 14 + 20 + 8
		p.Time = clock()
		truth.Packets++
		truth.Streams.Bytes += int64(len(p.Data) - headers)
		return dst.WritePacket(p)
	}
	var answers []capture.Packet
	answer := func() error {
		i := r.IntN(len(answers))
		p := answers[i]
		answers[i] = answers[len(answers)-1]
		answers = answers[:len(answers)-1]
		return write(&p)
	}
	for n := range pairs {
		tuple := n
		if n >= tuples {
			tuple = r.Int64N(tuples)
		}
		packets, err := lookup(r, n, tuple)
		if err != nil {
			return truth, err
		}
		if err := write(&packets[0]); err != nil {
			return truth, err
		}
		if answers = append(answers, packets[1]); len(answers) > dnsWaiting {
			if err := answer(); err != nil {
				return truth, err
			}
		}
	}
	for len(answers) > 0 {
		if err := answer(); err != nil {
			return truth, err
		}
	}
	return truth, nil
}

// lookup makes a query and its answer.
func lookup(r *rand.Rand, n, tuple int64) ([]capture.Packet, error) {
	b := craft.New(craft.Options{})
	t := b.UDP(address(10, tuple%8192, 1024+tuple/8192), address(192, tuple%4, 53))
	name := fmt.Sprintf("h%x.zone%d.%s.", r.IntN(1<<20), r.IntN(5000), [...]string{"test", "example", "invalid"}[r.IntN(3)])
	typ := [...]uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT}[r.IntN(5)]
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	m.Id = uint16(n) // of those under way, no two are the same
	if err := say(t, craft.Client, m); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable = true, true
	for range 1 + r.IntN(3) {
		m.Answer = append(m.Answer, answerTo(r, dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: 300}))
	}
	m.Compress = true
	if err := say(t, craft.Server, m); err != nil {
		return nil, err
	}
	return b.Packets()
}

// answerTo makes up a record.
func answerTo(r *rand.Rand, h dns.RR_Header) dns.RR {
	switch h.Rrtype {
	case dns.TypeA:
		return &dns.A{Hdr: h, A: net.IPv4(10, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()))}
	case dns.TypeAAAA:
		a := net.IP{0: 0xfd, 15: 0}
		for i := 1; i < len(a); i++ {
			a[i] = byte(r.Uint32())
		}
		return &dns.AAAA{Hdr: h, AAAA: a}
	}
	return &dns.TXT{Hdr: h, Txt: []string{fmt.Sprintf("v=%016x", r.Uint64())}}
}

// say sends a message in one datagram.
func say(t *craft.Talk, from craft.Side, m *dns.Msg) error {
	data, err := m.Pack()
	if err != nil {
		return fmt.Errorf("pack a DNS message for %s: %w", m.Question[0].Name, err)
	}
	t.Send(from, data)
	return nil
}
