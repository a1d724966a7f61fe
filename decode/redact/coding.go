package redact

import (
	"bytes"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// encoder is what all that compress have in common.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

// coders put encodings on, as they were taken off. They are used again: each takes some memory.
type coders map[string]encoder

// encode puts encodings on, the last one last (RFC 9110, section 8.4).
func (k *coders) encode(encodings []string, data []byte) ([]byte, error) {
	for _, name := range encodings {
		w, err := k.of(name)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		w.Reset(&b)
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		data = b.Bytes()
	}
	return data, nil
}

func (k *coders) of(name string) (encoder, error) {
	if w, ok := (*k)[name]; ok {
		return w, nil
	}
	var w encoder
	var err error
	switch name {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(nil)
	case "deflate":
		w = zlib.NewWriter(nil)
	case "br":
		w = brotli.NewWriterLevel(nil, 4)
	case "zstd":
		w, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	case "raw deflate":
		w, err = flate.NewWriter(nil, flate.DefaultCompression)
	default:
		return nil, fmt.Errorf("content encoding %s is not known", name)
	}
	if err != nil {
		return nil, err
	}
	if *k == nil {
		*k = make(coders)
	}
	(*k)[name] = w
	return w, nil
}
