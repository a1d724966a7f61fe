// Package pcaps is the room of capture files: it opens and creates them.
//
// A Reader is a capture.Source and a Writer a capture.Sink, both shaped like
// archive/tar: one record a call and errors that stick. The format is found by
// content, never by name: pcap (micro- and nanoseconds, either byte order) and
// pcapng, either of them compressed with gzip, zstd or lz4, or lying in a zip file. A
// packet is lent, not copied: its bytes are the Reader's own until the next call, or with Lend those of
// the caller. Memory is bounded by the largest record met, at most MaxRecord, by
// what decompressing remembers, and by how far it gets ahead in its goroutine; no
// length read from a file is allocated before that many bytes have arrived.
//
// What else a pcapng file holds, as names, comments and secrets, passes by
// Reader.OnBlock and Reader.Block; Filter carries it over into a copy, Convert what
// there is a place for in a file of another kind, and Inspect says what there is. Merge
// makes one Source of several. A file that is still being written is read from what
// returns capture.ErrIdle where it ends for now.
//
// The codec is our own because gopacket's refuses snapshot length 0, keeps link
// types in 8 bits and allocates what a hostile header asks for.
//
// What the packets say is left to decode, where they come from to capture/live.
package pcaps
