package tls

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// offer is all that a ClientHello says, in its order, with what fingerprints leave
// out.
type offer struct {
	head       uint16 // the version at its head
	ciphers    []uint16
	extensions []uint16
	groups     []uint16
	points     []byte
	signatures []uint16
}

// isGrease reports whether v only sees to it that servers ignore what they don't
// know (RFC 8701).
func isGrease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// withoutGrease returns the values that mean something.
func withoutGrease(list []uint16) []uint16 { return slices.DeleteFunc(slices.Clone(list), isGrease) }

// ja3 is the fingerprint of a ClientHello as github.com/salesforce/ja3 has it: the
// MD5 of its numbers in their order.
func (o *offer) ja3() string {
	join := func(list []uint16) string {
		var parts []string
		for _, v := range withoutGrease(list) {
			parts = append(parts, strconv.Itoa(int(v)))
		}
		return strings.Join(parts, "-")
	}
	var points []uint16
	for _, p := range o.points {
		points = append(points, uint16(p))
	}
	text := strings.Join([]string{strconv.Itoa(int(o.head)), join(o.ciphers), join(o.extensions), join(o.groups), join(points)}, ",")
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// ja4 is the fingerprint of a ClientHello over TCP as github.com/FoxIO-LLC/ja4 has
// it (technical_details/JA4.md): how many there are of what, and the beginnings of
// the SHA-256 of what is offered, in order of number.
func (o *offer) ja4(h *Hello) string {
	version := map[uint16]string{0x0300: "s3", 0x0301: "10", 0x0302: "11", 0x0303: "12", 0x0304: "13"}[h.Version]
	if version == "" {
		version = "00"
	}
	sni := "i"
	if slices.Contains(o.extensions, extServerName) {
		sni = "d"
	}
	ciphers, extensions := withoutGrease(o.ciphers), withoutGrease(o.extensions)
	head := fmt.Sprintf("t%s%s%02d%02d%s", version, sni, min(len(ciphers), 99), min(len(extensions), 99), ja4ALPN(h.ALPN))
	slices.Sort(ciphers)
	extensions = slices.DeleteFunc(extensions, func(v uint16) bool { return v == extServerName || v == extALPN })
	slices.Sort(extensions)
	rest := ja4List(extensions)
	if len(o.signatures) > 0 {
		rest += "_" + ja4List(withoutGrease(o.signatures))
	}
	if len(extensions) == 0 {
		rest = ""
	}
	return head + "_" + ja4Hash(ja4List(ciphers)) + "_" + ja4Hash(rest)
}

// ja4ALPN is the first and the last character of the first name offered.
func ja4ALPN(names []string) string {
	if len(names) == 0 || names[0] == "" {
		return "00"
	}
	alnum := func(b byte) bool {
		return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
	}
	first, last := names[0][0], names[0][len(names[0])-1]
	if !alnum(first) || !alnum(last) {
		first, last = fmt.Sprintf("%02x", first)[0], fmt.Sprintf("%02x", last)[1]
	}
	return string([]byte{first, last})
}

func ja4List(list []uint16) string {
	var parts []string
	for _, v := range list {
		parts = append(parts, fmt.Sprintf("%04x", v))
	}
	return strings.Join(parts, ",")
}

func ja4Hash(text string) string {
	if text == "" {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
