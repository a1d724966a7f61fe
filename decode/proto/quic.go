package proto

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"netlab/decode/flow"
	"netlab/decode/tls"
)

// QUIC is what can be read of QUIC without keys: its Initial packets, of version 1
// (RFC 9000 and 9001), version 2 (RFC 9369) and the drafts from 23 on. An exchange is
// the hellos of both sides, as for TLS. All other packets are encrypted and pass by,
// counted with those of the conversation; what HTTP/3 says in them is not decoded,
// with keys or without.
var QUIC = Protocol{
	Name:       "quic",
	Type:       "tls",
	Probe:      probeQUIC,
	UDP:        true,
	New:        func(Waiting) Parser { return &quicParser{} },
	Pairing:    ByID,
	Attributes: quicAttributes,
	AppendJSON: appendQUIC,
}

// maxQUICConns bounds the connections of a conversation that are followed: a client
// hardly ever has two at a time from one port.
const maxQUICConns = 8

// maxQUICID is the length of the longest connection ID, and minQUICFirstID that of
// the shortest that a client may begin with (RFC 9000, sections 17.2 and 7.2).
const (
	maxQUICID      = 20
	minQUICFirstID = 8
)

// minQUICInitial is the least size of a datagram with a client's Initial (RFC 9000,
// section 14.1).
const minQUICInitial = 1200

// maxQUICVersions bounds those of a version negotiation that are read.
const maxQUICVersions = 64

// QUICHello is what one side says of itself before it encrypts. Hello is nil when a
// client speaks a version that is not known.
type QUICHello struct {
	*tls.Hello
	Version uint32
	DCID    []byte // Destination Connection ID
	SCID    []byte // Source Connection ID
}

// Held returns how much memory the hello has need of, about.
func (h *QUICHello) Held() int {
	n := 256
	if h.Hello != nil {
		n += len(h.ServerName)
		for _, name := range h.ALPN {
			n += 16 + len(name)
		}
	}
	return n
}

// Summary is one line about the hello.
func (h *QUICHello) Summary() string {
	s := "QUIC " + tls.QUICName(h.Version)
	if h.Hello == nil {
		return s + ", which is not known"
	}
	return s + " " + h.Hello.Summary()
}

// AppendJSON appends what the side offers or has chosen, and the version of QUIC.
func (h *QUICHello) AppendJSON(dst []byte) []byte {
	switch {
	case h.Hello == nil:
	case h.Server:
		dst = append(appendChosen(dst, h.Hello), ',')
	default:
		dst = append((&TLSHello{h.Hello}).AppendJSON(dst), ',')
	}
	dst = append(dst, `"quic":"`...)
	dst = append(dst, tls.QUICName(h.Version)...)
	dst = append(dst, `","destination_id":"`...)
	dst = hex.AppendEncode(dst, h.DCID)
	dst = append(dst, `","source_id":"`...)
	dst = hex.AppendEncode(dst, h.SCID)
	return append(dst, '"')
}

// appendQUIC appends the client's hello, with the server's in "server", or what it
// said in place of one.
func appendQUIC(dst []byte, e *Exchange) []byte {
	if e.Request != nil {
		dst = append(e.Request.Body.AppendJSON(dst), ',')
	}
	dst = append(dst, `"server":`...)
	if h, ok := bodyOf[*QUICHello](e.Response); ok {
		return append(h.AppendJSON(append(dst, '{')), '}')
	}
	dst = append(dst, "null"...)
	if e.Response != nil {
		dst = e.Response.Body.AppendJSON(append(dst, ','))
	}
	return dst
}

// QUICRetry is a server that wants to see first that the client is where it says
// (RFC 9000, section 8.1.2). The hello comes again, with the ID that it gives.
type QUICRetry struct {
	SCID  []byte
	Token int // its length
}

// Summary is one line about the Retry.
func (r *QUICRetry) Summary() string { return "retry with id " + hex.EncodeToString(r.SCID) }

// AppendJSON appends the ID and the length of the token.
func (r *QUICRetry) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"retry_id":"`...)
	dst = hex.AppendEncode(dst, r.SCID)
	dst = append(dst, `","token_bytes":`...)
	return strconv.AppendInt(dst, int64(r.Token), 10)
}

// QUICVersions is a server that speaks other versions than was asked for (RFC 9000,
// section 6).
type QUICVersions struct{ Versions []uint32 }

// Summary lists the versions.
func (v *QUICVersions) Summary() string {
	var b strings.Builder
	b.WriteString("version negotiation:")
	for _, n := range v.Versions {
		b.WriteString(" " + tls.QUICName(n))
	}
	return b.String()
}

// Outcome tells that the connection did not come about.
func (v *QUICVersions) Outcome() (code int, word string, failed bool) {
	return 0, "version negotiation", true
}

// AppendJSON appends the versions. Those of TLS, which stand beside them, have the
// shorter name.
func (v *QUICVersions) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"quic_versions":[`...)
	for i, n := range v.Versions {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, tls.QUICName(n)...)
		dst = append(dst, '"')
	}
	return append(dst, ']')
}

// QUICClose is a server that refuses in place of a hello (RFC 9000, section 19.19).
type QUICClose struct {
	Code   uint64
	Reason string
}

// quicAlerts is where the error codes begin that are alerts of TLS (RFC 9001, section
// 4.8).
const quicAlerts = 0x100

// Outcome returns the error code; an alert of TLS is named by its number.
func (c *QUICClose) Outcome() (code int, word string, failed bool) {
	if c.Code&^0xff == quicAlerts {
		return int(c.Code), fmt.Sprintf("alert %d", c.Code&0xff), true
	}
	return int(c.Code), "", true
}

// Summary is the code with the reason.
func (c *QUICClose) Summary() string {
	s := fmt.Sprintf("closed with error 0x%x", c.Code)
	if _, alert, _ := c.Outcome(); alert != "" {
		s += ", " + alert
	}
	if c.Reason != "" {
		s += ": " + c.Reason
	}
	return s
}

// AppendJSON appends the code and the reason.
func (c *QUICClose) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"close":`...)
	dst = strconv.AppendUint(dst, c.Code, 10)
	dst = append(dst, `,"reason":`...)
	return AppendString(dst, c.Reason)
}

// quicAttributes are what can be asked about an exchange.
var quicAttributes = []Attribute{
	{Name: "tls.sni", About: "the name of the server that a client asks for", Get: quicAsked(func(v []Value, h *QUICHello) []Value {
		return appendWord(v, h.ServerName)
	})},
	{Name: "tls.alpn", About: "each protocol that a client offers", Get: quicAsked(func(v []Value, h *QUICHello) []Value {
		return appendALPN(v, h.ALPN)
	})},
	{Name: "tls.version", About: "the one chosen, else the highest offered: 1.3", Get: func(v []Value, e *Exchange) []Value {
		for _, m := range [...]*Message{e.Response, e.Request} {
			if h, ok := bodyOf[*QUICHello](m); ok && h.Hello != nil {
				return AppendText(v, tls.VersionName(h.Hello.Version))
			}
		}
		return v
	}},
	{Name: "tls.cipher", About: "the cipher suite chosen: 0x1301", Get: func(v []Value, e *Exchange) []Value {
		if h, ok := bodyOf[*QUICHello](e.Response); ok && h.Hello != nil {
			v = AppendText(v, fmt.Sprintf("0x%04x", h.Cipher))
		}
		return v
	}},
	{Name: "tls.quic", About: "the version of QUIC", Get: of(requestOf, func(v []Value, h *QUICHello) []Value {
		return AppendText(v, tls.QUICName(h.Version))
	})},
}

func quicAsked(get func([]Value, *QUICHello) []Value) func([]Value, *Exchange) []Value {
	return of(requestOf, func(v []Value, h *QUICHello) []Value {
		if h.Hello == nil {
			return v
		}
		return get(v, h)
	})
}

// quicHead is the header of a packet with a long one (RFC 9000, section 17.2).
type quicHead struct {
	kind       quicKind
	version    uint32
	dcid, scid []byte
	token      []byte // of an Initial or a Retry
	number     int    // where the packet number is, of an Initial
	len        int    // of the packet; perhaps more than there is
}

type quicKind uint8

const (
	quicInitial quicKind = iota
	quicZeroRTT
	quicHandshake
	quicRetry
	quicNegotiation // the version is 0: what follows is a list of those there are
	quicUnknown     // of a version that is not known, which only has its IDs where all have
)

// readQUIC reads the header of the first packet in a datagram, and reports whether it
// is a long one.
func readQUIC(b []byte) (h quicHead, ok bool) {
	if len(b) < 7 || b[0]&0x80 == 0 {
		return h, false
	}
	h.version, h.len = binary.BigEndian.Uint32(b[1:]), len(b)
	n := 5
	for _, id := range [...]*[]byte{&h.dcid, &h.scid} {
		if n >= len(b) || int(b[n]) > maxQUICID || n+1+int(b[n]) > len(b) {
			return h, false
		}
		*id = b[n+1:][:b[n]]
		n += 1 + int(b[n])
	}
	switch {
	case h.version == tls.QUICNegotiation:
		h.kind, h.token = quicNegotiation, b[n:]
		return h, len(h.token) > 0 && len(h.token)%4 == 0
	case !tls.KnowsQUIC(h.version):
		h.kind = quicUnknown
		return h, true
	case b[0]&0x40 == 0: // the fixed bit
		return h, false
	}
	typ := b[0] >> 4 & 3
	if h.version == tls.QUIC2 { // RFC 9369, section 3.2
		typ = (typ + 3) & 3
	}
	h.kind = quicKind(typ)
	if h.kind == quicRetry {
		h.token = b[n:]
		return h, len(h.token) > 16
	}
	if h.kind == quicInitial {
		size, m := quicVarint(b[n:])
		if m == 0 || size > uint64(len(b)-n-m) {
			return h, false
		}
		h.token = b[n+m:][:size]
		n += m + int(size)
	}
	size, m := quicVarint(b[n:])
	if m == 0 || size < 4 || size > 1<<16 {
		return h, false
	}
	h.number = n + m
	h.len = h.number + int(size)
	return h, true
}

// quicVarint reads a variable-length integer (RFC 9000, section 16), and returns its
// length, 0 when it is not all there.
func quicVarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	if n = 1 << (b[0] >> 6); len(b) < n {
		return 0, 0
	}
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	return v, n
}

// probeQUIC knows a datagram that begins with a long header of a version that there
// is, and tells by the keys who sends it. A short header says nothing.
func probeQUIC(o Opening) Verdict {
	if o.Transport != flow.UDP {
		return NoMatch
	}
	for d, first := range o.First {
		h, ok := readQUIC(first)
		if !ok {
			continue
		}
		client := flow.Direction(d) == flow.ClientToServer
		switch h.kind {
		case quicNegotiation:
			known := false
			for b := h.token; len(b) >= 4; b = b[4:] {
				known = known || tls.KnowsQUIC(binary.BigEndian.Uint32(b))
			}
			if known && !client {
				return Match
			}
		case quicUnknown:
			// Those that look like 0x?a?a?a?a are for having versions negotiated (RFC
			// 9000, section 15).
			if client && h.version&0x0f0f0f0f == 0x0a0a0a0a && len(first) >= minQUICInitial && len(h.dcid) >= minQUICFirstID {
				return Match
			}
		case quicRetry:
			if !client {
				return Match
			}
		case quicZeroRTT:
			if client {
				return Match
			}
		case quicInitial:
			if mine := len(h.token) > 0 || opensQUIC(&h, first); mine && !client || len(h.dcid) < minQUICFirstID && client {
				continue
			}
			return Match
		default:
			return Match
		}
	}
	return NoMatch
}

// opensQUIC reports whether a packet is a client's first.
func opensQUIC(h *quicHead, b []byte) bool {
	if len(h.dcid) < minQUICFirstID || h.len > len(b) {
		return false
	}
	keys, _ := tls.InitialKeys(h.version, h.dcid)
	_, ok := keys.Open(b[:h.len], h.number)
	return ok
}

// quicParser follows the connections of a conversation until both sides have said
// hello.
type quicParser struct {
	conns []*quicConn // the latest last
	count uint32
}

// quicConn is a connection. A client sends to the ID that it made up, then to the one
// that a Retry gave, then to the server's own.
type quicConn struct {
	id             uint32
	first          []byte // that the client made up
	keyed          []byte // that the keys follow from
	client, server []byte // that the sides are sent to
	version        uint32 // of the keys
	keys           [2]*tls.QUICKeys
	crypto         [2]tls.Crypto
	done           [2]bool // the hello was seen, or will not come
	retried        bool
	answered       bool // the server has said hello, or that there will be none
}

// quicConnCost is what a connection costs, without what is put together: its keys,
// mostly.
const quicConnCost = 4 << 10

// Held returns how much memory the parser has need of.
func (p *quicParser) Held() int {
	n := 0
	for _, c := range p.conns {
		n += 256 + c.crypto[0].Held() + c.crypto[1].Held()
		if c.keys[0] != nil {
			n += quicConnCost
		}
	}
	return n
}

// Next takes a datagram, which has several packets perhaps. A message is the datagram
// in which a hello was completed.
func (p *quicParser) Next(d flow.Direction, data []byte, _ bool) (int, *Message) {
	if len(data) == 0 {
		return 0, nil
	}
	found := &Message{Direction: d, Kind: Skipped}
	var id []byte
	for rest := data; len(rest) > 0; {
		h, ok := readQUIC(rest)
		// All packets of a datagram have one ID (RFC 9000, section 12.2).
		if !ok || id != nil && !bytes.Equal(id, h.dcid) {
			break
		}
		id = h.dcid
		n := min(h.len, len(rest))
		if m := p.packet(d, &h, rest[:n]); m != nil && found.Kind == Skipped {
			found = m
		}
		rest = rest[n:]
	}
	return len(data), found
}

// Gap does nothing: there are none between datagrams.
func (p *quicParser) Gap(flow.Direction, []byte, int64) (int64, *Message) { return 0, nil }

// packet takes one packet, with as much of it as there is.
func (p *quicParser) packet(d flow.Direction, h *quicHead, b []byte) *Message {
	switch {
	case h.kind == quicInitial:
		return p.initial(d, h, b)
	case h.kind == quicUnknown && d == flow.ClientToServer:
		return p.unknown(h)
	case d == flow.ClientToServer:
		return nil
	case h.kind == quicRetry:
		return p.retry(h, b)
	case h.kind == quicNegotiation:
		return p.negotiation(h)
	}
	return nil
}

// find returns the latest connection of which something holds.
func (p *quicParser) find(is func(c *quicConn) bool) *quicConn {
	for _, c := range slices.Backward(p.conns) {
		if is(c) {
			return c
		}
	}
	return nil
}

// begin begins a connection, in place of the oldest when there are too many.
func (p *quicParser) begin(h *quicHead) *quicConn {
	c := &quicConn{id: p.count, first: bytes.Clone(h.dcid), client: bytes.Clone(h.scid)}
	c.keyed = c.first
	p.count++
	if len(p.conns) == maxQUICConns {
		p.conns = slices.Delete(p.conns, 0, 1)
	}
	p.conns = append(p.conns, c)
	return c
}

// open opens an Initial packet of a connection.
func (c *quicConn) open(d flow.Direction, h *quicHead, b []byte) ([]byte, bool) {
	if h.len > len(b) {
		return nil, false
	}
	if c.keys[0] == nil || c.version != h.version {
		// A server may go on in another version than the client began with (RFC 9368).
		c.keys[0], c.keys[1] = tls.InitialKeys(h.version, c.keyed)
		c.version = h.version
	}
	return c.keys[d].Open(b, h.number)
}

// settle lets go of what has no use any more.
func (c *quicConn) settle() {
	for d, done := range c.done {
		if done {
			c.crypto[d] = tls.Crypto{}
		}
	}
	if c.done[0] && c.done[1] {
		c.keys = [2]*tls.QUICKeys{}
	}
}

// initial takes an Initial packet (RFC 9000, section 17.2.2).
func (p *quicParser) initial(d flow.Direction, h *quicHead, b []byte) *Message {
	var c *quicConn
	var frames []byte
	if d == flow.ClientToServer {
		c = p.find(func(c *quicConn) bool {
			return bytes.Equal(h.scid, c.client) &&
				(bytes.Equal(h.dcid, c.first) || bytes.Equal(h.dcid, c.keyed) || c.server != nil && bytes.Equal(h.dcid, c.server))
		})
		known := c != nil
		if !known {
			c = &quicConn{keyed: h.dcid}
		} else if c.done[d] {
			return nil
		}
		var ok bool
		if frames, ok = c.open(d, h, b); !ok {
			return nil // of a connection whose beginning we did not see, or older than a Retry
		}
		if !known {
			keys := c.keys
			c = p.begin(h)
			c.keys, c.version = keys, h.version
		}
	} else {
		c = p.find(func(c *quicConn) bool {
			if !bytes.Equal(h.dcid, c.client) || c.done[d] {
				return false
			}
			var ok bool
			frames, ok = c.open(d, h, b)
			return ok
		})
		if c == nil {
			return nil
		}
		c.server = bytes.Clone(h.scid)
	}
	m := c.frames(d, h, frames)
	c.settle()
	return m
}

// Frames that an Initial packet may have (RFC 9000, section 12.4).
const (
	quicPadding = 0x00
	quicPing    = 0x01
	quicAck     = 0x02
	quicAckECN  = 0x03
	quicCrypto  = 0x06
	quicClose   = 0x1c
)

// frames reads the frames of an Initial packet, and returns the hello if it is whole
// now.
func (c *quicConn) frames(d flow.Direction, h *quicHead, b []byte) *Message {
	r := quicReader{b: b}
	for len(r.b) > 0 && !r.bad {
		switch typ := r.varint(); typ {
		case quicPadding, quicPing:
		case quicAck, quicAckECN:
			r.varint() // the largest
			r.varint() // the delay
			n := r.varint()
			for r.varint(); n > 0 && !r.bad; n-- {
				r.varint()
				r.varint()
			}
			for range 3 * (typ - quicAck) {
				r.varint()
			}
		case quicCrypto:
			offset := r.varint()
			data := r.take(r.varint())
			if r.bad {
				break
			}
			if !c.crypto[d].Add(offset, data) {
				c.done[d] = true
				return &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "a hello is too large, or in too many pieces"}
			}
		case quicClose:
			code := r.varint()
			r.varint() // the frame that is at fault
			reason := r.take(r.varint())
			if r.bad || d == flow.ClientToServer {
				break
			}
			c.done, c.answered = [2]bool{true, true}, true
			return &Message{Direction: d, Kind: Response, ID: c.id, Complete: true, Body: &QUICClose{code, string(reason)}}
		default:
			r.bad = true
		}
	}
	if r.bad {
		return &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "an Initial packet has what is no frame of one"}
	}
	hello, done := c.crypto[d].Hello()
	if !done {
		return nil
	}
	c.done[d] = true
	if hello == nil || hello.Server != (d == flow.ServerToClient) {
		return &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "what the handshake begins with is no hello"}
	}
	if !hello.Server && hello.JA4 != "" { // which says over what it was sent
		hello.JA4 = "q" + hello.JA4[1:]
	}
	m := &Message{Direction: d, ID: c.id, Complete: true, Body: &QUICHello{
		Hello: hello, Version: h.version, DCID: bytes.Clone(h.dcid), SCID: bytes.Clone(h.scid),
	}}
	if hello.Server {
		m.Kind, c.answered = Response, true
	}
	return m
}

// quicReader takes frames apart; what is short yields zeroes and sets bad.
type quicReader struct {
	b   []byte
	bad bool
}

func (r *quicReader) varint() uint64 {
	v, n := quicVarint(r.b)
	if n == 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *quicReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// unknown takes a client's packet of a version that is not known. All that follows
// from it is that somebody tried.
func (p *quicParser) unknown(h *quicHead) *Message {
	if p.find(func(c *quicConn) bool { return bytes.Equal(h.scid, c.client) }) != nil || len(h.dcid) < minQUICFirstID {
		return nil
	}
	c := p.begin(h)
	c.done = [2]bool{true, true}
	return &Message{Direction: flow.ClientToServer, ID: c.id, Complete: true, Body: &QUICHello{Version: h.version, DCID: c.first, SCID: c.client}}
}

// retry takes a Retry packet (RFC 9000, section 17.2.5), which has the client begin
// again, once, with other keys.
func (p *quicParser) retry(h *quicHead, b []byte) *Message {
	c := p.find(func(c *quicConn) bool {
		return bytes.Equal(h.dcid, c.client) && !c.retried && !c.done[flow.ServerToClient] && tls.GenuineRetry(h.version, b, c.first)
	})
	if c == nil {
		return nil
	}
	m := &Message{Direction: flow.ServerToClient, Kind: Response, ID: c.id, Complete: true}
	c.retried, c.keyed, c.keys = true, bytes.Clone(h.scid), [2]*tls.QUICKeys{}
	c.crypto, c.done = [2]tls.Crypto{}, [2]bool{}
	c.id, p.count = p.count, p.count+1
	m.Body = &QUICRetry{c.keyed, len(h.token) - 16}
	return m
}

// negotiation takes a version negotiation (RFC 9000, section 17.2.1).
func (p *quicParser) negotiation(h *quicHead) *Message {
	c := p.find(func(c *quicConn) bool {
		return bytes.Equal(h.dcid, c.client) && bytes.Equal(h.scid, c.first) && !c.answered
	})
	if c == nil {
		return nil
	}
	c.answered, c.done = true, [2]bool{true, true}
	c.settle()
	v := new(QUICVersions)
	for b := h.token; len(b) >= 4 && len(v.Versions) < maxQUICVersions; b = b[4:] {
		v.Versions = append(v.Versions, binary.BigEndian.Uint32(b))
	}
	return &Message{Direction: flow.ServerToClient, Kind: Response, ID: c.id, Complete: true, Body: v}
}
