package redact

import (
	"encoding/binary"

	"netlab/decode/proto"
)

// mqttMessage is a packet of MQTT that is written anew behind its first byte and its length.
type mqttMessage struct {
	fields
	p *proto.MQTTPacket
}

// mqtt looks at a packet.
func (f *finder) mqtt(p *proto.MQTTPacket) int {
	n, size := binary.Uvarint(f.raw[1:min(len(f.raw), 5)]) // in seven bits each, as there
	if size <= 0 || int(n) != len(f.raw)-1-size {
		return 0
	}
	x := &mqttMessage{fields{finder: f, place: "mqtt", in: f.raw[1+size:]}, p}
	x.packet()
	if x.bad || x.at != len(x.in) {
		return 0
	}
	x.search()
	if f.editing() && string(x.out) != string(x.in) {
		f.change(1, len(f.raw), string(append(binary.AppendUvarint(nil, uint64(len(x.out))), x.out...)))
	}
	return len(f.raw)
}

// packet writes what is behind the fixed header (OASIS MQTT Version 5.0, chapter 3).
func (x *mqttMessage) packet() {
	five := x.p.Version == 5
	switch x.p.Type {
	case proto.MQTTConnect:
		x.connect()
	case proto.MQTTPublish:
		x.text("")
		if x.p.QoS > 0 {
			x.copy(2)
		}
		if five {
			x.properties()
		}
		x.value("", x.left())
	case proto.MQTTSubscribe, proto.MQTTUnsubscribe:
		x.copy(2)
		if five {
			x.properties()
		}
		for x.left() > 0 && !x.bad {
			x.text("")
			if x.p.Type == proto.MQTTSubscribe {
				x.copy(1)
			}
		}
	case proto.MQTTSuback, proto.MQTTUnsuback:
		x.copy(2)
		if five {
			x.properties()
		}
		x.copy(x.left())
	case proto.MQTTPingreq, proto.MQTTPingresp:
		x.copy(x.left())
	default: // numbers, a reason, and properties
		n := 2
		switch x.p.Type {
		case proto.MQTTConnack:
		case proto.MQTTDisconnect, proto.MQTTAuth:
			n = 1
		default:
			n = 3
		}
		x.copy(min(n, x.left()))
		if five && x.left() > 0 {
			x.properties()
		}
	}
}

// text writes a text with its length before it.
func (x *mqttMessage) text(name string) {
	x.sized(2, func(n int) { x.value(name, n) })
}

// connect writes what a client says of itself (section 3.1).
func (x *mqttMessage) connect() {
	x.sized(2, func(n int) { x.copy(n) })
	level := x.copy(1)
	flags := x.copy(1)
	x.copy(2)
	if x.bad {
		return
	}
	five, set := level[0] == 5, flags[0]
	if five {
		x.properties()
	}
	x.sized(2, func(n int) { x.hide(Session, n) }) // who has the client's name, has its messages
	if set&0x04 != 0 {
		if five {
			x.properties()
		}
		x.text("")
		x.text("")
	}
	if set&0x80 != 0 {
		x.sized(2, func(n int) { x.hide(User, n) })
	}
	if set&0x40 != 0 {
		x.sized(2, func(n int) { x.hide(Password, n) })
	}
}

// mqttSizes are those of properties that are numbers (section 2.2.2.2).
var mqttSizes = map[byte]int{
	1: 1, 23: 1, 25: 1, 36: 1, 37: 1, 40: 1, 41: 1, 42: 1, 19: 2, 33: 2, 34: 2, 35: 2, 2: 4, 17: 4, 24: 4, 39: 4,
}

// properties writes those of version 5, whose length is put right.
func (x *mqttMessage) properties() {
	n, size := binary.Uvarint(x.in[x.at:min(len(x.in), x.at+4)])
	if size <= 0 || int(n) > x.left()-size {
		x.bad = true
		return
	}
	x.take(size)
	end, before := x.at+int(n), x.out
	x.out = nil
	for x.at < end && !x.bad {
		x.property()
	}
	x.bad = x.bad || x.at != end
	x.out = append(binary.AppendUvarint(before, uint64(len(x.out))), x.out...)
}

func (x *mqttMessage) property() {
	b := x.copy(1)
	if b == nil {
		return
	}
	switch id := b[0]; id {
	case 11: // a number in seven bits each
		for c := x.copy(1); c != nil && c[0] >= 0x80; {
			c = x.copy(1)
		}
	case 9, 22: // of whatever
		x.sized(2, func(n int) { x.random(n) })
	case 38:
		name := ""
		x.sized(2, func(n int) {
			if n <= x.left() {
				name = string(x.in[x.at : x.at+n])
			}
			x.value("", n)
		})
		x.text(name)
	case 3, 8, 18, 21, 26, 28, 31:
		x.text("")
	default:
		n, ok := mqttSizes[id]
		if !ok {
			x.bad = true
			return
		}
		x.copy(n)
	}
}
