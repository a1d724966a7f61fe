package plan

import (
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// notPicked is why what Collector.pickBy leaves out is skipped.
const notPicked = "left out: not picked"

// picks are what Collector.pickBy says of a conversation.
type picks struct {
	some, all bool // of its exchanges
	out       leftOut
	said      int64 // where the latest request ends
	odd       bool  // requests do not follow each other, or something else was said
	lastLeft  bool  // the latest request was not picked
}

// leftOut says which requests of a conversation are not sent, as they come, and which of its
// final answers are therefore not awaited.
type leftOut struct{ requests, finals bits }

// pick asks for an exchange.
func (r *Recorder) pick(t *tape, e *proto.Exchange) {
	if r.pickBy == nil {
		return
	}
	p, yes := t.picks, r.pickBy(e)
	p.some = p.some || yes
	if e.Inside() {
		p.all = p.all || yes // what it stands in has to be said
		return
	}
	q := e.Request
	if q == nil || !q.Complete || q.Offset < p.said || e.Protocol != &proto.HTTP {
		p.odd = true
		return
	}
	p.said, p.lastLeft = q.Offset+q.Length, !yes
	p.out.requests.add(!yes)
	if e.Response != nil {
		p.out.finals.add(!yes)
	}
}

// leaveOut notes which requests are left out where some can be: those of HTTP/1 over TCP
// stand for themselves, where the client said nothing else. Any other conversation is a
// whole.
func (r *Recorder) leaveOut(c *flow.Conversation, t *tape, e *Ending) {
	p := t.picks
	if r.pickBy == nil || p.all || p.odd || e.Protocol != &proto.HTTP || c.Transport() != flow.TCP || t.gap != nil || p.said != t.said || p.out.requests.count == 0 {
		return
	}
	e.left = &p.out
	t.all.Finals -= p.out.finals.before(p.out.finals.n)
	if p.lastLeft && e.Close.By == flow.ServerToClient {
		e.Close.By = flow.ClientToServer // what the server was asked to close behind is not asked
	}
}

// bits are a list of answers of yes and no.
type bits struct {
	words []uint64
	n     int
	count int // of yes
}

func (b *bits) add(yes bool) {
	if b.n%64 == 0 {
		b.words = append(b.words, 0)
	}
	if yes {
		b.words[b.n/64] |= 1 << (b.n % 64)
		b.count++
	}
	b.n++
}

// at returns the i-th.
func (b *bits) at(i int) bool { return i < b.n && b.words[i/64]>>(i%64)&1 == 1 }

// before counts the yes among the first n.
func (b *bits) before(n int) int {
	count := 0
	for i := range min(n, b.n) {
		if b.at(i) {
			count++
		}
	}
	return count
}
