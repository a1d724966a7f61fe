package proto

import (
	"fmt"
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// MQTT is the message queue protocol of small things, in the versions 3.1, 3.1.1
// and 5 (OASIS MQTT Version 3.1.1, 2014; Version 5.0, 2019). Both sides publish:
// an exchange is what either of them asked, with its acknowledgement; for QoS 2
// PUBREC and PUBREL stand between PUBLISH and PUBCOMP.
var MQTT = Protocol{
	Name:       "mqtt",
	Probe:      probeMQTT,
	New:        func(Waiting) Parser { return &mqttParser{} },
	Pairing:    ByID,
	Attributes: mqttAttributes,
}

// maxMQTTPacket bounds a packet without the payload of a PUBLISH: the five texts
// of a CONNECT have up to 64 KiB each.
const maxMQTTPacket = 512 << 10

// maxMQTTList bounds the filters, reasons or properties of one packet that are
// read.
const maxMQTTList = 8192

// maxMQTTAliases bounds the topics that a side has given numbers (version 5,
// section 3.3.2.3.4), and maxMQTTAliasBytes how long they are together.
const (
	maxMQTTAliases    = 1024
	maxMQTTAliasBytes = 64 << 10
)

// MQTTType is the type of a control packet (version 5, section 2.1.2).
type MQTTType uint8

// The types.
const (
	MQTTConnect MQTTType = iota + 1
	MQTTConnack
	MQTTPublish
	MQTTPuback
	MQTTPubrec
	MQTTPubrel
	MQTTPubcomp
	MQTTSubscribe
	MQTTSuback
	MQTTUnsubscribe
	MQTTUnsuback
	MQTTPingreq
	MQTTPingresp
	MQTTDisconnect
	MQTTAuth
)

var mqttTypes = [16]string{
	"", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK",
	"UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

func (t MQTTType) String() string { return mqttTypes[t&15] }

// MQTTPacket is one control packet.
type MQTTPacket struct {
	Type MQTTType
	From flow.Direction
	// ID pairs what is acknowledged with what acknowledges it; 0 is none.
	ID uint16
	// Of a PUBLISH. Payload counts the bytes of its content, Missing how many of
	// them were never seen; Preview is how it begins. Topic is what a topic alias
	// stands for when there is only that.
	Topic            string
	QoS              uint8
	Retain, Dup      bool
	Payload, Missing int64
	Preview          []byte
	// SessionPresent is of a CONNACK.
	SessionPresent bool
	// Reasons say how it went: one for each filter in a SUBACK or UNSUBACK, one in
	// others that answer, and in DISCONNECT and AUTH.
	Reasons []uint8
	// Filters are what is subscribed to or not any more.
	Filters []MQTTFilter
	// Connect is what only a CONNECT has.
	Connect *MQTTConnection
	// Properties are of version 5.
	Properties []MQTTProperty
	// Version is the protocol level: 3 is 3.1, 4 is 3.1.1, 5 is 5; 0 when no
	// CONNECT was seen.
	Version uint8
}

// MQTTFilter is a topic filter, with what is asked for.
type MQTTFilter struct {
	Filter  string
	Options uint8 // QoS in the lowest two bits
}

// MQTTConnection is what a client says of itself. Clean asks to forget what was.
type MQTTConnection struct {
	ClientID               string
	KeepAlive              uint16 // in seconds
	Clean                  bool
	HasUser, HasPassword   bool
	User, Password         string
	HasWill, WillRetain    bool
	WillQoS                uint8
	WillTopic, WillPayload string
	WillProperties         []MQTTProperty
}

// MQTTProperty is a property of version 5 (section 2.2.2). Which of the fields has
// its value depends on the property's type; a user property has a name too.
type MQTTProperty struct {
	Property   uint8
	Number     uint32
	Text, Name string
}

// Held returns how much memory the packet has need of.
func (p *MQTTPacket) Held() int {
	n := len(p.Topic) + len(p.Preview) + len(p.Reasons) + heldProperties(p.Properties)
	for i := range p.Filters {
		n += 24 + len(p.Filters[i].Filter)
	}
	if c := p.Connect; c != nil {
		n += 256 + len(c.ClientID) + len(c.User) + len(c.Password) + len(c.WillTopic) + len(c.WillPayload) + heldProperties(c.WillProperties)
	}
	return n
}

func heldProperties(list []MQTTProperty) int {
	n := 0
	for i := range list {
		n += 40 + len(list[i].Text) + len(list[i].Name)
	}
	return n
}

// VersionName returns "3.1.1" for 4; nothing when it is not known.
func (p *MQTTPacket) VersionName() string {
	switch p.Version {
	case 3:
		return "3.1"
	case 4:
		return "3.1.1"
	case 5:
		return "5"
	}
	return ""
}

// Code returns the reason that counts: of several, the first that is a failure.
func (p *MQTTPacket) Code() int {
	for _, r := range p.Reasons {
		if p.fails(r) {
			return int(r)
		}
	}
	if len(p.Reasons) > 0 {
		return int(p.Reasons[0])
	}
	return 0
}

// fails reports whether a reason is a failure. Before version 5, a CONNACK numbers
// refusals from 1 on.
func (p *MQTTPacket) fails(reason uint8) bool {
	return reason >= 0x80 || p.Type == MQTTConnack && reason > 0
}

// Outcome returns the reason with its name.
func (p *MQTTPacket) Outcome() (code int, word string, failed bool) {
	code = p.Code()
	return code, p.reasonName(uint8(code)), p.fails(uint8(code))
}

// Endpoint is the packet's name with the topic or the first filter.
func (p *MQTTPacket) Endpoint() string {
	switch {
	case p.Type == MQTTPublish:
		return "PUBLISH " + p.Topic
	case len(p.Filters) > 0:
		return p.Type.String() + " " + p.Filters[0].Filter
	}
	return p.Type.String()
}

// Summary is the packet's name with what it is about. A password is not shown.
func (p *MQTTPacket) Summary() string {
	var b strings.Builder
	b.WriteString(p.Type.String())
	switch p.Type {
	case MQTTConnect:
		if c := p.Connect; c != nil {
			b.WriteString(" " + c.ClientID)
			if c.HasUser {
				b.WriteString(" as " + c.User)
			}
			if c.HasPassword {
				b.WriteString(" with password ***")
			}
			b.WriteString(", MQTT " + p.VersionName())
		}
	case MQTTPublish:
		if p.Topic != "" {
			b.WriteString(" " + p.Topic)
		}
		if p.QoS > 0 {
			fmt.Fprintf(&b, ", qos %d", p.QoS)
		}
		if p.Payload == 1 {
			b.WriteString(", 1 byte")
		} else {
			fmt.Fprintf(&b, ", %d bytes", p.Payload)
		}
	}
	const few = 4
	for i, f := range p.Filters {
		if i == few {
			fmt.Fprintf(&b, " and %d more", len(p.Filters)-few)
			break
		}
		b.WriteString(" " + f.Filter)
	}
	if code, word, failed := p.Outcome(); failed || code > 0 && p.Type == MQTTDisconnect {
		b.WriteString(" " + word)
	}
	return b.String()
}

// AppendJSON appends what a packet of its type has.
func (p *MQTTPacket) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"command":"`...)
	dst = append(dst, p.Type.String()...)
	dst = append(dst, `","from":"`...)
	dst = append(dst, [...]string{"client", "server"}[p.From]...)
	dst = append(dst, '"')
	if p.ID != 0 {
		dst = append(dst, `,"packet_id":`...)
		dst = strconv.AppendUint(dst, uint64(p.ID), 10)
	}
	switch p.Type {
	case MQTTConnect:
		if p.Connect != nil {
			dst = append(dst, `,"version":"`...)
			dst = append(dst, p.VersionName()...)
			dst = append(dst, '"')
			dst = p.Connect.appendJSON(dst)
		}
	case MQTTPublish:
		dst = append(dst, `,"topic":`...)
		dst = AppendString(dst, p.Topic)
		dst = append(dst, `,"qos":`...)
		dst = strconv.AppendUint(dst, uint64(p.QoS), 10)
		dst = append(dst, `,"retain":`...)
		dst = strconv.AppendBool(dst, p.Retain)
		if p.Dup {
			dst = append(dst, `,"dup":true`...)
		}
		dst = append(dst, `,"payload_bytes":`...)
		dst = strconv.AppendInt(dst, p.Payload, 10)
		if p.Missing > 0 {
			dst = append(dst, `,"missing":`...)
			dst = strconv.AppendInt(dst, p.Missing, 10)
		}
		if len(p.Preview) > 0 {
			dst = append(dst, `,"preview":`...)
			dst = AppendString(dst, p.Preview)
		}
	case MQTTConnack:
		dst = append(dst, `,"session_present":`...)
		dst = strconv.AppendBool(dst, p.SessionPresent)
	}
	if p.Filters != nil {
		dst = append(dst, `,"filters":[`...)
		for i := range p.Filters {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = p.appendFilter(dst, &p.Filters[i])
		}
		dst = append(dst, ']')
	}
	switch {
	case p.Type == MQTTSuback || p.Type == MQTTUnsuback:
		dst = append(dst, `,"reasons":[`...)
		for i, r := range p.Reasons {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(r), 10)
		}
		dst = append(dst, ']')
	case len(p.Reasons) > 0:
		dst = append(dst, `,"reason":`...)
		dst = strconv.AppendUint(dst, uint64(p.Reasons[0]), 10)
	}
	if code, word, _ := p.Outcome(); code > 0 {
		dst = append(dst, `,"reason_name":`...)
		dst = AppendString(dst, word)
	}
	return appendProperties(dst, "properties", p.Properties)
}

func (p *MQTTPacket) appendFilter(dst []byte, f *MQTTFilter) []byte {
	dst = append(dst, `{"filter":`...)
	dst = AppendString(dst, f.Filter)
	if p.Type == MQTTSubscribe {
		dst = append(dst, `,"qos":`...)
		dst = strconv.AppendUint(dst, uint64(f.Options&3), 10)
		if p.Version == 5 { // section 3.8.3.1
			dst = append(dst, `,"no_local":`...)
			dst = strconv.AppendBool(dst, f.Options&4 != 0)
			dst = append(dst, `,"retain_as_published":`...)
			dst = strconv.AppendBool(dst, f.Options&8 != 0)
			dst = append(dst, `,"retain_handling":`...)
			dst = strconv.AppendUint(dst, uint64(f.Options>>4&3), 10)
		}
	}
	return append(dst, '}')
}

func (c *MQTTConnection) appendJSON(dst []byte) []byte {
	dst = append(dst, `,"client_id":`...)
	dst = AppendString(dst, c.ClientID)
	dst = append(dst, `,"clean":`...)
	dst = strconv.AppendBool(dst, c.Clean)
	dst = append(dst, `,"keep_alive":`...)
	dst = strconv.AppendUint(dst, uint64(c.KeepAlive), 10)
	if c.HasUser {
		dst = append(dst, `,"username":`...)
		dst = AppendString(dst, c.User)
	}
	if c.HasPassword {
		dst = append(dst, `,"password":`...)
		dst = AppendString(dst, c.Password)
	}
	if !c.HasWill {
		return dst
	}
	dst = append(dst, `,"will":{"topic":`...)
	dst = AppendString(dst, c.WillTopic)
	dst = append(dst, `,"qos":`...)
	dst = strconv.AppendUint(dst, uint64(c.WillQoS), 10)
	dst = append(dst, `,"retain":`...)
	dst = strconv.AppendBool(dst, c.WillRetain)
	dst = append(dst, `,"payload_bytes":`...)
	dst = strconv.AppendInt(dst, int64(len(c.WillPayload)), 10)
	if c.WillPayload != "" {
		dst = append(dst, `,"preview":`...)
		dst = AppendString(dst, c.WillPayload[:min(previewLen, len(c.WillPayload))])
	}
	dst = appendProperties(dst, "properties", c.WillProperties)
	return append(dst, '}')
}

// mqttAttributes are what can be asked about an exchange.
var mqttAttributes = []Attribute{
	{Name: "mqtt.command", About: "the packet that asks: PUBLISH, SUBSCRIBE …", Get: mqttAsked(func(v []Value, p *MQTTPacket) []Value {
		return AppendText(v, p.Type.String())
	})},
	{Name: "mqtt.from", About: "who asks: client or server", Get: mqttAsked(func(v []Value, p *MQTTPacket) []Value {
		return AppendText(v, [...]string{"client", "server"}[p.From])
	})},
	{Name: "mqtt.topic", About: "what a PUBLISH is about", Get: mqttPublished(func(v []Value, p *MQTTPacket) []Value {
		return AppendText(v, p.Topic)
	})},
	{Name: "mqtt.filters", About: "each filter of a SUBSCRIBE or UNSUBSCRIBE", Get: mqttAsked(func(v []Value, p *MQTTPacket) []Value {
		for i := range p.Filters {
			v = AppendText(v, p.Filters[i].Filter)
		}
		return v
	})},
	{Name: "mqtt.qos", Kind: Number, About: "the quality of service of a PUBLISH", Get: mqttPublished(func(v []Value, p *MQTTPacket) []Value {
		return AppendNumber(v, int64(p.QoS))
	})},
	{Name: "mqtt.retain", Kind: Truth, About: "whether a PUBLISH is to be kept for later subscribers", Get: mqttPublished(func(v []Value, p *MQTTPacket) []Value {
		if p.Retain {
			return AppendNumber(v, 1)
		}
		return AppendNumber(v, 0)
	})},
	{Name: "mqtt.payload_bytes", Kind: Size, About: "the size of what is published", Get: mqttPublished(func(v []Value, p *MQTTPacket) []Value {
		return AppendNumber(v, p.Payload)
	})},
	{Name: "mqtt.client_id", About: "who connects", Get: mqttConnecting(func(v []Value, p *MQTTPacket) []Value {
		return AppendText(v, p.Connect.ClientID)
	})},
	{Name: "mqtt.username", About: "as whom", Get: mqttConnecting(func(v []Value, p *MQTTPacket) []Value {
		if p.Connect.HasUser {
			v = AppendText(v, p.Connect.User)
		}
		return v
	})},
	{Name: "mqtt.version", About: "of a CONNECT: 3.1, 3.1.1 or 5", Get: mqttConnecting(func(v []Value, p *MQTTPacket) []Value {
		return AppendText(v, p.VersionName())
	})},
	{Name: "mqtt.reason", Kind: Number, About: "how it went, as the answer says: 0 is well, 128 and more is not", Get: func(v []Value, e *Exchange) []Value {
		p, ok := bodyOf[*MQTTPacket](e.Response)
		if !ok {
			p, ok = bodyOf[*MQTTPacket](e.Request) // a DISCONNECT has one itself
		}
		if ok && len(p.Reasons) > 0 {
			v = AppendNumber(v, int64(p.Code()))
		}
		return v
	}},
}

func mqttAsked(get func([]Value, *MQTTPacket) []Value) func([]Value, *Exchange) []Value {
	return func(v []Value, e *Exchange) []Value {
		if p, ok := bodyOf[*MQTTPacket](e.Request); ok {
			v = get(v, p)
		}
		return v
	}
}

func mqttPublished(get func([]Value, *MQTTPacket) []Value) func([]Value, *Exchange) []Value {
	return mqttAsked(func(v []Value, p *MQTTPacket) []Value {
		if p.Type == MQTTPublish {
			v = get(v, p)
		}
		return v
	})
}

func mqttConnecting(get func([]Value, *MQTTPacket) []Value) func([]Value, *Exchange) []Value {
	return mqttAsked(func(v []Value, p *MQTTPacket) []Value {
		if p.Connect != nil {
			v = get(v, p)
		}
		return v
	})
}
