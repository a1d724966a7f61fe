package proto

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"netlab/decode/flow"
)

// http2Bytes returns a frame.
func http2Bytes(typ, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	b := []byte{byte(n >> 16), byte(n >> 8), byte(n), typ, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// hpackOf encodes fields, names and values in turn.
func hpackOf(e *hpack.Encoder, buf *bytes.Buffer, fields ...string) []byte {
	buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(buf.Bytes())
}

// tally counts what a Dialogue hands on.
type tally struct {
	states    [3]int
	anomalies map[string]int
	last      *Exchange
}

func (s *tally) Exchange(e *Exchange) { s.states[e.State]++; s.last = e }

func (s *tally) Anomaly(a flow.Anomaly) {
	if s.anomalies == nil {
		s.anomalies = make(map[string]int)
	}
	s.anomalies[a.Detail]++
}

// TestHTTP2Bounds plays what a hostile client says, and holds the memory to its bound.
func TestHTTP2Bounds(t *testing.T) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	get := hpackOf(e, &buf, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
	large := hpackOf(e, &buf, ":method", "POST", ":scheme", "http", ":path", "/", "x", strings.Repeat("y", 3900))
	tests := map[string]struct {
		n       int
		next    func(i uint32) []byte
		maxHeld int
		why     string // of an anomaly
	}{
		"streams_without_end": {100_000, func(i uint32) []byte { return http2Bytes(HTTP2Headers, HTTP2EndHeaders, 2*i+1, get) }, 16 << 20, "more than 4096 streams are open"},
		"requests":            {100_000, func(i uint32) []byte { return http2Bytes(HTTP2Headers, HTTP2EndHeaders|HTTP2EndStream, 2*i+1, get) }, 16 << 20, "more than 4096 requests wait for a response"},
		"continuation": {100_000, func(i uint32) []byte {
			if i == 0 {
				return http2Bytes(HTTP2Headers, 0, 1, get)
			}
			return http2Bytes(HTTP2Continuation, 0, 1, make([]byte, 1000))
		}, 1 << 20, ""},
		"bombs": {2000, func(i uint32) []byte {
			if i == 0 {
				return http2Bytes(HTTP2Headers, HTTP2EndHeaders, 1, large)
			}
			return http2Bytes(HTTP2Headers, HTTP2EndHeaders, 2*i+1, append(bytes.Clone(get[:0]), bytes.Repeat([]byte{0xbe}, 16000)...))
		}, 20 << 20, "the heads of all open streams have more than 16777216 bytes"},
		"resets": {50_000, func(i uint32) []byte {
			return append(http2Bytes(HTTP2Headers, HTTP2EndHeaders, 2*i+1, get), http2Bytes(HTTP2RstStream, 0, 2*i+1, make([]byte, 4))...)
		}, 1 << 20, ""},
		"settings": {50_000, func(i uint32) []byte {
			return http2Bytes(HTTP2Settings, 0, 0, []byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0, 5, 0xff, 0xff, 0xff, 0xff})
		}, 1 << 20, ""},
		"goaways": {50_000, func(i uint32) []byte { return http2Bytes(HTTP2GoAway, 0, 0, make([]byte, 8)) }, 1 << 20, ""},
		"grpc": {5000, func(i uint32) []byte {
			block := hpackOf(e, &buf, ":method", "POST", ":scheme", "http", ":path", "/a/b", "content-type", "application/grpc")
			return append(http2Bytes(HTTP2Headers, HTTP2EndHeaders, 2*i+1, block), http2Bytes(HTTP2Data, 0, 2*i+1, bytes.Repeat(append([]byte{0, 0, 0, 0x0f, 0xa0}, make([]byte, 4000)...), 4))...)
		}, 20 << 20, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out := &tally{}
			g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, Options{})
			var offset int64
			say := func(b []byte) {
				g.Chunk(c2s, flow.Chunk{Data: b, Offset: offset, Packet: 1, Time: epoch})
				offset += int64(len(b))
				if held := g.Held(); held > tt.maxHeld {
					t.Fatalf("%d bytes are held after %d", held, offset)
				}
			}
			say([]byte(HTTP2Preface))
			for i := range uint32(tt.n) {
				say(tt.next(i))
			}
			g.Close()
			if g.conv.Protocol != "http2" {
				t.Errorf("protocol %q", g.conv.Protocol)
			}
			if found := out.anomalies[tt.why] > 0; tt.why != "" && !found {
				t.Errorf("no anomaly %q: %v", tt.why, out.anomalies)
			}
		})
	}
}

// TestHTTP2Content has the content of a message found without a head.
func TestHTTP2Content(t *testing.T) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	out := &tally{}
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, Options{Keep: keepAll})
	g.Chunk(c2s, flow.Chunk{Data: append([]byte(HTTP2Preface), http2Bytes(HTTP2Headers, 5, 1, hpackOf(e, &buf, ":method", "GET", ":scheme", "http", ":path", "/"))...)})
	answer := http2Bytes(HTTP2Settings, 0, 0, nil)
	answer = append(answer, http2Bytes(HTTP2Headers, 4, 1, hpackOf(hpack.NewEncoder(&buf), &buf, ":status", "200", "content-encoding", "deflate"))...)
	const deflated = "x\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,\x02\x15" // "hello"
	answer = append(answer, http2Bytes(HTTP2Data, 0, 1, []byte(deflated[:4]))...)
	answer = append(answer, http2Bytes(HTTP2WindowUpdate, 0, 0, make([]byte, 4))...)
	answer = append(answer, http2Bytes(HTTP2Data, 1, 1, []byte(deflated[4:]))...)
	g.Chunk(s2c, flow.Chunk{Data: answer})
	g.Close()
	if out.last == nil || out.last.Response == nil {
		t.Fatal("no response")
	}
	if got, err := Content(out.last.Response); string(got) != "hello" || err != nil {
		t.Errorf("content %q, %v", got, err)
	}
}

// TestProbeHTTP2 tells frames from what looks like them.
func TestProbeHTTP2(t *testing.T) {
	request := string(http2Bytes(HTTP2Headers, 5, 7, []byte("\x82\x86\x44\x02/x\x41\x01h")))
	response := string(http2Bytes(HTTP2Headers, 4, 7, []byte("\x88\xbe")))
	update := string(http2Bytes(HTTP2WindowUpdate, 0, 0, []byte{0, 0, 1, 0}))
	data := string(http2Bytes(HTTP2Data, 0, 7, []byte("abc")))
	for name, tt := range map[string]struct {
		client, server string
		ended          bool
		want           *Protocol
	}{
		"preface":               {HTTP2Preface, "", false, &HTTP2},
		"preface_begins":        {HTTP2Preface[:20], "", false, nil},
		"preface_ends":          {HTTP2Preface[:20], "", true, &Raw},
		"request":               {request, "", false, &HTTP2},
		"request_of_the_server": {"", request, true, &Raw},
		"response":              {"", response, false, &HTTP2},
		"response_of_a_client":  {response, "", true, &Raw},
		"an_update":             {update, "", false, nil},
		"an_update_alone":       {update, "", true, &Raw},
		"updates":               {update + update, "", false, &HTTP2},
		"data":                  {"", data + data + data, false, &HTTP2},
		"less_data":             {"", data + data, true, &Raw},
		"data_and_an_update":    {"", data + update, false, &HTTP2},
		"frames_and_text":       {update + update, "hello, this is none", true, &Raw},
		"fields_of_nothing":     {string(http2Bytes(HTTP2Headers, 5, 7, []byte("hello, world"))), "", true, &Raw},
		"zeros":                 {string(make([]byte, 40)), "", true, &Raw},
	} {
		t.Run(name, func(t *testing.T) {
			o := Opening{Transport: flow.TCP, First: [2][]byte{[]byte(tt.client), []byte(tt.server)}, Ended: [2]bool{tt.ended, tt.ended}}
			if got := Find(o); got != tt.want {
				t.Errorf("Find: %v, want %v", protocolName(got), protocolName(tt.want))
			}
		})
	}
	for data, want := range map[string]flow.Direction{request: c2s, response: s2c, HTTP2Preface: c2s} {
		if d, known := SideOf(flow.TCP, []byte(data)); d != want || !known {
			t.Errorf("the side of %q is %s, %t", data, d, known)
		}
	}
}
