package filter

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"

	"netlab/capture"
)

// What Linux tells of a packet beside its bytes, at offsets that no packet has
// (SKF_AD_OFF in linux/filter.h).
const (
	beside         = 0xfffff000
	besideProtocol = beside
	besideWay      = beside + 4
	besideIndex    = beside + 8
	besideTag      = beside + 44
	besideTagged   = beside + 48
)

const (
	sll2Header = 20 // bytes, of LINKTYPE_LINUX_SLL2
	vlanTag    = 4
)

// CompileLinux is Compile for a packet socket of Linux, whose packets differ from
// those in a file: the outermost VLAN tag stands beside the packet, and the header
// of LinkLinuxSLL2 does too, since it is put there later. What the expression says of
// them is asked for where it is; len counts both, as in a file.
//
// One thing differs from a file. As with libpcap, what is asked for without vlan is
// found behind a tag that stands beside the packet: tcp port 80 picks tagged packets
// too, of which only vlan could tell that they are.
func CompileLinux(expr string, link capture.LinkType, snap int) ([]bpf.RawInstruction, error) {
	n, err := parse(expr)
	if err != nil {
		return nil, err
	}
	var header uint32
	if link == capture.LinkLinuxSLL2 {
		header = sll2Header
	}
	plain, err := compile(gen{expr: expr, live: true, beside: header}, n, link, snap)
	if err != nil {
		return nil, err
	}
	tagged, err := compile(gen{expr: expr, live: true, tagged: true, beside: header + vlanTag}, n, link, snap)
	if err != nil {
		return nil, err
	}
	code := plain
	if !slices.Equal(plain, tagged) {
		code = slices.Concat([]bpf.RawInstruction{
			{Op: loadAbsolute | sizeWord, K: besideTagged},
			{Op: jump | jumpEq, K: 0, Jt: 1},
			{Op: jump, K: uint32(len(plain))},
		}, plain, tagged)
	}
	if len(code) > maxProgram {
		return nil, &SyntaxError{Expr: expr, Reason: fmt.Sprintf("the filter comes to more than %d instructions", maxProgram)}
	}
	if header == 0 {
		return code, nil
	}
	if !withoutHeader(code) {
		return nil, &SyntaxError{Expr: expr, Reason: "it asks for bytes of the link layer, which packets of several interfaces do not have"}
	}
	return code, nil
}

// withoutHeader has a program for LinkLinuxSLL2 run on packets that begin behind
// that header. It has false for a program that reads what is not known of it.
func withoutHeader(code []bpf.RawInstruction) bool {
	for i := range code {
		c := &code[i]
		switch c.Op {
		case loadAbsolute | sizeWord, loadAbsolute | sizeHalf, loadAbsolute | sizeByte:
			switch {
			case c.K >= beside:
			case c.K >= sll2Header:
				c.K -= sll2Header
			case c.K == 0 && c.Op == loadAbsolute|sizeHalf:
				c.K = besideProtocol
			case c.K == 4 && c.Op == loadAbsolute|sizeWord:
				c.K = besideIndex
			case c.K == 10 && c.Op == loadAbsolute|sizeByte:
				c.K = besideWay
			default:
				return false
			}
		case loadIndirect | sizeWord, loadIndirect | sizeHalf, loadIndirect | sizeByte, loadXHeader:
			if c.K < sll2Header {
				return false
			}
			c.K -= sll2Header
		}
	}
	return true
}
