package redact

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"netlab/decode/rewrite"
)

// view is data as text, without a copy: for a look at it, as long as data does not
// change.
func view(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }

// hit is a secret that was found in a text.
type hit struct {
	from, to int
	kind     Kind
	with     string
}

// maxDepth bounds how often a text may be within a text: base64 in a URL in JSON.
const maxDepth = 4

// Flags of the characters of a word.
const (
	hasDigit = 1 << iota
	hasLower
	hasUpper
	hasDot
	hasAt
	hasPercent
	hasColon
	hasSlash
	hasPlus
	hasEquals
	hasDash
)

// inWord are the characters of words, by their flags; those of others are 0.
var inWord = func() (t [256]uint16) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = hasDigit
		case c >= 'a' && c <= 'z':
			t[c] = hasLower
		case c >= 'A' && c <= 'Z':
			t[c] = hasUpper
		}
	}
	for c, f := range map[byte]uint16{'.': hasDot, '@': hasAt, '%': hasPercent, ':': hasColon, '/': hasSlash, '+': hasPlus, '=': hasEquals, '-': hasDash, '_': hasDash, '~': hasDash} {
		t[c] = f
	}
	return t
}()

// scan is a text that is looked through.
type scan struct {
	f     *finder
	place string
	data  []byte
	depth int
	hits  []hit
	// named is what the next word stands for, by the name before it.
	named Kind
	isFor bool
}

// text looks through a text for what is a secret by how it looks, by a name before it, or because
// it was found elsewhere; it returns what is to change, in order.
func (f *finder) text(place string, data []byte, depth int) []hit {
	if depth > maxDepth {
		return nil
	}
	s := scan{f: f, place: place, data: data, depth: depth}
	s.privateKeys()
	s.words()
	if f.editing() {
		s.known()
	}
	for _, r := range f.z.hide {
		if r.Value != nil {
			for _, at := range r.Value.FindAllIndex(data, -1) {
				s.secret(Text, at[0], at[1])
			}
		}
	}
	return s.merged()
}

// rewrite returns a text without its secrets, and whether there were some.
func (f *finder) rewrite(place, text string, depth int) (string, bool) {
	hits := f.text(place, []byte(text), depth)
	if len(hits) == 0 {
		return text, false
	}
	var b strings.Builder
	at := 0
	for _, h := range hits {
		b.WriteString(text[at:h.from])
		b.WriteString(h.with)
		at = h.to
	}
	b.WriteString(text[at:])
	return b.String(), true
}

// secret takes note of one.
func (s *scan) secret(k Kind, from, to int) {
	if from >= to {
		return
	}
	if with, ok := s.f.secret(k, s.place, "", string(s.data[from:to])); ok {
		s.hits = append(s.hits, hit{from, to, k, with})
	}
}

// replace takes note of what stands in another place.
func (s *scan) replace(from, to int, with string) {
	s.hits = append(s.hits, hit{from, to, Text, with})
}

// merged returns the hits in order. Of two that overlap, the one that begins first counts, then
// the longer one; what the other has behind it is replaced too.
func (s *scan) merged() []hit {
	if len(s.hits) < 2 {
		return s.hits
	}
	slices.SortStableFunc(s.hits, func(a, b hit) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	out := s.hits[:1]
	for _, h := range s.hits[1:] {
		last := &out[len(out)-1]
		if h.from < last.to {
			if h.to <= last.to {
				continue
			}
			if len(h.with) == h.to-h.from {
				h.with = h.with[last.to-h.from:]
			} else {
				h.with = strings.Repeat(string(rewrite.Filler), h.to-last.to)
			}
			h.from = last.to
		}
		out = append(out, h)
	}
	return out
}

// known finds what is in the dictionary.
func (s *scan) known() {
	for at := 0; ; {
		i, w := s.f.z.index.next(s.data, at)
		v := w.secret
		if v == "" {
			return
		}
		s.secret(w.kind, i, i+len(v))
		at = i + 1
	}
}

// privateKeys finds keys in PEM (RFC 7468).
func (s *scan) privateKeys() {
	const begin, end = "-----BEGIN ", "-----END "
	for at := 0; ; {
		i := bytes.Index(s.data[at:], []byte(begin))
		if i < 0 {
			return
		}
		from := at + i + len(begin)
		n := bytes.Index(s.data[from:], []byte("-----"))
		if n < 0 {
			return
		}
		private := bytes.Contains(s.data[from:from+min(n, 64)], []byte("PRIVATE KEY"))
		from += n + len("-----")
		to := len(s.data)
		if n := bytes.Index(s.data[from:], []byte(end)); n >= 0 {
			to = from + n
		}
		if private {
			for from < to && !isAlnum(s.data[from]) {
				from++
			}
			for to > from && strings.IndexByte(" \r\n\t", s.data[to-1]) >= 0 {
				to--
			}
			s.secret(PrivateKey, from, to)
		}
		at = to
	}
}

// words goes through the words.
func (s *scan) words() {
	for i := 0; i < len(s.data); {
		if inWord[s.data[i]] == 0 {
			i++
			continue
		}
		from, flags := i, uint16(0)
		for i < len(s.data) && inWord[s.data[i]] != 0 {
			flags |= inWord[s.data[i]]
			i++
		}
		if to := s.word(from, i, flags); to > i {
			i = to
		}
	}
}

// word looks at a word, and returns where to go on.
func (s *scan) word(from, to int, flags uint16) int {
	if s.isFor {
		s.isFor = false
		end := s.valueEnd(from, to)
		s.secret(s.named, from, end)
		return end
	}
	if flags&hasEquals != 0 {
		if end, ok := s.assignment(from, to); ok {
			return end
		}
	}
	s.naming(from, to)
	if flags&^(hasLower|hasDash|hasUpper) == 0 && to-from < 20 {
		return to // as nearly all
	}
	word := s.data[from:to]
	if flags&hasAt != 0 {
		s.emails(from, to)
	}
	if flags&(hasColon|hasSlash) == hasColon|hasSlash {
		if i := bytes.Index(word, []byte("://")); i > 0 {
			return s.url(from, from+i+len("://"), to)
		}
	}
	if flags&hasPercent != 0 {
		s.percent(from, to)
		return to
	}
	if flags&hasDigit != 0 {
		if flags&(hasDot|hasColon) != 0 || flags&hasDash != 0 && to-from >= macLen {
			s.addresses(from, to)
		}
		if end := s.numbers(from, to); end > to {
			return end
		}
	} else if flags&hasColon != 0 {
		s.addresses(from, to)
	}
	if flags&hasDot != 0 && flags&(hasLower|hasUpper) != 0 {
		s.hosts(from, to)
	}
	if to-from >= 16 {
		s.tokens(from, to)
	}
	return to
}

// valueEnd returns where a value ends that begins with a word: at the quotation mark if one is
// before it, else where a word would end by any custom.
func (s *scan) valueEnd(from, to int) int {
	if q := from - 1; q >= 0 && (s.data[q] == '"' || s.data[q] == '\'') {
		for to < len(s.data) && s.data[to] != s.data[q] && s.data[to] != '\n' {
			to++
		}
		return to
	}
	for to < len(s.data) && strings.IndexByte(" \t\r\n\"'&,;<>)]}", s.data[to]) < 0 {
		to++
	}
	return to
}

// between are the characters that may stand between a name and what it is of, by what they are.
var between = [256]uint8{' ': isSpace, '\t': isSpace, '"': isQuote, '\'': isQuote, '=': isAssigning, ':': isAssigning, '>': isAssigning}

const (
	isSpace = 1 << iota
	isQuote
	isAssigning
)

// naming has the next word be a secret when this one says so: password: hunter2,
// <password>hunter2, Bearer hunter2.
func (s *scan) naming(from, to int) {
	end := to
	for end > from && (s.data[end-1] == ':' || s.data[end-1] == '=') {
		end--
	}
	next, seen := end, uint8(0)
	for next < len(s.data) && next-end < 6 && between[s.data[next]] != 0 {
		seen |= between[s.data[next]]
		next++
	}
	if next == end || next >= len(s.data) || inWord[s.data[next]] == 0 {
		return
	}
	name := view(s.data[from:end])
	if seen&isAssigning == 0 {
		if name != "" && name[0]|0x20 == 'b' && (strings.EqualFold(name, "Bearer") || strings.EqualFold(name, "Basic")) && seen&isQuote == 0 && longWord(s.data[next:]) {
			s.named, s.isFor = Token, true
		}
		return
	}
	if i := strings.LastIndexAny(name, "/:="); i >= 0 {
		name = name[i+1:]
	}
	s.named, s.isFor = s.f.kindOf(name)
}

// longWord reports whether data begins with a word that is none of people's.
func longWord(data []byte) bool {
	n, digit := 0, false
	for n < len(data) && inWord[data[n]] != 0 {
		digit = digit || inWord[data[n]]&(hasDigit|hasUpper) != 0
		n++
	}
	return n >= 8 && digit
}

// assignment finds name=value.
func (s *scan) assignment(from, to int) (int, bool) {
	word := s.data[from:to]
	i := bytes.IndexByte(word, '=')
	if i <= 0 || i+1 == len(word) {
		return 0, false
	}
	name := view(word[:i])
	if j := strings.LastIndexAny(name, "/:"); j >= 0 {
		name = name[j+1:]
	}
	k, ok := s.f.kindOf(name)
	if !ok {
		return 0, false
	}
	end := s.valueEnd(from+i+1, to)
	value := view(s.data[from+i+1 : end])
	if text, readable := inQuery.read(value); readable && text != value && strings.IndexByte(value, '%') >= 0 {
		if with, ok := s.f.secret(k, s.place, name, text); ok {
			if spelled, ok := respell(inQuery, value, text, with); ok {
				s.replace(from+i+1, end, spelled)
			}
		}
		return end, true
	}
	s.secret(k, from+i+1, end)
	return end, true
}

// emails finds the addresses of mail in a word.
func (s *scan) emails(from, to int) {
	for i := from; i < to; i++ {
		if s.data[i] != '@' {
			continue
		}
		a, b := i, i+1
		for a > from && inLocal[s.data[a-1]] {
			a--
		}
		for b < to && (isAlnum(s.data[b]) || s.data[b] == '.' || s.data[b] == '-') {
			b++
		}
		for b > i && (s.data[b-1] == '.' || s.data[b-1] == '-') {
			b--
		}
		if text := view(s.data[a:b]); strings.IndexByte(text, '%') < 0 && isEmail(text) {
			s.secret(Email, a, b)
		}
	}
}

// url takes apart what is behind :// in a word: who, where, and the path.
func (s *scan) url(from, at, to int) int {
	end := to
	if i := bytes.IndexByte(s.data[at:to], '/'); i >= 0 {
		end = at + i
	}
	host := at
	// A password may have characters that no word has; what ends it is an @ before the next /.
	wide := at
	for wide < len(s.data) && strings.IndexByte("/?# \t\r\n\"'<>", s.data[wide]) < 0 {
		wide++
	}
	if i := bytes.LastIndexByte(s.data[at:wide], '@'); i >= 0 {
		user, password := view(s.data[at:at+i]), 0
		if j := strings.IndexByte(user, ':'); j >= 0 {
			password = at + j + 1
			s.spelled(Password, password, at+i)
			s.spelled(User, at, password-1)
		} else {
			s.spelled(User, at, at+i)
		}
		host = at + i + 1
		if host > end {
			end = wide
		}
		to = max(to, end)
	}
	s.host(host, end)
	if end < to {
		for a := end; a < to; { // segment by segment
			b := a + 1
			for b < to && s.data[b] != '/' {
				b++
			}
			var flags uint16
			for _, c := range s.data[a+1 : b] {
				flags |= inWord[c]
			}
			if b > a+1 {
				if next := s.word(a+1, b, flags); next > b {
					return next
				}
			}
			a = b
		}
	}
	return to
}

// spelled takes a secret that is encoded as in a URL.
func (s *scan) spelled(k Kind, from, to int) {
	raw := view(s.data[from:to])
	text, ok := inPath.read(raw)
	if !ok || text == raw {
		s.secret(k, from, to)
		return
	}
	if with, ok := s.f.secret(k, s.place, "", text); ok {
		if with, ok = respell(inPath, raw, text, with); ok {
			s.replace(from, to, with)
		}
	}
}

// host takes the name or the address of a host, perhaps with a port.
func (s *scan) host(from, to int) {
	name := view(s.data[from:to])
	if i := strings.LastIndexByte(name, ':'); i >= 0 && strings.Trim(name[i+1:], "0123456789") == "" && strings.Count(name, ":") == 1 {
		name = name[:i]
	}
	to = from + len(name)
	switch {
	case isAddress(name):
		s.secret(Address, from, to)
	case name != "" && isHostname(name):
		s.secret(Host, from, to)
	}
}

// isHostname reports whether a text may be the name of a host, where one is to stand.
func isHostname(s string) bool {
	letter := false
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
		letter = letter || c > '9'
	}
	return letter && len(s) <= 253
}

// percent looks into what is encoded as in a URL.
func (s *scan) percent(from, to int) {
	raw := view(s.data[from:to])
	text, ok := inPath.read(raw)
	if !ok || text == raw {
		return
	}
	if with, changed := s.f.rewrite(s.place, text, s.depth+1); changed {
		if spelled, ok := respell(inPath, raw, text, with); ok {
			s.replace(from, to, spelled)
		}
	}
}

// maxAddress is the length of the longest address as a text.
const maxAddress = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// addresses finds those of IP and of interfaces.
func (s *scan) addresses(from, to int) {
	for i := from; i < to; {
		c := s.data[i]
		if unhex(c) > 15 && c != ':' || i > from && isAlnum(s.data[i-1]) {
			i++
			continue
		}
		// The longest that is one: with colons, then with points alone.
		end, dots, colons := i, 0, 0
		for end < to && end-i <= maxAddress && (unhex(s.data[end]) <= 15 || s.data[end] == '.' || s.data[end] == ':' || s.data[end] == '-' && colons == 0 && dots == 0) {
			switch s.data[end] {
			case '.':
				dots++
			case ':':
				colons++
			}
			end++
		}
		n := s.addressIn(i, end, dots, colons)
		if n == 0 {
			for i < to && isAlnum(s.data[i]) {
				i++
			}
			i++
			continue
		}
		i += n
	}
}

// addressIn takes the address that begins at an offset, and returns how long it is.
func (s *scan) addressIn(from, end, dots, colons int) int {
	if end-from >= macLen {
		if _, ok := parseMAC(view(s.data[from : from+macLen])); ok && standsAlone(s.data, from, from+macLen) {
			s.secret(Address, from, from+macLen)
			return macLen
		}
	}
	if colons >= 2 {
		text := strings.TrimRight(view(s.data[from:end]), ".")
		if strings.HasSuffix(text, ":") && !strings.HasSuffix(text, "::") {
			text = text[:len(text)-1]
		}
		if a, err := netip.ParseAddr(text); err == nil && a.Is6() && len(text) > 2 && standsAlone(s.data, from, from+len(text)) {
			s.secret(Address, from, from+len(text))
			return len(text)
		}
	}
	if dots >= 3 {
		to, groups := from, 0
		for to < end && (s.data[to] >= '0' && s.data[to] <= '9' || s.data[to] == '.' && groups < 3) {
			if s.data[to] == '.' {
				groups++
			}
			to++
		}
		text := view(s.data[from:to])
		alone := to == len(s.data) || !isAlnum(s.data[to]) && !(s.data[to] == '.' && to+1 < len(s.data) && isAlnum(s.data[to+1]))
		if a, err := netip.ParseAddr(text); err == nil && a.Is4() && alone && !(from > 0 && s.data[from-1] == '.') {
			s.secret(Address, from, to)
			return to - from
		}
	}
	return 0
}

// numbers finds those of cards and phones, which may be in groups of words. It returns where to
// go on.
func (s *scan) numbers(from, to int) int {
	for i := from; i < to; i++ {
		c := s.data[i]
		if i > 0 && (isAlnum(s.data[i-1]) || s.data[i-1] == '.') || c != '+' && (c < '0' || c > '9') {
			continue
		}
		end, digits := i, 0
		if c == '+' {
			end++
		}
		sep := true
		for end < len(s.data) && end-i < 24 {
			d := s.data[end]
			isDigit := d >= '0' && d <= '9'
			if !isDigit && (sep && d != '(' || strings.IndexByte(" -.()", d) < 0) {
				break
			}
			if isDigit {
				digits++
			}
			sep = !isDigit && d != ')' && d != '('
			end++
		}
		for end > i && (s.data[end-1] < '0' || s.data[end-1] > '9') {
			end--
		}
		if end < len(s.data) && isAlnum(s.data[end]) {
			continue
		}
		text := view(s.data[i:end])
		switch {
		case c == '+' && digits >= 8 && digits <= 15:
			s.secret(Phone, i, end)
			return max(end, to)
		case digits >= 13 && isCard(text):
			s.secret(Card, i, end)
			return max(end, to)
		case isNANP(text):
			s.secret(Phone, i, end)
			return max(end, to)
		case len(text) == len("555-0100") && s.data[i+3] == '-' && i >= 6 && isNANP(strings.TrimLeft(view(s.data[max(0, i-6):end]), " ")):
			s.secret(Phone, i-len("(555) "), end)
			return max(end, to)
		}
	}
	return to
}

// isNANP reports whether s is a number as North Americans write them: 555-555-0100, or (555) 555-0100.
func isNANP(s string) bool {
	form := "000-000-0000"
	if strings.HasPrefix(s, "(") {
		form = "(000) 000-0000"
	} else if len(s) == len(form) && s[3] != '-' {
		form = "000" + s[3:4] + "000" + s[3:4] + "0000"
		if s[3] != '.' && s[3] != ' ' {
			return false
		}
	}
	if len(s) != len(form) {
		return false
	}
	for i := range len(s) {
		if isDigit := s[i] >= '0' && s[i] <= '9'; isDigit != (form[i] == '0') || !isDigit && s[i] != form[i] {
			return false
		}
	}
	return true
}

// hosts finds the names of hosts that are in domains which are known.
func (s *scan) hosts(from, to int) {
	if !s.f.editing() || len(s.f.z.dict.domains) == 0 {
		return
	}
	for a := from; a < to; {
		if !isAlnum(s.data[a]) {
			a++
			continue
		}
		b := a
		for b < to && (isAlnum(s.data[b]) || s.data[b] == '.' || s.data[b] == '-' || s.data[b] == '_') {
			b++
		}
		name := strings.TrimRight(view(s.data[a:b]), ".-_")
		if strings.IndexByte(name, '.') > 0 && isHostname(name) && s.f.z.dict.tops[lowered(name[strings.LastIndexByte(name, '.')+1:])] && s.f.z.dict.domains[registered(lowered(name))] {
			s.secret(Host, a, a+len(name))
		}
		a = b
	}
}

// tokens finds what is a token by its beginning, and looks into base64.
func (s *scan) tokens(from, to int) {
	tried := from // as base64, up to there
	for a := from; a < to; {
		if inWord[s.data[a]]&(hasDigit|hasLower|hasUpper|hasPlus|hasDash) == 0 {
			a++
			continue
		}
		b := a
		for b < to && (isAlnum(s.data[b]) || strings.IndexByte("-_.+", s.data[b]) >= 0) {
			b++
		}
		for b > a+1 && s.data[b-1] == '.' {
			b--
		}
		text := view(s.data[a:b])
		switch {
		case isJWT(text):
			s.secret(JWT, a, b)
		case knownPrefix(text) > 0:
			s.secret(Token, a, b)
		default:
			end := b
			if a >= tried {
				for end < to && (isAlnum(s.data[end]) || strings.IndexByte("+/-_", s.data[end]) >= 0) {
					end++
				}
				for end < to && s.data[end] == '=' {
					end++
				}
				tried = end
			}
			s.base64(a, end)
		}
		a = b + 1
	}
}

// base64 looks into what may be encoded so (RFC 4648). It may begin behind something else: a secret
// that is known is looked for from each of the first four characters on.
func (s *scan) base64(from, to int) {
	if end := bytes.IndexByte(s.data[from:to], '.'); end >= 0 {
		to = from + end
	}
	if to-from < 12 {
		return
	}
	raw := view(s.data[from:to])
	e := base64Of(raw)
	if b, err := e.DecodeString(raw); err == nil && isPlain(b) {
		if with, changed := s.f.rewrite(s.place, string(b), s.depth+1); changed {
			s.replace(from, to, e.EncodeToString([]byte(with)))
			return
		}
	}
	if !s.f.editing() {
		return
	}
	raw = strings.TrimRight(raw, "=")
	if e = base64.RawStdEncoding; strings.ContainsAny(raw, "-_") {
		e = base64.RawURLEncoding
	}
	for skip := range 4 {
		part := raw[skip:]
		if len(part)%4 == 1 {
			part = part[:len(part)-1]
		}
		b, err := e.DecodeString(part)
		if err != nil {
			continue
		}
		inner := scan{f: s.f, place: s.place, data: b, depth: s.depth + 1}
		inner.known()
		hits := inner.merged()
		if len(hits) == 0 {
			continue
		}
		for _, h := range hits {
			copy(b[h.from:h.to], h.with)
		}
		s.replace(from+skip, from+skip+len(part), e.EncodeToString(b))
		return
	}
}

// isPlain reports whether what was decoded is a text: most that can be decoded was none.
func isPlain(b []byte) bool {
	return len(b) >= least && utf8.Valid(b) && bytes.IndexFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' }) < 0
}

// base64Of returns how a text is encoded, if it is.
func base64Of(s string) *base64.Encoding {
	url, padded := strings.ContainsAny(s, "-_"), strings.HasSuffix(s, "=")
	switch {
	case url && padded:
		return base64.URLEncoding
	case url:
		return base64.RawURLEncoding
	case padded || len(s)%4 == 0:
		return base64.StdEncoding
	}
	return base64.RawStdEncoding
}
