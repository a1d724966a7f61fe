package rewrite

import (
	"math"
	"slices"

	"netlab/decode/packet"
)

// Filler is what stands in the place of each blanked byte of a stream but CR and LF, so
// that lines stay lines.
const Filler = 'x'

// Fill blanks bytes of a stream.
func Fill(b []byte) {
	for i, c := range b {
		if c != '\r' && c != '\n' {
			b[i] = Filler
		}
	}
}

// part is a part of a stream that a packet carries, and what becomes of it.
type part struct {
	side *side
	off  int64 // of its first byte
	// from and length are what becomes of that, and of how long it was.
	from   int64
	length int
	first  int // runs before off
}

// part returns the part of a stream that begins at off and was length bytes long.
func (r *Rewriter) part(s *side, at *position, off int64, length int) part {
	p := part{side: s, off: off, from: off, length: length}
	if len(s.runs) == 0 {
		return p
	}
	p.from = r.moved(s, at, off)
	p.first = at.near
	p.length = r.becomes(&p, length)
	return p
}

// moved returns where an offset is in the new stream.
func (r *Rewriter) moved(s *side, at *position, off int64) int64 {
	if len(s.runs) == 0 {
		return off
	}
	at.near = s.runsBefore(off, at.near)
	return r.movedIn(s, off, at.near)
}

// becomes returns where the n-th byte of a part is in what it becomes.
func (r *Rewriter) becomes(p *part, n int) int {
	if len(p.side.runs) == 0 {
		return n
	}
	off := p.off + int64(n)
	return int(r.movedIn(p.side, off, p.side.runsBefore(off, p.first)) - p.from)
}

// text returns what becomes of b, which was captured of a part, in b itself where it has
// the same length.
func (r *Rewriter) text(p *part, b []byte, ign []ignored, why reason) []byte {
	edits := r.overlap(p, len(b))
	seen := p.side.looked - p.off
	if why == becauseEdit && len(ign) == 0 && seen >= int64(len(b)) && p.off >= 0 {
		r.count(p, edits, len(b))
		return r.apply(p, edits, b)
	}
	r.mark(p, edits, b, ign, why)
	out := r.apply(p, edits, b)
	for n := 0; n < len(r.marks); {
		to := n + 1
		for to < len(r.marks) && r.marks[to] == r.marks[n] {
			to++
		}
		if r.marks[n] > markReplaced {
			Fill(out[r.becomes(p, n):r.becomes(p, to)])
		}
		n = to
	}
	return out
}

// count counts what edits do to the first n bytes of a part.
func (r *Rewriter) count(p *part, edits []edit, n int) {
	end := p.off + int64(n)
	r.sum.Kept += int64(n)
	for i := range edits {
		e := &edits[i]
		n := min(e.end(), end) - max(e.off, p.off)
		r.sum.Kept -= n
		if e.text == blank {
			r.sum.blank(becauseEdit, int(n))
		} else {
			r.sum.Replaced += n
		}
	}
}

// Marks say what becomes of a byte; those above markReplaced, why it is blanked.
const (
	markKept = iota
	markReplaced
	markBlank // and a reason
)

// mark finds out and counts what becomes of each byte of b, one by one.
func (r *Rewriter) mark(p *part, edits []edit, b []byte, ign []ignored, why reason) {
	r.marks = slices.Grow(r.marks[:0], len(b))[:len(b)]
	m := r.marks
	for i := range m {
		m[i] = markKept
		switch off := p.off + int64(i); {
		case why != becauseEdit:
			m[i] = markBlank + byte(why)
		case off < 0:
			m[i] = markBlank + byte(becauseIgnored)
		case off >= p.side.looked:
			m[i] = markBlank + byte(becauseUnseen)
		}
	}
	for i := range edits {
		e := &edits[i]
		to := markReplaced
		if e.text == blank {
			to = markBlank + int(becauseEdit)
		}
		for n := max(e.off-p.off, 0); n < min(e.end()-p.off, int64(len(b))); n++ {
			if m[n] == markKept {
				m[n] = byte(to)
			}
		}
	}
	for _, g := range ign {
		for from := max(0, len(b)-int(g.from)); from < len(b) && len(b)-from > int(g.from)-int(g.length); from++ {
			if m[from] <= markReplaced {
				m[from] = markBlank + byte(becauseIgnored)
			}
		}
	}
	for _, k := range m {
		switch k {
		case markKept:
			r.sum.Kept++
		case markReplaced:
			r.sum.Replaced++
		default:
			r.sum.blank(reason(k-markBlank), 1)
		}
	}
}

// apply puts what edits have in the place of the bytes of b. It does so in b where that
// leaves its length.
func (r *Rewriter) apply(p *part, edits []edit, b []byte) []byte {
	same := true
	for i := range edits {
		same = same && edits[i].size == edits[i].length
	}
	if same {
		for i := range edits {
			e := &edits[i]
			from, to := max(e.off-p.off, 0), min(e.end()-p.off, int64(len(b)))
			if e.text == blank {
				Fill(b[from:to])
			} else {
				r.edits.journal.read(b[from:to], e.text+from+p.off-e.off)
			}
		}
		return b
	}
	out, at := r.new[:0], int64(0)
	for i := range edits {
		e := &edits[i]
		from, to := max(e.off-p.off, 0), min(e.end()-p.off, int64(len(b)))
		out = append(out, b[at:from]...)
		if at = to; e.text == blank {
			out = append(out, b[from:to]...)
			Fill(out[len(out)-int(to-from):])
			continue
		}
		first, last := (from+p.off-e.off)*e.size/e.length, (to+p.off-e.off)*e.size/e.length
		n := len(out)
		out = slices.Grow(out, int(last-first))[:n+int(last-first)]
		r.edits.journal.read(out[n:], e.text+first)
	}
	r.new = append(out, b[at:]...)
	return r.new
}

// segment writes a TCP segment anew.
func (r *Rewriter) segment(j *job) {
	g, b := &r.decoder.Segment, j.body()
	e, d := r.find(g)
	if r.leaves(e) {
		r.leave(j)
		return
	}
	if e == nil {
		r.options(j, nil)
		r.nobodys(j, b)
		return
	}
	t, at := e.Value.talk, &e.Value.sides
	s, syn := &t.sides[d], g.Flags.Has(packet.SYN)
	off := at[d].offset(s, g.Seq)
	if syn {
		off++
	}
	ign := r.ignoredOf(g.Packet)
	probe := isProbe(g, ign, off == at[d].at-1)
	why := becauseEdit
	far := s.end >= 1<<31 && (off-at[d].at > maxFar || at[d].at-off > maxFar)
	switch {
	case r.edits.lost, s.wild, far:
		why = becauseWild
	case !wholly(ign, len(b)):
		at[d].at = max(at[d].at, off+int64(g.Length))
	}
	p := r.part(s, &at[d], off, g.Length)
	if probe { // it stands in front of the next byte, whatever that is now
		p.from, p.length = r.moved(s, &at[d], off+1)-1, g.Length
	}
	h := r.buf[j.last.Start:]
	seq := s.start + uint32(p.from)
	if syn {
		seq--
	}
	be.PutUint32(h[4:], seq)
	other := end{r, &t.sides[d.Reverse()], &at[d.Reverse()]}
	if g.Flags.Has(packet.ACK) {
		other.renumber(h[8:])
	}
	if g.Flags.Has(packet.URG) {
		be.PutUint16(h[18:], uint16(min(r.becomes(&p, int(be.Uint16(h[18:]))), math.MaxUint16)))
	}
	r.options(j, &other)
	if probe {
		Fill(b)
		r.sum.blank(becauseIgnored, len(b))
		r.finish(j, b, 0)
		return
	}
	if s.ends && g.Length > 0 && off+int64(g.Length) == s.end {
		h[13] |= byte(packet.FIN)
	}
	if j.inFragments && p.length-g.Length > j.room() {
		r.tooLarge(j, b)
		return
	}
	r.cutUp(j, r.text(&p, b, ign, why), p.length)
}

// maxFar is how far a segment may be from what came before, in a stream that is longer
// than half of all sequence numbers; see offset.
const maxFar = 1 << 30

// isProbe reports whether a segment, which begins right before the next byte or not, is a
// keep-alive (RFC 9293, section 3.8.4). Of one byte, reassembly knows which is.
func isProbe(g *packet.Segment, ign []ignored, before bool) bool {
	const special = packet.SYN | packet.FIN | packet.RST
	return g.Flags&special == 0 && (before && g.Length == 0 || g.Length == 1 && len(g.Payload) == 1 && wholly(ign, 1))
}

// wholly reports whether all n bytes of a payload were ignored.
func wholly(ign []ignored, n int) bool {
	return len(ign) == 1 && int(ign[0].from) >= n && int(ign[0].length) >= n
}

// nobodys finishes a packet that belongs to no conversation.
func (r *Rewriter) nobodys(j *job, b []byte) {
	Fill(b)
	r.sum.blank(becauseNobodys, len(b))
	r.finish(j, b, 0)
}

// end is a direction in which the sequence numbers stand that acknowledge it.
type end struct {
	r    *Rewriter
	side *side
	at   *position
}

// renumber has a sequence number at b be that of the same place in the new stream.
func (e *end) renumber(b []byte) {
	if len(e.side.runs) > 0 {
		off := e.at.offset(e.side, be.Uint32(b))
		be.PutUint32(b, e.side.start+uint32(e.r.moved(e.side, e.at, off)))
	}
}

// cutUp finishes a segment that may have become too large for one packet: then it becomes
// several.
func (r *Rewriter) cutUp(j *job, text []byte, length int) {
	most := r.decoder.Segment.Length
	if length > most { // it has grown
		most += j.room()
	}
	if length <= most {
		r.finish(j, text, length-r.decoder.Segment.Length)
		return
	}
	r.head = append(r.head[:0], r.buf[:j.last.Head]...)
	tail := j.data[j.last.End:]
	for at := 0; at < length; at += most {
		n := min(most, length-at)
		r.buf = append(r.buf[:0], r.head...)
		h := r.buf[j.last.Start:]
		be.PutUint32(h[4:], be.Uint32(h[4:])+uint32(at))
		if at+n < length {
			h[13] &^= byte(packet.FIN | packet.PSH)
		}
		r.buf, j.end = append(r.buf, tail...), j.last.Head
		sum := r.sum
		r.finish(j, text[min(at, len(text)):min(at+n, len(text))], n-r.decoder.Segment.Length)
		if at > 0 { // all of it was counted with the first
			sum.Written, sum.Split = r.sum.Written, r.sum.Split+1
			r.sum = sum
		}
	}
}

// offset finds the place of a sequence number in a stream. In one that is shorter than
// half of all numbers there is only one. In a longer one it is the place that is nearest to
// what came last: as less than maxGaps is missing, reassembly, which goes by what it
// handed on, cannot take another that is closer to that than 1 GiB.
func (at *position) offset(s *side, seq uint32) int64 {
	d := seq - s.start
	if s.end < 1<<31 {
		return int64(int32(d))
	}
	return at.at + int64(int32(d-uint32(at.at)))
}

// datagram writes a UDP datagram anew.
func (r *Rewriter) datagram(j *job) {
	g, b := &r.decoder.Segment, j.body()
	e, d := r.find(g)
	if r.leaves(e) {
		r.leave(j)
		return
	}
	if e == nil {
		r.nobodys(j, b)
		return
	}
	s, at := &e.Value.talk.sides[d], &e.Value.sides[d]
	p := r.part(s, at, at.at, g.Length)
	at.at += int64(g.Length)
	switch {
	case isDHCP(&g.Flow):
		r.sum.Headers += int64(len(b))
		r.dhcp(b)
		r.finish(j, b, 0)
	case p.length > g.Length && p.length-g.Length > j.room():
		r.tooLarge(j, b)
	default:
		text := r.text(&p, b, nil, becauseEdit)
		stubNames(&g.Flow, text)
		r.finish(j, text, p.length-g.Length)
	}
}

// tooLarge finishes what can't grow as much as it would.
func (r *Rewriter) tooLarge(j *job, b []byte) {
	Fill(b)
	r.sum.blank(becauseLarge, len(b))
	r.finish(j, b, 0)
}
