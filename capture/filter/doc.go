// Package filter compiles the language of pcap-filter(7), which tcpdump's users
// know, to programs for the BSD packet filter, and runs them over packets.
//
// It stands between a Source and whoever reads it: what an expression does not
// pick is not handed on. The programs are classic BPF, so a kernel takes them too.
//
// The grammar is that of the manual page: host, net, port and portrange with src,
// dst and a protocol; ether, ip, ip6, arp, tcp and the others alone; proto; vlan,
// mpls and pppoes, which shift what stands behind them; less, greater, broadcast,
// multicast; arithmetic on bytes, as tcp[tcpflags] & tcp-syn != 0; and, or, not.
// As there, and and or have one precedence, and a packet is not picked as soon as
// the program reads behind its end.
//
// What can't be done is refused, and the word is named: names of hosts, since
// nothing is looked up; 802.11, ATM and LLC fields; protochain, geneve; direction,
// where the link type does not hold it; % and ^ beside other operators without
// parentheses, where libpcap's answer is a surprise. Other than tcpdump's,
//
//   - ip and ip6 on BSD loopback know the address families of all systems, in both
//     byte orders, since a file says neither who wrote it nor how;
//   - bytes of a protocol are asked for in packets of it, wherever they stand in
//     arithmetic, as the manual says: libpcap forgets it on the right of an operator,
//     and has len - ip[2:2] look into ARP too;
//   - names of ports are those of a built-in table, whatever the machine's say.
//
// The parts: lex and parse read an expression to a tree, once. gen turns the tree
// into tests for one link type, flow makes branches of them and drops those whose
// outcome is known, emit writes instructions. Every step is bounded by maxExpr.
package filter
