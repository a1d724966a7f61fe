// Package tcp puts the segments of a connection in order: from packets that were
// lost, doubled, cut, reordered or forged to the bytes of each direction, and
// the gaps between them.
//
// It stands between the flow table, which says whose segment it is, and the
// protocols, which see no packets. An Assembler serves many Conns; a Conn has a
// half for each direction. What it promises:
//
//	R1  a direction starts at ISN+1 when its SYN was seen, else at its lowest
//	    sequence number, for which the first segments wait a moment
//	R2  a byte keeps the first value seen; another value is an anomaly
//	R3  bytes never seen are a Gap, and what follows is kept
//	R4  keep-alive probes change nothing
//	R5  payload on a SYN counts from ISN+1, payload on a RST is left out
//	R6  bytes cut off by the snapshot length are a Gap
//	R8  a SYN with another ISN is for the caller to start a new Conn with
//	R9  all waiting is in capture time
//	R10 Settle hands on everything
//
// Sequence numbers become 64-bit stream offsets at the door, so that nothing
// behind it knows of their wrap. Data in order is handed on without a copy; what
// waits for a gap to fill is copied, here and nowhere else, and bounded by
// Limits.
package tcp
