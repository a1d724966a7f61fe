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
	LinkPPP       LinkType = 9   // PPP, perhaps in HDLC-like framing
	LinkRawLinux  LinkType = 12  // LinkRaw, in files that hold Linux's DLT_RAW
	LinkRawBSD    LinkType = 14  // LinkRaw, in files that hold OpenBSD's
	LinkPPPHDLC   LinkType = 50  // PPP in HDLC-like framing, or Cisco's
	LinkPPPEther  LinkType = 51  // PPPoE without Ethernet
	LinkRaw       LinkType = 101 // IPv4 or IPv6, by the version nibble
	LinkCiscoHDLC LinkType = 104
	LinkWiFi      LinkType = 105 // 802.11
	LinkLoop      LinkType = 108 // OpenBSD loopback: address family in network byte order
	LinkLinuxSLL  LinkType = 113 // Linux "cooked" capture
	LinkPrism     LinkType = 119 // 802.11 behind a Prism or AVS header
	LinkRadiotap  LinkType = 127 // 802.11 behind a radiotap header
	LinkPKTAPUser LinkType = 149 // LinkPKTAP, in files that hold Darwin's DLT_USER2
	LinkAVS       LinkType = 163 // 802.11 behind an AVS header
	LinkPPPD      LinkType = 166 // PPP with the direction in place of the address
	LinkPPI       LinkType = 192 // another link type behind a Per-Packet Information header
	LinkPPPDir    LinkType = 204 // PPP behind a byte for the direction
	LinkCiscoDir  LinkType = 205 // Cisco HDLC behind a byte for the direction
	LinkMPLS      LinkType = 219
	LinkIPv4      LinkType = 228
	LinkIPv6      LinkType = 229
	LinkNFLOG     LinkType = 239 // Linux netfilter's log
	LinkPKTAP     LinkType = 258 // another link type behind Darwin's header
	LinkLinuxSLL2 LinkType = 276 // Linux "cooked" capture, version 2
)

// linkNames are the names printed for link types, those of the registry in
// lower case.
var linkNames = map[LinkType]string{
	LinkNull:      "null",
	LinkEthernet:  "ethernet",
	LinkPPP:       "ppp",
	LinkRawLinux:  "raw",
	LinkRawBSD:    "raw",
	LinkPPPHDLC:   "ppp_hdlc",
	LinkPPPEther:  "ppp_ether",
	LinkRaw:       "raw",
	LinkCiscoHDLC: "c_hdlc",
	LinkWiFi:      "ieee802_11",
	LinkLoop:      "loop",
	LinkLinuxSLL:  "linux_sll",
	LinkPrism:     "ieee802_11_prism",
	LinkRadiotap:  "ieee802_11_radiotap",
	LinkPKTAPUser: "pktap",
	LinkAVS:       "ieee802_11_avs",
	LinkPPPD:      "ppp_pppd",
	LinkPPI:       "ppi",
	LinkPPPDir:    "ppp_with_dir",
	LinkCiscoDir:  "c_hdlc_with_dir",
	LinkMPLS:      "mpls",
	LinkIPv4:      "ipv4",
	LinkIPv6:      "ipv6",
	LinkNFLOG:     "nflog",
	LinkPKTAP:     "pktap",
	LinkLinuxSLL2: "linux_sll2",
}

// String returns the registry's name in lower case, or "linktype N".
func (l LinkType) String() string {
	if s, ok := linkNames[l]; ok {
		return s
	}
	return "linktype " + strconv.FormatUint(uint64(l), 10)
}
