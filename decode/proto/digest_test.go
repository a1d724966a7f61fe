package proto

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"testing"

	"netlab/decode/flow"
)

// TestDigest has answers of which less is kept than they say, however they are cut.
func TestDigest(t *testing.T) {
	const keep = 100
	body := bytes.Repeat([]byte("0123456789abcdef"), 64)
	chunked := func(size int) string {
		var b bytes.Buffer
		for rest := body; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			n := min(size, len(rest))
			fmt.Fprintf(&b, "%x;ext=1\r\n%s\r\n", n, rest[:n])
		}
		return b.String() + "0\r\nX-Trailer: 1\r\n\r\n"
	}
	want := sha256.Sum256(body)
	const head = "HTTP/1.1 200 OK\r\n"
	long := "X-Long: " + string(bytes.Repeat([]byte("x"), 2*keep)) + "\r\n"
	for name, answer := range map[string]string{
		"length":         fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body),
		"chunks":         head + "Transfer-Encoding: chunked\r\n\r\n" + chunked(100),
		"small_chunks":   head + "Transfer-Encoding: chunked\r\n\r\n" + chunked(3),
		"until_close":    head + "\r\n" + string(body),
		"head_over_kept": fmt.Sprintf("%s%sContent-Length: %d\r\n\r\n%s", head, long, len(body), body),
	} {
		for _, cut := range []int{1, 7, 64, len(answer)} {
			t.Run(fmt.Sprintf("%s/%d", name, cut), func(t *testing.T) {
				var got []*Exchange
				g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, receiver(func(e *Exchange) { got = append(got, e) }), Options{Keep: keep, Protocol: &HTTP})
				ask := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				g.Chunk(flow.ClientToServer, flow.Chunk{Data: ask})
				for at := 0; at < len(answer); at += cut {
					g.Chunk(flow.ServerToClient, flow.Chunk{Data: []byte(answer[at:min(at+cut, len(answer))]), Offset: int64(at), Ack: int64(len(ask))})
				}
				g.End(flow.ServerToClient)
				g.Close()
				if len(got) != 1 || got[0].Response == nil {
					t.Fatalf("%d exchanges", len(got))
				}
				m := got[0].Response
				if !m.Complete || m.RawMissing == 0 {
					t.Fatalf("complete %v, %d bytes are not kept: %s", m.Complete, m.RawMissing, m.Why)
				}
				if !bytes.Equal(m.Digest, want[:]) {
					t.Errorf("digest %x, want %x", m.Digest, want)
				}
			})
		}
	}
}

// receiver is a Receiver of exchanges only.
type receiver func(*Exchange)

func (r receiver) Exchange(e *Exchange)   { r(e) }
func (r receiver) Anomaly(a flow.Anomaly) {}

// TestContentDigest has content that is larger than MaxContent.
func TestContentDigest(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	h := sha256.New()
	block := bytes.Repeat([]byte("netlab "), 1<<17)
	n := 0
	for ; n <= MaxContent; n += len(block) {
		z.Write(block)
		h.Write(block)
	}
	z.Close()
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", b.Len())
	m := &Message{Raw: append([]byte(head), b.Bytes()...), Body: &HTTPMessage{Head: head, BodyBytes: int64(b.Len()), Fields: []Field{{Name: "Content-Encoding", Value: "gzip"}}}}
	if _, err := Content(m); err == nil {
		t.Fatal("the content fits in, and must not for this test")
	}
	sum, size, err := ContentDigest(m)
	if err != nil || size != int64(n) || !bytes.Equal(sum, h.Sum(nil)) {
		t.Errorf("%d bytes with digest %x, and %v; want %d with %x", size, sum, err, n, h.Sum(nil))
	}
}
