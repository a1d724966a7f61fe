package redact

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"netlab/decode/proto"
)

// Where secrets are found in DNS.
const (
	inDNSName   = "dns name"
	inDNSRecord = "dns record"
)

// dnsMessage is one of DNS that is written anew, name by name, as the names of addresses
// may have other lengths.
type dnsMessage struct {
	fields
	moved []uint16 // where labels stand now, and one, by where they stood; 0 where none did
	list  []string // labels of a name
	full  []byte   // all of it
	now   []string // labels that take their place
}

// dns looks at a message, and returns how much of it is understood: all or nothing.
func (f *finder) dns(_ *proto.Exchange, m *proto.Message, b *proto.DNSMessage) int {
	prefix := len(m.Raw) - len(b.Wire)
	if prefix != 0 && prefix != 2 || len(b.Wire) < 12 {
		return 0
	}
	if f.dnsMessage == nil {
		f.dnsMessage = new(dnsMessage)
	}
	x := f.dnsMessage
	x.fields = fields{finder: f, in: b.Wire, out: x.out[:0]}
	x.moved = slices.Grow(x.moved[:0], len(b.Wire))[:len(b.Wire)]
	clear(x.moved)
	x.copy(12)
	for range binary.BigEndian.Uint16(b.Wire[4:]) {
		x.name()
		x.copy(4)
	}
	for i := 6; i < 12; i += 2 {
		for range binary.BigEndian.Uint16(b.Wire[i:]) {
			if !x.bad {
				x.record()
			}
		}
	}
	if x.bad || len(x.out) > 0xffff {
		return 0
	}
	x.blankRest(len(x.in))
	if !f.editing() || string(x.out) == string(x.in) {
		return len(m.Raw)
	}
	with := x.out
	if prefix == 2 {
		with = append(binary.BigEndian.AppendUint16(nil, uint16(len(x.out))), x.out...)
	}
	f.change(0, len(m.Raw), string(with))
	return len(m.Raw)
}

// chance puts other bytes in the place of those up to an offset.
func (x *dnsMessage) chance(end int) {
	if b := x.take(end - x.at); len(b) > 0 {
		x.out = append(x.out, x.z.names.bytes(b)...)
	}
}

// zero puts zeros there.
func (x *dnsMessage) zero(end int) {
	x.out = append(x.out, make([]byte, len(x.take(end-x.at)))...)
}

// blankRest blanks what is left.
func (x *dnsMessage) blankRest(end int) {
	x.out = appendBlank(x.out, x.take(end-x.at))
}

// maxLabels bounds those of a name (RFC 1035, section 2.3.4).
const maxLabels = 128

// name writes the next name. Of one that ends with a pointer, the labels that stand here are written,
// and a pointer to where the others are now.
func (x *dnsMessage) name() {
	x.list = x.list[:0]
	here, end, pointer := 0, -1, -1
	at := x.at
	for {
		if at >= len(x.in) || len(x.list) > maxLabels {
			x.bad = true
			return
		}
		n := int(x.in[at])
		switch {
		case n == 0:
			if end < 0 {
				end = at + 1
			}
			x.write(x.list, here, pointer)
			x.at = end
			return
		case n >= 0xc0 && at+1 < len(x.in):
			to := (n&0x3f)<<8 | int(x.in[at+1])
			if end < 0 {
				end, pointer = at+2, to
			}
			if to >= at { // it would go in circles, or forwards
				x.bad = true
				return
			}
			at = to
		case n > 63 || at+1+n > len(x.in):
			x.bad = true
			return
		default:
			x.list = append(x.list, view(x.in[at+1:at+1+n]))
			if end < 0 {
				here++
			}
			at += 1 + n
		}
	}
}

// write writes a name, of which the first labels stand here and the others behind a pointer, if
// there is one.
func (x *dnsMessage) write(list []string, here, pointer int) {
	labels := x.labels(list)
	at := x.at
	for i := range here {
		x.moves(at)
		x.out = append(x.out, byte(len(labels[i])))
		x.out = append(x.out, labels[i]...)
		at += 1 + len(list[i])
	}
	if pointer < 0 {
		x.moves(at)
		x.out = append(x.out, 0)
		return
	}
	to := x.moved[pointer]
	if to == 0 {
		x.bad = true
		return
	}
	to--
	x.out = append(x.out, 0xc0|byte(to>>8), byte(to))
}

// moves takes note that what stood at an offset stands here, if a pointer reaches that.
func (x *dnsMessage) moves(at int) {
	if x.moved[at] == 0 && len(x.out) < 0x4000 {
		x.moved[at] = uint16(len(x.out)) + 1
	}
}

// labels are those that take the place of others.
func (x *dnsMessage) labels(list []string) []string {
	if len(list) == 0 {
		return list
	}
	dotted := false
	x.full = x.full[:0]
	for i, l := range list {
		if i > 0 {
			x.full = append(x.full, '.')
		}
		x.full = append(x.full, l...)
		dotted = dotted || strings.IndexByte(l, '.') >= 0
	}
	full := view(x.full)
	switch reverse := len(list) > 1 && isReverse(full); {
	case !reverse && !dotted && (len(list) > 1 || len(full) >= least):
	case !x.editing():
		return list
	default:
		if reverse {
			x.z.count(Address, inDNSName)
		}
		x.now = append(x.now[:0], list...)
		return x.z.names.host(x.now)
	}
	with, changed := x.secret(Host, inDNSName, "", full)
	if !changed {
		return list
	}
	x.now = x.now[:0]
	for label := range strings.SplitSeq(with, ".") {
		x.now = append(x.now, label)
	}
	return x.now
}

// isReverse reports whether a name is that of an address.
func isReverse(name string) bool {
	name = lowered(name)
	return strings.HasSuffix(name, ".in-addr.arpa") || strings.HasSuffix(name, ".ip6.arpa")
}

// Types of records (https://www.iana.org/assignments/dns-parameters).
const (
	typeA, typeNS, typeCNAME, typeSOA, typePTR = 1, 2, 5, 6, 12
	typeHINFO, typeMX, typeTXT, typeRP         = 13, 15, 16, 17
	typeAFSDB, typeAAAA, typeSRV, typeNAPTR    = 18, 28, 33, 35
	typeKX, typeDNAME, typeOPT                 = 36, 39, 41
	typeDS, typeSSHFP, typeRRSIG, typeNSEC     = 43, 44, 46, 47
	typeDNSKEY, typeNSEC3, typeTLSA            = 48, 50, 52
	typeSVCB, typeHTTPS, typeSPF, typeCAA      = 64, 65, 99, 257
	typeMB, typeMG, typeMR                     = 7, 8, 9
	typeURI, typeLOC                           = 256, 29
)

// record writes the next record.
func (x *dnsMessage) record() {
	x.name()
	fixed := x.take(10)
	if fixed == nil {
		return
	}
	x.out = append(x.out, fixed...)
	length := len(x.out) - 2
	end := x.at + int(binary.BigEndian.Uint16(fixed[8:]))
	if end > len(x.in) {
		x.bad = true
		return
	}
	x.data(int(binary.BigEndian.Uint16(fixed)), end)
	if x.bad || x.at != end {
		x.bad = true
		return
	}
	binary.BigEndian.PutUint16(x.out[length:], uint16(len(x.out)-length-2))
}

// data writes what a record says.
func (x *dnsMessage) data(typ, end int) {
	switch typ {
	case typeA, typeAAAA:
		x.address(end)
	case typeNS, typeCNAME, typePTR, typeDNAME, typeMB, typeMG, typeMR:
		x.nameIn(end)
	case typeRP:
		x.nameIn(end)
		x.nameIn(end)
	case typeMX, typeAFSDB, typeKX:
		x.copy(2)
		x.nameIn(end)
	case typeSRV:
		x.copy(6)
		x.nameIn(end)
	case typeSOA:
		x.nameIn(end)
		x.nameIn(end)
		x.copy(20)
	case typeTXT, typeSPF, typeHINFO:
		for x.at < end && !x.bad {
			x.text()
		}
	case typeNAPTR:
		x.copy(4)
		x.strings(2)
		x.text()
		x.nameIn(end)
	case typeSVCB, typeHTTPS:
		x.service(end)
	case typeOPT:
		for x.at < end && !x.bad {
			x.option(end)
		}
	case typeRRSIG:
		x.copy(18)
		x.nameIn(end)
		x.chance(end)
	case typeNSEC:
		x.nameIn(end)
		x.copy(end - x.at)
	case typeNSEC3:
		x.copy(4)
		x.strings(1)
		if n := x.take(1); n != nil {
			x.out = append(x.out, n[0])
			x.chance(x.at + int(n[0]))
		}
		x.copy(end - x.at)
	case typeDS, typeDNSKEY:
		x.copy(4)
		x.chance(end)
	case typeTLSA:
		x.copy(3)
		x.chance(end)
	case typeSSHFP:
		x.copy(2)
		x.chance(end)
	case typeCAA:
		x.copy(1)
		x.strings(1)
		x.plainText(end)
	case typeURI:
		x.copy(4)
		x.plainText(end)
	default:
		if x.editing() && x.at < end {
			x.z.blank("data of a DNS record of another type", int64(end-x.at))
		}
		x.zero(end)
	}
}

// nameIn writes a name that ends before an offset.
func (x *dnsMessage) nameIn(end int) {
	if x.at >= end {
		x.bad = true
		return
	}
	x.name()
}

// address writes one of IP that goes up to an offset.
func (x *dnsMessage) address(end int) {
	b := x.take(end - x.at)
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		x.bad = true
		return
	}
	if a = x.addr(a); a.Is4() {
		b := a.As4()
		x.out = append(x.out, b[:]...)
	} else {
		b := a.As16()
		x.out = append(x.out, b[:]...)
	}
}

// addr maps an address.
func (x *dnsMessage) addr(a netip.Addr) netip.Addr {
	if x.editing() && len(x.z.keep) == 0 { // its text is not asked for
		b := x.z.names.Addr(a)
		if b != a {
			x.z.count(Address, inDNSRecord)
		}
		return b
	}
	var few [maxAddress]byte
	if with, ok := x.secret(Address, inDNSRecord, "", view(a.AppendTo(few[:0]))); ok {
		if b, err := netip.ParseAddr(with); err == nil && b.BitLen() == a.BitLen() {
			return b
		}
	}
	return a
}

// strings copies texts that have their length before them.
func (x *dnsMessage) strings(n int) {
	for range n {
		if b := x.take(1); b != nil {
			x.out = append(x.out, b[0])
			x.copy(int(b[0]))
		}
	}
}

// text writes another text in the place of the next one.
func (x *dnsMessage) text() {
	if b := x.take(1); b != nil {
		x.out = append(x.out, b[0])
		x.plainText(x.at + int(b[0]))
	}
}

// plainText writes another text in the place of that up to an offset.
func (x *dnsMessage) plainText(end int) {
	b := x.take(end - x.at)
	with := string(b)
	if len(b) > 0 && !isTrivial(with) {
		with, _ = x.secret(Text, inDNSRecord, "", with)
	}
	if len(with) != len(b) {
		with = x.z.names.plain(string(b))
	}
	x.out = append(x.out, with...)
}

// service writes a binding of a service (RFC 9460): addresses in its hints are mapped, keys and what is
// not known become chance.
func (x *dnsMessage) service(end int) {
	x.copy(2)
	x.nameIn(end)
	for x.at < end && !x.bad {
		head := x.take(4)
		if head == nil {
			return
		}
		x.out = append(x.out, head...)
		to := x.at + int(binary.BigEndian.Uint16(head[2:]))
		size := 0
		switch binary.BigEndian.Uint16(head) {
		case 0, 1, 2, 3: // mandatory, alpn, no-default-alpn, port
			x.copy(to - x.at)
		case 4:
			size = 4
		case 6:
			size = 16
		}
		for size > 0 && x.at+size <= to && !x.bad {
			x.address(x.at + size)
		}
		x.chance(to)
	}
}

// option writes an option of EDNS (RFC 6891): the client's network (RFC 7871) is mapped, padding stays
// and all else, as cookies (RFC 7873), becomes chance.
func (x *dnsMessage) option(end int) {
	head := x.take(4)
	if head == nil {
		return
	}
	x.out = append(x.out, head...)
	to := x.at + int(binary.BigEndian.Uint16(head[2:]))
	if to > end {
		x.bad = true
		return
	}
	switch binary.BigEndian.Uint16(head) {
	case 8:
		x.subnet(to)
	case 11, 12, 15: // keep-alive, padding, error
		x.copy(to - x.at)
	default:
		x.chance(to)
	}
}

// subnet writes the network that a client is in.
func (x *dnsMessage) subnet(end int) {
	head := x.take(4)
	if head == nil {
		return
	}
	x.out = append(x.out, head...)
	prefix := x.take(end - x.at)
	size := map[uint16]int{1: 4, 2: 16}[binary.BigEndian.Uint16(head)]
	if len(prefix) > size {
		x.bad = true
		return
	}
	a, _ := netip.AddrFromSlice(append(append([]byte(nil), prefix...), make([]byte, size-len(prefix))...))
	if !a.IsValid() {
		return
	}
	b := x.z.names.Addr(a).AsSlice()[:len(prefix)]
	if n := int(head[2]); n < 8*len(b) && len(b) > 0 { // bits behind the prefix are zero
		for i := n; i < 8*len(b); i++ {
			b[i/8] &^= 0x80 >> (i % 8)
		}
	}
	if x.editing() {
		x.z.count(Address, inDNSRecord)
	}
	x.out = append(x.out, b...)
}
