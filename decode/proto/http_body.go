package proto

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// framing says where a body ends.
type framing uint8

const (
	framedLength framing = iota // after a number of bytes; 0 is no body
	framedChunks                // after the last chunk
	framedClose                 // with the connection
)

// maxChunkLine bounds the line before a chunk, with its extensions.
const maxChunkLine = 4096

// maxTrailer bounds the fields behind the last chunk.
const maxTrailer = 64 << 10

// httpBody follows the body of a message without keeping it.
type httpBody struct {
	left    int64 // bytes until the end of the body, or of the chunk
	bytes   int64 // of content so far, with those missing
	missing int64 // of these, never seen
	framing framing
	chunk   chunkState
	line    int    // how much of the buffer is known to hold no end of line
	trailer []byte // fields behind the last chunk
	content func([]byte)
}

// untilClose is a body that ends with the connection.
func untilClose() httpBody { return httpBody{framing: framedClose, left: math.MaxInt64} }

// chunkState is the place in a chunked body (RFC 9112, section 7.1).
type chunkState uint8

const (
	chunkSize    chunkState = iota // before a line with a size
	chunkData                      // inside the data
	chunkEnd                       // before the end of line behind the data
	chunkTrailer                   // behind the last chunk
	chunkDone
)

// over reports whether the body has ended.
func (b *httpBody) over() bool {
	switch b.framing {
	case framedLength:
		return b.left == 0
	case framedChunks:
		return b.chunk == chunkDone
	}
	return false
}

// wanting says how much is missing at the end, as the end of a sentence.
func (b *httpBody) wanting() string {
	if b.framing == framedLength {
		return fmt.Sprintf(", %d bytes before its end", b.left)
	}
	return ", before its last chunk"
}

// take goes on in the body and returns how many bytes it is done with, and what
// is malformed.
func (b *httpBody) take(data []byte) (int, string) {
	if b.framing != framedChunks {
		return b.data(data), ""
	}
	n := 0
	for {
		m, problem := b.chunked(data[n:])
		n += m
		if m == 0 || problem != "" || b.chunk == chunkDone {
			return n, problem
		}
	}
}

// step takes content, up to the end of a chunk, or what stands between chunks.
func (b *httpBody) step(data []byte) (int, string) {
	if b.framing != framedChunks {
		return b.data(data), ""
	}
	return b.chunked(data)
}

// pass takes n bytes when they are content, with more behind them.
func (b *httpBody) pass(n int64) bool {
	if n >= b.left {
		return false
	}
	b.left -= n
	b.bytes += n
	return true
}

// data takes content, up to left bytes of it.
func (b *httpBody) data(data []byte) int {
	n := min(b.left, int64(len(data)))
	b.left -= n
	b.bytes += n
	if b.content != nil {
		b.content(data[:n])
	}
	return int(n)
}

// skip passes over n missing bytes. It returns how many of them are known to be
// content, and whether all are, so that the place in the body is still known.
func (b *httpBody) skip(n int64) (int64, bool) {
	known := b.framing == framedClose || n <= b.left && (b.framing == framedLength || b.chunk == chunkData)
	if b.framing != framedClose {
		n = min(n, b.left)
		b.left -= n
		if b.framing == framedChunks && b.chunk == chunkData && b.left == 0 {
			b.chunk = chunkEnd
		}
	}
	b.bytes += n
	b.missing += n
	return n, known
}

// chunked takes one step in a chunked body.
func (b *httpBody) chunked(data []byte) (int, string) {
	if b.chunk == chunkData {
		n := b.data(data)
		if b.left == 0 {
			b.chunk = chunkEnd
		}
		return n, ""
	}
	limit := maxChunkLine
	if b.chunk == chunkTrailer {
		limit = maxTrailer
	}
	eol := bytes.IndexByte(data[b.line:], '\n')
	i := b.line + eol + 1 // the length of the line, if it is all there
	if eol < 0 {
		b.line = len(data)
		if len(data) < limit {
			return 0, ""
		}
	}
	if eol < 0 || i > limit {
		return 0, "a line of a chunked body is too long"
	}
	b.line = 0
	line := trimEOL(view(data[:i]))
	switch b.chunk {
	case chunkSize:
		size, ok := parseChunkSize(line)
		if !ok {
			return 0, fmt.Sprintf("malformed chunk size %.20q", line)
		}
		b.left, b.chunk = size, chunkData
		if size == 0 {
			b.chunk = chunkTrailer
		}
	case chunkEnd:
		if line != "" {
			return 0, fmt.Sprintf("%.20q where a chunk should end", line)
		}
		b.chunk = chunkSize
	case chunkTrailer:
		if line == "" {
			b.chunk = chunkDone
			break
		}
		if len(b.trailer)+i > maxTrailer {
			return 0, "the trailer is too long"
		}
		b.trailer = append(b.trailer, data[:i]...)
	}
	return i, ""
}

// parseChunkSize reads the size before a chunk; an extension may follow.
func parseChunkSize(line string) (int64, bool) {
	digits, _, _ := strings.Cut(line, ";")
	digits = trimSpace(digits)
	if digits == "" || len(digits) > 15 { // 15 digits fit in 63 bits with room to add
		return 0, false
	}
	var n int64
	for i := range len(digits) {
		switch c := digits[i]; {
		case '0' <= c && c <= '9':
			n = n<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		case 'A' <= c && c <= 'F':
			n = n<<4 | int64(c-'A'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
