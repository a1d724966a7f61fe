package plan_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"netlab/replay/plan"
)

// listing writes parts down: the kind, which conversation's, and of which exchange.
type listing struct{ lines []string }

func (l *listing) Take(p *plan.Part) error {
	line := fmt.Sprintf("%s %d", [...]string{"open", "say", "answer", "close", "over"}[p.Kind], p.Conn.ID)
	if p.Kind == plan.Said {
		line += " " + strings.Fields(string(p.Step.Bytes))[1]
	}
	if p.Kind == plan.Answered {
		line += fmt.Sprintf(" #%d", p.Check.Index)
	}
	l.lines = append(l.lines, line)
	return nil
}

// TestPartsAreMerged has conversations that go on at a time, one within another, and one
// behind: parts come in the order of time, and each answer before what was said behind it, as soon as it is asked for.
func TestPartsAreMerged(t *testing.T) {
	p := makePlan(t, `
step 1ms
tcp a 10.1.0.1:40000 > 10.1.0.2:80
tcp b 10.1.0.1:40001 > 10.1.0.2:80
tcp c 10.1.0.1:40002 > 10.1.0.2:80
a open
a > "GET /a1 HTTP/1.1\r\n\r\n"
b open
b > "GET /b1 HTTP/1.1\r\n\r\n"
b < "HTTP/1.1 204 No\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
b > "GET /b2 HTTP/1.1\r\n\r\n"
b < "HTTP/1.1 204 No\r\n\r\n"
b close
a > "GET /a2 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
a close
c open
c > "GET /c1 HTTP/1.1\r\n\r\n"
c < "HTTP/1.1 204 No\r\n\r\n"
c close
`)
	l := &listing{}
	if err := p.Parts(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	const want = `open 0
say 0 /a1
answer 0 #0
open 1
say 1 /b1
answer 1 #0
say 1 /b2
close 1
answer 1 #1
over 1
say 0 /a2
close 0
answer 0 #1
over 0
open 2
say 2 /c1
close 2
answer 2 #0
over 2`
	if got := strings.Join(l.lines, "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// count counts parts, and wants them in the order of time.
type count struct {
	t    *testing.T
	all  int
	last time.Duration
}

func (c *count) Take(p *plan.Part) error {
	c.all++
	if p.Kind == plan.Said {
		if p.At < c.last {
			c.t.Errorf("said at %v, behind %v", p.At, c.last)
		}
		c.last = p.At
	}
	return nil
}

// TestPartsTakeNoMemory has many parts: they are not listed before they are handed on.
func TestPartsTakeNoMemory(t *testing.T) {
	const conns, asked = 4, 500
	var recipe strings.Builder
	recipe.WriteString("step 1ms\n")
	for i := range conns {
		fmt.Fprintf(&recipe, "tcp c%d 10.1.0.1:%d > 10.1.0.2:80\nc%d open\n", i, 40000+i, i)
	}
	for range asked {
		for i := range conns {
			fmt.Fprintf(&recipe, "c%d > \"GET / HTTP/1.1\\r\\n\\r\\n\"\nc%d < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\n", i, i)
		}
	}
	p, c := makePlan(t, recipe.String()), &count{t: t}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := p.Parts(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	const want = conns * (2*asked + 3)
	if took, listed := after.TotalAlloc-before.TotalAlloc, uint64(want*unsafe.Sizeof(plan.Part{})); c.all != want || took > listed/4 {
		t.Errorf("%d parts, want %d, in %d bytes; a list of them has %d", c.all, want, took, listed)
	}
}
