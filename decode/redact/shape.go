package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// isNumber reports whether s is a number as JSON has it (RFC 8259, section 6).
func isNumber(s string) bool {
	return isNumeric(s) && json.Valid([]byte(s))
}

// isNumeric reports whether s has what numbers are made of.
func isNumeric(s string) bool {
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && strings.IndexByte("+-.eE", c) < 0 {
			return false
		}
	}
	return true
}

// isHex reports whether s is a long number in hexadecimal digits, perhaps in groups, of one
// case.
func isHex(s string) bool {
	if len(s) < 8 {
		return false
	}
	var digits, lower, upper int
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'f':
			lower++
		case c >= 'A' && c <= 'F':
			upper++
		case c != '-' && c != ':':
			return false
		}
	}
	return digits > 0 && (lower > 0) != (upper > 0)
}

// Where the version and the variant of a UUID stand (RFC 9562, section 4).
const (
	uuidVersion = len("00000000-0000-")
	uuidVariant = len("00000000-0000-0000-")
)

func isUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	for i := range len(s) {
		if s[i] != '-' && unhex(s[i]) > 15 {
			return false
		}
	}
	return true
}

// isEmail reports whether s is an address of mail as people have them (RFC 5321, section
// 4.1.2, without quotation marks).
func isEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at > 64 || len(s) > 254 {
		return false
	}
	for i := range at {
		if !inLocal[s[i]] {
			return false
		}
	}
	domain := s[at+1:]
	return len(domain) > 3 && s[0] != '.' && (isHost(domain) || isDotted(domain))
}

// isDotted reports whether s is two labels of letters at least: what is behind an @ need not be
// known.
func isDotted(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	if len(last) < 2 || len(last) == len(s) || s[0] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '.' && c != '-' {
			return false
		}
	}
	return strings.Trim(last, "0123456789") == last
}

// inLocal are the characters before an @.
var inLocal = func() (t [256]bool) {
	for c := range t {
		t[c] = isAlnum(byte(c)) || strings.IndexByte("._%+-", byte(c)) >= 0
	}
	return t
}()

// isJWT reports whether s is a JSON Web Token in compact form (RFC 7519): three parts in
// base64url, of which the first is an object of JSON. An encrypted one has five.
func isJWT(s string) bool {
	if len(s) < 20 || !strings.HasPrefix(s, "eyJ") { // {"
		return false
	}
	first, rest, _ := strings.Cut(s, ".")
	if n := strings.Count(rest, "."); n != 1 && n != 3 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	head, err := base64.RawURLEncoding.DecodeString(first)
	return err == nil && json.Valid(head)
}

// jwt maps the parts of a token: its first says how it is made, and stays but for the name of the
// key; what it claims is JSON with other strings; the signature is chance.
func (p *Pseudonyms) jwt(s string) string {
	parts := strings.Split(s, ".")
	for i, part := range parts {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			parts[i] = p.plain(part)
			continue
		}
		if i < 2 && json.Valid(b) {
			b = p.claims(b, i == 0)
		} else {
			b = p.bytes(b)
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(b)
	}
	return strings.Join(parts, ".")
}

// claims maps the strings of an object, and the numbers that are no times; of a header, only what
// names a key. What would have another length stays blank.
func (p *Pseudonyms) claims(b []byte, header bool) []byte {
	out := bytes.Clone(b)
	w := jsonWalk{data: b}
	w.leaf = func(l jsonLeaf) {
		switch {
		case l.isKey, header && l.key != "kid" && l.key != "jku" && l.key != "x5t", !l.quoted && isTime(l.key):
			return
		}
		raw := string(b[l.from:l.to])
		text, ok := unquote(raw)
		if !l.quoted {
			text, ok = raw, isNumber(raw)
		}
		if !ok {
			return
		}
		if spelled, ok := respell(inJSON, raw, text, p.Text(text)); ok && len(spelled) == len(raw) {
			copy(out[l.from:], spelled)
		} else {
			copy(out[l.from:l.to], p.plain(raw))
		}
	}
	w.walk()
	return out
}

// isTime reports whether a claim is a time (RFC 7519, section 4.1).
func isTime(claim string) bool {
	return claim == "exp" || claim == "nbf" || claim == "iat" || claim == "auth_time"
}

// isCard reports whether s is the number of a payment card, perhaps in groups: one that an
// issuer may have given, with the check digit right (ISO/IEC 7812).
func isCard(s string) bool {
	if len(s) < 13 || len(s) > 23 || s[0] < '2' || s[0] > '6' {
		return false
	}
	var d [19]byte
	n, sep := 0, byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if n == len(d) {
				return false
			}
			d[n] = c - '0'
			n++
		case (c == ' ' || c == '-') && i > 3 && (sep == 0 || sep == c) && s[i-1] != c:
			sep = c
		default:
			return false
		}
	}
	two, four := 10*int(d[0])+int(d[1]), 1000*int(d[0])+100*int(d[1])+10*int(d[2])+int(d[3])
	known := false
	switch {
	case d[0] == 4: // Visa
		known = n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		known = n == 16
	case two == 34, two == 37: // American Express
		known = n == 15
	case two == 65, four == 6011, two == 35, two == 62, two == 64: // Discover, JCB, UnionPay
		known = n >= 16
	case two == 30, two == 36, two == 38: // Diners Club
		known = n == 14 || n == 16
	}
	return known && luhn(d[:n]) == 0
}

// luhn returns what the check digit would have to be less.
func luhn(d []byte) int {
	sum := 0
	for i := range d {
		x := int(d[len(d)-1-i])
		if i%2 == 1 {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return sum % 10
}

// card maps all digits but the first two, which say whose it is, and has the last check.
func (p *Pseudonyms) card(s string) string {
	const issuer = 4
	out := []byte(s[:issuer] + p.plain(s[issuer:len(s)-1]) + "0")
	var d []byte
	for _, c := range out {
		if c >= '0' && c <= '9' {
			d = append(d, c-'0')
		}
	}
	out[len(out)-1] = '0' + byte((10-luhn(d))%10)
	return string(out)
}
