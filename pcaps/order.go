package pcaps

import "encoding/binary"

// order is the byte order of a file. It is no binary.ByteOrder, whose methods can't
// be inlined: a packet takes five numbers.
type order bool

const (
	littleEndian order = false
	bigEndian    order = true
)

func (big order) u16(b []byte) uint16 {
	if big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (big order) u32(b []byte) uint32 {
	if big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (big order) u64(b []byte) uint64 {
	if big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

func (big order) byteOrder() binary.ByteOrder {
	if big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}
