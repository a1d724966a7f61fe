package proto

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"netlab/decode/flow"
)

// mqttParser reads packets. Their lengths are all there is: behind a gap that is
// more than the rest of a packet, nothing is known.
type mqttParser struct {
	sides      [2]mqttSide
	level      uint8 // of the protocol; 0 until a CONNECT or a property told it
	connecting bool  // a CONNECT waits for its CONNACK
}

// mqttSide is what is known of one direction.
type mqttSide struct {
	msg     *Message // of which left bytes are still to come
	left    int64    // without msg, they are passed over
	payload bool     // what is to come is the payload of a PUBLISH
	lost    bool
	// doubted are the QoS 2 packets of this sender that have no PUBCOMP yet, a bit
	// for each number; nil when there was none.
	doubted *[1 << 16 / 64]uint64
	aliases map[uint16]string
	aliased int // length of the aliases
}

// Held returns how much memory the parser has need of.
func (p *mqttParser) Held() int {
	n := 0
	for i := range p.sides {
		s := &p.sides[i]
		if s.doubted != nil {
			n += 8 << 10
		}
		n += s.aliased + 64*len(s.aliases)
	}
	return n
}

// mqttHead is a fixed header (version 5, section 2.1).
type mqttHead struct {
	typ   MQTTType
	flags uint8
	len   int   // of the header; 0 when more is needed, -1 when it is none
	size  int64 // of what follows
}

func readMQTTHead(data []byte) mqttHead {
	if len(data) == 0 {
		return mqttHead{}
	}
	h := mqttHead{typ: MQTTType(data[0] >> 4), flags: data[0] & 15}
	if h.typ == 0 {
		h.len = -1
		return h
	}
	size, n := mqttVarint(data[1:])
	switch {
	case n < 0:
		h.len = -1
	case n > 0:
		h.len, h.size = 1+n, int64(size)
	}
	return h
}

// mqttVarint reads a variable byte integer (version 5, section 1.5.5): its value,
// and its length, 0 when more is needed and -1 when it is none.
func mqttVarint(b []byte) (v uint32, n int) {
	for i, c := range b {
		if i == 4 {
			return 0, -1
		}
		v |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1
		}
	}
	if len(b) >= 4 {
		return 0, -1
	}
	return 0, 0
}

// What is wrong with a packet.
const (
	mqttNotWhole = "the connection ended inside the packet"
	mqttNoPacket = "what follows is no MQTT packet"
	mqttTooLarge = "the packet is too large"
)

func (p *mqttParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &p.sides[d]
	switch {
	case s.left > 0:
		return s.rest(d, data, end)
	case len(data) == 0:
		return 0, nil
	case s.lost:
		return len(data), &Message{Direction: d, Kind: Skipped}
	}
	h := readMQTTHead(data)
	switch {
	case h.len < 0:
		s.lost = true
		return len(data), &Message{Direction: d, Kind: Skipped, Malformed: true, Why: mqttNoPacket}
	case h.len == 0 && !end:
		return 0, nil
	case h.len == 0:
		return len(data), p.partial(d, h, mqttNotWhole)
	}
	fixed, tooLarge := h.size, h.size > maxMQTTPacket
	if h.typ == MQTTPublish {
		fixed, tooLarge = p.publishHead(h, data[h.len:])
	}
	switch {
	case tooLarge:
		m := p.partial(d, h, mqttTooLarge)
		m.Malformed = true
		if h.size > 0 {
			s.msg, s.left, s.payload = m, h.size, false
			m = nil
		}
		return h.len, m
	case fixed > int64(len(data)-h.len) && !end:
		return 0, nil
	case fixed > int64(len(data)-h.len):
		s.left = h.size - int64(len(data)-h.len) // if more comes, that was a lie
		return len(data), p.partial(d, h, mqttNotWhole)
	}
	n := h.len + int(fixed)
	m := p.packet(d, h, data[h.len:n])
	if s.left = h.size - fixed; s.left == 0 {
		return n, m
	}
	s.msg, s.payload = m, true
	return n, nil
}

// Pass takes what goes on with a payload whose beginning is known.
func (p *mqttParser) Pass(d flow.Direction, data []byte) bool {
	s := &p.sides[d]
	if s.msg == nil || !s.payload || int64(len(data)) >= s.left {
		return false
	}
	b := s.msg.Body.(*MQTTPacket)
	if len(b.Preview) < previewLen && b.Missing == 0 {
		return false
	}
	b.Payload += int64(len(data))
	s.left -= int64(len(data))
	return true
}

// partial is a packet of which not more is known than its type. It can't be told
// what it belongs to.
func (p *mqttParser) partial(d flow.Direction, h mqttHead, why string) *Message {
	m := &Message{Direction: d, Alone: true, Why: why, Body: &MQTTPacket{Type: h.typ, From: d, Version: p.level}}
	if h.typ.answers() {
		m.Kind = Response
	}
	return m
}

// rest goes on in a packet, as a rule in the payload of a PUBLISH.
func (s *mqttSide) rest(d flow.Direction, data []byte, end bool) (int, *Message) {
	n := int(min(s.left, int64(len(data))))
	s.left -= int64(n)
	m := s.msg
	if m == nil {
		if n == 0 {
			return 0, nil
		}
		return n, &Message{Direction: d, Kind: Skipped}
	}
	if s.payload {
		b := m.Body.(*MQTTPacket)
		b.Payload += int64(n)
		if room := previewLen - len(b.Preview); room > 0 && b.Missing == 0 {
			b.Preview = append(b.Preview, data[:min(room, n)]...)
		}
	}
	if s.left > 0 && !end {
		return n, nil
	}
	if s.left > 0 && m.Complete {
		m.Complete, m.Why = false, fmt.Sprintf("the connection ended inside the payload, %d bytes before its end", s.left)
	}
	s.msg = nil
	return n, m
}

// Gap passes over missing bytes of a packet whose length is known.
func (p *mqttParser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	s := &p.sides[d]
	if s.left == 0 {
		h := readMQTTHead(data)
		if s.lost || h.len <= 0 {
			s.lost = true
			return 0, nil
		}
		s.msg, s.left, s.payload = p.partial(d, h, ""), h.size-int64(len(data)-h.len), false
	}
	took := min(n, s.left)
	s.left -= took
	s.lost = s.lost || n > took
	m := s.msg
	if m == nil {
		return 0, nil
	}
	if s.payload {
		b := m.Body.(*MQTTPacket)
		b.Payload += took
		b.Missing += took
	}
	if !m.Malformed {
		m.Complete, m.Why = false, "bytes of the packet were not captured"
	}
	if s.left > 0 {
		return took, nil
	}
	s.msg = nil
	return took, m
}

// publishHead returns how much of a PUBLISH stands before its payload, or as much
// of that as is known, which is more than there is; and whether it is too large.
func (p *mqttParser) publishHead(h mqttHead, b []byte) (int64, bool) {
	need := int64(2)
	if len(b) >= 2 {
		need += int64(b[0])<<8 | int64(b[1])
		if h.flags&6 != 0 {
			need += 2
		}
		if p.level == 5 {
			switch v, n := mqttVarint(b[min(need, int64(len(b))):]); {
			case n > 0:
				need += int64(n) + int64(v)
			case n == 0:
				need = max(need, int64(len(b))) + 1
			}
		}
	}
	// What does not fit is found malformed when it is read.
	need = min(need, h.size)
	return need, need > maxMQTTPacket
}

// mqttReader takes a packet apart; what is short yields zeroes and sets bad.
type mqttReader struct {
	b   []byte
	bad bool
}

func (r *mqttReader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// number reads n bytes, at most 4.
func (r *mqttReader) number(n int) (v uint32) {
	for _, c := range r.take(n) {
		v = v<<8 | uint32(c)
	}
	return v
}

// text reads what has its length before it.
func (r *mqttReader) text() string { return string(r.take(int(r.number(2)))) }

func (r *mqttReader) varint() uint32 {
	v, n := mqttVarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// mqttForm is how the value of a property is written.
type mqttForm uint8

const (
	mqttByte mqttForm = iota + 1
	mqttTwo
	mqttFour
	mqttVar
	mqttText
	mqttBinary
	mqttPair
)

// mqttProperties are the properties that there are (version 5, section 2.2.2.2).
var mqttProperties = [...]struct {
	name string
	form mqttForm
}{
	0x01: {"payload_format_indicator", mqttByte},
	0x02: {"message_expiry_interval", mqttFour},
	0x03: {"content_type", mqttText},
	0x08: {"response_topic", mqttText},
	0x09: {"correlation_data", mqttBinary},
	0x0b: {"subscription_identifier", mqttVar},
	0x11: {"session_expiry_interval", mqttFour},
	0x12: {"assigned_client_identifier", mqttText},
	0x13: {"server_keep_alive", mqttTwo},
	0x15: {"authentication_method", mqttText},
	0x16: {"authentication_data", mqttBinary},
	0x17: {"request_problem_information", mqttByte},
	0x18: {"will_delay_interval", mqttFour},
	0x19: {"request_response_information", mqttByte},
	0x1a: {"response_information", mqttText},
	0x1c: {"server_reference", mqttText},
	0x1f: {"reason_string", mqttText},
	0x21: {"receive_maximum", mqttTwo},
	0x22: {"topic_alias_maximum", mqttTwo},
	0x23: {mqttTopicAliasName, mqttTwo},
	0x24: {"maximum_qos", mqttByte},
	0x25: {"retain_available", mqttByte},
	0x26: {"user_property", mqttPair},
	0x27: {"maximum_packet_size", mqttFour},
	0x28: {"wildcard_subscription_available", mqttByte},
	0x29: {"subscription_identifier_available", mqttByte},
	0x2a: {"shared_subscription_available", mqttByte},
}

// Properties that are looked at here.
const (
	mqttSubscriptionID = 0x0b
	mqttTopicAlias     = 0x23
	mqttUserProperty   = 0x26

	mqttTopicAliasName = "topic_alias"
)

// PropertyName names the property: "user_property".
func (p *MQTTProperty) PropertyName() string { return mqttProperties[p.Property].name }

// properties reads a list of properties with its length before it.
func (r *mqttReader) properties() (list []MQTTProperty) {
	in := mqttReader{b: r.take(int(r.varint()))}
	for len(in.b) > 0 && len(list) < maxMQTTList {
		id := in.number(1)
		if int(id) >= len(mqttProperties) || mqttProperties[id].form == 0 {
			in.bad = true
			break
		}
		p := MQTTProperty{Property: uint8(id)}
		switch mqttProperties[id].form {
		case mqttByte:
			p.Number = in.number(1)
		case mqttTwo:
			p.Number = in.number(2)
		case mqttFour:
			p.Number = in.number(4)
		case mqttVar:
			p.Number = in.varint()
		case mqttPair:
			p.Name = in.text()
			p.Text = in.text()
		default:
			p.Text = in.text()
		}
		if in.bad {
			break
		}
		list = append(list, p)
	}
	r.bad = r.bad || in.bad || len(in.b) > 0
	return list
}

// packet reads a packet that is all there, but for the payload of a PUBLISH.
func (p *mqttParser) packet(d flow.Direction, h mqttHead, b []byte) *Message {
	level := p.level
	if level == 0 {
		level = 4
	}
	body, why := readMQTT(d, h, b, level)
	if why != "" && p.level == 0 && h.typ != MQTTPublish {
		// With no CONNECT, the version is the one that fits.
		if other, w := readMQTT(d, h, b, 5); w == "" {
			body, why = other, ""
			p.level = 5
		}
	}
	if body.Connect != nil {
		p.level = body.Version
	} else {
		body.Version = p.level
	}
	if why != "" {
		m := p.partial(d, h, why)
		m.Malformed, m.Body = true, body
		return m
	}
	m := &Message{Direction: d, Complete: true, Body: body}
	p.place(m, body)
	return m
}

// Message.ID is the packet identifier, which each side chooses for what it asks:
// those of a server have a bit set. What has none of its own has the others.
const (
	mqttOfServer   = 1 << 16
	mqttOfPing     = 2 << 16
	mqttOfAuth     = 3 << 16
	mqttOfConnect  = 0 // no packet identifier is 0
	mqttAuthGoesOn = 0x18
	mqttAuthAgain  = 0x19
)

// answers reports whether packets of the type answer others.
func (t MQTTType) answers() bool {
	switch t {
	case MQTTConnack, MQTTPuback, MQTTPubrec, MQTTPubcomp, MQTTSuback, MQTTUnsuback, MQTTPingresp:
		return true
	}
	return false
}

// place says what part in which exchange a packet has.
func (p *mqttParser) place(m *Message, b *MQTTPacket) {
	d := m.Direction
	asker := d
	if b.Type.answers() {
		m.Kind = Response
		asker = d.Reverse()
	}
	m.ID = uint32(b.ID)
	if asker == flow.ServerToClient {
		m.ID |= mqttOfServer
	}
	s := &p.sides[asker] // of whoever has asked
	switch b.Type {
	case MQTTConnect:
		m.ID, p.connecting = mqttOfConnect, true
	case MQTTConnack:
		m.ID, p.connecting = mqttOfConnect, false
	case MQTTPingreq, MQTTPingresp:
		m.ID = mqttOfPing
	case MQTTDisconnect:
		m.Alone = true
	case MQTTPublish:
		s.name(b)
		m.Alone = b.QoS == 0
		if b.QoS == 2 {
			s.doubt(b.ID, true)
		}
	case MQTTPubrec:
		if s.doubts(b.ID) && !b.fails(b.Reasons[0]) {
			m.Kind = Interim
		} else {
			s.doubt(b.ID, false)
		}
	case MQTTPubrel:
		// After a connection was lost, it is where the talk goes on.
		if s.doubts(b.ID) {
			m.Kind = Interim
		}
	case MQTTPubcomp:
		s.doubt(b.ID, false)
	case MQTTAuth: // section 4.12
		m.ID = mqttOfAuth
		switch {
		case b.Reasons[0] == mqttAuthGoesOn && p.connecting:
			m.Kind, m.ID = Interim, mqttOfConnect
		case b.Reasons[0] == mqttAuthGoesOn:
			m.Kind = Interim
		case b.Reasons[0] != mqttAuthAgain:
			m.Kind = Response
		}
	}
}

func (s *mqttSide) doubts(id uint16) bool {
	return s.doubted != nil && s.doubted[id/64]&(1<<(id%64)) != 0
}

func (s *mqttSide) doubt(id uint16, on bool) {
	if s.doubted == nil {
		if !on {
			return
		}
		s.doubted = new([1 << 16 / 64]uint64)
	}
	if on {
		s.doubted[id/64] |= 1 << (id % 64)
	} else {
		s.doubted[id/64] &^= 1 << (id % 64)
	}
}

// name notes which topic an alias is for, or takes the topic that it is for.
func (s *mqttSide) name(b *MQTTPacket) {
	for i := range b.Properties {
		if b.Properties[i].Property != mqttTopicAlias {
			continue
		}
		alias := uint16(b.Properties[i].Number)
		old, known := s.aliases[alias]
		switch {
		case b.Topic == "":
			b.Topic = old
		case !known && len(s.aliases) >= maxMQTTAliases, s.aliased+len(b.Topic)-len(old) > maxMQTTAliasBytes:
			if known { // it is not that any more
				delete(s.aliases, alias)
				s.aliased -= len(old)
			}
		default:
			if s.aliases == nil {
				s.aliases = make(map[uint16]string)
			}
			s.aliases[alias] = b.Topic
			s.aliased += len(b.Topic) - len(old)
		}
		return
	}
}

// readMQTT reads a packet of a version, and says what is wrong with it.
func readMQTT(d flow.Direction, h mqttHead, b []byte, level uint8) (*MQTTPacket, string) {
	p := &MQTTPacket{Type: h.typ, From: d}
	r := &mqttReader{b: b}
	flags := h.flags
	switch h.typ {
	case MQTTPublish:
		flags = 0
	case MQTTPubrel, MQTTSubscribe, MQTTUnsubscribe:
		if level == 3 {
			flags &^= 8 // DUP; later versions have it for PUBLISH only
		}
		flags ^= 2
	default:
		if level == 3 {
			flags = 0 // section 2.1 of 3.1: not used
		}
	}
	if flags != 0 {
		return p, "its reserved flags are set otherwise than they must be"
	}
	switch h.typ {
	case MQTTConnect, MQTTSubscribe, MQTTUnsubscribe, MQTTPingreq:
		if d == flow.ServerToClient {
			return p, "a server does not send " + h.typ.String()
		}
	case MQTTConnack, MQTTSuback, MQTTUnsuback, MQTTPingresp:
		if d == flow.ClientToServer {
			return p, "a client does not send " + h.typ.String()
		}
	}
	properties := func() {
		if level == 5 {
			p.Properties = r.properties()
		}
	}
	// A reason and properties may be left out when there is nothing to say.
	outcome := func() {
		p.Reasons = []uint8{0}
		if level == 5 && len(r.b) > 0 {
			p.Reasons[0] = uint8(r.number(1))
			if len(r.b) > 0 {
				properties()
			}
		}
	}
	switch h.typ {
	case MQTTConnect:
		r.connect(p)
	case MQTTConnack:
		p.SessionPresent = r.number(1)&1 != 0
		p.Reasons = []uint8{uint8(r.number(1))}
		if len(r.b) > 0 { // a server that does not know version 5 says so as of 3.1.1
			properties()
		}
	case MQTTPublish:
		p.Dup, p.QoS, p.Retain = h.flags&8 != 0, h.flags>>1&3, h.flags&1 != 0
		p.Topic = r.text()
		if p.QoS > 0 {
			p.ID = uint16(r.number(2))
		}
		properties()
		switch {
		case p.QoS == 3:
			return p, "there is no QoS 3"
		case p.QoS > 0 && p.ID == 0 && !r.bad:
			return p, "it has no packet identifier"
		case p.Topic == "" && level != 5 && !r.bad:
			return p, "it has no topic"
		}
	case MQTTPuback, MQTTPubrec, MQTTPubrel, MQTTPubcomp:
		p.ID = uint16(r.number(2))
		outcome()
	case MQTTSubscribe, MQTTUnsubscribe:
		p.ID = uint16(r.number(2))
		properties()
		for len(r.b) > 0 && len(p.Filters) < maxMQTTList {
			f := MQTTFilter{Filter: r.text()}
			if h.typ == MQTTSubscribe {
				f.Options = uint8(r.number(1))
			}
			p.Filters = append(p.Filters, f)
		}
		if len(p.Filters) == 0 {
			return p, "it has no topic filter"
		}
	case MQTTSuback, MQTTUnsuback:
		p.ID = uint16(r.number(2))
		properties()
		if h.typ == MQTTSuback || level == 5 {
			p.Reasons = append([]uint8(nil), r.take(len(r.b))...)
		}
	case MQTTDisconnect:
		if level == 5 {
			outcome()
		}
	case MQTTAuth:
		if level != 5 {
			return p, "there is no AUTH before version 5"
		}
		outcome()
	}
	if r.bad || len(r.b) > 0 {
		return p, "the lengths in it do not add up"
	}
	return p, ""
}

// mqttBridge is set in the protocol level by a server that connects to another, as
// Mosquitto's do.
const mqttBridge = 0x80

// connect reads a CONNECT (version 5, section 3.1).
func (r *mqttReader) connect(p *MQTTPacket) {
	c := new(MQTTConnection)
	r.text() // the protocol's name, which the level implies
	level := uint8(r.number(1)) &^ mqttBridge
	flags := r.number(1)
	c.Clean = flags&2 != 0
	c.KeepAlive = uint16(r.number(2))
	if level == 5 {
		p.Properties = r.properties()
	}
	c.ClientID = r.text()
	if c.HasWill = flags&4 != 0; c.HasWill {
		if level == 5 {
			c.WillProperties = r.properties()
		}
		c.WillTopic, c.WillPayload = r.text(), r.text()
		c.WillQoS, c.WillRetain = uint8(flags>>3&3), flags&0x20 != 0
	}
	if c.HasUser = flags&0x80 != 0; c.HasUser {
		c.User = r.text()
	}
	if c.HasPassword = flags&0x40 != 0; c.HasPassword {
		c.Password = r.text()
	}
	if !r.bad {
		p.Connect, p.Version = c, level
	}
}

// appendProperties appends properties as an object, if there are any. Those that
// may be there more than once are lists.
func appendProperties(dst []byte, name string, list []MQTTProperty) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":{`...)
	var seen [len(mqttProperties)]bool
	for i := range list {
		p := &list[i]
		if seen[p.Property] {
			continue
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		seen[p.Property] = true
		dst = append(dst, '"')
		dst = append(dst, p.PropertyName()...)
		dst = append(dst, `":`...)
		if p.Property != mqttUserProperty && p.Property != mqttSubscriptionID {
			dst = p.appendValue(dst)
			continue
		}
		dst = append(dst, '[')
		for j := i; j < len(list); j++ {
			if list[j].Property != p.Property {
				continue
			}
			if j > i {
				dst = append(dst, ',')
			}
			dst = list[j].appendValue(dst)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendValue appends the value of a property: a number, a text, bytes in hex, or a
// name with a text.
func (p *MQTTProperty) appendValue(dst []byte) []byte {
	switch mqttProperties[p.Property].form {
	case mqttText:
		return AppendString(dst, p.Text)
	case mqttBinary:
		return append(hex.AppendEncode(append(dst, '"'), []byte(p.Text)), '"')
	case mqttPair:
		dst = AppendString(append(dst, '['), p.Name)
		return append(AppendString(append(dst, ','), p.Text), ']')
	}
	return strconv.AppendUint(dst, uint64(p.Number), 10)
}

// mqttReasons name the reasons of version 5 (section 2.4).
var mqttReasons = map[uint8]string{
	0x04: "disconnect with will message", 0x10: "no matching subscribers", 0x11: "no subscription existed",
	0x18: "continue authentication", 0x19: "re-authenticate", 0x80: "unspecified error", 0x81: "malformed packet",
	0x82: "protocol error", 0x83: "implementation specific error", 0x84: "unsupported protocol version",
	0x85: "client identifier not valid", 0x86: "bad user name or password", 0x87: "not authorized",
	0x88: "server unavailable", 0x89: "server busy", 0x8a: "banned", 0x8b: "server shutting down",
	0x8c: "bad authentication method", 0x8d: "keep alive timeout", 0x8e: "session taken over",
	0x8f: "topic filter invalid", 0x90: "topic name invalid", 0x91: "packet identifier in use",
	0x92: "packet identifier not found", 0x93: "receive maximum exceeded", 0x94: "topic alias invalid",
	0x95: "packet too large", 0x96: "message rate too high", 0x97: "quota exceeded", 0x98: "administrative action",
	0x99: "payload format invalid", 0x9a: "retain not supported", 0x9b: "qos not supported",
	0x9c: "use another server", 0x9d: "server moved", 0x9e: "shared subscriptions not supported",
	0x9f: "connection rate exceeded", 0xa0: "maximum connect time", 0xa1: "subscription identifiers not supported",
	0xa2: "wildcard subscriptions not supported",
}

// reasonName names a reason; for a CONNACK of version 3.1.1, by its section 3.2.2.3.
func (p *MQTTPacket) reasonName(reason uint8) string {
	refused := [...]string{
		"unacceptable protocol version", "client identifier rejected", "server unavailable", "bad user name or password", "not authorized",
	}
	switch i := int(reason) - 1; {
	case reason == 0:
		return "success"
	case p.Type == MQTTConnack && i < len(refused):
		return refused[i]
	case p.Type == MQTTSuback && reason <= 2:
		return fmt.Sprintf("granted qos %d", reason)
	case mqttReasons[reason] != "":
		return mqttReasons[reason]
	}
	return fmt.Sprintf("reason 0x%02x", reason)
}

// probeMQTT knows a CONNECT. Where the beginning was not captured, it wants an
// answer to what the other side asked, or several PUBLISH packets in a row.
func probeMQTT(o Opening) Verdict {
	if o.Transport != flow.TCP {
		return NoMatch
	}
	client, server := o.First[flow.ClientToServer], o.First[flow.ServerToClient]
	if len(client) > 0 && client[0] == byte(MQTTConnect)<<4 {
		return probeConnect(client, o.Ended[flow.ClientToServer])
	}
	var asked, answered mqttGlance
	ok := asked.look(flow.ClientToServer, client) && answered.look(flow.ServerToClient, server)
	switch {
	case !ok:
		return NoMatch
	case answered.answers(&asked), asked.answers(&answered), asked.published >= mqttEnough, answered.published >= mqttEnough:
		return Match
	case answered.connack && answered.whole > 1 && len(client) == 0:
		return Match
	case o.Ended[0] && o.Ended[1]:
		return NoMatch
	}
	return NeedMore
}

// mqttEnough is how many PUBLISH packets in a row are no accident.
const mqttEnough = 3

// probeConnect knows a CONNECT by the name and level of the protocol (version 5,
// section 3.1.2; MQIsdp is that of 3.1).
func probeConnect(b []byte, ended bool) Verdict {
	h := readMQTTHead(b)
	if h.len < 0 || h.size > maxMQTTPacket || h.len > 0 && h.size < 10 {
		return NoMatch
	}
	if h.len > 0 {
		rest, begins := b[h.len:], false
		for _, name := range [...]string{"\x00\x04MQTT", "\x00\x06MQIsdp"} {
			if n := min(len(rest), len(name)); string(rest[:n]) != name[:n] {
				continue
			}
			begins = true
			if len(rest) > len(name) {
				if level := rest[len(name)] &^ mqttBridge; level < 3 || level > 5 {
					return NoMatch
				}
				return Match
			}
		}
		if !begins {
			return NoMatch
		}
	}
	if ended {
		return NoMatch
	}
	return NeedMore
}

// mqttGlance is what the first packets of a direction look like.
type mqttGlance struct {
	whole, published int
	connack, pinged  bool // it begins with a CONNACK; there is a PINGREQ or PINGRESP
	ids              [2][]uint16
}

// Of mqttGlance.ids.
const (
	mqttAsks = iota
	mqttAnswers
)

// maxMQTTGlance bounds the packets that are looked at.
const maxMQTTGlance = 16

// look goes through the packets, and reports whether all could be of MQTT.
func (g *mqttGlance) look(d flow.Direction, b []byte) bool {
	for len(b) > 0 && g.whole < maxMQTTGlance {
		h := readMQTTHead(b)
		if h.len < 0 || h.size > 1<<28 {
			return false
		}
		var rest []byte
		if h.len > 0 {
			rest = b[h.len:][:min(int64(len(b)-h.len), h.size)]
		}
		if !mqttPlausible(d, h, rest) {
			return false
		}
		if h.len == 0 || int64(len(rest)) < h.size {
			return true
		}
		body, why := readMQTT(d, h, rest, 4)
		if h.typ == MQTTPublish {
			why = "" // mqttPlausible has looked, but for the payload
			body.ID = 0
			if n := 2 + int(rest[0])<<8 + int(rest[1]); h.flags&6 != 0 {
				body.ID = uint16(rest[n])<<8 | uint16(rest[n+1])
			}
			g.published++
		}
		if why != "" {
			if body, why = readMQTT(d, h, rest, 5); why != "" {
				return false
			}
		}
		g.connack = g.connack || g.whole == 0 && h.typ == MQTTConnack
		g.pinged = g.pinged || h.typ == MQTTPingreq || h.typ == MQTTPingresp
		if body.ID != 0 {
			i := mqttAsks
			if h.typ.answers() {
				i = mqttAnswers
			}
			g.ids[i] = append(g.ids[i], body.ID)
		}
		g.whole++
		b = b[h.len+int(h.size):]
	}
	return true
}

// answers reports whether there is an answer to what the other side asked.
func (g *mqttGlance) answers(o *mqttGlance) bool {
	if g.pinged && o.pinged {
		return true
	}
	for _, id := range g.ids[mqttAnswers] {
		if slices.Contains(o.ids[mqttAsks], id) {
			return true
		}
	}
	return false
}

// mqttPlausible reports whether what is there of a packet could be one that comes
// in the middle of a talk. An answer has hardly ever more than its identifier and
// a reason.
func mqttPlausible(d flow.Direction, h mqttHead, b []byte) bool {
	known := h.len > 0
	switch h.typ {
	case MQTTPublish:
		qos := h.flags >> 1 & 3
		switch {
		case qos == 3, qos == 0 && h.flags&8 != 0, known && h.size < 3:
			return false
		case !known || len(b) == 0:
			return true
		}
		n := int64(b[0]) << 8
		if len(b) > 1 {
			n |= int64(b[1])
		}
		room := h.size - 2
		if qos > 0 {
			room -= 2
		}
		if n > room || len(b) > 1 && n == 0 {
			return false
		}
		topic := b[min(2, len(b)):min(int64(len(b)), 2+n)]
		for i := 0; i < len(topic); {
			r, size := utf8.DecodeRune(topic[i:])
			if r == utf8.RuneError && size < 2 && (utf8.FullRune(topic[i:]) || int64(len(topic)) == n) || r < ' ' || r == '#' || r == '+' {
				return false
			}
			i += max(size, 1)
		}
		return true
	case MQTTConnack:
		return d == flow.ServerToClient && h.flags == 0 && (!known || h.size >= 2 && h.size < 256) && (len(b) == 0 || b[0] <= 1)
	case MQTTPuback, MQTTPubrec, MQTTPubcomp:
		return h.flags == 0 && (!known || h.size == 2 || h.size == 3)
	case MQTTPubrel:
		return h.flags == 2 && (!known || h.size == 2 || h.size == 3)
	case MQTTPingreq:
		return d == flow.ClientToServer && h.flags == 0 && h.size == 0
	case MQTTPingresp:
		return d == flow.ServerToClient && h.flags == 0 && h.size == 0
	case MQTTSuback, MQTTUnsuback:
		return d == flow.ServerToClient && h.flags == 0 && (!known || h.size >= 2 && h.size < 256)
	case MQTTSubscribe, MQTTUnsubscribe:
		return d == flow.ClientToServer && h.flags == 2 && (!known || h.size >= 5 && h.size < 64<<10)
	}
	return false
}
