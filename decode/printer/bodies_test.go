package printer_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"netlab/decode"
	"netlab/decode/printer"
)

func gzipped(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bodies is a conversation with bodies of all kinds.
func bodies(t *testing.T) string {
	respond := func(fields, body string) string {
		return fmt.Sprintf("web < \"HTTP/1.1 200 OK\\r\\n%sContent-Length: %d\\r\\n\\r\\n\" hex %s\n", fields, len(body), hex.EncodeToString([]byte(body)))
	}
	text := "tcp web 10.1.0.1:40001 > 10.1.0.2:80\nweb open\n"
	for _, response := range []string{
		respond("", "plain \x1b[31mred\n"),
		respond(`Content-Encoding: gzip\r\n`, gzipped(t, []byte("packed\n"))),
		respond(`Content-Encoding: gzip\r\n`, gzipped(t, bytes.Repeat([]byte("bomb "), 1<<20))),
		respond(`Content-Encoding: gzip\r\n`, "not gzip"),
		respond("", "\x00\x01\x02\xff"),
	} {
		text += "web > \"POST /a HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 4\\r\\n\\r\\nbody\"\n" + response
	}
	return text + "web close\ntcp raw 10.1.0.1:40002 > 10.1.0.2:81\nraw open\nraw > \"hi\"\nraw < 100 * \"long \"\nraw close\n"
}

func TestBodies(t *testing.T) {
	var out bytes.Buffer
	recipe(t, bodies(t), printer.NewBodies(&out, printer.Style{}), decode.Options{Keep: printer.KeepBodies})
	long := strings.Repeat("bomb ", 64<<10/5)
	got := strings.Replace(out.String(), long, "(64 KiB of it) ", 1)
	golden(t, "bodies.text", []byte(got))
}

func TestBodiesJSON(t *testing.T) {
	var out bytes.Buffer
	p := printer.NewJSON(&out)
	p.Bodies = true
	recipe(t, bodies(t), p, decode.Options{Keep: printer.KeepBodies})
	var got []string
	for line := range bytes.Lines(out.Bytes()) {
		var record struct {
			Type              string
			Request, Response struct {
				Body       *string
				BodyBase64 []byte `json:"body_base64"`
				BodyError  string `json:"body_error"`
			}
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatalf("%v in %.200s", err, line)
		}
		if record.Type == "http" {
			r := record.Response
			if *record.Request.Body != "body" {
				t.Errorf("the request's body is %q", *record.Request.Body)
			}
			text := ""
			if r.Body != nil {
				text = fmt.Sprintf("%d %.12q", len(*r.Body), *r.Body)
			}
			got = append(got, fmt.Sprintf("%s %x %s", text, r.BodyBase64, r.BodyError))
		}
	}
	want := []string{
		`15 "plain \x1b[31mr"  `,
		`7 "packed\n"  `,
		`4194304 "bomb bomb bo"  content encoding gzip: the body is too large`,
		`  content encoding gzip: unexpected EOF`,
		` 000102ff `,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// frames are said on a connection that was upgraded, and events by a server.
const frames = `tcp ws 10.1.0.1:40001 > 10.1.0.2:80
ws open
ws > "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
ws < "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
ws < hex c107f248cdc9c90700
ws > hex 8185 37fa213d 7f9f4d5158
ws < hex 0103 616263 8003 646566
ws < hex 8203 00ff80
ws < hex 8802 03e8
ws close
tcp sse 10.1.0.1:40002 > 10.1.0.2:80
sse open
sse > "GET /events HTTP/1.1\r\nHost: h\r\n\r\n"
sse < "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nevent: tick\nid: 1\ndata: first\ndata: second\n\n"
sse close
`

// TestBodiesOfFrames has a compressed message, a text in fragments and an event with
// more data than a line shows.
func TestBodiesOfFrames(t *testing.T) {
	var out bytes.Buffer
	recipe(t, frames, printer.NewBodies(&out, printer.Style{}), decode.Options{Keep: printer.KeepBodies})
	golden(t, "bodies_frames.text", out.Bytes())
	out.Reset()
	p := printer.NewJSON(&out)
	p.Bodies = true
	recipe(t, frames, p, decode.Options{Keep: printer.KeepBodies})
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	golden(t, "bodies_frames.jsonl", out.Bytes())
}
