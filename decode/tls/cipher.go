package tls

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// suite is how a cipher suite protects records.
type suite struct {
	kind suiteKind
	key  int         // its length
	mac  crypto.Hash // of CBC
	hash crypto.Hash // that secrets are derived with
	tag  int         // of CCM
	news func([]byte) (cipher.Block, error)
}

type suiteKind uint8

const (
	kindGCM suiteKind = iota
	kindCCM
	kindChaCha
	kindCBC
)

// suites are those that are opened, by the end of their names.
var suites = map[string]suite{
	"AES_128_GCM_SHA256":       {kind: kindGCM, key: 16, hash: crypto.SHA256, news: aes.NewCipher},
	"AES_256_GCM_SHA384":       {kind: kindGCM, key: 32, hash: crypto.SHA384, news: aes.NewCipher},
	"CHACHA20_POLY1305_SHA256": {kind: kindChaCha, key: 32, hash: crypto.SHA256},
	"AES_128_CCM_SHA256":       {kind: kindCCM, key: 16, hash: crypto.SHA256, tag: 16, news: aes.NewCipher},
	"AES_128_CCM_8_SHA256":     {kind: kindCCM, key: 16, hash: crypto.SHA256, tag: 8, news: aes.NewCipher},
	"AES_128_CCM":              {kind: kindCCM, key: 16, hash: crypto.SHA256, tag: 16, news: aes.NewCipher},
	"AES_256_CCM":              {kind: kindCCM, key: 32, hash: crypto.SHA256, tag: 16, news: aes.NewCipher},
	"AES_128_CCM_8":            {kind: kindCCM, key: 16, hash: crypto.SHA256, tag: 8, news: aes.NewCipher},
	"AES_256_CCM_8":            {kind: kindCCM, key: 32, hash: crypto.SHA256, tag: 8, news: aes.NewCipher},
	"AES_128_CBC_SHA":          {kind: kindCBC, key: 16, mac: crypto.SHA1, hash: crypto.SHA256, news: aes.NewCipher},
	"AES_256_CBC_SHA":          {kind: kindCBC, key: 32, mac: crypto.SHA1, hash: crypto.SHA256, news: aes.NewCipher},
	"AES_128_CBC_SHA256":       {kind: kindCBC, key: 16, mac: crypto.SHA256, hash: crypto.SHA256, news: aes.NewCipher},
	"AES_256_CBC_SHA256":       {kind: kindCBC, key: 32, mac: crypto.SHA256, hash: crypto.SHA256, news: aes.NewCipher},
	"AES_256_CBC_SHA384":       {kind: kindCBC, key: 32, mac: crypto.SHA384, hash: crypto.SHA384, news: aes.NewCipher},
	"3DES_EDE_CBC_SHA":         {kind: kindCBC, key: 24, mac: crypto.SHA1, hash: crypto.SHA256, news: des.NewTripleDESCipher},
}

// hashes are those of suites; all of them are linked in here.
var hashes = map[crypto.Hash]func() hash.Hash{
	crypto.SHA1: sha1.New, crypto.SHA256: sha256.New, crypto.SHA384: sha512.New384,
}

// suiteOf returns how a cipher suite protects records, and whether it is known.
func suiteOf(id uint16) (suite, bool) {
	name := suiteNames()[id]
	if _, end, ok := strings.Cut(name, "_WITH_"); ok {
		name = end
	} else {
		name = strings.TrimPrefix(name, "TLS_")
	}
	s, ok := suites[name]
	return s, ok
}

// opener opens the records of one direction, from one change of its keys to the
// next.
type opener struct {
	seq uint64 // of the next record

	aead     cipher.AEAD
	iv       []byte // what the nonce is made of
	explicit bool   // the rest of the nonce stands in the record
	tls13    bool

	block   cipher.Block // of CBC
	mac     hash.Hash
	version uint16
	etm     bool   // the MAC is of what is encrypted (RFC 7366)
	chain   []byte // the last block before, the IV in TLS 1.0
}

// expand is HKDF-Expand-Label without context (RFC 8446, section 7.1).
func expand(h crypto.Hash, secret []byte, label string, n int) []byte {
	info := []byte{byte(n >> 8), byte(n), byte(6 + len(label))}
	info = append(info, "tls13 "...)
	info = append(append(info, label...), 0)
	out, err := hkdf.Expand(hashes[h], secret, string(info), n)
	if err != nil {
		panic("BUG: " + err.Error()) // only for lengths that no suite has
	}
	return out
}

// open13 makes an opener of a traffic secret (RFC 8446, section 7.3); nil when it
// does not fit the suite.
func (s suite) open13(secret []byte) *opener {
	if len(secret) != s.hash.Size() || s.kind == kindCBC {
		return nil
	}
	o := &opener{tls13: true, iv: expand(s.hash, secret, "iv", 12)}
	o.aead = s.newAEAD(expand(s.hash, secret, "key", s.key))
	return o
}

func (s suite) newAEAD(key []byte) cipher.AEAD {
	if s.kind == kindChaCha {
		a, err := chacha20poly1305.New(key)
		if err != nil {
			panic("BUG: " + err.Error()) // the length is right
		}
		return a
	}
	block, err := s.news(key)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if s.kind == kindCCM {
		return &ccm{block: block, tag: s.tag}
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return a
}

// open12 makes the openers of both directions, up to TLS 1.2 (RFC 5246, section
// 6.3).
func (s suite) open12(version uint16, master []byte, client, server random, etm bool) [2]*opener {
	mac, iv := 0, 4
	switch s.kind {
	case kindChaCha:
		iv = 12
	case kindCBC:
		mac = s.mac.Size()
		iv = 0
		if version <= version10 {
			iv = blockLen(s)
		}
	}
	seed := append(append([]byte("key expansion"), server[:]...), client[:]...)
	n := 2 * (mac + s.key + iv)
	var all []byte
	if version >= version12 {
		all = prf(hashes[s.hash], master, seed, n)
	} else { // RFC 4346, section 5
		half := (len(master) + 1) / 2
		all = prf(md5.New, master[:half], seed, n)
		for i, b := range prf(sha1.New, master[len(master)-half:], seed, n) {
			all[i] ^= b
		}
	}
	take := func(n int) (b []byte) {
		b, all = all[:n], all[n:]
		return b
	}
	var macs, keys, ivs [2][]byte
	for i := range macs {
		macs[i] = take(mac)
	}
	for i := range keys {
		keys[i] = take(s.key)
	}
	for i := range ivs {
		ivs[i] = take(iv)
	}
	var out [2]*opener
	for i := range out {
		o := &opener{version: version, etm: etm}
		if s.kind == kindCBC {
			block, err := s.news(keys[i])
			if err != nil {
				panic("BUG: " + err.Error())
			}
			o.block, o.mac, o.chain = block, hmac.New(hashes[s.mac], macs[i]), ivs[i]
		} else {
			o.aead, o.iv, o.explicit = s.newAEAD(keys[i]), ivs[i], s.kind != kindChaCha
		}
		out[i] = o
	}
	return out
}

// blockLen is that of the suite's cipher.
func blockLen(s suite) int {
	if s.key == 24 {
		return des.BlockSize
	}
	return aes.BlockSize
}

// prf is P_hash (RFC 5246, section 5).
func prf(h func() hash.Hash, secret, seed []byte, n int) []byte {
	m := hmac.New(h, secret)
	sum := func(parts ...[]byte) []byte {
		m.Reset()
		for _, p := range parts {
			m.Write(p)
		}
		return m.Sum(nil)
	}
	var out []byte
	for a := sum(seed); len(out) < n; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out[:n]
}

// overhead is how much longer a record is than what is in it, as a rule.
func (o *opener) overhead() int {
	switch {
	case o.tls13:
		return o.aead.Overhead() + 1
	case o.explicit:
		return o.aead.Overhead() + 8
	case o.aead != nil:
		return o.aead.Overhead()
	case o.version > version10:
		return o.mac.Size() + 2*o.block.BlockSize()
	}
	return o.mac.Size() + o.block.BlockSize()
}

// open opens a record into dst, which it may enlarge, and returns its type and what
// is in it. The number of the record is seq; when it is the wrong one, or the key
// is, ok is false.
func (o *opener) open(dst, record []byte, seq uint64) (typ byte, plain []byte, ok bool) {
	body := record[recordHeaderLen:]
	if o.aead == nil {
		plain, ok = o.openCBC(dst, record, seq)
		return record[0], plain, ok
	}
	var nonce [12]byte
	n := copy(nonce[:], o.iv)
	if o.explicit {
		if len(body) < 8 {
			return 0, nil, false
		}
		copy(nonce[n:], body[:8])
		body = body[8:]
	} else {
		for i := range 8 {
			nonce[4+i] ^= byte(seq >> (8 * (7 - i)))
		}
	}
	size := len(body) - o.aead.Overhead()
	if size < 0 {
		return 0, nil, false
	}
	head := record[:recordHeaderLen]
	if !o.tls13 {
		head = o.head(make([]byte, 0, 13), record, seq, size)
	}
	plain, err := o.aead.Open(dst[:0], nonce[:], body, head)
	switch {
	case err != nil:
		return 0, nil, false
	case !o.tls13:
		return record[0], plain, true
	}
	// Behind the content stand its type and zeroes (RFC 8446, section 5.4).
	for n = len(plain); n > 0 && plain[n-1] == 0; n-- {
	}
	if n == 0 {
		return 0, nil, false
	}
	return plain[n-1], plain[:n-1], true
}

// head is what is authenticated with the content up to TLS 1.2.
func (o *opener) head(dst, record []byte, seq uint64, size int) []byte {
	dst = binary.BigEndian.AppendUint64(dst, seq)
	dst = append(dst, record[:3]...)
	return binary.BigEndian.AppendUint16(dst, uint16(size))
}

// openCBC opens a record of a block cipher (RFC 5246, section 6.2.3.2; RFC 7366).
// Whoever listens may take his time: nothing here has to be done in constant time.
func (o *opener) openCBC(dst, record []byte, seq uint64) ([]byte, bool) {
	body, size, mac := record[recordHeaderLen:], o.block.BlockSize(), o.mac.Size()
	sum := func(content []byte) []byte {
		o.mac.Reset()
		o.mac.Write(o.head(make([]byte, 0, 13), record, seq, len(content)))
		o.mac.Write(content)
		return o.mac.Sum(nil)
	}
	if o.etm {
		if len(body) < mac || !hmac.Equal(sum(body[:len(body)-mac]), body[len(body)-mac:]) {
			return nil, false
		}
		body = body[:len(body)-mac]
	}
	iv := o.chain
	if o.version > version10 {
		if len(body) < size {
			return nil, false
		}
		iv, body = body[:size], body[size:]
	}
	if len(body) == 0 || len(body)%size != 0 || len(iv) != size {
		return nil, false
	}
	last := body[len(body)-size:]
	plain := append(dst[:0], body...)
	cipher.NewCBCDecrypter(o.block, iv).CryptBlocks(plain, plain)
	padding := int(plain[len(plain)-1]) + 1
	if padding > len(plain) {
		return nil, false
	}
	for _, b := range plain[len(plain)-padding:] {
		if int(b) != padding-1 && o.version > 0x0300 {
			return nil, false
		}
	}
	plain = plain[:len(plain)-padding]
	if !o.etm {
		n := len(plain) - mac
		if n < 0 || !hmac.Equal(sum(plain[:n]), plain[n:]) {
			return nil, false
		}
		plain = plain[:n]
	}
	if o.version <= version10 {
		o.chain = append(o.chain[:0:0], last...)
	}
	return plain, true
}

// ccm is AES-CCM with a nonce of 12 bytes (RFC 3610, RFC 6655), to open only.
type ccm struct {
	block cipher.Block
	tag   int
}

func (c *ccm) NonceSize() int { return 12 }

func (c *ccm) Overhead() int { return c.tag }

func (c *ccm) Seal(dst, nonce, plain, head []byte) []byte {
	panic("BUG: nothing is sealed")
}

func (c *ccm) Open(dst, nonce, sealed, head []byte) ([]byte, error) {
	if len(sealed) < c.tag {
		return nil, errSealed
	}
	// A counter of 3 bytes stands behind the nonce; the tag has number 0.
	var first [16]byte
	first[0] = 2
	copy(first[1:], nonce)
	stream := cipher.NewCTR(c.block, first[:])
	var tag [16]byte
	stream.XORKeyStream(tag[:], tag[:])
	n := len(sealed) - c.tag
	at := len(dst)
	dst = append(dst, sealed[:n]...)
	plain := dst[at:]
	stream.XORKeyStream(plain, plain)
	var x [16]byte
	add := func(data []byte) {
		for len(data) > 0 {
			for i := range min(len(data), 16) {
				x[i] ^= data[i]
			}
			c.block.Encrypt(x[:], x[:])
			data = data[min(len(data), 16):]
		}
	}
	b0 := first
	b0[0] = 2 | byte((c.tag-2)/2)<<3
	if len(head) > 0 {
		b0[0] |= 1 << 6
	}
	b0[13], b0[14], b0[15] = byte(n>>16), byte(n>>8), byte(n)
	add(b0[:])
	if len(head) > 0 { // 13 or 5 bytes
		add(append(binary.BigEndian.AppendUint16(nil, uint16(len(head))), head...))
	}
	add(plain)
	for i := range c.tag {
		if x[i]^tag[i] != sealed[n+i] {
			return nil, errSealed
		}
	}
	return dst, nil
}
