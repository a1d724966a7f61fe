package proto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"netlab/decode/flow"
)

// encode puts encodings on, the first first.
func encode(t *testing.T, data []byte, encodings ...string) []byte {
	t.Helper()
	for _, e := range encodings {
		var b bytes.Buffer
		var w io.WriteCloser
		var err error
		switch e {
		case "gzip":
			w, err = gzip.NewWriterLevel(&b, gzip.BestSpeed)
		case "zlib":
			w, err = zlib.NewWriterLevel(&b, zlib.BestSpeed)
		case "flate":
			w, err = flate.NewWriter(&b, flate.BestSpeed)
		case "br":
			w = brotli.NewWriterLevel(&b, brotli.BestSpeed)
		case "zstd":
			w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		}
		if err == nil {
			_, err = w.Write(data)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		data = b.Bytes()
	}
	return data
}

// chunked frames data as chunks of n bytes, with a trailer.
func chunked(data []byte, n int) []byte {
	var b bytes.Buffer
	for len(data) > 0 {
		n = min(n, len(data))
		fmt.Fprintf(&b, "%x;part\r\n%s\r\n", n, data[:n])
		data = data[n:]
	}
	b.WriteString("0\r\nX-Trailer: 1\r\n\r\n")
	return b.Bytes()
}

// response returns the message that a Dialogue makes of a response.
func response(t *testing.T, keep int64, fields string, body []byte) *Message {
	t.Helper()
	s := &silent{}
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, s, Options{Protocol: &HTTP, Keep: keep})
	g.Chunk(s2c, flow.Chunk{Data: append([]byte("HTTP/1.1 200 OK\r\n"+fields+"\r\n"), body...), Ack: flow.NoAck})
	g.Close()
	if len(s.exchanges) != 1 {
		t.Fatalf("%d exchanges", len(s.exchanges))
	}
	return s.exchanges[0].Response
}

func TestContent(t *testing.T) {
	text := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog. ", 100))
	gz := encode(t, text, "gzip")
	const chunks = "Transfer-Encoding: chunked\r\n"
	tests := map[string]struct {
		fields string
		body   []byte
		want   []byte
		err    string
	}{
		"plain":               {"", text, text, ""},
		"empty":               {"Content-Length: 0\r\n", nil, nil, ""},
		"empty_gzip":          {"Content-Encoding: gzip\r\nContent-Length: 0\r\n", nil, nil, ""},
		"chunked":             {chunks, chunked(text, 100), text, ""},
		"chunked_and_empty":   {chunks, chunked(nil, 100), nil, ""},
		"identity":            {"Content-Encoding: identity\r\n", text, text, ""},
		"gzip":                {"Content-Encoding: gzip\r\n", gz, text, ""},
		"gzip_chunked":        {"Content-Encoding: GZIP\r\n" + chunks, chunked(gz, 7), text, ""},
		"x-gzip":              {"Content-Encoding: x-gzip\r\n", gz, text, ""},
		"gzip_of_two_members": {"Content-Encoding: gzip\r\n", append(bytes.Clone(gz), gz...), append(bytes.Clone(text), text...), ""},
		"deflate":             {"Content-Encoding: deflate\r\n", encode(t, text, "zlib"), text, ""},
		"deflate_bare":        {"Content-Encoding: deflate\r\n", encode(t, text, "flate"), text, ""},
		"br":                  {"Content-Encoding: br\r\n", encode(t, text, "br"), text, ""},
		"zstd":                {"Content-Encoding: zstd\r\n", encode(t, text, "zstd"), text, ""},
		"stacked":             {"Content-Encoding: gzip, br\r\nContent-Encoding: zstd\r\n", encode(t, text, "gzip", "br", "zstd"), text, ""},
		"stacked_in_vain":     {"Content-Encoding: br, gzip\r\n", gz, text, "content encoding br: "},
		"too_many":            {"Content-Encoding: " + strings.Repeat("identity, ", maxEncodings) + "gzip\r\n", gz, gz, "9 content encodings"},
		"unknown":             {"Content-Encoding: compress\r\n", gz, gz, "content encoding compress: unknown"},
		"unknown_under_known": {"Content-Encoding: compress, gzip\r\n", gz, text, "content encoding compress: unknown"},
		"gzip_cut_short":      {"Content-Encoding: gzip\r\n", gz[:len(gz)-8], text, "content encoding gzip: unexpected EOF"},
		"gzip_bad_checksum":   {"Content-Encoding: gzip\r\n", append(bytes.Clone(gz[:len(gz)-8]), make([]byte, 8)...), text, "content encoding gzip: gzip: invalid checksum"},
		"gzip_is_not":         {"Content-Encoding: gzip\r\n", text, nil, "content encoding gzip: gzip: invalid header"},
		"gzip_too_short":      {"Content-Encoding: gzip\r\n", gz[:3], nil, "content encoding gzip: unexpected EOF"},
		"deflate_is_not":      {"Content-Encoding: deflate\r\n", text, nil, "content encoding deflate: "},
		"br_is_not":           {"Content-Encoding: br\r\n", []byte{0xff, 0xff, 0xff}, nil, "content encoding br: "},
		"zstd_is_not":         {"Content-Encoding: zstd\r\n", text, nil, "content encoding zstd: "},
		// That the message is not whole is the message's to say.
		"chunk_malformed":  {chunks, []byte("3\r\nabc\r\nzz\r\n"), []byte("abc"), ""},
		"chunks_cut_short": {chunks, []byte("3\r\nabc\r\n5\r\nde"), []byte("abcde"), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Content(response(t, keepAll, tt.fields, tt.body))
			if !strings.HasPrefix(fmt.Sprint(err), tt.err) || (err == nil) != (tt.err == "") {
				t.Errorf("error %v, want %s", err, tt.err)
			}
			if name == "stacked_in_vain" { // what brotli makes of text is its own business
				return
			}
			if diff := cmp.Diff(string(tt.want), string(got)); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
		})
	}
}

// TestContentNotKept asks for more than there is.
func TestContentNotKept(t *testing.T) {
	const fields = "Content-Length: 5\r\n"
	head := int64(len("HTTP/1.1 200 OK\r\n" + fields + "\r\n"))
	for _, tt := range []struct {
		keep int64
		want string
		err  string
	}{
		{0, "", "the bytes of the message were not kept"},
		{head - 1, "", "the bytes of the message were not kept"},
		{head + 2, "he", "3 bytes of the message were not kept"},
		{head + 5, "hello", "<nil>"},
	} {
		got, err := Content(response(t, tt.keep, fields, []byte("hello")))
		if string(got) != tt.want || fmt.Sprint(err) != tt.err {
			t.Errorf("with %d bytes kept: %q, %v; want %q, %s", tt.keep, got, err, tt.want, tt.err)
		}
	}
	if _, err := Content(&Message{Body: &Turn{}}); err == nil {
		t.Error("a raw message has content")
	}
}

// bomb returns what stands for n bytes of zeroes under an encoding. Where that
// can be done, a piece of it is repeated, which is faster than encoding them all.
func bomb(t *testing.T, encoding string, n int) []byte {
	t.Helper()
	const piece = 1 << 20
	zeroes := make([]byte, piece)
	switch encoding {
	case "gzip", "zstd": // of many members, or frames
		return append(bytes.Repeat(encode(t, zeroes, encoding), n/piece), encode(t, zeroes[:n%piece], encoding)...)
	case "deflate":
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestSpeed)
		if err == nil {
			_, err = w.Write(zeroes)
		}
		if err == nil {
			err = w.Flush() // the piece ends with a whole byte
		}
		if err != nil {
			t.Fatal(err)
		}
		return append(bytes.Repeat(b.Bytes(), n/piece), encode(t, zeroes[:n%piece], "flate")...)
	case "gzip, gzip":
		return encode(t, bomb(t, "gzip", n), "gzip")
	}
	return encode(t, make([]byte, n), encoding)
}

// TestContentTooLarge takes off encodings under which little stands for much.
func TestContentTooLarge(t *testing.T) {
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "gzip, gzip"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			body := bomb(t, encoding, MaxContent+1)
			if len(body) > MaxContent/50 {
				t.Fatalf("%d bytes are no bomb", len(body))
			}
			got, err := Content(response(t, keepAll, "Content-Encoding: "+encoding+"\r\n", body))
			if !errors.Is(err, ErrContentTooLarge) {
				t.Errorf("error %v, want %v", err, ErrContentTooLarge)
			}
			if len(got) != MaxContent {
				t.Errorf("%d bytes, want %d", len(got), MaxContent)
			}
		})
	}
	if got, err := Content(response(t, keepAll, "Content-Encoding: gzip\r\n", bomb(t, "gzip", MaxContent))); err != nil || len(got) != MaxContent {
		t.Errorf("of a body as large as may be: %d bytes, %v", len(got), err)
	}
}
