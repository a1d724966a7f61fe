package filter

import "sync"

// constants are names for numbers: offsets of fields, and what they may hold.
var constants = sync.OnceValue(func() map[string]uint32 {
	return map[string]uint32{
		"icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1, "tcpflags": 13,

		"tcp-fin": 0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08,
		"tcp-ack": 0x10, "tcp-urg": 0x20, "tcp-ece": 0x40, "tcp-cwr": 0x80,

		"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8,
		"icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12,
		"icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15, "icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,

		"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4,
		"icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130,
		"icmp6-multicastlistenerreportv1": 131, "icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133,
		"icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
		"icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139, "icmp6-nodeinformationresponse": 140,
		"icmp6-ineighbordiscoverysolicit": 141, "icmp6-ineighbordiscoveryadvert": 142,
		"icmp6-multicastlistenerreportv2": 143, "icmp6-homeagentdiscoveryrequest": 144,
		"icmp6-homeagentdiscoveryreply": 145, "icmp6-mobileprefixsolicit": 146, "icmp6-mobileprefixadvert": 147,
		"icmp6-certpathsolicit": 148, "icmp6-certpathadvert": 149, "icmp6-multicastrouteradvert": 151,
		"icmp6-multicastroutersolicit": 152, "icmp6-multicastrouterterm": 153,
	}
})

// etherTypes are the protocols of the link layer. Those below 0x600 are no
// EtherType: they are told by the header of IEEE 802.2, by SNAP, or by both.
var etherTypes = map[string]uint32{
	"ip": etherIP, "ip6": etherIP6, "arp": etherARP, "rarp": etherRARP,
	"atalk": etherAppleTalk, "aarp": etherAARP, "decnet": 0x6003, "sca": 0x6007, "lat": 0x6004,
	"moprc": 0x6002, "mopdl": 0x6001, "loopback": 0x9000,
	"iso": llcISO, "stp": llcSTP, "ipx": llcIPX, "netbeui": llcNetBEUI,
}

const (
	etherIP        = 0x0800
	etherARP       = 0x0806
	etherRARP      = 0x8035
	etherAppleTalk = 0x809b
	etherAARP      = 0x80f3
	etherIPX       = 0x8137
	etherIP6       = 0x86dd
	etherMPLS      = 0x8847
	etherPPPoED    = 0x8863
	etherPPPoES    = 0x8864

	llcSTP     = 0x42
	llcIPX     = 0xe0
	llcNetBEUI = 0xf0
	llcISO     = 0xfe

	maxLength = 1500 // what is not above it is a length, and no EtherType
)

// etherVLAN are the EtherTypes of a VLAN tag.
var etherVLAN = []uint32{0x8100, 0x88a8, 0x9100}

// transport is a protocol inside IP, by the word that stands for it.
type transport struct {
	number uint32
	v4, v6 bool // the word alone means it in both, or in one of them
	index  bool // it has bytes that can be asked for
}

var transports = map[string]transport{
	"icmp": {1, true, false, true}, "igmp": {2, true, false, true}, "tcp": {6, true, true, true},
	"igrp": {9, true, false, true}, "udp": {17, true, true, true}, "esp": {50, true, true, false},
	"ah": {51, true, true, false}, "icmp6": {58, false, true, true}, "pim": {103, true, true, true},
	"vrrp": {112, true, false, true}, "carp": {112, true, false, true}, "sctp": {132, true, true, true},
}

const (
	protoTCP      = 6
	protoUDP      = 17
	protoFragment = 44
	protoICMP6    = 58
	protoSCTP     = 132
)

// ipProtos are what ip proto takes for names, beside those of transports that
// are called the same there.
var ipProtos = sync.OnceValue(func() map[string]uint32 {
	return map[string]uint32{
		"icmp": 1, "igmp": 2, "tcp": 6, "igp": 9, "udp": 17, "dccp": 33, "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44,
		"rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "eigrp": 88,
		"ospf": 89, "ipip": 94, "etherip": 97, "encap": 98, "pim": 103, "ipcomp": 108, "vrrp": 112, "l2tp": 115,
		"sctp": 132, "udplite": 136, "hopopt": 0, "egp": 8, "mpls-in-ip": 137,
	}
})

// service is what a name of a port stands for. A name that TCP and UDP share
// says nothing of the protocol.
type service struct {
	port     uint32
	tcp, udp bool
}

// services are the usual names, as in IANA's registry where those of it are in
// use, and with the protocols that Debian's netbase has for them.
var services = sync.OnceValue(func() map[string]service {
	m := make(map[string]service)
	add := func(tcp, udp bool, list map[string]uint32) {
		for name, port := range list {
			m[name] = service{port, tcp, udp}
		}
	}
	add(true, false, map[string]uint32{
		"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "mail": 25, "whois": 43, "gopher": 70, "finger": 79,
		"http": 80, "www": 80, "pop3": 110, "pop-3": 110, "auth": 113, "ident": 113, "nntp": 119, "epmap": 135,
		"netbios-ssn": 139, "imap": 143, "imap2": 143, "bgp": 179, "microsoft-ds": 445, "submissions": 465, "smtps": 465,
		"exec": 512, "login": 513, "shell": 514, "printer": 515, "submission": 587, "ipp": 631, "rsync": 873, "ftps-data": 989,
		"ftps": 990, "telnets": 992, "imaps": 993, "pop3s": 995, "socks": 1080, "ms-sql-s": 1433, "iscsi-target": 3260,
		"mysql": 3306, "ms-wbt-server": 3389, "svn": 3690, "sieve": 4190, "epmd": 4369, "xmpp-client": 5222,
		"xmpp-server": 5269, "postgresql": 5432, "amqps": 5671, "amqp": 5672, "x11": 6000, "redis": 6379,
		"syslog-tls": 6514, "ircd": 6667, "ircs-u": 6697, "http-alt": 8080, "git": 9418,
	})
	add(false, true, map[string]uint32{
		"bootps": 67, "bootpc": 68, "tftp": 69, "ntp": 123, "netbios-ns": 137, "netbios-dgm": 138, "xdmcp": 177,
		"isakmp": 500, "biff": 512, "who": 513, "route": 520, "dhcpv6-client": 546, "dhcpv6-server": 547,
		"ms-sql-m": 1434, "l2f": 1701, "iax": 4569, "mdns": 5353,
	})
	add(true, true, map[string]uint32{
		"echo": 7, "discard": 9, "chargen": 19, "daytime": 13, "time": 37, "tacacs": 49, "domain": 53, "kerberos": 88, "sunrpc": 111,
		"snmp": 161, "snmp-trap": 162, "snmptrap": 162, "ldap": 389, "https": 443, "kpasswd": 464, "syslog": 514, "rtsp": 554,
		"ldp": 646, "ldaps": 636, "domain-s": 853, "openvpn": 1194, "radius": 1812, "radius-acct": 1813, "nfs": 2049,
		"sip": 5060, "sip-tls": 5061,
	})
	return m
})

// refused are the words of pcap-filter that are understood and not done, and why.
var refused = sync.OnceValue(func() map[string]string {
	m := make(map[string]string)
	add := func(reason string, list ...string) {
		for _, w := range list {
			m[w] = reason
		}
	}
	add("gateway takes the name of a host, and none is looked up", "gateway")
	add("protochain is not done: the chain of headers can't be followed by a kernel's filter", "protochain")
	add("the offsets behind geneve and vxlan vary, which is not done; decode looks into them, and --where picks", "geneve", "vxlan")
	add("LLC and OSI fields are not done", "llc", "clnp", "esis", "es-is", "isis", "is-is", "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp")
	add("that is of 802.11, for which filters are not made", "wlan", "type", "subtype", "dir", "direction", "addr1", "addr2", "addr3", "addr4", "ra", "ta", "radio")
	add("that is of a link type for which filters are not made", "fddi", "tr", "ppp", "slip", "byte")
	add("that is of ATM, for which filters are not made", "vpi", "vci", "lane", "oam", "oamf4", "oamf4s", "oamf4e", "metac", "bcc", "sc", "ilmic", "connectmsg", "metaconnect")
	add("that is of BSD's pf, for which filters are not made", "on", "ifname", "rnr", "rulenum", "reason", "rset", "ruleset", "srnr", "subrulenum", "action")
	add("that is of signalling links, for which filters are not made", "fisu", "lssu", "msu", "lsu", "hfisu", "hlssu", "hmsu", "sio", "opc", "dpc", "sls", "hsio", "hopc", "hdpc", "hsls")
	return m
})

// keywords are no names of anything, unless \ stands before them.
var keywords = sync.OnceValue(func() map[string]bool {
	m := make(map[string]bool)
	for _, w := range []string{
		"src", "dst", "host", "net", "mask", "port", "portrange", "proto", "ether", "link", "broadcast", "multicast",
		"less", "greater", "len", "length", "inbound", "outbound", "ifindex", "vlan", "mpls", "pppoed", "pppoes",
	} {
		m[w] = true
	}
	for w := range etherTypes {
		m[w] = w != "loopback"
	}
	for w := range transports {
		m[w] = true
	}
	for w := range refused() {
		m[w] = true
	}
	return m
})
