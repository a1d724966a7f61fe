package rewrite

import (
	"bytes"

	"netlab/decode/flow"
)

// isDHCP reports whether a datagram is one of DHCP, by the ports of which one is the
// server's: it holds addresses and names outside of any conversation that is decoded.
func isDHCP(f *flow.Flow) bool {
	const server, client, server6, client6 = 67, 68, 547, 546
	src, dst := f.SrcPort(), f.DstPort()
	return src == server || dst == server || src == client && dst == client ||
		src == server6 || dst == server6 || src == client6 && dst == client6
}

// dhcp rewrites a message of DHCP: the older (RFC 2131, section 2) by its cookie, else that
// of IPv6.
func (r *Rewriter) dhcp(b []byte) {
	const header = 240
	cookie := []byte{99, 130, 83, 99}
	switch {
	case len(b) >= header && bytes.Equal(b[header-4:header], cookie):
		r.dhcp4(b[:header])
		r.dhcpOptions(b[header:])
	case isDHCP6(b):
		r.dhcp6(b, 0)
	default:
		r.zero(b, becauseControl)
	}
}

// dhcp4 rewrites the fields that every message has.
func (r *Rewriter) dhcp4(b []byte) {
	r.ips(b[12:28], 4) // of the client, its own to be, the next server, the relay
	hard := int(b[2])
	if b[1] == 1 && hard == 6 {
		r.mac(b[28:])
		r.zero(b[34:44], becauseControl)
	} else {
		r.zero(b[28:44], becauseControl)
	}
	r.zero(b[44:236], becauseControl) // the server's name, and a file's
}

// dhcpOptions rewrites the options of DHCP (RFC 2132).
func (r *Rewriter) dhcpOptions(b []byte) {
	const pad, end = 0, 255
	for len(b) > 0 {
		switch {
		case b[0] == pad:
			b = b[1:]
			continue
		case b[0] == end:
			r.zero(b[1:], becauseControl)
			return
		case len(b) < 2 || int(b[1]) > len(b)-2:
			r.zero(b, becauseControl)
			return
		}
		n := 2 + int(b[1])
		if !r.dhcpOption(b[0], b[2:n]) {
			const private = 254 // of a site (RFC 3942): nobody knows how it is to be read
			b[0] = private
			r.zero(b[2:n], becauseControl)
		}
		b = b[n:]
	}
}

// dhcpOption looks at the value of an option. It reports false of those that may be
// anything.
func (r *Rewriter) dhcpOption(code byte, v []byte) bool {
	switch code {
	case 1, 51, 52, 53, 55, 57, 58, 59, 2, 19, 20, 23, 26, 35, 36, 37, 38, 39, 46, 116:
		// Masks, times, kinds, sizes, and what is asked for.
	case 3, 4, 5, 6, 7, 9, 28, 41, 42, 44, 45, 48, 49, 50, 54, 69, 70:
		r.list(v, len(v)/4, 4)
	case 12, 15: // of the host, and its domain
		if !r.name(v) {
			r.blankName(v)
		}
	case 61: // a client, by its kind of hardware as a rule
		if len(v) == 7 && v[0] == 1 {
			r.mac(v[1:])
		} else if len(v) > 0 {
			r.zero(v[1:], becauseControl)
		}
	case 81: // flags, two results, and a name (RFC 4702)
		if len(v) < 3 {
			r.zero(v, becauseControl)
		} else if rest := v[3:]; v[0]&4 != 0 {
			r.labels(rest)
		} else if !r.name(rest) {
			r.blankName(rest)
		}
	case 82: // what relays add: parts of which each has a length (RFC 3046)
		for len(v) >= 2 && int(v[1]) <= len(v)-2 {
			r.zero(v[2:2+int(v[1])], becauseControl)
			v = v[2+int(v[1]):]
		}
		r.zero(v, becauseControl)
	case 14, 17, 40, 56, 60, 64, 66, 67: // text
		r.blankName(v)
	case 121, 249: // routes: how long a prefix is, its bytes, and by which router (RFC 3442)
		r.routes(v)
	default:
		return false
	}
	return true
}

// routes rewrites the classless routes of DHCP.
func (r *Rewriter) routes(v []byte) {
	for len(v) > 0 {
		n := (int(v[0]) + 7) / 8
		if n > 4 || len(v) < 1+n+4 {
			break
		}
		var a [4]byte
		copy(a[:], v[1:1+n])
		r.prefix(a[:], int(v[0]))
		copy(v[1:1+n], a[:])
		r.ip(v[1+n : 5+n])
		v = v[5+n:]
	}
	r.zero(v, becauseControl)
}

// blankName blanks what is text, perhaps.
func (r *Rewriter) blankName(v []byte) { r.cover(v, Filler, becauseControl) }

// labels rewrites a name in DNS's form, without compression (RFC 1035, section 3.1).
func (r *Rewriter) labels(b []byte) {
	var dots [256]byte // the name with dots
	if len(b) == 0 {
		return
	}
	end, n := 0, 0
	for end < len(b) && b[end] != 0 {
		k := int(b[end])
		if k > 63 || end+1+k > len(b) || n+k+1 > len(dots) {
			r.zero(b, becauseControl)
			return
		}
		n += copy(dots[n:], b[end+1:end+1+k])
		dots[n] = '.'
		n++
		end += 1 + k
	}
	if n == 0 || !r.name(dots[:n-1]) {
		for i := range dots[:n] {
			if dots[i] != '.' {
				dots[i] = Filler
			}
		}
		r.sum.Headers -= int64(end)
		r.sum.blank(becauseControl, end)
	}
	for at, from := 0, 0; at < end; {
		k := int(b[at])
		copy(b[at+1:at+1+k], dots[from:])
		at, from = at+1+k, from+k+1
	}
	r.zero(b[min(end+1, len(b)):], becauseControl)
}

// dhcp6 rewrites a message of DHCPv6 (RFC 8415, section 8), or one that a relay carries
// (section 9).
func (r *Rewriter) dhcp6(b []byte, depth int) {
	const (
		forward, reply = 12, 13
		header         = 4
		relayed        = 34
	)
	switch {
	case b[0] != forward && b[0] != reply:
		r.dhcp6Options(b[header:], depth)
	case len(b) < relayed:
		r.zero(b, becauseControl)
	default:
		r.ips(b[2:relayed], 16)
		r.dhcp6Options(b[relayed:], depth)
	}
}

// isDHCP6 reports whether b may be such a message, by its kind.
func isDHCP6(b []byte) bool { return len(b) >= 4 && b[0] >= 1 && b[0] <= 13 }

// maxWithin bounds the options within options: a message that is relayed has a few.
const maxWithin = 8

func (r *Rewriter) dhcp6Options(b []byte, depth int) {
	for len(b) >= 4 && int(be.Uint16(b[2:])) <= len(b)-4 && depth < maxWithin {
		n := 4 + int(be.Uint16(b[2:]))
		if !r.dhcp6Option(be.Uint16(b), b[4:n], depth) {
			const reserved = 0xffff // nobody knows how it is to be read
			be.PutUint16(b, reserved)
			r.zero(b[4:n], becauseControl)
		}
		b = b[n:]
	}
	r.zero(b, becauseControl)
}

// dhcp6Option looks at the value of an option (RFC 8415, section 21). It reports false of
// those that may be anything.
func (r *Rewriter) dhcp6Option(code uint16, v []byte, depth int) bool {
	within := func(n int) {
		if len(v) < n {
			r.zero(v, becauseControl)
			return
		}
		r.dhcp6Options(v[n:], depth+1)
	}
	switch code {
	case 1, 2: // who it is: by link address, with a time or without (section 11)
		switch {
		case len(v) == 14 && be.Uint32(v) == 1<<16|1:
			r.mac(v[8:])
		case len(v) == 10 && be.Uint32(v) == 3<<16|1:
			r.mac(v[4:])
		default:
			r.zero(v[min(2, len(v)):], becauseControl)
		}
	case 3, 25: // associations, with two times
		within(12)
	case 4:
		within(4)
	case 5: // an address, with two times
		if len(v) >= 24 {
			r.ip(v[:16])
		}
		within(24)
	case 26: // a prefix behind two times
		if len(v) >= 25 {
			r.prefix(v[9:25], int(v[8]))
		}
		within(25)
	case 9:
		if isDHCP6(v) && depth < maxWithin {
			r.dhcp6(v, depth+1)
		} else {
			r.zero(v, becauseControl)
		}
	case 6, 7, 8, 14, 19, 20, 32, 82, 83: // what is asked for, preferences, times, kinds
	case 12, 22, 23, 27, 31:
		r.list(v, len(v)/16, 16)
	case 13: // a status; what it says is text
		r.blankName(v[min(2, len(v)):])
	case 39: // flags, and a name (RFC 4704)
		if len(v) > 0 {
			r.labels(v[1:])
		}
	default:
		return false
	}
	return true
}
