package noise

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"netlab/decode/proto"
	"netlab/replay"
)

// maxRepeats bounds the recorded answers that are held against each other; Judge.Memory bounds
// their size, of which repeatCost is about what an exchange takes beside its bytes. Behind that
// there is less to go by.
const (
	maxRepeats    = 100_000
	repeatCost    = 2 << 10
	defaultMemory = 64 << 20
)

// repeats are recorded exchanges: where the same is asked twice, and nothing between
// could have changed anything, both answers are right.
type repeats struct {
	list  []repeat
	bytes int
}

type repeat struct {
	asked    time.Time
	server   netip.AddrPort
	changes  bool // something, perhaps
	same     uint64
	endpoint string
	exchange *proto.Exchange
}

var seed = maphash.MakeSeed()

// add takes note of a recorded exchange, while all together are no larger than most.
func (r *repeats) add(o *replay.Outcome, endpoint string, most int) {
	e := o.Check.Exchange
	if e == nil || e.Request == nil || e.Response == nil || len(r.list) == maxRepeats || r.bytes > most {
		return
	}
	x := repeat{asked: e.Request.Time, server: o.Conn.Server, endpoint: endpoint, exchange: e, changes: true}
	switch b := e.Request.Body.(type) {
	case *proto.HTTPMessage:
		// Safe methods change nothing (RFC 9110, section 9.2.1).
		x.changes = b.Method != "GET" && b.Method != "HEAD" && b.Method != "OPTIONS"
		x.same = maphash.Bytes(seed, e.Request.Raw)
	case *proto.DNSMessage:
		x.changes = false
		x.same = maphash.Bytes(seed, b.Wire[2:]) // without the number
	}
	if x.changes {
		x.exchange = nil
	} else {
		r.bytes += repeatCost + len(e.Request.Raw) + len(e.Response.Raw)
	}
	r.list = append(r.list, x)
}

// fromRepeats counts what differs between recorded answers.
func (j *Judge) fromRepeats() {
	list := j.repeats.list
	slices.SortStableFunc(list, func(a, b repeat) int { return cmp.Or(a.server.Compare(b.server), a.asked.Compare(b.asked)) })
	before := make(map[uint64]*repeat)
	var server netip.AddrPort
	for i := range list {
		x := &list[i]
		if x.changes || x.server != server {
			clear(before)
			server = x.server
		}
		if x.changes {
			continue
		}
		if old := before[x.same]; old != nil {
			differences := j.rules.To(x.exchange.Request).Messages(old.exchange.Response, x.exchange.Response)
			j.tally(x.endpoint).pairs++
			for p := range marks(x.endpoint, differences) {
				j.evidence(p).Varied++
			}
			for k := range differences {
				d := &differences[k]
				j.evidence(placeOf(x.endpoint, d)).Shape |= d.Was | d.Is
			}
		}
		before[x.same] = x
	}
	j.repeats.list = nil
}
