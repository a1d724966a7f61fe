package proto

import (
	"bytes"
	"io"
	"math"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"netlab/decode/flow"
)

// MySQLCompressed is MySQL in compressed packets, by zlib or zstd, as it goes on
// behind a log-in that agreed on it (MySQL Internals, "Compressed Protocol").
var MySQLCompressed = Protocol{
	Name:  "mysql-compressed",
	Probe: func(Opening) Verdict { return NoMatch },
	New:   func(w Waiting) Parser { return &mysqlUnpacker{waiting: w} },
}

// maxMySQLCompressed bounds a compressed packet that is unpacked: a larger one is
// missing from what is inside, and its length is known. Unpacked it has less than
// 16 MB, which pass in pieces.
const (
	maxMySQLCompressed = 512 << 10
	mysqlPiece         = 32 << 10
)

// Of a compressed packet: its length, a count, and the length of what is inside; zero
// when that is not compressed.
const mysqlCompressedHeaderLen = 7

// mysqlUnpacker takes compressed packets apart.
type mysqlUnpacker struct {
	waiting Waiting
	sides   [2]mysqlPacked
	piece   []byte
	zstd    *zstd.Decoder
}

// mysqlPacked is one direction.
type mysqlPacked struct {
	left   int  // of a large packet that passes as it is, or of one that is too large
	skip   bool // it is too large
	reader io.Reader
	plain  int64 // bytes that are to come from the reader
	lost   int64
	at     Mark
	ready  []byte // what passes as it is, valid until the next call
	ended  bool   // the place in the stream is lost, or it ended
	told   bool
}

// Inside is what is spoken inside, with what the log-in agreed upon.
func (u *mysqlUnpacker) Inside() (protocol, with string) { return MySQL.Name, u.waiting.With() }

// Held returns how much memory unpacking has need of.
func (u *mysqlUnpacker) Held() int {
	n := cap(u.piece)
	for d := range u.sides {
		if u.sides[d].reader != nil {
			n += maxMySQLCompressed
		}
	}
	return n
}

func (u *mysqlUnpacker) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &u.sides[d]
	s.ready = nil
	skipped := &Message{Direction: d, Kind: Skipped}
	switch {
	case len(data) == 0:
		s.ended = s.ended || end
		return 0, nil
	case s.ended:
		return len(data), skipped
	case s.left > 0:
		n := min(s.left, len(data))
		s.left -= n
		if !s.skip {
			s.ready, s.at = data[:n], u.waiting.At(d, n-1)
		}
		return n, skipped
	case len(data) < mysqlCompressedHeaderLen:
		if end {
			s.ended = true
			return len(data), skipped
		}
		return 0, nil
	}
	size := int(data[0]) | int(data[1])<<8 | int(data[2])<<16
	plain := int(data[4]) | int(data[5])<<8 | int(data[6])<<16
	n := mysqlCompressedHeaderLen
	switch {
	case plain == 0 && size > maxMySQLCompressed:
		s.left, s.skip = size, false
	case size > maxMySQLCompressed:
		s.left, s.skip, s.lost = size, true, int64(plain)
		s.at = u.waiting.At(d, n-1)
	case len(data) < n+size && end:
		s.ended = true
		n = len(data)
	case len(data) < n+size:
		return 0, nil
	case plain == 0:
		if size > 0 {
			s.ready = data[n : n+size]
			n += size
		}
		s.at = u.waiting.At(d, n-1)
	default:
		packed := data[n : n+size]
		n += size
		s.at, s.plain = u.waiting.At(d, n-1), int64(plain)
		s.reader = u.unpack(bytes.Clone(packed))
	}
	return n, skipped
}

// unpack begins to unpack; nil when that fails. The two kinds are told by how they
// begin (RFC 8878, section 3.1.1).
func (u *mysqlUnpacker) unpack(packed []byte) io.Reader {
	if bytes.HasPrefix(packed, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		if u.zstd == nil {
			var err error
			u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxMySQLPacket+1))
			if err != nil {
				return nil
			}
		}
		if u.zstd.Reset(bytes.NewReader(packed)) != nil {
			return nil
		}
		return u.zstd
	}
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	return r
}

// Carried returns what was unpacked, in pieces.
func (u *mysqlUnpacker) Carried() (flow.Direction, Carried, bool) {
	for d := range u.sides {
		if c, ok := u.carried(flow.Direction(d)); ok {
			return flow.Direction(d), c, true
		}
	}
	return 0, Carried{}, false
}

// Known returns the end of all: what is missing is known at once.
func (u *mysqlUnpacker) Known(flow.Direction) int64 { return math.MaxInt64 }

// Within takes bytes for as many inside: how well they are compressed is not known.
func (u *mysqlUnpacker) Within(_ flow.Direction, n int64) int64 { return n }

func (u *mysqlUnpacker) carried(d flow.Direction) (Carried, bool) {
	s := &u.sides[d]
	switch {
	case s.ready != nil:
		c := Carried{Data: s.ready, At: s.at}
		s.ready = nil
		return c, true
	case s.plain > 0:
		n := 0
		if s.reader != nil {
			if u.piece == nil {
				u.piece = make([]byte, mysqlPiece)
			}
			n, _ = io.ReadFull(s.reader, u.piece[:min(mysqlPiece, s.plain)])
		}
		if n == 0 { // there is less than was said, or it is broken
			s.lost, s.plain, s.reader = s.plain, 0, nil
			return u.carried(d)
		}
		if s.plain -= int64(n); s.plain == 0 {
			s.reader = nil
		}
		return Carried{Data: u.piece[:n], At: s.at}, true
	case s.lost > 0:
		c := Carried{Lost: s.lost, At: s.at}
		s.lost = 0
		return c, true
	case s.ended && !s.told:
		s.told = true
		return Carried{End: true}, true
	}
	return Carried{}, false
}

// Gap ends a direction: where a packet begins is told by the lengths before it only.
func (u *mysqlUnpacker) Gap(d flow.Direction, _ []byte, n int64) (int64, *Message) {
	s := &u.sides[d]
	s.ready = nil
	if n < int64(s.left) {
		s.left -= int(n)
		if !s.skip {
			s.lost, s.at = n, u.waiting.At(d, 0)
		}
		return 0, nil
	}
	s.ended = true
	return 0, nil
}
