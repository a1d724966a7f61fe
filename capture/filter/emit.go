package filter

import (
	"slices"

	"golang.org/x/net/bpf"
)

// held is what the registers hold when a block begins, where all ways to it agree.
type held struct {
	seen bool
	a    value // its size is unheld where A is not known
	x    int32 // -1, or the IPv4 header whose length X is
}

const unheld = 0xffff

// emit writes the program, which returns snap for what is picked. It has false for
// one that is too long.
func (f *flow) emit(snap uint32) ([]bpf.RawInstruction, bool) {
	if f.entry < 0 {
		return nil, false
	}
	before := f.held()
	// From the end to the front, so that it is known how far jumps go.
	code := []bpf.RawInstruction{{Op: returnK}}
	first := make([]int, len(f.blocks)) // where a block begins, counted from the end
	push := func(op uint16, k uint32) { code = append(code, bpf.RawInstruction{Op: op, K: k}) }
	if f.entry == accept || before[accept].seen {
		push(returnK, snap)
		first[accept] = 1
	}
	if f.entry == reject {
		return code, true
	}
	for i := ends; i <= f.entry; i++ {
		if i != f.entry && !before[i].seen {
			continue
		}
		b := &f.blocks[i]
		yes, no := first[b.yes], first[b.no]
		// Conditional jumps have 8 bits to say how far.
		const near = 250
		if len(code)-no > near {
			push(jump, uint32(len(code)-no-1))
			no = len(code) - 1
		}
		if len(code)-yes > near {
			push(jump, uint32(len(code)-yes-1))
			yes = len(code) - 1
		}
		j := bpf.RawInstruction{Op: jump | b.op, K: b.k, Jt: uint8(len(code) - yes - 1), Jf: uint8(len(code) - no - 1)}
		if b.x {
			j.Op, j.K = j.Op|fromX, 0
		}
		code = append(code, j)
		loads := b.code
		if loads == nil {
			loads = b.value.after(before[i])
		}
		for _, l := range slices.Backward(loads) {
			code = append(code, l)
		}
		first[i] = len(code) - 1
		if len(code) > maxProgram {
			return nil, false
		}
	}
	slices.Reverse(code)
	return code, true
}

// after is the code that puts a value into A, without what is there already.
func (v value) after(h held) []bpf.RawInstruction {
	whole := v
	whole.mask = allOnes
	code := v.code()
	switch {
	case h.a == v:
		return nil
	case h.a == whole:
		return code[len(code)-1:]
	case v.ip >= 0 && h.x == v.ip:
		return code[1:]
	}
	return code
}

// held tells what the registers hold at each block that can be come to.
func (f *flow) held() []held {
	list := make([]held, len(f.blocks))
	nothing := held{a: value{size: unheld}, x: -1}
	for i := f.entry; i >= ends; i-- {
		if i == f.entry {
			list[i] = nothing
		} else if !list[i].seen {
			continue
		}
		b, after := &f.blocks[i], list[i]
		if b.code != nil {
			after = nothing
		} else {
			after.a = b.value
			if b.value.ip >= 0 {
				after.x = b.value.ip
			}
		}
		for _, to := range []int{b.yes, b.no} {
			h := &list[to]
			switch {
			case !h.seen:
				*h = after
				h.seen = true
			default:
				if h.a != after.a {
					h.a = nothing.a
				}
				if h.x != after.x {
					h.x = -1
				}
			}
		}
	}
	return list
}
