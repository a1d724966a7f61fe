package rewrite

import "netlab/decode/packet"

// fragment writes a fragment anew.
func (r *Rewriter) fragment(j *job) {
	if j.kind == packet.TCP || j.kind == packet.UDP {
		g := &r.decoder.Segment
		if e, d := r.find(g); e != nil && j.kind == packet.UDP {
			e.Value.sides[d].at += int64(g.Length)
		}
	}
	j.kind = packet.Fragment
	b := j.body()
	r.sum.Headers += int64(len(b))
	r.zero(b, becauseFragment)
	r.finish(j, b, len(b))
}
