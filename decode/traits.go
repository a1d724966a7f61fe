package decode

import (
	"slices"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Traits counts conversations by what keeps one from seeing what was said in them. A
// conversation may have several.
type Traits struct {
	Empty     int64 // no bytes in either direction: handshakes and probes
	OneSided  int64 // packets of one direction only
	Midstream int64 // TCP whose beginning was not captured
	Cut       int64 // bytes were cut off by the snapshot length
	Gaps      int64 // bytes are missing
	Encrypted int64 // TLS, from some point on, and there were no keys
	QUIC      int64 // which is encrypted, and is not opened
}

// count adds a conversation that is over.
func (t *Traits) count(c *flow.Conversation) {
	a, b := &c.Sides[0], &c.Sides[1]
	if a.Bytes+b.Bytes == 0 {
		t.Empty++
	}
	if (a.Packets == 0) != (b.Packets == 0) {
		t.OneSided++
	}
	if c.State == flow.Midstream {
		t.Midstream++
	}
	if x, y := a.Extra(), b.Extra(); x.GapCount+y.GapCount > 0 {
		t.Gaps++
		if isCut := func(g flow.Gap) bool { return g.Cut }; slices.ContainsFunc(x.Gaps, isCut) || slices.ContainsFunc(y.Gaps, isCut) {
			t.Cut++
		}
	}
	switch {
	case c.Protocol == proto.QUIC.Name:
		t.QUIC++
	case c.Sealed && !c.Secured:
		t.Encrypted++
	}
}

func (t *Traits) add(o *Traits) {
	t.Empty += o.Empty
	t.OneSided += o.OneSided
	t.Midstream += o.Midstream
	t.Cut += o.Cut
	t.Gaps += o.Gaps
	t.Encrypted += o.Encrypted
	t.QUIC += o.QUIC
}
