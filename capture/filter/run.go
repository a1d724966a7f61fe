package filter

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"
)

// program is classic BPF that check has seen.
type program []bpf.RawInstruction

// check tells whether a program can be run: it knows its instructions, jumps
// within itself, which is forward as all jumps are, and ends with a return.
func check(code []bpf.RawInstruction) error {
	for i, c := range code {
		left := uint64(len(code) - i - 1)
		ok := true
		switch c.Op {
		case loadAbsolute | sizeWord, loadAbsolute | sizeHalf, loadAbsolute | sizeByte,
			loadIndirect | sizeWord, loadIndirect | sizeHalf, loadIndirect | sizeByte,
			loadLength, loadConst, loadConst | 1, loadXHeader, toX, toA, alu | aluNeg:
			ok = left > 0
		case loadScratch, loadXScratch, storeA, storeX:
			ok = left > 0 && c.K < scratch
		case jump:
			ok = uint64(c.K) < left
		case jump | jumpEq, jump | jumpGt, jump | jumpGe, jump | jumpSet,
			jump | jumpEq | fromX, jump | jumpGt | fromX, jump | jumpGe | fromX, jump | jumpSet | fromX:
			ok = uint64(max(c.Jt, c.Jf)) < left
		case returnK, returnK | 0x10:
		default:
			op := c.Op &^ (alu | fromX)
			ok = left > 0 && c.Op&7 == alu && op <= 0xa0 && op != aluNeg
			if c.K == 0 && (op == aluOps["/"] || op == aluOps["%"]) && c.Op&fromX == 0 {
				ok = false
			}
		}
		if !ok {
			return fmt.Errorf("filter: instruction %d of %d is %#x, which can't stand there", i, len(code), c.Op)
		}
	}
	if len(code) == 0 {
		return fmt.Errorf("filter: an empty program")
	}
	return nil
}

// run runs a program over the captured bytes of a packet that had length bytes on
// the wire. A read behind the bytes ends it, with 0, as in libpcap and the kernel.
func (p program) run(data []byte, length uint32) uint32 {
	var a, x uint32
	var mem [scratch]uint32
	for pc := 0; ; pc++ {
		c := &p[pc]
		switch c.Op {
		case loadAbsolute | sizeHalf:
			if uint64(c.K)+2 > uint64(len(data)) {
				return 0
			}
			a = uint32(binary.BigEndian.Uint16(data[c.K:]))
		case loadAbsolute | sizeByte:
			if uint64(c.K) >= uint64(len(data)) {
				return 0
			}
			a = uint32(data[c.K])
		case loadAbsolute | sizeWord:
			if uint64(c.K)+4 > uint64(len(data)) {
				return 0
			}
			a = binary.BigEndian.Uint32(data[c.K:])
		case jump | jumpEq:
			pc += branch(a == c.K, c)
		case loadXHeader:
			if uint64(c.K) >= uint64(len(data)) {
				return 0
			}
			x = 4 * uint32(data[c.K]&0xf)
		case loadIndirect | sizeHalf:
			at := uint64(x) + uint64(c.K)
			if at+2 > uint64(len(data)) {
				return 0
			}
			a = uint32(binary.BigEndian.Uint16(data[at:]))
		case loadIndirect | sizeByte:
			at := uint64(x) + uint64(c.K)
			if at >= uint64(len(data)) {
				return 0
			}
			a = uint32(data[at])
		case loadIndirect | sizeWord:
			at := uint64(x) + uint64(c.K)
			if at+4 > uint64(len(data)) {
				return 0
			}
			a = binary.BigEndian.Uint32(data[at:])
		case jump | jumpSet:
			pc += branch(a&c.K != 0, c)
		case jump | jumpGt:
			pc += branch(a > c.K, c)
		case jump | jumpGe:
			pc += branch(a >= c.K, c)
		case alu | aluAnd:
			a &= c.K
		case returnK:
			return c.K
		case returnK | 0x10:
			return a
		case jump:
			pc += int(c.K)
		case loadLength:
			a = length
		case loadConst:
			a = c.K
		case loadConst | 1:
			x = c.K
		case loadScratch:
			a = mem[c.K&(scratch-1)]
		case loadXScratch:
			x = mem[c.K&(scratch-1)]
		case storeA:
			mem[c.K&(scratch-1)] = a
		case storeX:
			mem[c.K&(scratch-1)] = x
		case toX:
			x = a
		case toA:
			a = x
		case alu | aluNeg:
			a = -a
		case jump | jumpEq | fromX:
			pc += branch(a == x, c)
		case jump | jumpGt | fromX:
			pc += branch(a > x, c)
		case jump | jumpGe | fromX:
			pc += branch(a >= x, c)
		case jump | jumpSet | fromX:
			pc += branch(a&x != 0, c)
		default:
			k := c.K
			if c.Op&fromX != 0 {
				k = x
			}
			switch c.Op &^ (alu | fromX) {
			case 0x00:
				a += k
			case 0x10:
				a -= k
			case 0x20:
				a *= k
			case 0x30:
				if k == 0 {
					return 0
				}
				a /= k
			case 0x40:
				a |= k
			case 0x50:
				a &= k
			case 0x60:
				a <<= k
			case 0x70:
				a >>= k
			case 0x90:
				if k == 0 {
					return 0
				}
				a %= k
			case 0xa0:
				a ^= k
			}
		}
	}
}

func branch(holds bool, c *bpf.RawInstruction) int {
	if holds {
		return int(c.Jt)
	}
	return int(c.Jf)
}
