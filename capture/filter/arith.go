package filter

import "golang.org/x/net/bpf"

// relation is a comparison of two numbers. Bytes of a protocol are there only in
// packets of it: other packets are not picked.
func (g *gen) relation(r *relation) *cond {
	a, b, op := r.a, r.b, r.op
	if a.op == "" && b.op != "" {
		a, b = b, a
		op = map[string]string{"=": "=", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}[op]
	}
	if a.op == "" {
		return map[bool]*cond{true: yes, false: no}[holds(op, a.n, b.n)]
	}
	guard := and(g.guard(b), g.guard(a))
	t := test{k: b.n}
	if v, ok := g.value(a); ok && b.op == "" {
		t.value = v
	} else {
		t.code = g.code(a, 0)
		if b.op != "" {
			t.x = true
			t.code = append(t.code, bpf.RawInstruction{Op: storeA})
			t.code = append(t.code, g.code(b, 1)...)
			t.code = append(t.code, bpf.RawInstruction{Op: toX}, bpf.RawInstruction{Op: loadScratch})
		}
	}
	inverse := false
	switch op {
	case "=":
		t.op = jumpEq
	case "!=":
		t.op, inverse = jumpEq, true
	case ">":
		t.op = jumpGt
	case ">=":
		t.op = jumpGe
	case "<":
		t.op, inverse = jumpGe, true
	case "<=":
		t.op, inverse = jumpGt, true
	}
	c := &cond{kind: leaf, test: t}
	if inverse {
		c = negate(c)
	}
	return and(guard, c)
}

func holds(op string, a, b uint32) bool {
	switch op {
	case "=":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}

// guard tests that a packet is of the protocols whose bytes are asked for.
func (g *gen) guard(s *sum) *cond {
	if s == nil {
		return yes
	}
	c := and(g.guard(s.a), g.guard(s.b))
	if s.op != "[" || s.proto == "ether" {
		return c
	}
	if s.proto == "icmp6" {
		return and(c, and(g.proto(s.tok, etherIP6), equal(g.layer.net+6, 1, protoICMP6)))
	}
	if t, ok := transports[s.proto]; ok {
		return and(c, and(g.ipProto(s.tok, t.number), g.first()))
	}
	return and(c, g.proto(s.tok, etherTypes[s.proto]))
}

// base is where the bytes of a protocol begin: at off, or behind the IPv4 header
// at ip, where off is too.
func (g *gen) base(proto string) (ip int32, off uint32) {
	switch {
	case proto == "ether":
		return -1, g.layer.header
	case proto == "icmp6":
		return -1, g.layer.net + 40
	case transports[proto].number != 0:
		return int32(g.layer.net), g.layer.net
	}
	return -1, g.layer.net
}

// value is what can be compared without arithmetic: bytes whose offset is known,
// the length, and some bits of them.
func (g *gen) value(s *sum) (value, bool) {
	switch {
	case s.op == "len" && g.beside == 0:
		return value{size: loadLength, ip: -1, mask: allOnes}, true
	case s.op == "[" && s.a.op == "":
		ip, off := g.base(s.proto)
		return value{size: sizes[s.size], ip: ip, off: off + s.a.n, mask: allOnes}, true
	case s.op == "&" && s.b.op == "" && s.b.n != 0:
		v, ok := g.value(s.a)
		v.mask &= s.b.n
		return v, ok && v.mask != 0
	}
	return value{}, false
}

// code puts a number into A. It may use the words of memory from slot on.
func (g *gen) code(s *sum, slot int) []bpf.RawInstruction {
	if slot > maxSlot || g.err != nil {
		g.fail(s.tok, "arithmetic that is nested too deep")
		return nil
	}
	if v, ok := g.value(s); ok {
		return v.code()
	}
	switch s.op {
	case "":
		return []bpf.RawInstruction{{Op: loadConst, K: s.n}}
	case "len":
		return []bpf.RawInstruction{{Op: loadLength}, {Op: alu | aluAdd, K: g.beside}}
	case "neg":
		return append(g.code(s.a, slot), bpf.RawInstruction{Op: alu | aluNeg})
	case "[":
		code := g.code(s.a, slot)
		ip, off := g.base(s.proto)
		if ip >= 0 {
			code = append(code, bpf.RawInstruction{Op: loadXHeader, K: uint32(ip)}, bpf.RawInstruction{Op: alu | aluAdd | fromX})
		}
		return append(code, bpf.RawInstruction{Op: toX}, bpf.RawInstruction{Op: loadIndirect | sizes[s.size], K: off})
	}
	code := g.code(s.a, slot)
	op := alu | aluOps[s.op]
	if s.b.op == "" {
		return append(code, bpf.RawInstruction{Op: op, K: s.b.n})
	}
	code = append(code, bpf.RawInstruction{Op: storeA, K: uint32(slot)})
	code = append(code, g.code(s.b, slot+1)...)
	return append(code, bpf.RawInstruction{Op: toX}, bpf.RawInstruction{Op: loadScratch, K: uint32(slot)}, bpf.RawInstruction{Op: op | fromX})
}

// maxSlot is the last word of memory.
const maxSlot = scratch - 1

// code puts a value into A.
func (v value) code() []bpf.RawInstruction {
	var code []bpf.RawInstruction
	switch {
	case v.size == loadLength:
		code = append(code, bpf.RawInstruction{Op: loadLength})
	case v.ip >= 0:
		code = append(code, bpf.RawInstruction{Op: loadXHeader, K: uint32(v.ip)}, bpf.RawInstruction{Op: loadIndirect | v.size, K: v.off})
	default:
		code = append(code, bpf.RawInstruction{Op: loadAbsolute | v.size, K: v.off})
	}
	if v.mask != allOnes {
		code = append(code, bpf.RawInstruction{Op: alu | aluAnd, K: v.mask})
	}
	return code
}
