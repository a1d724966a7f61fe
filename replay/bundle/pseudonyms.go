package bundle

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// MaxPseudonyms and maxPseudonym bound the list of a bundle, and how many bytes one has of
// those that are in it.
const (
	MaxPseudonyms = 100_000
	maxPseudonym  = 1024
)

// WritePseudonyms writes what stands in a capture in place of secrets: a JSON string a line,
// in order.
func WritePseudonyms(w io.Writer, list []string) error {
	slices.Sort(list)
	b := bufio.NewWriter(w)
	for _, p := range slices.Compact(list) {
		line, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if len(line) <= maxPseudonym {
			b.Write(append(line, '\n'))
		}
	}
	return b.Flush()
}

// Pseudonyms know what stands in a capture in place of secrets. A server says the real thing
// there, which nobody can hold against it.
type Pseudonyms struct {
	seed    maphash.Seed
	known   map[uint64]struct{} // by their hashes
	lengths [256][]int          // of those that begin with a byte, the longest first
	met     atomic.Int64
}

// ReadPseudonyms reads what WritePseudonyms wrote.
func ReadPseudonyms(r io.Reader) (*Pseudonyms, error) {
	p := &Pseudonyms{seed: maphash.MakeSeed(), known: make(map[uint64]struct{})}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxPseudonym+len("\r\n"))
	for n := 1; lines.Scan(); n++ {
		var text string
		if err := json.Unmarshal(lines.Bytes(), &text); err != nil {
			return nil, fmt.Errorf("bundle: %s: line %d: %w", PseudonymList, n, err)
		}
		if n > MaxPseudonyms {
			return nil, fmt.Errorf("bundle: %s has more than %d lines", PseudonymList, MaxPseudonyms)
		}
		p.add(text)
		p.add(url.QueryEscape(text))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("bundle: read %s: %w", PseudonymList, err)
	}
	for _, list := range p.lengths {
		slices.SortFunc(list, func(a, b int) int { return b - a })
	}
	return p, nil
}

func (p *Pseudonyms) add(text string) {
	if text == "" {
		return
	}
	p.known[maphash.String(p.seed, text)] = struct{}{}
	if list := &p.lengths[text[0]]; !slices.Contains(*list, len(text)) {
		*list = append(*list, len(text))
	}
}

// Met returns how many values were alike because of a pseudonym.
func (p *Pseudonyms) Met() int64 { return p.met.Load() }

// maxAlike bounds the texts in which pseudonyms are looked for.
const maxAlike = 64 << 10

// Alike reports whether a live text may be what a recorded one was before pseudonyms came
// into it: all else in it is the same. It is what compare.Rules ask for.
func (p *Pseudonyms) Alike(_, recorded, live string) bool {
	if len(recorded) > maxAlike || len(live) > maxAlike {
		return false
	}
	parts := p.split(recorded)
	if len(parts) == 1 || !fits(parts, live) {
		return false
	}
	p.met.Add(1)
	return true
}

// part is what stands between two pseudonyms, and how long the one behind it is.
type part struct {
	text string
	then int
}

// split takes a text apart at the pseudonyms in it. There is one more part than there are of these.
func (p *Pseudonyms) split(s string) []part {
	var parts []part
	from := 0
	for i := 0; i < len(s); {
		n := p.at(s, i)
		if n == 0 {
			i++
			continue
		}
		parts = append(parts, part{s[from:i], n})
		i += n
		from = i
	}
	return append(parts, part{text: s[from:]})
}

// at returns how long the longest pseudonym is that stands at a place of a text, as a whole
// word or several; 0 for none.
func (p *Pseudonyms) at(s string, i int) int {
	if within(s, i) {
		return 0
	}
	for _, n := range p.lengths[s[i]] {
		if i+n > len(s) || within(s, i+n) {
			continue
		}
		if _, ok := p.known[maphash.String(p.seed, s[i:i+n])]; ok {
			return n
		}
	}
	return 0
}

// within reports whether a place of a text is inside of a word.
func within(s string, i int) bool { return 0 < i && i < len(s) && isWord(s[i-1]) && isWord(s[i]) }

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

// fits reports whether a text has all parts, and something of a likely length in between.
func fits(parts []part, s string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(s, first.text) || !strings.HasSuffix(s[len(first.text):], last.text) {
		return false
	}
	s = s[len(first.text) : len(s)-len(last.text)]
	room := likely(first.then)
	for _, next := range parts[1 : len(parts)-1] {
		if s == "" {
			return false
		}
		i := strings.Index(s[1:], next.text)
		if i < 0 || i+1 > room {
			return false
		}
		s = s[i+1+len(next.text):]
		room = likely(next.then)
	}
	return s != "" && len(s) <= room
}

// likely is how long the real thing may be: most pseudonyms are as long, and servers say
// others the next time.
func likely(n int) int { return 4*n + 64 }
