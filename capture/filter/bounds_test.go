package filter

import (
	"strings"
	"testing"
	"time"

	"netlab/capture"
)

// TestBounded has the worst of what fits in an expression compiled, and refused.
func TestBounded(t *testing.T) {
	fill := func(before, piece, after string) string {
		return before + strings.Repeat(piece, (maxExpr-len(before)-len(after))/len(piece)) + after
	}
	for name, expr := range map[string]string{
		"ands":             fill("", "ip&&", "ip"),
		"ors":              fill("", "ip||", "ip"),
		"both":             fill("", "ip||ip6&&", "ip"),
		"ids":              fill("port 1", " or 2", ""),
		"hosts":            fill("host ::1", "||::1", ""),
		"nets":             fill("net ::/1", "||::/127", ""),
		"sums":             fill("len=1", "+len", ""),
		"loads":            fill("len=", "ip[0]+", "1"),
		"indexes":          fill("len=", "tcp[len]+", "1"),
		"index_of_index":   "ip[" + strings.Repeat("ip[", 90) + "0" + strings.Repeat("]", 91) + "=1",
		"masks":            fill("len+1", "&1", "=1"),
		"masks_of_a_field": fill("len", "&len&1", "=1"),
		"parentheses":      fill("", strings.Repeat("(", 90)+"tcp"+strings.Repeat(")", 90)+"||", "ip"),
		"open":             fill("", "(", ""),
		"nots":             fill("", "!", "ip"),
		"vlans":            fill("", "vlan||", "ip"),
		"labels":           fill("", "mpls||", "ip"),
		"relations":        fill("", "len=1||", "ip"),
		"colons":           fill("", "1:", ""),
		"hex":              fill("", "a", ""),
		"minus":            fill("len=", "-", "1"),
		"facts":            fill("", "len&2=0||len=3&&", "ip"),
	} {
		begin := time.Now()
		code, err := Compile(expr, capture.LinkEthernet, 0)
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("%s takes %v", name, d)
		} else {
			why := ""
			if err != nil {
				why, _, _ = strings.Cut(err.Error(), "\n")
			}
			t.Logf("%s: %d bytes, %d instructions in %v %s", name, len(expr), len(code), d, why)
		}
		if len(code) > maxProgram {
			t.Errorf("%s: %d instructions", name, len(code))
		}
	}
}
