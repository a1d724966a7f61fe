package proto

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// MaxContent bounds a body after its encodings were taken off: a few bytes may
// stand for gigabytes.
const MaxContent = 64 << 20

// maxEncodings bounds how many encodings may be stacked.
const maxEncodings = 8

var errUnknownEncoding = errors.New("unknown")

// ErrContentTooLarge means that a body is larger than its bound.
var ErrContentTooLarge = errors.New("the body is too large")

// Transferred returns the body of an HTTP message as it was transferred, without the
// framing of chunks. It needs the message's Raw, of which it may be a part.
func Transferred(m *Message) ([]byte, error) {
	h, ok := m.Body.(*HTTPMessage)
	if !ok || len(m.Raw) < len(h.Head) {
		return nil, errors.New("the bytes of the message were not kept")
	}
	if h.BodyBytes == 0 {
		return nil, nil
	}
	out := m.Raw[len(h.Head):len(m.Raw):len(m.Raw)]
	if h.Chunked {
		b := httpBody{framing: framedChunks}
		raw := out
		out = nil
		b.content = func(p []byte) { out = append(out, p...) }
		if _, problem := b.take(raw); problem != "" {
			return out, errors.New(problem)
		}
	}
	if m.RawMissing > 0 {
		return out, fmt.Errorf("%d bytes of the message were not kept", m.RawMissing)
	}
	return out, nil
}

// Content returns the body of an HTTP message with all encodings taken off, up to
// MaxContent bytes. When that fails, it returns what it got, and why.
func Content(m *Message) ([]byte, error) { return ContentUpTo(m, MaxContent) }

// ContentUpTo is Content with another bound.
func ContentUpTo(m *Message, limit int) ([]byte, error) {
	body, err := Transferred(m)
	if err != nil {
		return body, err
	}
	return m.Body.(*HTTPMessage).Decoded(body, limit)
}

// AppendEncodings appends the content encodings that the head names, in lower case and the order
// in which they were put on (RFC 9110, section 8.4).
func (h *HTTPMessage) AppendEncodings(list []string) []string {
	h.Values("Content-Encoding", func(v string) { list = append(list, v) })
	return list
}

// Decoded returns a body that was transferred with all encodings taken off, up to limit bytes. When
// that fails, it returns what it got, and why.
func (h *HTTPMessage) Decoded(body []byte, limit int) ([]byte, error) {
	if len(body) == 0 {
		return body, nil
	}
	encodings, err := h.encodings()
	if err != nil {
		return body, err
	}
	for _, e := range slices.Backward(encodings) { // the last was put on last
		if body, err = decodeContent(e, body, limit); err != nil {
			return body, fmt.Errorf("content encoding %s: %w", e, err)
		}
	}
	return body, nil
}

// encodings are what was put on a body, in order.
func (h *HTTPMessage) encodings() ([]string, error) {
	list := h.AppendEncodings(nil)
	if len(list) > maxEncodings {
		return nil, fmt.Errorf("%d content encodings", len(list))
	}
	return list, nil
}

// decodeContent takes one encoding off, and returns limit bytes at most.
func decodeContent(encoding string, data []byte, limit int) ([]byte, error) {
	if encoding == "identity" {
		return data, nil
	}
	r, err := contentReader(encoding, bufio.NewReader(bytes.NewReader(data)))
	switch {
	case err == errUnknownEncoding:
		return data, err
	case err != nil:
		return nil, err
	}
	defer r.Close()
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if len(out) > limit {
		return out[:limit], ErrContentTooLarge
	}
	return out, err
}

// contentReader takes one encoding off (RFC 9110, section 8.4.1).
func contentReader(encoding string, src *bufio.Reader) (io.ReadCloser, error) {
	switch encoding {
	case "identity":
		return io.NopCloser(src), nil
	case "gzip", "x-gzip":
		return gzip.NewReader(src)
	case "deflate":
		// Meant is zlib (RFC 1950); some servers send bare deflate data. The head of zlib
		// tells them apart.
		if head, _ := src.Peek(2); len(head) == 2 && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
			return zlib.NewReader(src)
		}
		return flate.NewReader(src), nil
	case "br":
		return io.NopCloser(brotli.NewReader(src)), nil
	case "zstd":
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxContent), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return nil, errUnknownEncoding
}
