package rewrite

import "netlab/decode/packet"

// headers replaces the addresses in the headers of a packet, and blanks what may say
// anything.
func (r *Rewriter) headers(j *job) {
	for i := range j.layers {
		l := &j.layers[i]
		b := r.buf[l.Start:l.Head]
		switch l.Kind {
		case packet.LayerEthernet:
			r.mac(b)
			r.mac(b[6:])
		case packet.LayerLinuxSLL:
			r.cooked(int(be.Uint16(b[4:])), b[6:14])
		case packet.LayerLinuxSLL2:
			r.cooked(int(b[11]), b[12:20])
		case packet.LayerWiFi:
			r.wifi(b)
		case packet.LayerAbout:
			if l.Type == packet.AboutAttributes {
				r.attributes(b[4:])
			} else {
				r.zero(b[min(int(l.Type), len(b)):], becauseAbout)
			}
		case packet.LayerIPv4:
			r.ip(b[12:16])
			r.ip(b[16:20])
			r.ipv4Options(b[20:])
		case packet.LayerIPv6:
			r.ip(b[8:24])
			r.ip(b[24:40])
		case packet.LayerExtension:
			r.extension(l.Type, b)
		case packet.LayerGRE:
			r.gre(b)
		case packet.LayerTunnel:
			r.tunnel(l.Type, b)
		}
	}
}

// attributes blanks the values of those that Linux's netfilter logs.
func (r *Rewriter) attributes(b []byte) {
	for len(b) > 4 {
		n := int(le.Uint16(b))
		if le.Uint16(b[2:])&0x3fff > 0xff { // the type, which is small: it is big-endian
			n = int(be.Uint16(b))
		}
		n = min(max(n, 4), len(b))
		r.zero(b[4:n], becauseAbout)
		b = b[min((n+3)&^3, len(b)):]
	}
}

// cooked replaces the address of n bytes that a field of 8 holds.
func (r *Rewriter) cooked(n int, b []byte) {
	if n == 6 {
		r.mac(b)
		b = b[6:]
	}
	r.zero(b, becauseOption)
}

// wifi replaces the addresses of an 802.11 frame (IEEE 802.11, section 9.3).
func (r *Rewriter) wifi(b []byte) {
	const bothDS = 3
	at := 4
	addrs := 3
	switch b[0] >> 2 & 3 {
	case 0:
	case 1:
		switch b[0] >> 4 {
		case 8, 9, 10, 11, 14: // block acknowledgements, power save, RTS, the end of contention: who sends it, too
			addrs = 2
		default:
			addrs = 1
		}
	case 2:
		if b[1]&bothDS == bothDS {
			addrs = 4
		}
	default:
		r.zero(b[min(at, len(b)):], becauseOption)
		return
	}
	for i := range addrs {
		if i == 3 {
			at += 2 // the sequence number is in between
		}
		if len(b) < at+6 {
			break
		}
		r.mac(b[at:])
		at += 6
	}
	if at < len(b) && b[0]>>2&3 == 1 {
		r.zero(b[at:], becauseOption)
	}
}

// ipv4Options blanks all but what asks routers to look (RFC 2113).
func (r *Rewriter) ipv4Options(b []byte) {
	const (
		end, nothing = 0, 1
		alert        = 148
	)
	for len(b) > 0 {
		n := 1
		switch {
		case b[0] == end:
			r.zero(b, becauseOption)
			return
		case b[0] == nothing:
		case len(b) < 2 || b[1] < 2 || int(b[1]) > len(b):
			r.nothing(b, nothing)
			return
		default:
			if n = int(b[1]); b[0] != alert || n != 4 {
				r.nothing(b[:n], nothing)
			}
		}
		b = b[n:]
	}
}

// nothing has options be filled with those that mean nothing.
func (r *Rewriter) nothing(b []byte, option byte) {
	r.cover(b, option, becauseOption)
}

// Extension headers (RFC 8200, section 4; RFC 4302).
const (
	extHopByHop = 0
	extRouting  = 43
	extFragment = 44
	extAH       = 51
	extDestOpts = 60
)

func (r *Rewriter) extension(proto uint16, b []byte) {
	switch proto {
	case extHopByHop, extDestOpts:
		r.ipv6Options(b[min(2, len(b)):])
	case extRouting:
		r.routing(b)
	case extFragment:
	case extAH:
		r.zero(b[min(12, len(b)):], becauseOption) // behind the sequence number
	default:
		r.zero(b[min(8, len(b)):], becauseOption)
	}
}

// ipv6Options makes padding of all options but those that say how long the packet is, and
// that routers are to look (RFC 2675, RFC 2711).
func (r *Rewriter) ipv6Options(b []byte) {
	const (
		pad1, padN = 0, 1
		alert      = 5
		jumbo      = 0xc2
	)
	for len(b) > 0 {
		if b[0] == pad1 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || int(b[1]) > len(b)-2 {
			r.zero(b, becauseOption)
			return
		}
		o := b[:2+int(b[1])]
		if known := o[0] == alert && len(o) == 4 || o[0] == jumbo && len(o) == 6; !known {
			o[0] = padN
			r.zero(o[2:], becauseOption)
		}
		b = b[len(o):]
	}
}

// routing replaces the addresses of a routing header: of type 0 and 2 (RFC 6275, section
// 6.4), and of segment routing (RFC 8754, section 2).
func (r *Rewriter) routing(b []byte) {
	const segments = 4
	if len(b) < 8 {
		return
	}
	n := 0
	switch b[2] {
	case 0, 2:
		n = (len(b) - 8) / 16
	case segments:
		n = min((len(b)-8)/16, int(b[4])+1)
	}
	r.ips(b[8:8+16*n], 16)
	r.zero(b[8+16*n:], becauseOption)
}

// lastHop returns where a routing header says that the packet ends: nil when it is there.
func lastHop(b []byte) []byte {
	const segments = 4
	if len(b) < 8+16 || b[3] == 0 {
		return nil
	}
	switch b[2] {
	case 0, 2:
		return b[8+(len(b)-8)/16*16-16:][:16]
	case segments:
		return b[8:24]
	}
	return nil
}

// gre blanks the source routes of a GRE header (RFC 1701), but for how long they are.
func (r *Rewriter) gre(b []byte) {
	const routing = 0x4000
	flags := be.Uint16(b)
	if flags&routing == 0 || flags&7 != 0 {
		return
	}
	n := 8
	for _, field := range []uint16{0x2000, 0x1000} { // key and sequence number
		if flags&field != 0 {
			n += 4
		}
	}
	for n+4 <= len(b) {
		end := min(n+4+int(b[n+3]), len(b))
		r.zero(b[n+4:end], becauseOption)
		n = end
	}
}

// tunnel blanks what the header of a tunnel has beside what tells it from others.
func (r *Rewriter) tunnel(port uint16, b []byte) {
	const (
		l2tp   = 1701
		teredo = 3544
		ayiya  = 5072
		geneve = 6081
	)
	switch port {
	case teredo:
		r.teredo(b)
	case l2tp: // what is skipped behind its last field (RFC 2661, section 3.1)
		const length, sequence, offset = 0x4000, 0x0800, 0x0200
		flags := be.Uint16(b)
		if flags&offset == 0 {
			return
		}
		n := 8
		if flags&length != 0 {
			n += 2
		}
		if flags&sequence != 0 {
			n += 4
		}
		r.zero(b[min(n, len(b)):], becauseOption)
	case ayiya:
		r.zero(b[min(8, len(b)):], becauseOption)
	case geneve:
		for n := 8; n+4 <= len(b); { // options: class, type, length (RFC 8926, section 3.5)
			end := min(n+4+int(b[n+3]&31)*4, len(b))
			r.zero(b[n+4:end], becauseOption)
			n = end
		}
	}
}

// teredo replaces the address of an origin indication, whose bits are inverted, and blanks
// an authentication (RFC 4380, section 5.1.1).
func (r *Rewriter) teredo(b []byte) {
	const authentication = 1
	if len(b) >= 13 && be.Uint16(b) == authentication {
		n := min(4+int(b[2])+int(b[3])+9, len(b))
		r.zero(b[4:n], becauseOption)
		b = b[n:]
	}
	if len(b) >= 8 {
		invert(b[4:8])
		r.ip(b[4:8])
		invert(b[4:8])
	}
}

func invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}
