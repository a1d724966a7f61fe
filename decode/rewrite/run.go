package rewrite

import (
	"encoding/binary"
	"sort"
)

// run is where some edits stand in the journal, that are one behind another in a direction. Their
// texts stand behind all of them.
type run struct {
	off int64 // of the first one
	at  int64 // in the journal
}

// edit is an Edit in a run.
type edit struct {
	off    int64
	shift  int64 // of all before off
	length int64
	size   int64 // of what takes its place
	text   int64 // in the journal, or blank
}

// blank is the text of an edit that has none.
const blank = -1

// maxRun bounds the edits of a run, maxRunTexts about what they put in: all of it is taken apart
// when one is asked for.
const (
	maxRun      = 64
	maxRunTexts = 4 << 10
	maxRunHead  = (1 + 4*maxRun) * binary.MaxVarintLen64
)

// end returns where an edit ends in the stream as it was.
func (e *edit) end() int64 { return e.off + e.length }

// behind returns by how much what is behind an edit is shifted.
func (e *edit) behind() int64 { return e.shift + e.size - e.length }

// open is the run that edits are added to.
type open struct {
	side  *side
	n     int
	last  int64 // where the last one ends
	head  []byte
	texts []byte
}

// add adds an edit in its place.
func (x *Edits) add(s *side, e edit, text []byte) {
	o := &x.open
	if s.closed {
		return
	}
	if o.side != s || o.n == maxRun || len(o.texts) >= maxRunTexts {
		x.endRun()
		if !x.take(runCost) {
			s.close(e.off)
			return
		}
		s.runs = append(s.runs, run{off: e.off})
		o.side, o.n, o.last = s, 0, e.off
		o.head = binary.AppendVarint(o.head[:0], s.shift)
		o.texts = o.texts[:0]
	}
	if x.journal.scratch == nil && !x.take(int64(editCost+len(text))) {
		s.close(e.off)
		return
	}
	o.head = binary.AppendUvarint(o.head, uint64(e.off-o.last))
	o.head = binary.AppendUvarint(o.head, uint64(e.length))
	if e.text == blank {
		o.head = binary.AppendUvarint(o.head, 0)
	} else {
		o.head = binary.AppendUvarint(o.head, uint64(len(text))+1)
		o.texts = append(o.texts, text...)
	}
	o.n++
	o.last = e.end()
	s.end, s.shift = e.end(), s.shift+e.size-e.length
}

// endRun writes the run that edits were added to.
func (x *Edits) endRun() {
	if o := &x.open; o.side != nil {
		var size [binary.MaxVarintLen64]byte
		o.side.runs[len(o.side.runs)-1].at = x.journal.add(size[:binary.PutUvarint(size[:], uint64(len(o.head)))], o.head, o.texts)
		if o.side = nil; cap(o.texts) > blockSize {
			o.texts = nil
		}
	}
}

// taken is a run that was taken apart.
type taken struct {
	at    int64 // in the journal, and 1
	edits []edit
}

// maxTaken is how many are kept, for packets that come at about the same time.
const maxTaken = 64

// editsOf returns the edits of a run, until another is asked for; none when they can't be read.
func (r *Rewriter) editsOf(s *side, n int) []edit {
	at, j := s.runs[n].at, &r.edits.journal
	t := &r.taken[at%maxTaken]
	if t.at == at+1 {
		return t.edits
	}
	t.at, t.edits = at+1, t.edits[:0]
	var size [binary.MaxVarintLen64]byte
	j.read(size[:min(int64(len(size)), j.size-at)], at)
	length, n1 := binary.Uvarint(size[:])
	if j.err != nil || n1 <= 0 || length > maxRunHead {
		t.at = 0
		return nil
	}
	r.runHead = append(r.runHead[:0], make([]byte, length)...)
	at += int64(n1)
	j.read(r.runHead, at)
	if j.err != nil {
		t.at = 0
		return nil
	}
	t.edits = takeApart(t.edits, r.runHead, s.runs[n].off, at+int64(length))
	return t.edits
}

// takeApart appends the edits of a run that begins at off, and whose texts begin at text.
func takeApart(list []edit, head []byte, off, text int64) []edit {
	shift, n := binary.Varint(head)
	next := func() int64 {
		head = head[n:]
		var v uint64
		v, n = binary.Uvarint(head)
		return int64(v)
	}
	for len(head) > n {
		e := edit{off: off + next(), length: next(), shift: shift, text: blank}
		if size := next(); size == 0 {
			e.size = e.length
		} else {
			e.size, e.text = size-1, text
			text += e.size
		}
		off, shift = e.end(), e.behind()
		list = append(list, e)
	}
	return list
}

// runsBefore returns the number of runs that begin before an offset. near is what it was for
// another, close by.
func (s *side) runsBefore(off int64, near int) int {
	for range 4 { // streams are read in order
		switch {
		case near > 0 && s.runs[near-1].off >= off:
			near--
		case near < len(s.runs) && s.runs[near].off < off:
			near++
		default:
			return near
		}
	}
	return sort.Search(len(s.runs), func(i int) bool { return s.runs[i].off >= off })
}

// movedIn returns where an offset of the stream is in the new stream, of which near runs begin before
// it. Within an edit it is as far along what was put in as it was along what was taken out.
func (r *Rewriter) movedIn(s *side, off int64, near int) int64 {
	if near == 0 {
		return off
	}
	list := r.editsOf(s, near-1)
	i := sort.Search(len(list), func(i int) bool { return list[i].off >= off })
	if i == 0 {
		return off // it could not be read
	}
	e := &list[i-1]
	if off >= e.end() {
		return off + e.behind()
	}
	return e.off + e.shift + (off-e.off)*e.size/e.length
}

// overlap returns the edits that reach into the n bytes from the beginning of a part on, until it is
// asked again.
func (r *Rewriter) overlap(p *part, n int) []edit {
	r.over = r.over[:0]
	end := p.off + int64(n)
	for i := max(p.first-1, 0); i < len(p.side.runs) && p.side.runs[i].off < end; i++ {
		list := r.editsOf(p.side, i)
		from := sort.Search(len(list), func(k int) bool { return list[k].end() > p.off })
		for ; from < len(list) && list[from].off < end; from++ {
			r.over = append(r.over, list[from])
		}
	}
	return r.over
}
