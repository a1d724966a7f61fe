package redact

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/bits"
	"strings"
	"sync"
	"unicode/utf8"
)

// Pseudonyms says what stands in the place of a secret. It depends on the secret and
// the key alone, so it may be asked anywhere, by several goroutines, and in another run
// with the same key. It cannot be found out without the key which secret it was.
//
// A pseudonym has the length of the secret and the classes of its characters: digits stay
// digits, small letters small letters, those of a hexadecimal number stay below g, and
// everything else stays what it is. So base64 stays base64, and a number is a
// number. Two secrets have two pseudonyms: as long as there are fewer than 2^62 of their
// classes, the mapping is a permutation, and beyond that chance does not bring two
// together. What a pseudonym tells is the length and those classes.
type Pseudonyms struct {
	key    [32]byte
	block  cipher.Block // of the permutation
	addrs  *cryptoPAn
	seeds  sync.Pool // of HMAC with the key, which are used again
	labels *recent   // of names of hosts
}

// NewPseudonyms returns those of a key, which may have any length.
func NewPseudonyms(key []byte) *Pseudonyms {
	p := &Pseudonyms{}
	derive := func(use string) []byte { // RFC 5869, in one step, as the key is spread already
		h := hmac.New(sha256.New, key)
		h.Write([]byte("netlab redact 1 " + use))
		return h.Sum(nil)
	}
	copy(p.key[:], derive("texts"))
	p.block = newAES(derive("short texts")[:16])
	p.addrs = newCryptoPAn([32]byte(derive("addresses")))
	p.seeds.New = func() any { return hmac.New(sha256.New, p.key[:]) }
	p.labels = newRecent()
	return p
}

func newAES(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic("BUG: " + err.Error()) // of another length
	}
	return b
}

// Text returns the pseudonym of a text, as what it looks like: an address, an e-mail
// address, a JWT, a card's number, the name of a host, or anything else.
func (p *Pseudonyms) Text(s string) string {
	if s == "" || isTrivial(s) {
		return s
	}
	switch {
	case isAddress(s):
		return p.address(s)
	case isEmail(s):
		return p.email(s)
	case isJWT(s):
		return p.jwt(s)
	case isCard(s):
		return p.card(s)
	case isHost(s):
		return p.Host(s)
	}
	n := knownPrefix(s)
	return s[:n] + p.plain(s[n:])
}

// isTrivial reports whether a text says nothing, whatever it stands for.
func isTrivial(s string) bool {
	switch lowered(s) {
	case "true", "false", "null", "nil", "none", "undefined", "on", "off", "yes", "no", "0", "1", "-1", "localhost", "anonymous":
		return true
	}
	return false
}

// isCommonUser reports whether a user is one that is there on each machine: who reads that name learns
// nothing.
func isCommonUser(s string) bool {
	switch s {
	case "root", "admin", "postgres", "mysql", "default", "guest", "user", "test", "ftp", "nobody":
		return true
	}
	return false
}

func (p *Pseudonyms) email(s string) string {
	at := strings.LastIndexByte(s, '@')
	return p.Text(s[:at]) + "@" + p.Host(s[at+1:])
}

// plain maps character by character.
func (p *Pseudonyms) plain(s string) string {
	var few [64]place
	places := places(few[:0], s)
	domain, small := uint64(1), true
	for _, x := range places {
		var over uint64
		over, domain = bits.Mul64(domain, x.radix)
		small = small && over == 0 && domain < 1<<62
		if !small {
			break
		}
	}
	out := []byte(s)
	if small {
		p.permute(out, places, domain)
	} else {
		p.spread(out, places)
	}
	return view(out)
}

// place is a character that may become another of its class: the n-th of radix, from
// the lowest on.
type place struct {
	at, size int
	low      rune
	radix, n uint64
}

// places appends those of s.
func places(list []place, s string) []place {
	number, hex, id := isNumeric(s), isHex(s), isUUID(s)
	first := 0
	if number && s[0] == '-' {
		first = 1
	}
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		x := place{at: i, size: size}
		switch {
		case id && (i == uuidVersion || i == uuidVariant):
		case number && i == first && r == '0':
		case number && i == first && r <= '9' && r > '0':
			x.low, x.radix = '1', 9 // no number begins with 0
		case r >= '0' && r <= '9':
			x.low, x.radix = '0', 10
		case number:
		case hex && r >= 'a':
			x.low, x.radix = 'a', 6
		case hex && r >= 'A':
			x.low, x.radix = 'A', 6
		case r >= 'a' && r <= 'z':
			x.low, x.radix = 'a', 26
		case r >= 'A' && r <= 'Z':
			x.low, x.radix = 'A', 26
		case r == utf8.RuneError && size == 1:
			x.low, x.radix, r = 0x80, 0x80, rune(s[i]) // a byte that is no text
		case size == 2:
			x.low, x.radix = 0xe0, 0x20 // of Latin
			if r < x.low || r >= x.low+0x20 {
				x.radix = 0x700
				x.low = 0x80
			}
		case size == 3:
			x.low, x.radix = 0x4e00, 0x5000 // of Chinese, where most are
			if r < x.low || r >= x.low+0x5000 {
				x.low, x.radix = r&^0x3f, 0x40
			}
		case size == 4:
			x.low, x.radix = r&^0x3f, 0x40
		}
		if x.radix > 0 {
			x.n = uint64(r - x.low)
			list = append(list, x)
		}
		i += size
	}
	return list
}

// put writes the n-th of a place's characters.
func (x *place) put(out []byte, n uint64) {
	r := x.low + rune(n)
	if x.size == 1 {
		out[x.at] = byte(r)
		return
	}
	utf8.EncodeRune(out[x.at:x.at+x.size], r)
}

// permute takes the characters for the digits of a number below domain, and another
// such number for that.
func (p *Pseudonyms) permute(out []byte, places []place, domain uint64) {
	// The hash of the classes: each has a permutation of its own. (FNV-1a)
	h, n := uint64(0xcbf29ce484222325), uint64(0)
	for i := range places {
		x := &places[i]
		n = n*x.radix + x.n
		for _, b := range [...]byte{byte(x.at), byte(x.low), byte(x.low >> 8), byte(x.radix)} {
			h = (h ^ uint64(b)) * 0x100000001b3
		}
	}
	if domain < 2 {
		return
	}
	half := uint(bits.Len64(domain-1)+1) / 2
	for {
		if n = p.feistel(n, half, h); n < domain { // as a rule; else it goes on
			break
		}
	}
	for i := len(places) - 1; i >= 0; i-- {
		x := &places[i]
		x.put(out, n%x.radix)
		n /= x.radix
	}
}

// feistel permutes the numbers of twice half bits.
func (p *Pseudonyms) feistel(n uint64, half uint, tweak uint64) uint64 {
	const rounds = 10 // as FF1 has (NIST SP 800-38G)
	mask := uint64(1)<<half - 1
	left, right := n>>half, n&mask
	s := aesBlocks.Get().(*aesBlock)
	binary.LittleEndian.PutUint64(s.in[:8], tweak)
	for i := range rounds {
		binary.LittleEndian.PutUint64(s.in[8:], right<<8|uint64(i))
		p.block.Encrypt(s.out[:], s.in[:])
		left, right = right, left^binary.LittleEndian.Uint64(s.out[:8])&mask
	}
	aesBlocks.Put(s)
	return left<<half | right
}

// spread takes each character by chance that has its seed in all of them.
func (p *Pseudonyms) spread(out []byte, places []place) {
	const size = 4
	b := p.chance(out, size*len(places))
	for i := range places {
		places[i].put(out, uint64(binary.LittleEndian.Uint32(b[size*i:]))*places[i].radix>>32)
	}
}

// bytes are as many as in b, by chance that has its seed in them.
func (p *Pseudonyms) bytes(b []byte) []byte { return p.chance(b, len(b)) }

// chance returns n bytes that have their seed in others.
func (p *Pseudonyms) chance(of []byte, n int) []byte {
	h := p.seeds.Get().(hash.Hash)
	h.Reset()
	h.Write(of)
	var sum [sha256.Size]byte
	seed := h.Sum(sum[:0])
	p.seeds.Put(h)
	out := make([]byte, n)
	cipher.NewCTR(newAES(seed[:16]), seed[16:]).XORKeyStream(out, out)
	return out
}
