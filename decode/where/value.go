package where

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// match compares one value of a field.
type match func(*proto.Value, *scratch) bool

// literal is a value in an expression.
type literal struct {
	text   string
	quoted bool
}

func (l literal) String() string {
	if l.quoted {
		return strconv.Quote(l.text)
	}
	return l.text
}

// orders tell from how two values compare whether an operator holds.
var orders = map[string]func(int) bool{
	"==": func(c int) bool { return c == 0 },
	"!=": func(c int) bool { return c != 0 },
	"<":  func(c int) bool { return c < 0 },
	"<=": func(c int) bool { return c <= 0 },
	">":  func(c int) bool { return c > 0 },
	">=": func(c int) bool { return c >= 0 },
}

// ordered reports whether a kind has ranges.
func ordered(k proto.AttributeKind) bool {
	switch k {
	case proto.Number, proto.Duration, proto.Size, proto.Moment, proto.Identity:
		return true
	}
	return false
}

// compare makes the comparison of a field's values with a literal, or says why
// there is none.
func compare(f proto.Attribute, op string, l literal) (match, string) {
	switch op {
	case "~", "contains", "starts_with", "ends_with":
		return compareText(f, op, l.text)
	}
	holds := orders[op]
	switch f.Kind {
	case proto.Text:
		want := l.text
		return func(v *proto.Value, _ *scratch) bool { return holds(strings.Compare(v.Text, want)) }, ""
	case proto.Truth:
		want, err := strconv.ParseBool(l.text)
		switch {
		case err != nil || l.quoted:
			return nil, fmt.Sprintf("%s is true or false, %s is neither", f.Name, l)
		case op != "==" && op != "!=":
			return nil, fmt.Sprintf("%s is true or false: there is no %s", f.Name, op)
		}
		return func(v *proto.Value, _ *scratch) bool { return (v.Number != 0) == want == (op == "==") }, ""
	case proto.Address, proto.Place:
		return compareAddress(f, op, l)
	}
	want, why := number(f, l)
	if why != "" {
		return nil, why
	}
	return func(v *proto.Value, _ *scratch) bool { return holds(want.compare(v.Number)) }, ""
}

// compareText makes comparisons of what is printed for a value.
func compareText(f proto.Attribute, op, want string) (match, string) {
	if op == "~" {
		re, err := regexp.Compile(want)
		if err != nil {
			return nil, err.Error()
		}
		if f.Kind == proto.Text {
			return func(v *proto.Value, _ *scratch) bool { return re.MatchString(v.Text) }, ""
		}
		return func(v *proto.Value, s *scratch) bool {
			s.text = f.Kind.Append(s.text[:0], *v)
			return re.Match(s.text)
		}, ""
	}
	if f.Kind == proto.Text {
		test := map[string]func(s, part string) bool{"contains": strings.Contains, "starts_with": strings.HasPrefix, "ends_with": strings.HasSuffix}[op]
		return func(v *proto.Value, _ *scratch) bool { return test(v.Text, want) }, ""
	}
	part := []byte(want)
	test := map[string]func(s, part []byte) bool{"contains": bytes.Contains, "starts_with": bytes.HasPrefix, "ends_with": bytes.HasSuffix}[op]
	return func(v *proto.Value, s *scratch) bool {
		s.text = f.Kind.Append(s.text[:0], *v)
		return test(s.text, part)
	}, ""
}

// compareAddress makes comparisons of addresses, with or without a port.
func compareAddress(f proto.Attribute, op string, l literal) (match, string) {
	holds := orders[op]
	if a, err := netip.ParseAddr(l.text); err == nil {
		a = a.Unmap()
		return func(v *proto.Value, _ *scratch) bool { return holds(v.Addr.Compare(a)) }, ""
	}
	if n, err := netip.ParsePrefix(l.text); err == nil {
		if op != "==" && op != "!=" {
			return nil, fmt.Sprintf("%s is a network: there is no %s", l, op)
		}
		return func(v *proto.Value, _ *scratch) bool { return n.Contains(v.Addr) == (op == "==") }, ""
	}
	if f.Kind == proto.Place {
		if at, err := netip.ParseAddrPort(l.text); err == nil {
			a, port := at.Addr().Unmap(), int64(at.Port())
			return func(v *proto.Value, _ *scratch) bool {
				return holds(cmp.Or(v.Addr.Compare(a), cmp.Compare(v.Number, port)))
			}, ""
		}
		return nil, fmt.Sprintf("%s is an address and a port, %s is none: write 10.0.0.1:80, 10.0.0.1 or 10.0.0.0/8", f.Name, l)
	}
	return nil, fmt.Sprintf("%s is an address, %s is none: write 10.0.0.1 or 10.0.0.0/8", f.Name, l)
}

// quantity is a number that integers are compared with: all digits count.
type quantity struct {
	floor int64
	more  bool // it is more than floor
}

// compare compares n with q.
func (q quantity) compare(n int64) int {
	if c := cmp.Compare(n, q.floor); c != 0 || !q.more {
		return c
	}
	return -1
}

// Units, in nanoseconds and bytes.
var (
	durations = map[string]int64{
		"ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "min": 60e9, "h": 3600e9,
	}
	sizes = map[string]int64{
		"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}
)

// number reads a literal as what a field is measured in, or says why it is none.
func number(f proto.Attribute, l literal) (quantity, string) {
	if f.Kind == proto.Moment {
		return moment(f, l)
	}
	digits, unit := l.text[:unitAt(l.text)], l.text[unitAt(l.text):]
	units, kind := map[string]int64{"": 1}, "a number"
	switch f.Kind {
	case proto.Duration:
		units, kind = durations, "a duration"
	case proto.Size:
		units, kind = sizes, "a size"
	}
	r, ok := rational(digits)
	factor, known := units[unit]
	switch {
	case ok && !l.quoted && f.Kind == proto.Duration && unit == "":
		if r.Sign() == 0 {
			return quantity{}, ""
		}
		return quantity{}, fmt.Sprintf("%s is a duration: write %sms", f.Name, digits)
	case !ok || l.quoted || !known:
		hint := ""
		if f.Kind == proto.Duration {
			hint = ": write 250ms"
		}
		return quantity{}, fmt.Sprintf("%s is %s, %s is none%s", f.Name, kind, l, hint)
	}
	r.Mul(r, new(big.Rat).SetInt64(factor))
	floor := new(big.Int).Div(r.Num(), r.Denom())
	if !floor.IsInt64() {
		return quantity{}, fmt.Sprintf("%s: %s is too large", f.Name, l)
	}
	return quantity{floor.Int64(), !r.IsInt()}, ""
}

// unitAt returns where the unit of a number begins.
func unitAt(s string) int {
	if strings.HasPrefix(s, "0x") {
		return len(s)
	}
	return strings.LastIndexAny(s, "0123456789.") + 1
}

// rational reads a number, of a bounded length and exponent.
func rational(s string) (*big.Rat, bool) {
	const maxLen, maxExponent = 64, 40
	if i, err := strconv.ParseInt(s, 0, 64); err == nil && strings.HasPrefix(s, "0x") {
		return new(big.Rat).SetInt64(i), true
	}
	mantissa, exponent, ok := strings.Cut(strings.ToLower(s), "e")
	if len(s) > maxLen || strings.Trim(mantissa, "+-.0123456789") != "" {
		return nil, false
	}
	if ok {
		if n, err := strconv.Atoi(exponent); err != nil || n < -maxExponent || n > maxExponent {
			return nil, false
		}
	}
	return new(big.Rat).SetString(s)
}

// layouts of times, which are in UTC unless they say otherwise.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02 15:04:05.999999999Z07:00"}

// moment reads a time, also in seconds since 1970.
func moment(f proto.Attribute, l literal) (quantity, string) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, l.text); err == nil {
			return quantity{floor: int64(flow.At(t))}, ""
		}
	}
	if r, ok := rational(l.text); ok && !l.quoted {
		r.Mul(r, new(big.Rat).SetInt64(1e9))
		if n := new(big.Int).Div(r.Num(), r.Denom()); n.IsInt64() {
			return quantity{n.Int64(), !r.IsInt()}, ""
		}
	}
	return quantity{}, fmt.Sprintf(`%s is a time, %s is none: write "2024-01-02T03:04:05Z"`, f.Name, l)
}
