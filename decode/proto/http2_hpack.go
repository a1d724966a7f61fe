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

// HPACKTable decodes the header blocks of one direction (RFC 7541). The decoder of
// golang.org/x/net gives up at the first reference it can't follow; this one goes on,
// so that a recording that starts late, or lacks bytes, still has the fields that
// are spelt out.
type HPACKTable struct {
	entries []Field // the newest last
	size    int
	max     int  // as the encoder chose
	allowed int  // what it may choose
	partial bool // there may be entries older than those held
}

// NewHPACKTable returns the table of a connection that begins.
func NewHPACKTable() HPACKTable {
	return HPACKTable{max: defaultHPACKTable, allowed: defaultHPACKTable}
}

// forget lets go of all entries: what they are is not known any more. An encoder
// never refers to what it has evicted, so to hold on for too long does no harm, and
// the largest size is right.
func (t *HPACKTable) forget() {
	t.entries, t.size, t.max, t.partial = nil, 0, maxHPACKTable, true
}

// allow takes note that the other side allows a size (SETTINGS_HEADER_TABLE_SIZE).
func (t *HPACKTable) allow(n uint32) { t.allowed = max(t.allowed, int(min(n, 1<<30))) }

// Resize makes room for as much as the encoder says.
func (t *HPACKTable) Resize(n int) {
	t.max = min(n, maxHPACKTable)
	t.evict()
	if n > t.max {
		t.partial = true // from when that is full
	} else if n == 0 {
		t.partial = false // nothing is left that could be unknown
	}
}

func (t *HPACKTable) evict() {
	for t.size > t.max && len(t.entries) > 0 {
		t.size -= fieldSize(t.entries[0])
		t.entries[0] = Field{}
		t.entries = t.entries[1:]
	}
}

func fieldSize(f Field) int { return len(f.Name) + len(f.Value) + hpackEntryCost }

// Add makes f the newest entry. One that is larger than the table empties it
// (section 4.4).
func (t *HPACKTable) Add(f Field) {
	t.entries = append(t.entries, f)
	t.size += fieldSize(f)
	t.evict()
}

// At returns the entry of an index, and whether there may be one.
func (t *HPACKTable) At(i uint64) (Field, bool) {
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

// HPACKField is what a header block says in one place: a field, and how that was written.
type HPACKField struct {
	Field
	Form HPACKForm
	// Index is of the entry that has all of the field, or its name; 0 when the name is spelt
	// out. It is the size that a table is to have.
	Index uint64
	// The name or the value is in Huffman's code.
	CodedName, CodedValue bool
}

// HPACKForm is how a field is written (RFC 7541, section 6), by its first bits.
type HPACKForm uint8

// The forms.
const (
	HPACKIndexed HPACKForm = 0x80
	HPACKAdded   HPACKForm = 0x40 // a literal that becomes an entry
	HPACKResize  HPACKForm = 0x20 // no field, but a new size of the table
	HPACKNever   HPACKForm = 0x10 // a literal that nobody may make an entry
	HPACKPlain   HPACKForm = 0
)

// Prefix is how many bits of the first byte belong to the index.
func (f HPACKForm) Prefix() int {
	switch f {
	case HPACKIndexed:
		return 7
	case HPACKAdded:
		return 6
	case HPACKResize:
		return 5
	}
	return 4
}

// hpackForm is the form of what begins with a byte.
func hpackForm(b byte) HPACKForm {
	for _, f := range [...]HPACKForm{HPACKIndexed, HPACKAdded, HPACKResize, HPACKNever} {
		if b&byte(f) != 0 {
			return f
		}
	}
	return HPACKPlain
}

// decode hands what is in a block to field, and says what is wrong with it: from
// there on nothing of it is known, nor what the table holds.
func (t *HPACKTable) decode(block []byte, field func(HPACKField)) (problem string) {
	began := false
	for len(block) > 0 && problem == "" {
		var ok bool
		f := HPACKField{Form: hpackForm(block[0])}
		switch f.Form {
		case HPACKIndexed: // (section 6.1)
			f.Index, block, ok = hpackInt(block, f.Form.Prefix())
			known := false
			f.Field, known = t.At(f.Index)
			switch {
			case !ok:
				problem = "a number in the header block has no end"
			case !known:
				problem = fmt.Sprintf("the header block refers to entry %d, which there is not", f.Index)
			default:
				field(f)
			}
			began = true
		case HPACKResize: // (section 6.3)
			f.Index, block, ok = hpackInt(block, f.Form.Prefix())
			switch {
			case !ok:
				problem = "a number in the header block has no end"
			case began && t.size > 0: // (section 4.2)
				problem = "the size of the header table changes inside a block"
			case f.Index > uint64(t.allowed) && !t.partial:
				problem = fmt.Sprintf("a header table of %d bytes, where %d are allowed", f.Index, t.allowed)
			default:
				t.Resize(int(min(f.Index, 1<<30)))
				field(f)
			}
		default: // a literal (section 6.2)
			block, problem = t.literal(block, &f)
			if problem == "" {
				field(f)
				if f.Form == HPACKAdded {
					t.Add(f.Field)
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
func (t *HPACKTable) literal(block []byte, f *HPACKField) (_ []byte, problem string) {
	var ok bool
	if f.Index, block, ok = hpackInt(block, f.Form.Prefix()); !ok {
		return nil, "a number in the header block has no end"
	}
	if f.Index > 0 {
		known, ok := t.At(f.Index)
		if !ok {
			return nil, fmt.Sprintf("the header block refers to entry %d, which there is not", f.Index)
		}
		f.Name = known.Name
	} else if f.Name, f.CodedName, block, ok = hpackString(block); !ok {
		return nil, "a name in the header block is malformed"
	}
	if f.Value, f.CodedValue, block, ok = hpackString(block); !ok {
		return nil, "a value in the header block is malformed"
	}
	return block, ""
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

// hpackString reads a string, and whether it is in Huffman's code (RFC 7541, section
// 5.2), which makes it 8/5 as long at most.
func hpackString(b []byte) (text string, coded bool, rest []byte, ok bool) {
	if len(b) == 0 {
		return "", false, nil, false
	}
	coded = b[0]&0x80 != 0
	n, b, ok := hpackInt(b, 7)
	if !ok || n > uint64(len(b)) {
		return "", coded, nil, false
	}
	data, b := b[:n], b[n:]
	if !coded {
		return string(data), coded, b, true
	}
	text, err := hpack.HuffmanDecodeToString(data)
	return text, coded, b, err == nil
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
