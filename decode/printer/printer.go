// Package printer shows conversations and exchanges: as text for people, as JSON
// Lines for programs. Each printer is a decode.Sink, at the end of the journey.
//
// What a packet holds is never trusted on its way out: text is made harmless for
// a terminal before it is written, JSON is escaped. A JSON printer keeps nothing
// but the line it writes; the table of a text printer is bounded by PageRows.
package printer

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"netlab/decode"
	"netlab/decode/packet"
	"netlab/decode/proto"
)

// Hider puts what must not be shown out of sight.
type Hider interface {
	// Hide returns what to show in place of a body, which may be the same. Several
	// goroutines may call it at a time.
	Hide(proto.Body) proto.Body
}

// Clean makes text harmless for a terminal: control characters, escape sequences
// and what turns the direction of writing are shown by their numbers.
func Clean(s string) string {
	if !strings.ContainsFunc(s, proto.Harmful) && utf8.ValidString(s) {
		return s
	}
	return string(appendClean(nil, []byte(s)))
}

// printable are the bytes that harm nobody and stand for themselves.
var printable = func() (t [256]bool) {
	for c := byte(' '); c <= '~'; c++ {
		t[c] = true
	}
	return t
}()

// appendClean appends text that Clean makes harmless.
func appendClean(dst, s []byte) []byte {
	for len(s) > 0 {
		n := 0
		for n < len(s) && printable[s[n]] {
			n++
		}
		dst, s = append(dst, s[:n]...), s[n:]
		if len(s) == 0 {
			break
		}
		r, n := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = fmt.Appendf(dst, `\x%02x`, s[0])
		case !proto.Harmful(r):
			dst = append(dst, s[:n]...)
		case r < 0x100:
			dst = fmt.Appendf(dst, `\x%02x`, r)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
		s = s[n:]
	}
	return dst
}

// remark returns what was found wrong with bytes; without those it quotes, when
// some must not be shown.
func remark(text string, hide Hider) string {
	if hide == nil {
		return text
	}
	var b strings.Builder
	for {
		before, quoted, found := strings.Cut(text, `"`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(`"***"`)
		literal, err := strconv.QuotedPrefix(`"` + quoted)
		if err != nil {
			return b.String()
		}
		text = quoted[len(literal)-1:]
	}
}

// reason is a line of a Summary's account.
type reason struct {
	kind   packet.Kind
	reason string
	count  int64
}

// reasons lists why packets carried no transport, the most frequent first.
func reasons(s *decode.Summary) []reason {
	var list []reason
	for k, m := range s.Reasons {
		for r, n := range m {
			list = append(list, reason{k, r.String(), n})
		}
	}
	slices.SortFunc(list, func(a, b reason) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(b.count, a.count), cmp.Compare(a.reason, b.reason))
	})
	return list
}
