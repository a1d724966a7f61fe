package plan

// Kin are Recorders that are told of some conversations of a recording each, as the Parts of a
// decode.Forker are, where one may carry content for another's. They keep nothing of what was said
// but how much it was: Step.Bytes and answers of Turns are empty.
//
// A Conn is made when a conversation is opened, whose ID may be decode.Unnumbered then.
type Kin struct{ recorders []*Recorder }

// Recorder returns another one, which hands its parts to out.
func (k *Kin) Recorder(out Taker) *Recorder {
	r := newRecorder(out)
	r.kin = k
	k.recorders = append(k.recorders, r)
	return r
}
