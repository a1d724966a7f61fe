package capture

import "strconv"

// LinkType says what the bytes of a packet begin with. The values are the
// LINKTYPE_ numbers of capture files (https://www.tcpdump.org/linktypes.html),
// not an operating system's DLT_ numbers.
type LinkType uint32

// The link types that netlab knows by name.
const (
	LinkNull      LinkType = 0   // BSD loopback: address family in the writer's byte order
	LinkEthernet  LinkType = 1   // Ethernet II or 802.3
	LinkRawLinux  LinkType = 12  // LinkRaw, in files that hold Linux's DLT_RAW
	LinkRawBSD    LinkType = 14  // LinkRaw, in files that hold OpenBSD's
	LinkRaw       LinkType = 101 // IPv4 or IPv6, by the version nibble
	LinkLoop      LinkType = 108 // OpenBSD loopback: address family in network byte order
	LinkLinuxSLL  LinkType = 113 // Linux "cooked" capture
	LinkIPv4      LinkType = 228
	LinkIPv6      LinkType = 229
	LinkLinuxSLL2 LinkType = 276 // Linux "cooked" capture, version 2
)

// linkNames are the names printed for link types, those of the registry in
// lower case.
var linkNames = map[LinkType]string{
	LinkNull:      "null",
	LinkEthernet:  "ethernet",
	LinkRawLinux:  "raw",
	LinkRawBSD:    "raw",
	LinkRaw:       "raw",
	LinkLoop:      "loop",
	LinkLinuxSLL:  "linux_sll",
	LinkIPv4:      "ipv4",
	LinkIPv6:      "ipv6",
	LinkLinuxSLL2: "linux_sll2",
}

// String returns the registry's name in lower case, or "linktype N".
func (l LinkType) String() string {
	if s, ok := linkNames[l]; ok {
		return s
	}
	return "linktype " + strconv.FormatUint(uint64(l), 10)
}
