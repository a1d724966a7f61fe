package redact

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"netlab/decode/flow"
)

// framesOf writes frames of both directions.
type framesOf struct {
	talk
	buf    bytes.Buffer
	framer *http2.Framer
	block  [2]bytes.Buffer
	table  [2]*hpack.Encoder
}

func newFrames() *framesOf {
	k := &framesOf{talk: talk{transport: flow.TCP, said: []said{{flow.ClientToServer, http2.ClientPreface}}}}
	k.framer = http2.NewFramer(&k.buf, nil)
	k.framer.AllowIllegalWrites = true
	for d := range k.table {
		k.table[d] = hpack.NewEncoder(&k.block[d])
	}
	k.say(0, func(f *http2.Framer) { f.WriteSettings() })
	k.say(1, func(f *http2.Framer) { f.WriteSettings() })
	return k
}

// say adds what f writes.
func (k *framesOf) say(d flow.Direction, f func(*http2.Framer)) {
	k.buf.Reset()
	f(k.framer)
	k.said = append(k.said, said{d, k.buf.String()})
}

// fields is a header block, of names and values in turn.
func (k *framesOf) fields(d flow.Direction, list ...string) []byte {
	k.block[d].Reset()
	for i := 0; i < len(list); i += 2 {
		k.table[d].WriteField(hpack.HeaderField{Name: list[i], Value: list[i+1], Sensitive: list[i] == "authorization"})
	}
	return bytes.Clone(k.block[d].Bytes())
}

// head says a header block in frames of up to n bytes each.
func (k *framesOf) head(d flow.Direction, p http2.HeadersFrameParam, n int) {
	block := p.BlockFragment
	k.say(d, func(f *http2.Framer) {
		p.BlockFragment = block[:min(n, len(block))]
		block = block[len(p.BlockFragment):]
		p.EndHeaders = len(block) == 0
		f.WriteHeaders(p)
		for len(block) > 0 {
			part := block[:min(n, len(block))]
			block = block[len(part):]
			f.WriteContinuation(p.StreamID, len(block) == 0, part)
		}
	})
}

func get(k *framesOf, more ...string) []byte {
	return k.fields(0, append([]string{":method", "GET", ":scheme", "http", ":authority", "shop.secret.example", ":path", "/a?code=S3CRETcode"}, more...)...)
}

// TestHTTP2Frames has frames of all kinds keep what they are, without what was said in them.
func TestHTTP2Frames(t *testing.T) {
	const whole = 1 << 20
	for name, c := range map[string]struct {
		say  func(k *framesOf)
		want string // what is there of what came out, as text
	}{
		"padding_and_priority": {say: func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "cookie", "a=7QmXh2Zk0pLr"), PadLength: 9, Priority: http2.PriorityParam{StreamDep: 0, Weight: 7, Exclusive: true}, EndStream: true}, whole)
			k.say(0, func(f *http2.Framer) { f.WritePriority(3, http2.PriorityParam{StreamDep: 1, Weight: 3}) })
		}},
		"secret_padding": {say: func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "content-type", "text/plain")}, whole)
			k.say(0, func(f *http2.Framer) {
				f.WriteRawFrame(http2.FrameData, http2.FlagDataPadded|http2.FlagDataEndStream, 1, []byte("\x13hi hunter2-S3CRET here"))
			})
		}, want: "\x13hi " + strings.Repeat("\x00", 19)},
		"continuation": {say: func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "cookie", "a=7QmXh2Zk0pLr"), EndStream: true}, 5)
		}},
		"grown_over_a_frame": {say: func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "x-list", strings.Repeat("1.2.3.4, ", 1800)), EndStream: true}, whole)
		}},
		"push": {say: func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k), EndStream: true}, whole)
			block := k.fields(1, ":method", "GET", ":scheme", "http", ":authority", "shop.secret.example", ":path", "/b?code=S3CRETcode")
			k.say(1, func(f *http2.Framer) {
				f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: block, EndHeaders: true, PadLength: 3})
			})
			k.head(1, http2.HeadersFrameParam{StreamID: 2, BlockFragment: k.fields(1, ":status", "200", "content-type", "text/plain")}, whole)
			k.say(1, func(f *http2.Framer) { f.WriteData(2, true, []byte("mail ada@secret.example")) })
		}},
		"goaway_ping_unknown": {say: func(k *framesOf) {
			k.say(1, func(f *http2.Framer) { f.WriteGoAway(7, http2.ErrCodeNo, []byte("hunter2-S3CRET")) })
			k.say(0, func(f *http2.Framer) { f.WritePing(false, [8]byte([]byte("x9Kd8s7h"))) })
			k.say(0, func(f *http2.Framer) { f.WriteRawFrame(0x77, 3, 5, []byte("hunter2-S3CRET")) })
			k.say(1, func(f *http2.Framer) { f.WriteRawFrame(http2AltSvc, 0, 0, []byte("\x00\x10h.secret.exampleh3=:443")) })
			k.say(0, func(f *http2.Framer) { f.WriteRawFrame(http2PriorityUpdate, 0, 0, []byte("\x00\x00\x00\x01u=3, i")) })
			k.say(0, func(f *http2.Framer) { f.WriteRawFrame(http2PriorityUpdate, 0, 0, []byte("\x00\x00\x00\x01x9Kd8s7h")) })
			k.say(0, func(f *http2.Framer) { f.WriteWindowUpdate(0, 1<<20) })
			k.say(0, func(f *http2.Framer) {
				f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}, http2.Setting{ID: 0x7a7a, Val: 0x39394b64})
			})
		}, want: "u=3, i"},
		"table_sizes": {say: func(k *framesOf) {
			k.say(1, func(f *http2.Framer) {
				f.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 64 << 10})
			})
			k.table[0].SetMaxDynamicTableSizeLimit(64 << 10)
			for i := range 40 {
				k.table[0].SetMaxDynamicTableSize([]uint32{100, 0, 64 << 10, 4096}[i/3%4])
				k.head(0, http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: get(k, "cookie", "a=7QmXh2Zk0pLr", "x-from", "1.2.3.4", fmt.Sprint("x-n-", i%7), fmt.Sprint(i)), EndStream: true}, whole)
			}
		}},
		"interim_and_trailer": {say: func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "content-type", "text/plain", "content-length", "26")}, whole)
			k.head(1, http2.HeadersFrameParam{StreamID: 1, BlockFragment: k.fields(1, ":status", "103", "link", "<http://h.secret.example/x>")}, whole)
			k.say(0, func(f *http2.Framer) { f.WriteData(1, false, []byte("1.2.3.4 mail ada@secret")) })
			k.say(0, func(f *http2.Framer) { f.WriteData(1, false, []byte(".ex")) })
			k.head(1, http2.HeadersFrameParam{StreamID: 1, BlockFragment: k.fields(1, ":status", "204"), EndStream: true}, whole)
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: k.fields(0, "x-api-key", "k3yS3CRETk3y"), EndStream: true}, whole)
		}},
		"reset": {say: func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "content-type", "text/plain")}, whole)
			k.say(0, func(f *http2.Framer) { f.WriteData(1, false, []byte("hunter2-S3CRET")) })
			k.say(1, func(f *http2.Framer) { f.WriteRSTStream(1, http2.ErrCodeCancel) })
			k.say(0, func(f *http2.Framer) { f.WriteData(1, false, []byte("hunter2-S3CRET")) })
		}, want: "xxxxxxxxxxxxxx"},
		"no_end": {say: func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "content-type", "text/plain")}, whole)
			k.say(0, func(f *http2.Framer) { f.WriteData(1, false, []byte("hunter2-S3CRET")) })
		}, want: "xxxxxxxxxxxxxx"},
		"no_head": {say: func(k *framesOf) {
			k.say(0, func(f *http2.Framer) { f.WriteData(1, true, []byte("hunter2-S3CRET")) })
		}, want: "xxxxxxxxxxxxxx"},
		"shorter_and_longer": {say: func(k *framesOf) {
			for i := range uint32(20) {
				text := fmt.Sprintf(`{"a":"1.2.3.4","b":"255.255.255.%d"}`, i)
				k.head(0, http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: get(k, "content-type", "application/json", "content-length", fmt.Sprint(len(text)))}, whole)
				k.say(0, func(f *http2.Framer) {
					f.WriteDataPadded(2*i+1, false, []byte(text[:9]), make([]byte, 5))
					f.WriteData(2*i+1, false, []byte(text[9:]))
					f.WriteData(2*i+1, true, nil)
				})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newFrames()
			c.say(k)
			was := both(t, &k.talk)
			for _, n := range []int{1 << 20, 1} {
				in := cut(&k.talk, n)
				out, z := sanitize(t, Options{}, in)
				now := both(t, out[0])
				framesStay(t, was, now)
				for _, l := range leaks(now[0].flat.String()+now[1].flat.String()+out[0].all(), planted...) {
					t.Errorf("%s is left", l)
				}
				if !strings.Contains(out[0].all(), c.want) {
					t.Errorf("%q is not in %q", c.want, out[0].all())
				}
				same(t, in, out[0])
				s := z.Search()
				out[0].run(t, s)
				if list, n := s.Found(); n > 0 {
					t.Errorf("%d finds, as %v", n, list[0])
				}
			}
		})
	}
}

// TestHTTP2Late begins in the middle: what refers to what was said before still does, and stays unknown.
func TestHTTP2Late(t *testing.T) {
	k := newFrames()
	for i := range uint32(9) {
		k.head(0, http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: get(k, "cookie", "a=7QmXh2Zk0pLr", "x-from", "1.2.3.4", "x-n", fmt.Sprint("hunter2-S3CRET-", i)), EndStream: true}, 1<<20)
		k.head(1, http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: k.fields(1, ":status", "200", "set-cookie", fmt.Sprint("b=x9Kd8s7h", i)), EndStream: true}, 1<<20)
	}
	late := &talk{transport: flow.TCP, said: k.said[len(k.said)-8:]}
	out, z := sanitize(t, Options{}, late)
	same(t, late, out[0])
	for i := range out[0].said {
		if len(out[0].said[i].text) != len(late.said[i].text) && strings.Contains(late.said[i].text, "1.2.3.4") {
			t.Errorf("%q became %q", late.said[i].text, out[0].said[i].text)
		}
	}
	s := z.Search()
	out[0].run(t, s)
	if list, n := s.Found(); n > 0 {
		t.Errorf("%d finds, as %v", n, list[0])
	}
	// With what was said before in front of it, all is read, and nothing is left.
	before := &talk{transport: flow.TCP, said: append(append([]said(nil), k.said[:len(k.said)-8]...), out[0].said...)}
	now := both(t, before)
	for _, f := range now[0].fields[len(now[0].fields)-7:] {
		if strings.Contains(f, "hunter2-S3CRET-8") {
			t.Errorf("%s is left", f)
		}
	}
}

// TestHTTP2Upgraded goes on in HTTP/2 behind HTTP/1.
func TestHTTP2Upgraded(t *testing.T) {
	k := newFrames()
	frames := k.said
	k.said = []said{
		{0, "GET /a?code=S3CRETcode HTTP/1.1\r\nHost: shop.secret.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nCookie: a=7QmXh2Zk0pLr\r\n\r\n"},
		{1, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"},
	}
	k.said = append(k.said, frames...)
	k.head(1, http2.HeadersFrameParam{StreamID: 1, BlockFragment: k.fields(1, ":status", "200", "content-type", "text/plain", "set-cookie", "a=7QmXh2Zk0pLr")}, 1<<20)
	k.say(1, func(f *http2.Framer) { f.WriteData(1, true, []byte("mail ada@secret.example")) })
	for _, n := range []int{1, 1 << 20} {
		in := cut(&k.talk, n)
		out, z := sanitize(t, Options{}, in)
		same(t, in, out[0])
		client, server := out[0].sides()
		i, j := bytes.Index(client, []byte("PRI ")), bytes.Index(server, []byte("\r\n\r\n"))+4
		now := [2]*seen{read(t, 0, client[i:]), read(t, 1, server[j:])}
		for _, l := range leaks(now[0].flat.String()+now[1].flat.String()+out[0].all(), planted...) {
			t.Errorf("%s is left", l)
		}
		if !bytes.Contains(client, []byte("AAMAAABkAAQAoAAAAAIAAAAA")) || len(z.Summary().Blanked) > 0 {
			t.Errorf("%+v in\n%s", z.Summary(), client)
		}
	}
}

// TestHTTP2Found wants what is left on purpose to be found: in Huffman's code, in blocks of messages that nobody asked for,
// in what is compressed in gRPC.
func TestHTTP2Found(t *testing.T) {
	secret := post("", `{"password":"hunter2-S3CRET"}`, "application/json", `{}`)
	_, z := sanitize(t, Options{}, secret)
	for name, say := range map[string]func(k *framesOf){
		"field": func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "x-some", "hunter2-S3CRET")}, 1<<20)
		},
		"encoded_field": func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "x-some", "q=hunter2%2DS3CRET")}, 1<<20)
		},
		"forgotten_trailer": func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k), EndStream: true}, 1<<20)
			k.say(1, func(f *http2.Framer) { f.WriteRSTStream(1, http2.ErrCodeCancel) })
			k.head(1, http2.HeadersFrameParam{StreamID: 1, BlockFragment: k.fields(1, "x-some", "hunter2-S3CRET"), EndStream: true}, 1<<20)
		},
		"grpc": func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "content-type", "application/grpc")}, 1<<20)
			k.say(0, func(f *http2.Framer) {
				f.WriteData(1, true, append(bytes.Repeat(call(false, wireText(1, "a")), 80), call(true, wireText(1, strings.Repeat("a b ", 50)+"hunter2-S3CRET"))...))
			})
		},
		"gzip": func(k *framesOf) {
			k.head(0, http2.HeadersFrameParam{StreamID: 1, BlockFragment: get(k, "content-type", "text/plain", "content-encoding", "gzip")}, 1<<20)
			k.say(0, func(f *http2.Framer) { f.WriteData(1, true, []byte(gz(strings.Repeat("a b ", 50)+"hunter2-S3CRET"))) })
		},
	} {
		k := newFrames()
		say(k)
		if strings.Contains(k.all(), "hunter2-S3CRET") {
			t.Fatalf("%s: it is not hidden in %q", name, k.all())
		}
		s := z.Search()
		k.run(t, s)
		if list, n := s.Found(); n == 0 || list[0].Kind != Password {
			t.Errorf("%s: not found", name)
		}
	}
}

// TestHTTP2Bounds has what is too large, waits for too long, or would outgrow its window be blanked, and no more.
func TestHTTP2Bounds(t *testing.T) {
	data := func(k *framesOf, id uint32, text string) {
		for len(text) > 0 {
			part := text[:min(len(text), 16<<10)]
			text = text[len(part):]
			k.say(0, func(f *http2.Framer) { f.WriteData(id, text == "", []byte(part)) })
		}
	}
	head := func(k *framesOf, id uint32, fields ...string) {
		k.head(0, http2.HeadersFrameParam{StreamID: id, BlockFragment: get(k, fields...)}, 1<<14)
	}
	large := strings.Repeat("words ", KeepBytes/6+5000) + "ada@secret.example and more"
	for name, c := range map[string]struct {
		say  func(k *framesOf)
		want func(body []byte) bool // of stream 1
	}{
		"large": {func(k *framesOf) {
			head(k, 1, "content-type", "text/plain", "content-length", fmt.Sprint(len(large)))
			data(k, 1, large)
		}, func(b []byte) bool { return len(b) == len(large) && bytes.Count(b, []byte("x")) == len(large) }},
		"large_grpc": {func(k *framesOf) {
			head(k, 1, "content-type", "application/grpc")
			data(k, 1, string(call(false, wireText(1, "a")))+string(call(false, wireText(1, large)))+string(call(false, wireText(1, "the last ada@secret.example"))))
		}, func(b []byte) bool {
			n := 5 + len(wireText(1, "a"))
			m := n + 5 + len(wireText(1, large))
			return len(b) > m && string(b[n:n+5]) == string(call(false, wireText(1, large))[:5]) && len(bytes.Trim(b[n+5:m], "x\r\n")) == 0 && bytes.Contains(b[m:], []byte("the last "))
		}},
		"waits": {func(k *framesOf) {
			head(k, 1, "content-type", "text/plain", "content-length", "100")
			k.say(0, func(f *http2.Framer) { f.WriteData(1, false, []byte("hunter2-S3CRET")) })
			for id := uint32(3); id < 13; id += 2 {
				head(k, id, "content-type", "text/plain", "x-api-key", "k3yS3CRETk3y")
				data(k, id, strings.Repeat(" ", 2_000_000))
			}
			k.say(0, func(f *http2.Framer) { f.WriteData(1, true, []byte("hunter2-S3CRET"+strings.Repeat(".", 72))) })
		}, func(b []byte) bool { return bytes.Count(b, []byte("x")) == 100 }},
		"window": {func(k *framesOf) {
			k.say(1, func(f *http2.Framer) {
				f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 20})
			})
			head(k, 1, "content-type", "text/plain", "content-length", "20")
			k.say(0, func(f *http2.Framer) { f.WriteData(1, true, []byte("1.2.3.4, and 1.2.3.4")) })
		}, func(b []byte) bool { return string(b) == strings.Repeat("x", 20) }},
	} {
		t.Run(name, func(t *testing.T) {
			k := newFrames()
			c.say(k)
			out, z := sanitize(t, Options{}, &k.talk)
			was, now := both(t, &k.talk), both(t, out[0])
			framesStay(t, was, now)
			if b := now[0].bodies[1]; !c.want(b) {
				t.Errorf("the body became %.100q…%q, of %d bytes", b, b[max(0, len(b)-100):], len(b))
			}
			if len(z.Summary().Blanked) == 0 {
				t.Error("it is not told that something is blanked")
			}
			for _, s := range []string{"S3CRET", "ada@secret", "1.2.3.4"} {
				if strings.Contains(now[0].flat.String(), s) {
					t.Errorf("%s is left", s)
				}
			}
		})
	}
}

// said in a fuzzed connection.
var fuzzedBodies = []struct{ typ, encoding, text string }{
	{"application/json", "", `{"password":"hunter2-S3CRET","from":"1.2.3.4","mail":"ada@secret.example"}`},
	{"application/json", "gzip", gz(`{"password":"hunter2-S3CRET","from":"10.77.66.55","mail":"ada@secret.example"}`)},
	{"application/x-www-form-urlencoded", "", "password=form-S3CRET%2Bpw&ip=10.77.66.55"},
	{"text/plain", "", "ada@secret.example at 10.77.66.55 or 255.255.255.255"},
	{"application/octet-stream", "", "\x00\x01\x02hunter2-S3CRET\x00\x01\x02"},
	{"application/grpc", "", string(call(false, wireText(1, "mail carol@secret.example"))) + string(call(true, wireText(2, "from 10.77.66.55")))},
	{"application/grpc+json", "", string(call(false, []byte(`{"password":"hunter2-S3CRET"}`)))},
	{"application/x-protobuf", "", string(wireText(3, string(wireText(4, "dave@secret.example"))))},
}

// fuzzedStream is a stream with what is left to be said on each side.
type fuzzedStream struct {
	id   uint32
	left [2]string
	open [2]bool
}

// fuzzed is a connection that steps make.
func fuzzed(steps []byte) *framesOf {
	k := newFrames()
	var list []*fuzzedStream
	next := func() (b byte) {
		if len(steps) > 0 {
			b, steps = steps[0], steps[1:]
		}
		return b
	}
	pick := func(d flow.Direction) *fuzzedStream {
		n := int(next())
		for i := range list {
			if s := list[(i+n)%len(list)]; s.open[d] {
				return s
			}
		}
		return nil
	}
	var resized [2]bool
	head := func(d flow.Direction, id uint32, block []byte, end bool) {
		resized[d] = false
		shape := next()
		p := http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: end, PadLength: shape & 7}
		if shape&8 != 0 {
			p.Priority = http2.PriorityParam{Weight: shape}
		}
		k.head(d, p, int(max(shape, 1))*4)
	}
	for len(steps) > 0 {
		op := next()
		d := flow.Direction(op >> 7)
		switch op & 0x0f {
		case 0, 1, 2: // a request
			b := &fuzzedBodies[int(next())%len(fuzzedBodies)]
			s := &fuzzedStream{id: uint32(2*len(list) + 1), left: [2]string{b.text, b.text}, open: [2]bool{true, true}}
			fields := []string{"cookie", "a=7QmXh2Zk0pLr", "authorization", "Bearer " + secretJWT, "content-type", b.typ, "x-from", "10.77.66.55", "x-n", fmt.Sprint(len(list) % 3)}
			if b.encoding != "" {
				fields = append(fields, "content-encoding", b.encoding)
			}
			if op&0x10 != 0 {
				fields = append(fields, "content-length", fmt.Sprint(len(b.text)))
			}
			list = append(list, s)
			if s.open[0] = op&0x20 == 0; !s.open[0] {
				fields = nil
			}
			head(0, s.id, get(k, fields...), !s.open[0])
		case 3, 4: // an answer
			if s := pick(1); s != nil {
				b := &fuzzedBodies[int(next())%len(fuzzedBodies)]
				s.left[1] = b.text
				fields := []string{":status", "200", "content-type", b.typ, "set-cookie", "a=set-S3CRET-c00kie; Domain=shop.secret.example"}
				if b.encoding != "" {
					fields = append(fields, "content-encoding", b.encoding)
				}
				head(1, s.id, k.fields(1, fields...), false)
			}
		case 5, 6, 7, 8: // content
			if s := pick(d); s != nil {
				n := min(len(s.left[d]), int(next()))
				text := s.left[d][:n]
				s.left[d] = s.left[d][n:]
				s.open[d] = s.left[d] != ""
				k.say(d, func(f *http2.Framer) {
					if op&0x10 != 0 {
						f.WriteDataPadded(s.id, !s.open[d], []byte(text), make([]byte, op>>5&3))
					} else {
						f.WriteData(s.id, !s.open[d], []byte(text))
					}
				})
			}
		case 9: // a trailer
			if s := pick(d); s != nil {
				s.open[d] = false
				head(d, s.id, k.fields(d, "x-api-key", "k3yS3CRETk3y", "grpc-status", "0"), true)
			}
		case 10:
			k.say(d, func(f *http2.Framer) { f.WritePing(op&0x10 != 0, [8]byte([]byte("x9Kd8s7h"))) })
		case 11:
			if n := uint32(next()) * 8; !resized[d] { // x/net reads one new size before a block
				k.table[d].SetMaxDynamicTableSize(n)
				resized[d] = true
			}
		case 12:
			k.say(d, func(f *http2.Framer) { f.WriteGoAway(1, http2.ErrCodeNo, []byte("hunter2-S3CRET")) })
		case 13:
			if s := pick(d); s != nil && op&0x10 != 0 {
				s.open = [2]bool{}
				k.say(d, func(f *http2.Framer) { f.WriteRSTStream(s.id, http2.ErrCodeCancel) })
			}
		case 14:
			k.say(d, func(f *http2.Framer) {
				f.WriteRawFrame(http2.FrameType("\x0a\x0c\x10\x77"[next()%4]), http2.Flags(op), 0, []byte("hunter2-S3CRET"))
			})
		case 15:
			k.say(d, func(f *http2.Framer) { f.WriteWindowUpdate(0, uint32(next())+1) })
		}
	}
	return k
}

// FuzzHTTP2Frames wants what comes out to be read by a parser that is not ours, with as many frames
// of the same types and streams, and without what was planted; however it is cut.
func FuzzHTTP2Frames(f *testing.F) {
	f.Add([]byte{0, 0, 0xff, 5, 0, 200, 3, 0, 1, 0xff, 0x85, 0, 20, 0x85, 0, 255}, uint16(1))
	f.Add([]byte{0x10, 1, 9, 0x35, 0, 30, 0x15, 0, 255, 3, 0, 5, 0xff, 0x85, 0, 9, 0x85, 0, 255, 0x89, 0, 3}, uint16(7))
	f.Add([]byte{0, 2, 1, 0, 3, 2, 0, 4, 3, 0, 5, 4, 11, 2, 0, 6, 5, 0, 7, 255, 5, 0, 9, 5, 1, 8, 5, 2, 7, 9, 3, 0, 10, 0x8a, 12, 0x1d, 0, 14, 0, 15, 9}, uint16(1000))
	f.Fuzz(func(t *testing.T, steps []byte, size uint16) {
		if len(steps) > 200 {
			return
		}
		k := cut(&fuzzed(steps).talk, int(size)+1)
		was := both(t, k)
		out, z := sanitize(t, Options{}, k)
		now := both(t, out[0])
		framesStay(t, was, now)
		for _, l := range leaks(now[0].flat.String()+now[1].flat.String()+out[0].all(), planted...) {
			t.Errorf("%s is left", l)
		}
		s := z.Search()
		out[0].run(t, s)
		if list, n := s.Found(); n > 0 {
			t.Errorf("%d finds, as %v", n, list[0])
		}
		_, x := k.run(t, nil)
		_, y := out[0].run(t, nil)
		if len(x) != len(y) {
			t.Fatalf("%d exchanges became %d", len(x), len(y))
		}
		for i := range x {
			if x[i].State != y[i].State {
				t.Errorf("exchange %d was %s, is %s", i, x[i].State, y[i].State)
			}
		}
	})
}

// FuzzHTTP2 says anything.
func FuzzHTTP2(f *testing.F) {
	for _, steps := range [][]byte{{0, 0, 0xff, 5, 0, 200, 3, 0, 1, 0xff, 0x85, 0, 20, 0x85, 0, 255}, {0, 5, 1, 5, 0, 255, 9, 0, 3, 11, 1, 0, 2, 255}} {
		f.Add(fuzzed(steps).sides())
	}
	fuzz(f, "http2")
}
