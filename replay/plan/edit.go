package plan

// Edit puts other bytes in a place of what a client says.
type Edit struct {
	At, Length int64
	With       []byte
}

// Editor changes what a client says on its way. It is given the edits in the order of their
// places, none later than the bytes that it stands in.
type Editor struct{ edits []Edit }

// Add takes more edits, behind those there are.
func (e *Editor) Add(edits ...Edit) { e.edits = append(e.edits, edits...) }

// Next returns what comes of bytes at an offset: data itself when they stay as they are. A
// place may reach over several calls: the first then returns all of what is new.
func (e *Editor) Next(begin int64, data []byte) []byte {
	end := begin + int64(len(data))
	var out []byte
	done := begin // all before is in out
	n := 0
	for _, x := range e.edits {
		if x.At >= end {
			break
		}
		from, to := max(x.At, begin), min(x.At+x.Length, end)
		if x.At >= begin {
			out = append(append(out, data[done-begin:from-begin]...), x.With...)
		}
		done = max(done, to)
		if x.At+x.Length > end {
			break // it goes on
		}
		n++
	}
	if n == 0 && len(e.edits) == 0 || done == begin && out == nil {
		return data
	}
	e.edits = e.edits[n:]
	return append(out, data[done-begin:]...)
}
