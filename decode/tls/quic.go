package tls

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
)

// Versions of QUIC that have a number of their own.
const (
	QUICNegotiation = 0 // no version: the server lists those that it has
	QUIC1           = 1
	QUIC2           = 0x6b3343cf
)

// quicSecrets are the constants of a version: the salt that Initial secrets are made
// with (RFC 9001, section 5.2), and how the names of keys begin; key and nonce of the
// tag on a Retry (section 5.8), for drafts left out.
type quicSecrets struct {
	salt, label          string
	retryKey, retryNonce string
}

var (
	quic1       = quicSecrets{unhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), "quic", unhex("be0c690b9f66575a1d766b54e368c84e"), unhex("461599d35d632bf2239825bb")}
	quic2       = quicSecrets{unhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"), "quicv2", unhex("8fb4b01b56ac48e260fbcbcead7ccc92"), unhex("d86969bc2d7c6d9990efb04a")}
	quicDraft29 = quicSecrets{unhex("afbfec289993d24c9e9786f19c6111e04390a899"), "quic", "", ""}
	quicDraft23 = quicSecrets{unhex("c3eef712c72ebb5a11a7d2432bb46365bef9f502"), "quic", "", ""}
)

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(b)
}

// quicDraft is the number of a draft, without the draft's.
const quicDraft = 0xff000000

// secretsOf returns the constants of a version; nil when it is not known.
func secretsOf(version uint32) *quicSecrets {
	switch n := version - quicDraft; {
	case version == QUIC1:
		return &quic1
	case version == QUIC2: // RFC 9369, section 3
		return &quic2
	case version < quicDraft:
		return nil
	case 33 <= n && n <= 34:
		return &quic1
	case 29 <= n && n <= 32:
		return &quicDraft29
	case 23 <= n && n <= 28:
		return &quicDraft23
	}
	return nil
}

// KnowsQUIC reports whether Initial packets of a version can be read: 1, 2, and the
// drafts from 23 on.
func KnowsQUIC(version uint32) bool { return secretsOf(version) != nil }

// QUICName returns "1" for version 1, and "draft-29" for that draft.
func QUICName(version uint32) string {
	switch n := version - quicDraft; {
	case version == QUIC1:
		return "1"
	case version == QUIC2:
		return "2"
	case version >= quicDraft && n < 256:
		return fmt.Sprintf("draft-%d", n)
	}
	return fmt.Sprintf("0x%08x", version)
}

// QUICKeys open the Initial packets of one direction (RFC 9001, section 5.2). They
// follow from what everybody can see: they keep away mistakes, not listeners.
type QUICKeys struct {
	aead   cipher.AEAD
	header cipher.Block
	iv     []byte
	next   uint64 // behind the largest packet number so far
}

// InitialKeys returns the keys of client and server that follow from the client's
// first Destination Connection ID, or the one that a Retry put in its place; nil when
// the version is not known.
func InitialKeys(version uint32, id []byte) (client, server *QUICKeys) {
	s := secretsOf(version)
	if s == nil {
		return nil, nil
	}
	secret, err := hkdf.Extract(sha256.New, id, []byte(s.salt))
	if err != nil {
		return nil, nil
	}
	return s.keys(expand(crypto.SHA256, secret, "client in", sha256.Size)), s.keys(expand(crypto.SHA256, secret, "server in", sha256.Size))
}

func (s *quicSecrets) keys(secret []byte) *QUICKeys {
	block, err := aes.NewCipher(expand(crypto.SHA256, secret, s.label+" key", 16))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	k := &QUICKeys{iv: expand(crypto.SHA256, secret, s.label+" iv", 12)}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		panic("BUG: " + err.Error())
	}
	if k.header, err = aes.NewCipher(expand(crypto.SHA256, secret, s.label+" hp", 16)); err != nil {
		panic("BUG: " + err.Error())
	}
	return k
}

// Open returns the frames in an Initial packet, whose packet number is at an offset;
// false when it was not made with these keys. The packet stays as it is.
func (k *QUICKeys) Open(packet []byte, number int) ([]byte, bool) {
	// The sample is where it would be with the longest number (RFC 9001, section
	// 5.4.2).
	const longest, sample = 4, 16
	if number < 1 || len(packet)-longest-sample < number {
		return nil, false
	}
	var mask [sample]byte
	k.header.Encrypt(mask[:], packet[number+longest:][:sample])
	first := packet[0] ^ mask[0]&0x0f
	n := int(first&3) + 1
	head := slices.Clone(packet[:number+n])
	head[0] = first
	var short uint64
	for i := range n {
		head[number+i] ^= mask[1+i]
		short = short<<8 | uint64(head[number+i])
	}
	full := k.number(short, n)
	nonce := slices.Clone(k.iv)
	for i := range 8 {
		nonce[len(nonce)-1-i] ^= byte(full >> (8 * i))
	}
	frames, err := k.aead.Open(nil, nonce, packet[number+n:], head)
	if err != nil {
		return nil, false
	}
	k.next = max(k.next, full+1)
	return frames, true
}

// number returns the packet number nearest to the next one, of which n bytes are
// known (RFC 9000, section A.3).
func (k *QUICKeys) number(short uint64, n int) uint64 {
	window := uint64(1) << (8 * n)
	full := k.next&^(window-1) | short
	switch {
	case full+window/2 <= k.next && full < 1<<62-window:
		return full + window
	case full > k.next+window/2 && full >= window:
		return full - window
	}
	return full
}

// GenuineRetry reports whether the tag at the end of a Retry is right for the
// Destination Connection ID that it answers (RFC 9001, section 5.8). Those of drafts
// are taken as they are.
func GenuineRetry(version uint32, packet, id []byte) bool {
	s := secretsOf(version)
	if s == nil || len(packet) < 16 || len(id) > 255 {
		return false
	}
	if s.retryKey == "" {
		return true
	}
	block, err := aes.NewCipher([]byte(s.retryKey))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	pseudo := append([]byte{byte(len(id))}, id...)
	pseudo = append(pseudo, packet[:len(packet)-16]...)
	tag := aead.Seal(nil, []byte(s.retryNonce), nil, pseudo)
	return subtle.ConstantTimeCompare(tag, packet[len(packet)-16:]) == 1
}

// maxCryptoSpans bounds the pieces of a hello that wait for one before them. A
// datagram holds some ten, and a large hello is in two or three.
const maxCryptoSpans = 256

// Crypto puts together what CRYPTO frames bring of a stream of handshake messages
// (RFC 9000, section 19.6), in any order, up to its first message.
type Crypto struct {
	buf   []byte
	spans []cryptoSpan // what is there of buf, in order, with something missing between them
}

type cryptoSpan struct{ from, to int }

// Held returns how much memory it has need of.
func (c *Crypto) Held() int { return len(c.buf) + 16*len(c.spans) }

// Add adds a piece of the stream. It returns false when that is more than the
// bounds allow. Of bytes that come again, the first are kept.
func (c *Crypto) Add(offset uint64, data []byte) bool {
	if offset > MaxHandshake || len(data) > MaxHandshake-int(offset) {
		return false
	}
	from, to := int(offset), int(offset)+len(data)
	if from == to {
		return true
	}
	if to > len(c.buf) {
		c.buf = slices.Grow(c.buf, to-len(c.buf))[:to]
	}
	// The spans that touch it become one with it; what is missing between them is
	// filled.
	i := 0
	for i < len(c.spans) && c.spans[i].to < from {
		i++
	}
	all, j, at := cryptoSpan{from, to}, i, from
	for ; j < len(c.spans) && c.spans[j].from <= to; j++ {
		s := c.spans[j]
		if s.from > at {
			copy(c.buf[at:s.from], data[at-from:])
		}
		at = max(at, s.to)
		all.from, all.to = min(all.from, s.from), max(all.to, s.to)
	}
	if at < to {
		copy(c.buf[at:to], data[at-from:])
	}
	c.spans = slices.Replace(c.spans, i, j, all)
	return len(c.spans) <= maxCryptoSpans
}

// Hello returns the first message, when it is a hello; and whether there is one, or
// will not be.
func (c *Crypto) Hello() (h *Hello, done bool) {
	if len(c.spans) == 0 || c.spans[0].from > 0 || c.spans[0].to < 4 {
		return nil, false
	}
	size := int(c.buf[1])<<16 | int(c.buf[2])<<8 | int(c.buf[3])
	switch {
	case size > MaxHandshake-4:
		return nil, true
	case c.spans[0].to < 4+size:
		return nil, false
	}
	return parseHello(c.buf[0], c.buf[4:4+size]), true
}
