package live

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	vlanTag  = 4  // bytes
	macs     = 12 // bytes of Ethernet's addresses, which a tag stands behind
	ethVLAN  = 0x8100
	addressN = 8 // bytes that an address of the link layer has at most here

	// sockaddrAt is where the kernel puts a sockaddr_ll: behind the header of a packet.
	sockaddrAt  = unix.SizeofTpacket3Hdr
	sockaddrLen = 20
	// sll2Len is the length of the header of LINKTYPE_LINUX_SLL2.
	sll2Len = 20
)

// tpid is the kind of the tag that the kernel took out.
func tpid(h *unix.Tpacket3Hdr) uint16 {
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 && h.Hv1.Vlan_tpid != 0 {
		return h.Hv1.Vlan_tpid
	}
	return ethVLAN
}

// tag puts the VLAN tag back into a packet of Ethernet that begins vlanTag bytes into b,
// and returns by how much it became longer. The kernel leaves more room than that
// before a packet.
func tag(b []byte, h *unix.Tpacket3Hdr) int {
	if len(b) < vlanTag+macs {
		return 0
	}
	copy(b, b[vlanTag:vlanTag+macs])
	binary.BigEndian.PutUint16(b[macs:], tpid(h))
	binary.BigEndian.PutUint16(b[macs+2:], uint16(h.Hv1.Vlan_tci))
	return vlanTag
}

// cook writes at the end of b, which is all that stands before a packet, the header of
// LINKTYPE_LINUX_SLL2 (https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html), and
// a VLAN tag behind it. It returns how long they are.
func cook(b []byte, h *unix.Tpacket3Hdr, tagged bool) int {
	// struct sockaddr_ll: family, protocol in network byte order, interface, hardware
	// type, packet type, length of the address, address. It may be written over.
	var from [sockaddrLen]byte
	copy(from[:], b[sockaddrAt:])
	n, protocol := sll2Len, binary.BigEndian.Uint16(from[2:])
	if tagged {
		n += vlanTag
		binary.BigEndian.PutUint16(b[len(b)-4:], uint16(h.Hv1.Vlan_tci))
		binary.BigEndian.PutUint16(b[len(b)-2:], protocol)
		protocol = tpid(h)
	}
	out := b[len(b)-n:]
	binary.BigEndian.PutUint16(out, protocol)
	binary.BigEndian.PutUint16(out[2:], 0)
	binary.BigEndian.PutUint32(out[4:], binary.NativeEndian.Uint32(from[4:]))
	binary.BigEndian.PutUint16(out[8:], binary.NativeEndian.Uint16(from[8:]))
	out[10] = from[10]
	out[11] = min(from[11], addressN)
	copy(out[12:20], from[12:])
	return n
}
