package pcaps

import (
	"encoding/binary"
	"iter"
)

const (
	// OptionComment is a comment in UTF-8; a block of any type may have several.
	OptionComment = 1

	// SecretsTLS are secrets in the format of SSLKEYLOGFILE.
	SecretsTLS = 0x544c534b
)

// Block is one block of a pcapng file as it stands there. Its bytes are lent, as
// those of a packet are: whoever keeps some copies them.
type Block struct {
	Type uint32
	// Body is what stands between the two lengths, options and padding included.
	Body []byte
	// Order is that of the numbers in Body.
	Order binary.ByteOrder

	whole []byte // Body with its type and lengths
}

// Options are the codes and values of a block's options, in order, where the type
// is of a section, an interface, a packet, statistics or secrets; others yield
// none. A cut list ends early: options only describe, so what they lack must not
// cost packets.
func (b Block) Options() iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		rest := b.Body[min(len(b.Body), b.optionsAt()):]
		for len(rest) >= 4 {
			code, n := b.Order.Uint16(rest), int(b.Order.Uint16(rest[2:]))
			rest = rest[4:]
			if code == optionEnd || n > len(rest) || !yield(code, rest[:n]) {
				return
			}
			rest = rest[min(len(rest), (n+3)&^3):]
		}
	}
}

// optionsAt is where in Body the options begin, perhaps behind its end.
func (b Block) optionsAt() int {
	// behind is the end of size bytes and of the data whose length is at i.
	behind := func(size, i int) int {
		if len(b.Body) < size {
			return size
		}
		return size + (int(b.Order.Uint32(b.Body[i:]))+3)&^3
	}
	switch b.Type {
	case blockSection:
		return 16
	case blockInterface:
		return 8
	case blockStatistics:
		return 12
	case blockEnhanced, blockObsolete:
		return behind(20, 12)
	case blockSecrets:
		return behind(8, 4)
	}
	return len(b.Body)
}

// Secrets returns what a Decryption Secrets Block holds: the kind of secrets, as
// SecretsTLS, and their bytes. It should stand before the packets that need it
// (draft-ietf-opsawg-pcapng, section 4.7). ok is false for other blocks, and for
// one that is cut.
func (b Block) Secrets() (kind uint32, data []byte, ok bool) {
	if b.Type != blockSecrets || len(b.Body) < 8 {
		return 0, nil, false
	}
	n := b.Order.Uint32(b.Body[4:])
	if int64(n) > int64(len(b.Body)-8) {
		return 0, nil, false
	}
	return b.Order.Uint32(b.Body), b.Body[8 : 8+n], true
}
