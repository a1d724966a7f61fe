package filter

import (
	"bufio"
	"fmt"
	"io"

	"golang.org/x/net/bpf"
)

// Program is a filter that was compiled.
type Program = []bpf.RawInstruction

// ReadDDD reads a program as tcpdump -ddd prints it: how many instructions there
// are, then a line with the four numbers of each.
func ReadDDD(r io.Reader) (Program, error) {
	in := bufio.NewReader(r)
	var n int
	if _, err := fmt.Fscanln(in, &n); err != nil || n < 1 || n > maxProgram {
		return nil, fmt.Errorf("filter: a compiled filter begins with its number of instructions, up to %d, as tcpdump -ddd prints it", maxProgram)
	}
	code := make(Program, n)
	for i := range code {
		c := &code[i]
		if _, err := fmt.Fscanln(in, &c.Op, &c.Jt, &c.Jf, &c.K); err != nil {
			return nil, fmt.Errorf("filter: instruction %d of %d: %w", i, n, err)
		}
	}
	var more string
	if _, err := fmt.Fscan(in, &more); err != io.EOF {
		return nil, fmt.Errorf("filter: there is more behind the %d instructions", n)
	}
	return code, check(code)
}
