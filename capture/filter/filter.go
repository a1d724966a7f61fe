package filter

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/net/bpf"

	"netlab/capture"
)

// defaultSnap is what programs return for a packet that is picked, where the
// caller does not say: as much of it as there is.
const defaultSnap = 262144

// Compile makes a program of an expression, for packets of a link type. It returns
// snap for packets that are picked, and 0 for others; a snap of 0 means all. An
// empty expression picks every packet.
//
// The program is for the bytes as a file holds them; CompileLinux makes one for
// packets as a socket of Linux has them.
func Compile(expr string, link capture.LinkType, snap int) ([]bpf.RawInstruction, error) {
	n, err := parse(expr)
	if err != nil {
		return nil, err
	}
	return compile(gen{expr: expr}, n, link, snap)
}

// compile makes a program of a parsed expression, with a gen that knows where the
// program is to run.
func compile(g gen, n node, link capture.LinkType, snap int) ([]bpf.RawInstruction, error) {
	var ok bool
	if g.layer, ok = layerOf(link); !ok {
		return nil, fmt.Errorf("filter: packets of link type %s can't be filtered", link)
	}
	if snap <= 0 {
		snap = defaultSnap
	}
	c := yes
	if n != nil {
		if c = g.node(n); g.err != nil {
			return nil, g.err
		}
	}
	code, ok := build(c).emit(uint32(snap))
	if !ok {
		return nil, &SyntaxError{Expr: g.expr, Reason: fmt.Sprintf("the filter comes to more than %d instructions", maxProgram)}
	}
	if err := check(code); err != nil {
		panic("BUG: " + err.Error())
	}
	return code, nil
}

// Filter picks packets of any link type that there are filters for. It is not for
// concurrent use.
type Filter struct {
	expr     string
	node     node
	link     capture.LinkType // of program
	program  program
	programs map[capture.LinkType]program
	compiled bool // by somebody else
}

// New reads an expression. What it refuses is wrong for every link type.
func New(expr string) (*Filter, error) {
	n, err := parse(expr)
	if err != nil {
		return nil, err
	}
	f := &Filter{expr: expr, node: n, programs: make(map[capture.LinkType]program)}
	// Most are right for Ethernet, so that is where an error is told from.
	if err = f.use(capture.LinkEthernet); err == nil {
		return f, nil
	}
	var s *SyntaxError
	if errors.As(err, &s) && s.link {
		for link := range layers {
			if f.use(link) == nil {
				return f, nil
			}
		}
	}
	return nil, err
}

// Compiled is a filter that somebody else compiled, as ReadDDD reads it, for the packets that
// it is asked about: those of one link type.
func Compiled(code Program) (*Filter, error) {
	for _, c := range code {
		if c.Op&^0x18 == loadAbsolute&^0x18 && c.K >= beside {
			return nil, errors.New("filter: it was compiled for Linux's kernel, and asks for what a file does not have: tcpdump -r FILE -ddd makes one for a file")
		}
	}
	return &Filter{program: code, compiled: true, link: math.MaxUint32, programs: make(map[capture.LinkType]program)}, nil
}

// use makes the program for a link type the one in use.
func (f *Filter) use(link capture.LinkType) error {
	p, ok := f.programs[link]
	switch {
	case ok:
	case f.compiled && len(f.programs) > 0:
		return fmt.Errorf("filter: it is compiled for packets of one link type, and behind %s comes %s", f.link, link)
	case f.compiled:
		p = f.program
		f.programs[link] = p
	default:
		code, err := compile(gen{expr: f.expr}, f.node, link, 0)
		if err != nil {
			return err
		}
		p = code
		f.programs[link] = p
	}
	f.link, f.program = link, p
	return nil
}

// Match reports whether a packet is picked. An error means that the filter can't be
// used on its link type.
func (f *Filter) Match(p *capture.Packet) (bool, error) {
	if p.Link != f.link {
		if err := f.use(p.Link); err != nil {
			return false, err
		}
	}
	return f.program.run(p.Data, uint32(p.Length)) != 0, nil
}

// Source is the packets of src that f picks, which keep their numbers. It is a
// capture.Lender if src is, and a capture.Chooser.
func (f *Filter) Source(src capture.Source) capture.Source {
	c := &chosen{filter: f, src: src}
	if lender, ok := src.(capture.Lender); ok {
		return struct {
			*chosen
			capture.Lender
		}{c, lender}
	}
	return c
}

type chosen struct {
	filter *Filter
	src    capture.Source
	left   int64
	err    error
}

func (c *chosen) Next() (*capture.Packet, error) {
	for c.err == nil {
		p, err := c.src.Next()
		if err != nil {
			return p, err
		}
		ok, err := c.filter.Match(p)
		switch {
		case err != nil:
			c.err = fmt.Errorf("packet %d: %w", p.Number, err)
		case ok:
			return p, nil
		default:
			c.left++
		}
	}
	return nil, c.err
}

// LeftOut returns how many packets were not picked.
func (c *chosen) LeftOut() int64 { return c.left }
