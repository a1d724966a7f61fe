// Package rewrite writes packets anew, with other addresses and other bytes in their
// streams, and makes them right again: lengths, sequence numbers, checksums.
//
// It reads a capture twice. In the first reading Edits stand behind the pipeline, as a
// Sink, and gather what is to be put in the place of what, with what of each
// conversation the pipeline alone knows: where it begins, which side is the client, at
// which sequence number its streams start, and which bytes never came into them. In the
// second a Rewriter takes the packets one by one and hands on what they become. So the
// two agree about every byte, without a second reassembly: a packet belongs to the latest
// conversation of its flow that had begun.
//
// Whatever nobody has vouched for does not pass: a byte stays only if it was in a stream,
// was looked at, and is in no Edit. All others are blanked, keeping their length, and
// counted by the reason. So are headers' parts that may say anything, as options; what is
// known of link, IP and control protocols is kept, with its addresses replaced.
//
// A Rewriter holds one packet, fragments that wait for others up to a bound, and a little
// for each conversation that is under way. It allocates nothing for a packet.
package rewrite
