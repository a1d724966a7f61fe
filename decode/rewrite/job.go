package rewrite

import (
	"bytes"
	"math"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/decode/packet"
)

// job is a packet that is written anew. Its headers are changed in Rewriter.buf, which
// begins as a copy of it.
type job struct {
	in   *capture.Packet
	kind packet.Kind
	data []byte // as it was captured
	// layers are its headers; last is the innermost, behind which the body stands.
	layers []packet.Layer
	last   packet.Layer
	end    int // of the body, in Rewriter.buf
	grown  int // by so much
	buf    *[]byte
	// inFragments means that it is a datagram in fragments, left that it stays as it is.
	inFragments, left bool
	// outside adds up the addresses, where the IP header is none of the layers.
	outside uint64
}

// find finds the innermost header.
func (j *job) find() {
	j.last = packet.Layer{Kind: packet.LayerFrame, End: len(j.data), Length: len(j.data)}
	for i := len(j.layers) - 1; i >= 0; i-- {
		if j.layers[i].Kind != packet.LayerLengthField {
			j.last = j.layers[i]
			break
		}
	}
}

// begin begins to write a packet anew.
func (j *job) begin(r *Rewriter) {
	j.end, j.buf = j.last.End, &r.buf
	r.buf = append(r.buf[:0], j.data...)
	r.sum.Headers += int64(j.last.Head)
}

// body returns what is behind the last header, in Rewriter.buf.
func (j *job) body() []byte { return (*j.buf)[j.last.Head:j.last.End] }

// eachLength does something with each field of 16 bits that counts what is behind it.
func (j *job) eachLength(b []byte, f func(field []byte, little bool)) {
	for i := range j.layers {
		l := &j.layers[i]
		h := b[l.Start:]
		switch l.Kind {
		case packet.LayerLengthField:
			f(h[:2], l.Type != 0)
		case packet.LayerIPv4:
			f(h[2:4], false)
		case packet.LayerIPv6, packet.LayerUDP:
			f(h[4:6], false)
		}
	}
}

// room returns by how much the body can grow.
func (j *job) room() int {
	room := math.MaxInt32
	j.eachLength(j.data, func(field []byte, little bool) {
		n := int(be.Uint16(field))
		if little {
			n = int(le.Uint16(field))
		}
		if n != 0 { // as a jumbogram's, or one's that is to be cut up by the network card
			room = min(room, math.MaxUint16-n)
		}
	})
	if j.inFragments {
		room = min(room, max(0, maxDatagram-j.last.Start-j.last.Length))
	}
	return room
}

// grow adds n to all that counts the body.
func (j *job) grow(n int) {
	j.eachLength(*j.buf, func(field []byte, little bool) {
		switch {
		case be.Uint16(field) == 0:
		case little:
			le.PutUint16(field, le.Uint16(field)+uint16(n))
		default:
			be.PutUint16(field, be.Uint16(field)+uint16(n))
		}
	})
}

// finish hands on a packet whose body is text, and has grown.
func (r *Rewriter) finish(j *job, text []byte, grown int) {
	length := r.make(j, text, grown)
	if j.inFragments {
		r.datagramNew, j.grown = append(r.datagramNew[:0], r.buf...), grown
		return
	}
	r.write(j.in, r.buf, length)
}

// make makes a packet in r.buf, and returns how long it was when it was sent.
func (r *Rewriter) make(j *job, text []byte, grown int) int {
	r.put(j, text)
	if grown != 0 {
		j.grow(grown)
	}
	r.headers(j)
	r.checksums(j)
	return max(j.in.Length, len(j.data)) + grown
}

// put puts text in the place of the body, and blanks what is behind it.
func (r *Rewriter) put(j *job, text []byte) {
	head, tail := j.last.Head, len(r.buf)-j.end
	if n := j.end - head; n != len(text) || n > 0 && &text[0] != &r.buf[head] {
		r.buf = append(append(r.buf[:head], text...), j.data[len(j.data)-tail:]...)
		j.end = head + len(text)
	}
	r.sum.Headers += int64(tail)
	r.zero(r.buf[j.end:], becauseTrailer)
}

// whole writes a packet anew that is no fragment.
func (r *Rewriter) whole(j *job) {
	switch j.kind {
	case packet.TCP:
		r.segment(j)
		return
	case packet.UDP:
		r.datagram(j)
		return
	}
	if r.opts.EditedOnly {
		r.leave(j)
		return
	}
	b := j.body()
	r.sum.Headers += int64(len(b))
	switch h := r.buf[j.last.Start:j.last.Head]; {
	case j.last.Kind == packet.LayerARP:
		r.arp(b)
	case j.last.Kind == packet.LayerICMP && len(h) > 0:
		r.icmp(h[0], b)
	case j.last.Kind == packet.LayerICMPv6 && len(h) > 0:
		r.icmpv6(h[0], b)
	case j.last.Kind == packet.LayerIGMP && len(h) > 0:
		r.igmp(h[0], b)
	default:
		r.zero(b, j.why())
		r.stub(j, b)
	}
	r.finish(j, b, 0)
}

// why says why the body of a packet is blanked that carries no transport.
func (j *job) why() reason {
	switch j.kind {
	case packet.Undecoded:
		return becauseUndecoded
	case packet.CutShort:
		return becauseCut
	case packet.Fragment:
		return becauseFragment
	}
	return becauseProtocol
}

// leaves reports whether packets of a conversation, or of none, are not written anew.
func (r *Rewriter) leaves(e *flow.Entry[state]) bool {
	return r.opts.EditedOnly && (e == nil || !e.Value.talk.edited())
}

// leave hands a packet on as it is.
func (r *Rewriter) leave(j *job) {
	if j.left = true; j.inFragments { // those are handed on
		return
	}
	r.sum.Kept += int64(len(j.data) - j.last.Head)
	r.write(j.in, j.data, j.in.Length)
}

// zero blanks what was counted among the headers, where it stays if it is zero already.
func (r *Rewriter) zero(b []byte, why reason) {
	if bytes.Count(b, zeros) < len(b) {
		r.cover(b, 0, why)
	}
}

var zeros = []byte{0}

// cover blanks what was counted among the headers with bytes of one value.
func (r *Rewriter) cover(b []byte, with byte, why reason) {
	if r.opts.EditedOnly {
		return
	}
	for i := range b {
		b[i] = with
	}
	r.sum.Headers -= int64(len(b))
	r.sum.blank(why, len(b))
}
