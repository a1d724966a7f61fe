package proto

import (
	"fmt"

	"golang.org/x/net/http2/hpack"
)

// UnknownName is the name of a field that was said as a reference to something
// before the recording, or in a gap of it. No real name has brackets.
const UnknownName = "(unknown)"

// unknownValue is the value of such a field.
const unknownValue = "(unknown)"

// Sizes of the dynamic table (RFC 7541, section 4.2). Browsers ask for 64 KiB; of a
// larger one the oldest entries are not kept, and so are unknown.
const (
	defaultHPACKTable = 4 << 10
	maxHPACKTable     = 64 << 10
	hpackEntryCost    = 32 // beside its text (section 4.1)
)

// hpackTable decodes the header blocks of one direction (RFC 7541). The decoder of
// golang.org/x/net gives up at the first reference it can't follow; this one goes on,
// so that a recording that starts late, or lacks bytes, still has the fields that
// are spelt out.
type hpackTable struct {
	entries []Field // the newest last
	size    int
	max     int  // as the encoder chose
	allowed int  // what it may choose
	partial bool // there may be entries older than those held
}

func newHPACKTable() hpackTable {
	return hpackTable{max: defaultHPACKTable, allowed: defaultHPACKTable}
}

// forget lets go of all entries: what they are is not known any more. An encoder
// never refers to what it has evicted, so to hold on for too long does no harm, and
// the largest size is right.
func (t *hpackTable) forget() {
	t.entries, t.size, t.max, t.partial = nil, 0, maxHPACKTable, true
}

// allow takes note that the other side allows a size (SETTINGS_HEADER_TABLE_SIZE).
func (t *hpackTable) allow(n uint32) { t.allowed = max(t.allowed, int(min(n, 1<<30))) }

// resize makes room for as much as the encoder says.
func (t *hpackTable) resize(n int) {
	t.max = min(n, maxHPACKTable)
	t.evict()
	if n > t.max {
		t.partial = true // from when that is full
	} else if n == 0 {
		t.partial = false // nothing is left that could be unknown
	}
}

func (t *hpackTable) evict() {
	for t.size > t.max && len(t.entries) > 0 {
		t.size -= fieldSize(t.entries[0])
		t.entries[0] = Field{}
		t.entries = t.entries[1:]
	}
}

func fieldSize(f Field) int { return len(f.Name) + len(f.Value) + hpackEntryCost }

// add makes f the newest entry. One that is larger than the table empties it
// (section 4.4).
func (t *hpackTable) add(f Field) {
	t.entries = append(t.entries, f)
	t.size += fieldSize(f)
	t.evict()
}

// at returns the entry of an index, and whether there may be one.
func (t *hpackTable) at(i uint64) (Field, bool) {
	switch n := uint64(len(t.entries)); {
	case i == 0:
		return Field{}, false
	case i <= uint64(len(hpackStatic)):
		return hpackStatic[i-1], true
	case i <= uint64(len(hpackStatic))+n:
		return t.entries[n-(i-uint64(len(hpackStatic)))], true
	}
	return Field{UnknownName, unknownValue}, t.partial
}

// decode hands the fields of a block to field, and says what is wrong with it: from
// there on nothing of it is known, nor what the table holds.
func (t *hpackTable) decode(block []byte, field func(Field)) (problem string) {
	began := false
	for len(block) > 0 && problem == "" {
		var i uint64
		var ok bool
		b := block[0]
		switch {
		case b&0x80 != 0: // indexed (section 6.1)
			i, block, ok = hpackInt(block, 7)
			f, known := t.at(i)
			switch {
			case !ok:
				problem = "a number in the header block has no end"
			case !known:
				problem = fmt.Sprintf("the header block refers to entry %d, which there is not", i)
			default:
				field(f)
			}
			began = true
		case b&0xe0 == 0x20: // a new size (section 6.3)
			i, block, ok = hpackInt(block, 5)
			switch {
			case !ok:
				problem = "a number in the header block has no end"
			case began && t.size > 0: // (section 4.2)
				problem = "the size of the header table changes inside a block"
			case i > uint64(t.allowed) && !t.partial:
				problem = fmt.Sprintf("a header table of %d bytes, where %d are allowed", i, t.allowed)
			default:
				t.resize(int(min(i, 1<<30)))
			}
		default: // a literal (section 6.2)
			var f Field
			index := b&0x40 != 0
			f, block, problem = t.literal(block, index)
			if problem == "" {
				field(f)
				if index {
					t.add(f)
				}
			}
			began = true
		}
	}
	if problem != "" {
		t.forget()
	}
	return problem
}

// literal reads a field that is spelt out, at least its value.
func (t *hpackTable) literal(block []byte, index bool) (f Field, _ []byte, problem string) {
	prefix := 4
	if index {
		prefix = 6
	}
	i, block, ok := hpackInt(block, prefix)
	if !ok {
		return f, nil, "a number in the header block has no end"
	}
	if i > 0 {
		known, ok := t.at(i)
		if !ok {
			return f, nil, fmt.Sprintf("the header block refers to entry %d, which there is not", i)
		}
		f.Name = known.Name
	} else if f.Name, block, ok = hpackString(block); !ok {
		return f, nil, "a name in the header block is malformed"
	}
	if f.Value, block, ok = hpackString(block); !ok {
		return f, nil, "a value in the header block is malformed"
	}
	return f, block, ""
}

// hpackInt reads a number with a prefix of some bits (RFC 7541, section 5.1).
func hpackInt(b []byte, prefix int) (uint64, []byte, bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	most := uint64(1)<<prefix - 1
	n := uint64(b[0]) & most
	b = b[1:]
	if n < most {
		return n, b, true
	}
	for shift := 0; len(b) > 0 && shift < 63; shift += 7 {
		c := b[0]
		b = b[1:]
		n += uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			return n, b, true
		}
	}
	return 0, nil, false
}

// hpackString reads a string (RFC 7541, section 5.2). Huffman's code makes it 8/5
// as long at most.
func hpackString(b []byte) (string, []byte, bool) {
	if len(b) == 0 {
		return "", nil, false
	}
	coded := b[0]&0x80 != 0
	n, b, ok := hpackInt(b, 7)
	if !ok || n > uint64(len(b)) {
		return "", nil, false
	}
	text, b := b[:n], b[n:]
	if !coded {
		return string(text), b, true
	}
	s, err := hpack.HuffmanDecodeToString(text)
	return s, b, err == nil
}

// hpackStatic is the static table (RFC 7541, appendix A).
var hpackStatic = [61]Field{
	{":authority", ""}, {":method", "GET"}, {":method", "POST"}, {":path", "/"}, {":path", "/index.html"},
	{":scheme", "http"}, {":scheme", "https"}, {":status", "200"}, {":status", "204"}, {":status", "206"},
	{":status", "304"}, {":status", "400"}, {":status", "404"}, {":status", "500"}, {"accept-charset", ""},
	{"accept-encoding", "gzip, deflate"}, {"accept-language", ""}, {"accept-ranges", ""}, {"accept", ""},
	{"access-control-allow-origin", ""}, {"age", ""}, {"allow", ""}, {"authorization", ""}, {"cache-control", ""},
	{"content-disposition", ""}, {"content-encoding", ""}, {"content-language", ""}, {"content-length", ""},
	{"content-location", ""}, {"content-range", ""}, {"content-type", ""}, {"cookie", ""}, {"date", ""}, {"etag", ""},
	{"expect", ""}, {"expires", ""}, {"from", ""}, {"host", ""}, {"if-match", ""}, {"if-modified-since", ""},
	{"if-none-match", ""}, {"if-range", ""}, {"if-unmodified-since", ""}, {"last-modified", ""}, {"link", ""},
	{"location", ""}, {"max-forwards", ""}, {"proxy-authenticate", ""}, {"proxy-authorization", ""}, {"range", ""},
	{"referer", ""}, {"refresh", ""}, {"retry-after", ""}, {"server", ""}, {"set-cookie", ""},
	{"strict-transport-security", ""}, {"transfer-encoding", ""}, {"user-agent", ""}, {"vary", ""}, {"via", ""},
	{"www-authenticate", ""},
}
