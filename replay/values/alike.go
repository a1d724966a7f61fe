package values

import (
	"slices"
	"strings"

	"netlab/decode/proto"
)

// Alike returns what says whether two values that differ stand for the same: the recorded
// one may be a value whose live one the other is. It is to be asked about one exchange.
func (l *Live) Alike(r Ref, recorded, live *proto.Message) func(path, recorded, live string) bool {
	if l == nil || len(l.found.from) == 0 {
		return nil
	}
	list := l.found.In(r)
	learned := len(list) == 0
	if !learned && slices.ContainsFunc(list, func(n int) bool { return l.found.Values[n].Uses > 0 }) {
		learned = true // other answers may say it too
		l.learn(list, recorded, live)
	}
	return func(path, a, b string) bool {
		if !learned {
			learned = true
			l.learn(list, recorded, live)
		}
		return l.alike(path, a, b)
	}
}

// learn takes note of what stands for what, from the values that an answer has.
func (l *Live) learn(list []int, recorded, live *proto.Message) {
	was, is := l.found.extract(list, recorded), l.found.extract(list, live)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, n := range list {
		v := &l.found.Values[n]
		p := pair{live: is[i], name: v.name, weak: v.weak, one: v.Place.Part > 0 || strings.HasSuffix(v.name, "id")}
		for form := v.Form; ; form = Raw {
			a, ok1 := decoded(was[i], form)
			b, ok2 := decoded(is[i], form)
			p.live = b
			if known := l.pairs[a]; ok1 && ok2 && a != "" && b != "" && a != b && len(known) < maxPairs && l.paired < l.found.room && !slices.Contains(known, p) {
				l.paired += len(a) + len(b)
				l.pairs[strings.Clone(a)] = append(known, p)
			}
			if form == Raw {
				break
			}
		}
	}
}

// alike goes through two texts at once. Where they differ, what stands there has to be a
// recorded value and its live one.
func (l *Live) alike(path, a, b string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, j := 0, 0; ; {
		n := common(a[i:], b[j:])
		if i+n == len(a) && j+n == len(b) {
			return true
		}
		stands := false
		for _, in := range classes {
			back := 0
			for back < n && in.begin(a[i+n-1-back]) {
				back++
			}
			from, other := i+n-back, j+n-back
			x, y := span(a[from:], in.all), span(b[other:], in.all)
			if x > maxValue || y > maxValue || !l.stands(path, a, run{from, from + x}, b[other:other+y]) {
				continue
			}
			i, j, stands = from+x, other+y, true
			break
		}
		if !stands {
			return false
		}
	}
}

// stands reports whether a live text stands for a part of a recorded one.
func (l *Live) stands(path, recorded string, at run, live string) bool {
	for _, p := range l.pairs[recorded[at.from:at.to]] {
		before := recorded[:at.from]
		switch {
		case p.live != live:
		case !p.weak, strings.HasSuffix(before, "/"), strings.HasSuffix(before, "="):
			return true
		case at.to-at.from == len(recorded):
			if name := normal(lastName(strings.TrimPrefix(path, "body "))); name == p.name || p.one && strings.HasSuffix(name, "id") {
				return true
			}
		}
	}
	return false
}

// common is how many bytes are the same at the beginning.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// span is how many bytes at the beginning are of a class.
func span(s string, in func(byte) bool) int {
	n := 0
	for n < len(s) && in(s[n]) {
		n++
	}
	return n
}

// classes are the bytes of which a value may be, in all and up to its last ones.
var classes = [...]struct{ begin, all func(byte) bool }{
	{inRun, inRun},
	{inWord, func(c byte) bool { return inWord(c) || c == '=' }},
	{notSpace, notSpace},
}

// inWord reports whether a byte may stand in base64, but for its end, or in what is encoded
// for a URL.
func inWord(c byte) bool { return inRun(c) || c == '+' || c == '/' || c == '%' }

// notSpace reports whether a byte belongs to what stands between spaces and quotation marks.
func notSpace(c byte) bool {
	return c > ' ' && c != '"' && c != '\'' && c != '<' && c != '>' && c != ';' && c != ','
}
