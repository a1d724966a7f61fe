package proto

import (
	"bytes"
	"strings"
)

// HTTPChunk is where a chunk of a chunked body stands, by offsets in the bytes of its message.
type HTTPChunk struct {
	Begin, End              int // all of it, with both line ends
	Size, SizeEnd           int // the digits
	Extension, ExtensionEnd int // behind a semicolon, up to the line feed; the same when there is none
	Data, DataEnd           int
}

// HTTPChunks takes a chunked body apart that begins at an offset and is there as a whole (RFC
// 9112, section 7.1). The last chunk is the one without data; the trailer is behind its line. It
// returns false when the chunks are malformed.
func HTTPChunks(raw []byte, at int) ([]HTTPChunk, bool) {
	var list []HTTPChunk
	for {
		i := bytes.IndexByte(raw[at:], '\n')
		if i < 0 {
			return nil, false
		}
		line := view(raw[at : at+i])
		n, ok := parseChunkSize(trimEOL(line))
		if !ok {
			return nil, false
		}
		data := at + i + 1
		c := HTTPChunk{Begin: at, End: data, Extension: at + i, ExtensionEnd: at + i, Data: data, DataEnd: data}
		digits := line
		if j := strings.IndexByte(line, ';'); j >= 0 {
			c.Extension, digits = at+j+1, line[:j]
		}
		inner := trimSpace(trimEOL(digits))
		c.Size = at + strings.Index(line, inner)
		c.SizeEnd = c.Size + len(inner)
		if n == 0 {
			return append(list, c), true
		}
		if n >= int64(len(raw)-data) {
			return nil, false
		}
		c.DataEnd = data + int(n)
		end := bytes.IndexByte(raw[c.DataEnd:], '\n')
		if end < 0 || trimEOL(view(raw[c.DataEnd:c.DataEnd+end+1])) != "" {
			return nil, false
		}
		c.End = c.DataEnd + end + 1
		list = append(list, c)
		at = c.End
	}
}
