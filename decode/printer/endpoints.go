package printer

import (
	"bufio"
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

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
	latency   *hdrhistogram.Histogram
	longest   time.Duration
}

// maxEndpoints bounds the endpoints of a protocol, some 4 KB each; with more, they
// are no endpoints, and all count as one.
const maxEndpoints = 1000

// anyEndpoint stands for all of a protocol with too many.
const anyEndpoint = "*"

// endpoint counts an exchange for its endpoint.
func (s *Stats) endpoint(e *proto.Exchange, latency time.Duration, answered, failed bool) {
	if e.Request == nil {
		return
	}
	b, ok := e.Request.Body.(proto.Endpoint)
	if !ok {
		return
	}
	name := e.Protocol.Name
	x := s.endpointOf(name, func() string { return b.Endpoint() })
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
		record(x.latency, latency)
		x.longest = max(x.longest, latency)
	}
}

// endpointOf returns the sums of one of a protocol's endpoints.
func (s *Stats) endpointOf(protocol string, endpoint func() string) *endpointStats {
	k := endpointKey{protocol, anyEndpoint}
	if !s.crowded[protocol] {
		k.endpoint = endpoint()
	}
	x := s.endpoints[k]
	if x != nil {
		return x
	}
	if !s.crowded[protocol] {
		if s.counted[protocol] == maxEndpoints {
			s.crowd(protocol)
			return s.endpointOf(protocol, nil)
		}
		s.counted[protocol]++
	}
	x = newEndpointStats()
	s.endpoints[k] = x
	return x
}

func newEndpointStats() *endpointStats {
	return &endpointStats{latency: hdrhistogram.New(1, maxLatency, 1)}
}

// crowd makes one of all endpoints of a protocol.
func (s *Stats) crowd(protocol string) {
	all := newEndpointStats()
	for k, x := range s.endpoints {
		if k.protocol == protocol {
			all.add(x)
			delete(s.endpoints, k)
		}
	}
	s.crowded[protocol] = true
	s.endpoints[endpointKey{protocol, anyEndpoint}] = all
}

// merge adds what a part has counted. Whether a protocol is crowded does not depend
// on how its endpoints were shared out.
func (s *Stats) merge(part *Stats) {
	for protocol := range part.crowded {
		if !s.crowded[protocol] {
			s.crowd(protocol)
		}
	}
	for k, x := range part.endpoints {
		s.endpointOf(k.protocol, func() string { return k.endpoint }).add(x)
	}
	s.tcp.add(&part.tcp)
	for _, l := range part.largest {
		s.keep(l)
	}
}

func (x *endpointStats) add(o *endpointStats) {
	x.exchanges += o.exchanges
	x.failed += o.failed
	x.open += o.open
	x.bytes += o.bytes
	x.latency.Merge(o.latency)
	x.longest = max(x.longest, o.longest)
}

// quantile is that of protocolStats.
func (x *endpointStats) quantile(q float64) time.Duration { return quantile(x.latency, x.longest, q) }

// sortedEndpoints returns them by how much time was waited for them in all.
func (s *Stats) sortedEndpoints() []endpointKey {
	all := make(map[endpointKey]float64, len(s.endpoints))
	for k, x := range s.endpoints {
		all[k] = x.latency.Mean() * float64(x.latency.TotalCount())
	}
	waited := func(k endpointKey) float64 { return all[k] }
	return slices.SortedFunc(maps.Keys(s.endpoints), func(a, b endpointKey) int {
		return cmp.Or(cmp.Compare(waited(b), waited(a)), cmp.Compare(s.endpoints[b].exchanges, s.endpoints[a].exchanges),
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
	}
	for _, k := range keys[:min(len(keys), shownEndpoints)] {
		x := s.endpoints[k]
		latency := func(q float64) string {
			if x.latency.TotalCount() == 0 {
				return ""
			}
			return Duration(x.quantile(q))
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
	if x.latency.TotalCount() > 0 {
		j.quantiles("latency_ms", x.quantile)
	}
	return j.end()
}

// quantiles prints what is asked of a histogram, in milliseconds.
func (j *JSON) quantiles(name string, quantile func(float64) time.Duration) {
	j.name(name)
	j.buf = append(j.buf, '{')
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 50}, {"p90", 90}, {"p99", 99}, {"max", 100}} {
		j.name(q.name)
		j.buf = proto.AppendMillis(j.buf, quantile(q.at))
	}
	j.buf = append(j.buf, '}')
}
