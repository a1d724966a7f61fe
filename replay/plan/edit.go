package plan

import "slices"

// Edit puts other bytes in a place of what a client says.
type Edit struct {
	At, Length int64
	With       []byte
}

// Ends returns where a step ends in what was recorded.
func (s *Step) Ends() int64 { return s.Offset + int64(len(s.Bytes)) - grown(s.Edits) }

// grown returns by how much edits make longer what they change.
func grown(edits []Edit) int64 {
	var n int64
	for i := range edits {
		n += int64(len(edits[i].With)) - edits[i].Length
	}
	return n
}

// overlaps reports whether a place is in one that was changed.
func overlaps(edits []Edit, x Edit) bool {
	return slices.ContainsFunc(edits, func(e Edit) bool { return e.At < x.At+x.Length && x.At < e.At+e.Length })
}

// Editor changes what a client says on its way. It is given the edits in the order of their
// places, none later than the bytes that it stands in.
type Editor struct{ edits []Edit }

// Add takes more edits, behind those there are.
func (e *Editor) Add(edits ...Edit) { e.edits = append(e.edits, edits...) }

// Next changes the next step, which may have been edited elsewhere. Its Bytes are then others,
// and not written to. A place may reach over several steps: the first has all of what is new.
func (e *Editor) Next(s *Step) {
	end := s.Ends()
	if len(e.edits) == 0 || e.edits[0].At >= end {
		return
	}
	var out []byte
	var all []Edit
	theirs := s.Edits
	done := 0 // bytes of the step
	for len(e.edits) > 0 && e.edits[0].At < end {
		x := e.edits[0]
		part := Edit{At: max(x.At, s.Offset), Length: min(x.At+x.Length, end)}
		part.Length -= part.At
		if x.At >= s.Offset {
			part.With = x.With
		}
		for len(theirs) > 0 && theirs[0].At < part.At {
			all, theirs = append(all, theirs[0]), theirs[1:]
		}
		if !overlaps(s.Edits, part) {
			from := int(part.At - s.Offset + grown(s.Edits[:len(s.Edits)-len(theirs)]))
			out = append(append(out, s.Bytes[done:from]...), part.With...)
			done = from + int(part.Length)
			all = append(all, part)
		}
		if x.At+x.Length > end {
			break // it goes on
		}
		e.edits = e.edits[1:]
	}
	s.Bytes, s.Edits = append(out, s.Bytes[done:]...), append(all, theirs...)
}
