package compare

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// TestDNSSections has answers, referrals and what says that there is nothing.
func TestDNSSections(t *testing.T) {
	rr := func(text string) dns.RR {
		r, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const answer = "a.example. 60 IN A 192.0.2.1"
	ns := func(names ...string) func(*dns.Msg) {
		return func(m *dns.Msg) {
			for _, n := range names {
				m.Ns = append(m.Ns, rr("example. 60 IN NS "+n))
			}
		}
	}
	soa := func(data string) func(*dns.Msg) {
		return func(m *dns.Msg) { m.Rcode, m.Ns = dns.RcodeNameError, []dns.RR{rr("example. 60 IN SOA " + data)} }
	}
	extra := func(texts ...string) func(*dns.Msg) {
		return func(m *dns.Msg) {
			for _, text := range texts {
				m.Extra = append(m.Extra, rr(text))
			}
		}
	}
	edns := func(size uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.SetEdns0(size, true) } }
	for name, c := range map[string]struct {
		was, is []string // answers
		then    func(*dns.Msg)
		now     func(*dns.Msg)
		want    []string
	}{
		"authoritative":             {[]string{answer}, []string{answer}, func(m *dns.Msg) { m.Authoritative = true }, nil, []string{"flag aa was true, is false"}},
		"no_recursion":              {[]string{answer}, []string{answer}, func(m *dns.Msg) { m.RecursionAvailable = true }, nil, []string{"flag ra was true, is false"}},
		"not_verified":              {[]string{answer}, []string{answer}, func(m *dns.Msg) { m.AuthenticatedData = true }, nil, []string{"flag ad was true, is false"}},
		"authority_beside_answer":   {[]string{answer}, []string{answer}, ns("n1.example.", "n2.example."), nil, nil},
		"authority_in_other_order":  {[]string{answer}, []string{answer}, ns("n1.example.", "n2.example."), ns("n2.example.", "n1.example."), nil},
		"authority_contradicts":     {[]string{answer}, []string{answer}, ns("n1.example."), ns("n2.example."), []string{`authority is missing, was "example NS n1.example"`, `authority is new: "example NS n2.example"`}},
		"referral":                  {nil, nil, ns("n1.example."), nil, []string{`authority is missing, was "example NS n1.example"`}},
		"another_serial":            {nil, nil, soa("n1.example. root.example. 1 2 3 4 5"), soa("n1.example. root.example. 9 2 3 4 5"), nil},
		"denied_for_longer":         {nil, nil, soa("n1.example. root.example. 1 2 3 4 5"), soa("n1.example. root.example. 1 2 3 4 6"), []string{`authority is missing, was "example SOA n1.example. root.example. 2 3 4 5"`, `authority is new: "example SOA n1.example. root.example. 2 3 4 6"`}},
		"additional_of_one":         {nil, nil, extra("n1.example. 60 IN A 192.0.2.9"), nil, nil},
		"additional_contradicts":    {nil, nil, extra("n1.example. 60 IN A 192.0.2.9"), extra("n1.example. 60 IN A 192.0.2.8"), []string{`additional is missing, was "n1.example A 192.0.2.9"`, `additional is new: "n1.example A 192.0.2.8"`}},
		"additional_of_other_names": {nil, nil, extra("n1.example. 60 IN A 192.0.2.9"), extra("n2.example. 60 IN A 192.0.2.8"), nil},
		"edns":                      {[]string{answer}, []string{answer}, edns(4096), edns(1232), nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := Rules{}.Messages(dnsAnswer(t, c.then, c.was...), dnsAnswer(t, c.now, c.is...))
			if d := cmp.Diff(c.want, told(d)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}
