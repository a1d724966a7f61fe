package printer

import (
	"bufio"
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"netlab/decode/proto"
)

// endpointKey is what was asked for, without what differs between one request and
// the next.
type endpointKey struct{ protocol, endpoint string }

// endpointStats are the sums of an endpoint.
type endpointStats struct {
	exchanges int64
	failed    int64 // answers that say so
	open      int64 // not complete
	bytes     int64 // of the responses
	latency   times
}

// maxEndpoints bounds the endpoints of a protocol; with more, they are no endpoints, and
// all count as one.
const maxEndpoints = 1000

// anyEndpoint stands for all of a protocol with too many.
const anyEndpoint = "*"

// asked counts an exchange for its endpoint.
func (p *protocolStats) asked(e *proto.Exchange, latency time.Duration, answered, failed bool) {
	if e.Request == nil {
		return
	}
	b, ok := e.Request.Body.(proto.Endpoint)
	if !ok {
		return
	}
	x := p.endpoints[anyEndpoint]
	if !p.crowded {
		p.name = proto.AppendEndpoint(p.name[:0], b)
		if x = p.endpoints[string(p.name)]; x == nil {
			x = p.endpoint(string(p.name))
		}
	}
	x.exchanges++
	if failed {
		x.failed++
	}
	if e.State != proto.Complete {
		x.open++
	}
	if e.Response != nil {
		x.bytes += e.Response.Length
	}
	if answered {
		x.latency.add(latency)
	}
}

// endpoint returns the sums of an endpoint.
func (p *protocolStats) endpoint(name string) *endpointStats {
	if p.crowded {
		name = anyEndpoint
	}
	x := p.endpoints[name]
	switch {
	case x != nil:
		return x
	case len(p.endpoints) == maxEndpoints:
		p.crowd()
		return p.endpoints[anyEndpoint]
	}
	x = newEndpointStats()
	p.endpoints[name] = x
	return x
}

func newEndpointStats() *endpointStats {
	return &endpointStats{latency: times{digits: 1}}
}

// crowd makes one of all endpoints.
func (p *protocolStats) crowd() {
	all := newEndpointStats()
	for _, x := range p.endpoints {
		all.add(x)
	}
	p.crowded, p.endpoints = true, map[string]*endpointStats{anyEndpoint: all}
}

// addEndpoints adds what another has counted. Whether there are too many does not
// depend on how they were shared out.
func (p *protocolStats) addEndpoints(o *protocolStats) {
	if o.crowded && !p.crowded {
		p.crowd()
	}
	for name, x := range o.endpoints {
		p.endpoint(name).add(x)
	}
}

func (x *endpointStats) add(o *endpointStats) {
	x.exchanges += o.exchanges
	x.failed += o.failed
	x.open += o.open
	x.bytes += o.bytes
	x.latency.merge(&o.latency)
}

// at returns the sums of an endpoint.
func (s *Stats) at(k endpointKey) *endpointStats {
	return s.protocols[k.protocol].endpoints[k.endpoint]
}

// sortedEndpoints returns them by how much time was waited for them in all.
func (s *Stats) sortedEndpoints() []endpointKey {
	all := make(map[endpointKey]float64)
	for protocol, p := range s.protocols {
		for name, x := range p.endpoints {
			all[endpointKey{protocol, name}] = x.latency.total()
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b endpointKey) int {
		return cmp.Or(cmp.Compare(all[b], all[a]), cmp.Compare(s.at(b).exchanges, s.at(a).exchanges),
			cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.endpoint, b.endpoint))
	})
}

// shownEndpoints bounds the lines for people.
const shownEndpoints = 20

func (s *Stats) writeEndpoints(w *bufio.Writer) {
	keys := s.sortedEndpoints()
	if len(keys) == 0 {
		return
	}
	t := table{
		style: s.style,
		head:  []string{"protocol", "endpoint", "exchanges", "failed", "not complete", "received", "p50", "p90", "p99", "max"},
		right: []bool{false, false, true, true, true, true, true, true, true, true},
		spare: []int{5, 4, 7, 0, 9},
	}
	for _, k := range keys[:min(len(keys), shownEndpoints)] {
		x := s.at(k)
		latency := func(q float64) string {
			if !x.latency.any() {
				return ""
			}
			return Duration(x.latency.quantile(q))
		}
		failed := paint("")
		if x.failed > 0 {
			failed = red
		}
		t.add([]paint{cyan, "", "", failed}, k.protocol, Clean(k.endpoint), strconv.FormatInt(x.exchanges, 10), strconv.FormatInt(x.failed, 10),
			strconv.FormatInt(x.open, 10), Bytes(x.bytes), latency(50), latency(90), latency(99), latency(100))
	}
	t.write(w)
	if more := len(keys) - shownEndpoints; more > 0 {
		w.WriteString("and " + Count(int64(more), "endpoint") + " more (--json lists all)\n")
	}
	w.WriteByte('\n')
}

// asked prints the record of an endpoint.
func (j *JSON) asked(k endpointKey, x *endpointStats) error {
	j.begin("endpoint")
	j.str("protocol", k.protocol)
	j.str("endpoint", k.endpoint)
	j.int("exchanges", x.exchanges)
	j.int("failed", x.failed)
	j.int("incomplete", x.open)
	j.int("response_bytes", x.bytes)
	if x.latency.any() {
		j.quantiles("latency_ms", &x.latency)
	}
	return j.end()
}

// quantiles prints what is asked of times, in milliseconds.
func (j *JSON) quantiles(name string, t *times) {
	j.name(name)
	j.buf = append(j.buf, '{')
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 50}, {"p90", 90}, {"p99", 99}, {"max", 100}} {
		j.name(q.name)
		j.buf = proto.AppendMillis(j.buf, t.quantile(q.at))
	}
	j.buf = append(j.buf, '}')
}
