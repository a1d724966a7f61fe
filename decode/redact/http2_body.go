package redact

import (
	"strconv"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// http2Message is the content of a message that is on its way in a stream.
type http2Message struct {
	stream   uint32
	head     *http2Head
	calls    bool  // it is of gRPC, so that each message in it is looked at as soon as it is there
	declared int64 // Content-Length; -1 if there is none
	received int64
	data     []byte // what is not judged
	skip     int64  // what comes next and is blanked
	parts    []http2Judged
	judged   int64 // of the content
	taken    int64 // of that, by frames that are told
	settled  bool  // the head says what it says
	done     bool
	window   http2Budget
}

// http2Judged is a part of the content that was looked at as a whole, and what takes its place.
type http2Judged struct {
	size    int
	was, is []byte
	blank   bool // then neither is kept
}

// now is how long what takes its place is.
func (k *http2Judged) now() int {
	if k.blank {
		return k.size
	}
	return len(k.is)
}

// split takes off its beginning: as much as is in n bytes, or all that there is.
func (k *http2Judged) split(n int) (first http2Judged) {
	if n >= k.size {
		first, *k = *k, http2Judged{}
		return first
	}
	first = http2Judged{size: n, blank: k.blank}
	if k.size -= n; !k.blank {
		now := min(n, len(k.is))
		first.was, first.is = k.was[:n:n], k.is[:now:now]
		k.was, k.is = k.was[n:], k.is[now:]
	}
	return first
}

// http2Budget is how much may be sent (RFC 9113, section 5.2): what comes out may have what was
// sent, and more as far as that was allowed then.
type http2Budget struct{ may, was, is int64 }

// allows reports whether n bytes may be sent in place of others.
func (b *http2Budget) allows(was, is int) bool {
	return b.is+int64(is) <= max(b.was+int64(was), b.may)
}

func (b *http2Budget) spend(was, is int) { b.was, b.is = b.was+int64(was), b.is+int64(is) }

// maxHTTP2Messages bounds the messages of a direction that are on their way, as many as proto keeps.
const maxHTTP2Messages = proto.MaxWaiting

// begin begins a message.
func (x *Reading) begin(s *http2Side, stream uint32, h *http2Head) *http2Message {
	m := &http2Message{stream: stream, head: h, declared: -1, settled: true, window: http2Budget{may: s.initial}}
	for _, a := range h.fields {
		switch {
		case a.name == "content-length":
			m.settled = false
			if n, err := strconv.ParseUint(string(h.raw[a.from:a.to]), 10, 62); err == nil {
				m.declared = int64(n)
			}
		case isDigest(a.name):
			m.settled = false
		}
	}
	typ, _ := h.http.Get("Content-Type")
	m.calls = m.settled && isGRPC(mediaType(typ)) && len(h.http.AppendEncodings(nil)) == 0
	if len(s.streams) >= maxHTTP2Messages {
		oldest := m
		for _, k := range s.streams {
			if oldest == m || k.stream < oldest.stream {
				oldest = k
			}
		}
		x.finish(s, oldest, false)
	}
	s.streams[stream] = m
	return m
}

// content begins a frame of it.
func (x *Reading) content(c *flow.Conversation, d flow.Direction, s *http2Side, f *proto.HTTP2Frame) {
	var before []byte
	if f.Head > proto.HTTP2HeaderLen {
		before = []byte{byte(f.Pad)}
	}
	p := newHTTP2Part(f, before, f.Length-len(before)-f.Pad, f.Pad)
	i := &http2Item{parts: []http2Part{p}}
	if i.message = s.streams[f.Stream]; i.message != nil {
		i.from = i.message.received
	} else if i.blank = p.size > 0; i.blank {
		x.blanks("an HTTP body without a head", p.size)
	}
	x.passes(c, d, s, i)
}

// receive takes some of it.
func (x *Reading) receive(s *http2Side, m *http2Message, data []byte) {
	m.received += int64(len(data))
	if n := int(min(m.skip, int64(len(data)))); n > 0 {
		m.skip -= int64(n)
		m.judge(s, http2Judged{size: n, blank: true})
		x.blanks("an HTTP body that is too large, or not whole", n)
		data = data[n:]
	}
	m.data = append(m.data, data...)
	s.held += len(data)
	if len(m.data) > KeepBytes {
		x.proceed(s, m) // so that what is left belongs to one message of gRPC
	}
	if len(m.data) > KeepBytes {
		x.giveUp(s, m, "an HTTP body that is too large, or not whole")
	}
}

// judge has a part of the content become something else.
func (m *http2Message) judge(s *http2Side, k http2Judged) {
	if k.size == 0 {
		return
	}
	m.window.spend(k.size, k.now())
	s.window.spend(k.size, k.now())
	s.held += len(k.was) + len(k.is)
	m.judged += int64(k.size)
	if last := len(m.parts) - 1; k.blank && last >= 0 && m.parts[last].blank {
		m.parts[last].size += k.size
		return
	}
	m.parts = append(m.parts, k)
}

// drop lets go of what is not judged.
func (m *http2Message) drop(s *http2Side, n int) {
	s.held -= n
	if m.data = m.data[n:]; len(m.data) == 0 {
		m.data = nil
	}
}

// giveUp blanks what is there, and what comes; of gRPC, to the end of a message.
func (x *Reading) giveUp(s *http2Side, m *http2Message, why string) {
	m.settled, m.skip = true, 1<<62
	n := len(m.data)
	if head, size, ok := grpcMessage(m.data); m.calls && ok {
		m.judge(s, http2Judged{size: head, was: m.data[:head], is: m.data[:head]})
		m.drop(s, head)
		n -= head
		m.skip = max(0, int64(size)-int64(n))
	}
	x.blanks(why, n)
	m.judge(s, http2Judged{size: n, blank: true})
	m.drop(s, n)
}

// proceed looks at what of the content makes sense without the rest.
func (x *Reading) proceed(s *http2Side, m *http2Message) {
	if !m.calls || m.skip > 0 {
		return
	}
	n := 0
	for {
		head, size, ok := grpcMessage(m.data[n:])
		if !ok || size > len(m.data)-n-head {
			break
		}
		n += head + size
	}
	x.unit(s, m, n)
}

// unit looks at some of the content as a whole.
func (x *Reading) unit(s *http2Side, m *http2Message, n int) {
	if n == 0 {
		return
	}
	was := m.data[:n:n]
	k, j := http2Judged{size: n, was: was, is: was}, (*judgement)(nil)
	x.with(m.head, func(h *httpMessage) { j = h.judged(was) })
	if x.f.editing() && j.changed() {
		k = x.instead(s, m, was, j)
		x.with(m.head, func(h *httpMessage) {
			if k.now() != n {
				h.declare(k.now())
			}
			h.digests(was, k.is)
		})
	}
	m.judge(s, k)
	m.drop(s, n)
}

// instead is what is sent in the place of content that was judged.
func (x *Reading) instead(s *http2Side, m *http2Message, was []byte, j *judgement) http2Judged {
	is, why := []byte(nil), j.why
	if why == "" {
		is = j.applied(was)
		if !m.window.allows(len(was), len(is)) || !s.window.allows(len(was), len(is)) {
			why = "an HTTP body that would be longer than its receiver allows"
		}
	}
	if why != "" {
		x.blanks(why, len(was))
		return http2Judged{size: len(was), blank: true}
	}
	return http2Judged{size: len(was), was: was, is: is}
}

// finish ends a message, of which nothing more comes.
func (x *Reading) finish(s *http2Side, m *http2Message, whole bool) {
	if s.streams[m.stream] == m {
		delete(s.streams, m.stream)
	}
	if m.done {
		return
	}
	if whole && m.skip == 0 {
		x.unit(s, m, len(m.data))
	} else {
		x.giveUp(s, m, "an HTTP body that is not whole")
	}
	m.settled, m.done = true, true
}

// take returns the content of a frame that ends at an offset: of a part that it ends, all that is left.
func (m *http2Message) take(s *http2Side, to int64) (list []http2Judged) {
	for m.taken < to && len(m.parts) > 0 {
		k := &m.parts[0]
		first := k.split(int(to - m.taken))
		s.held -= len(first.was) + len(first.is)
		m.taken += int64(first.size)
		if list = append(list, first); k.size == 0 {
			m.parts = m.parts[1:]
		}
	}
	return list
}
