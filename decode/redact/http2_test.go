package redact

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// tap takes note of what is written to a connection.
type tap struct {
	net.Conn
	d  flow.Direction
	to *taped
}

type taped struct {
	sync.Mutex
	said []said
}

func (c tap) Write(b []byte) (int, error) {
	c.to.Lock()
	c.to.said = append(c.to.said, said{c.d, string(b)})
	c.to.Unlock()
	return c.Conn.Write(b)
}

// taps wraps the connections of a listener.
type taps struct {
	net.Listener
	to *taped
}

func (l taps) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return tap{conn, flow.ServerToClient, l.to}, err
}

// inClear has net/http speak HTTP/2 without TLS.
func inClear() *nethttp.Protocols {
	p := new(nethttp.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// serve has a server of net/http answer in HTTP/2 until the test ends, and returns where.
func serve(t testing.TB, to *taped, answer nethttp.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &nethttp.Server{Handler: answer, Protocols: inClear()}
	go server.Serve(taps{listener, to})
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// spoken is what a client and a server of net/http say to each other when requests are sent.
func spoken(t testing.TB, answer nethttp.HandlerFunc, requests ...*nethttp.Request) *talk {
	t.Helper()
	var both taped
	addr := serve(t, &both, answer)
	client := &nethttp.Transport{Protocols: inClear(), DisableCompression: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return tap{conn, flow.ClientToServer, &both}, err
	}}
	for _, q := range requests {
		resp, err := client.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	client.CloseIdleConnections()
	both.Lock()
	defer both.Unlock()
	return &talk{transport: flow.TCP, said: slices.Clone(both.said)}
}

// seen is what another parser reads in a direction.
type seen struct {
	kinds  []string          // of the frames but CONTINUATION, with their streams and flags
	fields []string          // name: value, of all blocks
	bodies map[uint32][]byte // of streams
	heads  map[uint32]map[string]string
	flat   strings.Builder // all of them, without encodings
}

// read has golang.org/x/net read what one side says, and wants it to have no fault.
func read(t testing.TB, d flow.Direction, data []byte) *seen {
	t.Helper()
	v := &seen{bodies: make(map[uint32][]byte), heads: make(map[uint32]map[string]string)}
	if d == flow.ClientToServer {
		rest, ok := bytes.CutPrefix(data, []byte(http2.ClientPreface))
		if !ok {
			t.Fatalf("no preface: %.40q", data)
		}
		data = rest
	}
	f := http2.NewFramer(nil, bytes.NewReader(data))
	f.SetMaxReadFrameSize(1<<24 - 1)
	f.AllowIllegalReads = true
	table := hpack.NewDecoder(4096, nil)
	table.SetAllowedMaxDynamicTableSize(1 << 20)
	var block []byte
	for {
		frame, err := f.ReadFrame()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		h := frame.Header()
		flags := h.Flags
		if h.Type == http2.FrameHeaders || h.Type == http2.FramePushPromise {
			flags &^= http2.FlagHeadersEndHeaders
		}
		if h.Type != http2.FrameContinuation {
			v.kinds = append(v.kinds, fmt.Sprintf("%s %d %x", h.Type, h.StreamID, flags))
		}
		ended := false
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			block, ended = append(block[:0], frame.HeaderBlockFragment()...), frame.HeadersEnded()
		case *http2.ContinuationFrame:
			block, ended = append(block, frame.HeaderBlockFragment()...), frame.HeadersEnded()
		case *http2.PushPromiseFrame:
			block, ended = append(block[:0], frame.HeaderBlockFragment()...), frame.HeadersEnded()
		case *http2.DataFrame:
			v.bodies[h.StreamID] = append(v.bodies[h.StreamID], frame.Data()...)
		case *http2.GoAwayFrame:
			fmt.Fprintf(&v.flat, "%s\n", frame.DebugData())
		case *http2.PingFrame:
			fmt.Fprintf(&v.flat, "%s\n", frame.Data[:])
		case *http2.UnknownFrame:
			fmt.Fprintf(&v.flat, "%s\n", frame.Payload())
		}
		if !ended {
			continue
		}
		list, err := table.DecodeFull(block)
		if err != nil {
			t.Fatalf("%s, stream %d: %v", d, h.StreamID, err)
		}
		if v.heads[h.StreamID] == nil {
			v.heads[h.StreamID] = make(map[string]string)
		}
		for _, x := range list {
			v.fields = append(v.fields, x.Name+": "+x.Value)
			v.heads[h.StreamID][x.Name] = x.Value
		}
	}
	fmt.Fprintln(&v.flat, strings.Join(v.fields, "\n"))
	for id, b := range v.bodies {
		v.flat.Write(b)
		h := proto.HTTPMessage{Fields: []proto.Field{{Name: "Content-Encoding", Value: v.heads[id]["content-encoding"]}}}
		if plain, err := h.Decoded(b, 1<<24); err == nil {
			v.flat.Write(plain)
		}
		for strings.HasPrefix(v.heads[id]["content-type"], "application/grpc") && len(b) >= 5 {
			n := min(5+int(binary.BigEndian.Uint32(b[1:])), len(b))
			if b[0] == 1 {
				h.Fields[0].Value = "gzip"
				plain, _ := h.Decoded(b[5:n], 1<<24) // of what there is
				v.flat.Write(plain)
			}
			b = b[n:]
		}
	}
	return v
}

// both is what another parser reads of both sides.
func both(t testing.TB, k *talk) [2]*seen {
	t.Helper()
	client, server := k.sides()
	return [2]*seen{read(t, flow.ClientToServer, client), read(t, flow.ServerToClient, server)}
}

// framesStay wants as many frames as there were, of the same types, streams and flags, in the same order;
// but that some content may need another frame.
func framesStay(t testing.TB, was, now [2]*seen) {
	t.Helper()
	for d := range was {
		if !slices.Equal(was[d].kinds, now[d].kinds) {
			t.Errorf("%s: the frames\n%q became\n%q", flow.Direction(d), was[d].kinds, now[d].kinds)
		}
		for id, b := range now[d].bodies {
			if n, ok := now[d].heads[id]["content-length"]; ok && n != fmt.Sprint(len(b)) && was[d].heads[id]["content-length"] == fmt.Sprint(len(was[d].bodies[id])) {
				t.Errorf("%s, stream %d: %d bytes, where %s are declared", flow.Direction(d), id, len(b), n)
			}
		}
	}
}

func request(t testing.TB, method, url, body string, fields ...string) *nethttp.Request {
	q, err := nethttp.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == "" {
		q.Body, q.ContentLength = nil, 0
	}
	for i := 0; i < len(fields); i += 2 {
		q.Header.Add(fields[i], fields[i+1])
	}
	return q
}

// call is a message of gRPC.
func call(compressed bool, message []byte) []byte {
	flag := byte(0)
	if compressed {
		flag, message = 1, []byte(gz(string(message)))
	}
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(message))), message...)
}

func wireText(number protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), text)
}

// planted are secrets, which stand in what plant says.
var planted = []string{
	"7QmXh2Zk0pLr", "x9Kd8s7h", "hunter2-S3CRET", "k3yS3CRETk3y", "S3CRETcode", "ada@secret.example", "pw-S3CRET-pw", "tok-S3CRET-tok", "h.secret.example", secretJWT,
	"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "10.77.66.55", "trailer-S3CRET-1", "carol@secret.example", "dave@secret.example", "4111111111111111", "erin@secret.example",
	"2001:db8:77::55", "form-S3CRET+pw", "shop.secret.example", "set-S3CRET-c00kie", "frank@secret.example",
}

// plant is a connection with secrets in all places.
func plant(t testing.TB) *talk {
	message := append(wireText(1, "hello"), wireText(2, "mail carol@secret.example")...)
	inner := append(wireText(4, "from 10.77.66.55 or 2001:db8:77::55"), wireText(3, "dave@secret.example")...)
	message = append(message, wireText(3, string(inner))...)
	message = protowire.AppendVarint(protowire.AppendTag(message, 7, protowire.VarintType), 4111111111111111)
	message = append(message, wireText(9, "\x00\x01\x02erin@secret.example\xff")...)
	answer := func(w nethttp.ResponseWriter, r *nethttp.Request) {
		body, _ := io.ReadAll(r.Body)
		h := w.Header()
		h.Set("Set-Cookie", "sid=set-S3CRET-c00kie; Path=/; Domain=.shop.secret.example")
		switch r.URL.Path {
		case "/json":
			text := `{"token":"tok-S3CRET-tok","from":"10.77.66.55","list":["` + strings.Repeat("abc def ", 5000) + `"],"mail":"frank@secret.example"}`
			if r.Header.Get("X-Zip") != "" {
				h.Set("Content-Encoding", "gzip")
				text = gz(text)
			}
			h.Set("Content-Type", "application/json")
			h.Set("Content-Length", fmt.Sprint(len(text)))
			io.WriteString(w, text)
		case "/shop.v1.Orders/Get":
			h.Set("Content-Type", "application/grpc+proto")
			h.Set("Trailer", "Grpc-Status, X-Api-Key")
			w.Write(body)
			w.(nethttp.Flusher).Flush()
			w.Write(call(true, message))
			h.Set("Grpc-Status", "0")
			h.Set("X-Api-Key", "trailer-S3CRET-1")
		case "/blob":
			h.Set("Content-Type", "application/octet-stream")
			io.WriteString(w, "\x00\x01erin@secret.example\x02\x03")
		default:
			h.Set("Location", "https://ada:pw-S3CRET-pw@h.secret.example/p?access_token=tok-S3CRET-tok")
			w.WriteHeader(302)
		}
	}
	const at = "http://shop.secret.example"
	var list []*nethttp.Request
	for range 2 { // so that fields become references
		list = append(list, request(t, "GET", at+"/cb?code=S3CRETcode&mail=ada%40secret.example", "", "Cookie", "sid=7QmXh2Zk0pLr; lang=en%2Fx9Kd8s7h", "Authorization", "Bearer "+secretJWT,
			"X-Api-Key", "k3yS3CRETk3y", "X-Thing", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "X-Forwarded-For", "10.77.66.55",
			"Referer", "http://ada:pw-S3CRET-pw@h.secret.example/p?access_token=tok-S3CRET-tok"))
	}
	long := strings.Repeat("v", 20_000)
	return spoken(t, answer, append(list,
		request(t, "POST", at+"/json", `{"password":"hunter2-S3CRET","ip":"10.77.66.55"}`, "Content-Type", "application/json"),
		request(t, "POST", at+"/json", gz(`{"password":"hunter2-S3CRET","card":4111111111111111}`), "Content-Type", "application/json", "Content-Encoding", "gzip", "X-Zip", "1"),
		request(t, "POST", at+"/form", "user=ada&password=form-S3CRET%2Bpw&email=ada%40secret.example", "Content-Type", "application/x-www-form-urlencoded", "X-Long", long+" ada@secret.example"),
		request(t, "POST", at+"/shop.v1.Orders/Get", string(append(call(false, message), call(true, message)...)), "Content-Type", "application/grpc", "Grpc-Encoding", "gzip", "Te", "trailers"),
		request(t, "GET", at+"/blob", ""),
	)...)
}

// TestHTTP2Secrets plants secrets, and wants none of them to be left for a parser that is not ours, and
// the connection to be as it was otherwise; however it was cut.
func TestHTTP2Secrets(t *testing.T) {
	k := plant(t)
	was := both(t, k)
	for _, s := range planted {
		if len(leaks(was[0].flat.String()+was[1].flat.String(), s)) == 0 {
			t.Fatalf("%q was not planted", s)
		}
	}
	client, server := k.sides()
	cuts := map[string]*talk{"as_it_came": k}
	for _, n := range []int{1, 7, 1000} {
		cuts[fmt.Sprint(n)] = cut(k, n)
	}
	var first [2]string
	for name, k := range cuts {
		out, z := sanitize(t, Options{}, k)
		now := both(t, out[0])
		framesStay(t, was, now)
		for _, l := range leaks(now[0].flat.String()+now[1].flat.String()+out[0].all(), planted...) {
			t.Errorf("%s: %s is left", name, l)
		}
		same(t, k, out[0])
		s := z.Search()
		out[0].run(t, s)
		if list, n := s.Found(); n > 0 {
			t.Errorf("%s: %d finds, as %v", name, n, list[0])
		}
		c, v := out[0].sides()
		if first == [2]string{} {
			first = [2]string{string(c), string(v)}
		} else if first != [2]string{string(c), string(v)} {
			t.Errorf("%s: it came out otherwise than cut otherwise", name)
		}
		if len(c) > len(client)*11/10 || len(v) > len(server)*11/10 {
			t.Errorf("%d and %d bytes became %d and %d", len(client), len(server), len(c), len(v))
		}
		if heads := now[0].heads; heads[11][":path"] != "/shop.v1.Orders/Get" {
			t.Errorf("the call became %s", heads[11][":path"])
		}
		calls(t, now[0].bodies[11], 2)
		calls(t, now[1].bodies[11], 3)
	}
}

// calls wants messages of gRPC, of protobuf.
func calls(t *testing.T, b []byte, n int) {
	t.Helper()
	for ; len(b) >= 5; n-- {
		size := 5 + int(binary.BigEndian.Uint32(b[1:]))
		message := b[5:size]
		if b[0] == 1 {
			_, message, _ = unpacked(message)
		}
		if wireOf(message) == noWire {
			t.Errorf("%q is no message", message)
		}
		if !bytes.Contains(message, []byte("hello")) {
			t.Errorf("the text is lost in %q", message)
		}
		b = b[size:]
	}
	if n != 0 || len(b) > 0 {
		t.Errorf("%d messages too few, and %d bytes", n, len(b))
	}
}

// cut is the same in pieces of n bytes.
func cut(k *talk, n int) *talk {
	out := &talk{transport: k.transport, protocol: k.protocol}
	for _, s := range k.said {
		for text := s.text; text != ""; {
			part := text[:min(n, len(text))]
			out.said = append(out.said, said{s.d, part})
			text = text[len(part):]
		}
	}
	return out
}

// TestHTTP2Replayed has a server read what a client says before and after it is sanitised: it answers the same.
func TestHTTP2Replayed(t *testing.T) {
	k := plant(t)
	out, _ := sanitize(t, Options{}, k)
	was, now := answered(t, k), answered(t, out[0])
	t.Log(was)
	if was != now || strings.Count(was, ":200 ") != 7 {
		t.Errorf("a server answers\n%s, and then\n%s", was, now)
	}
}

// answered is what a server of net/http answers to what a client says, stream by stream: what it was
// asked for, with what length, and what it understood of that.
func answered(t *testing.T, k *talk) string {
	t.Helper()
	addr := serve(t, new(taped), func(w nethttp.ResponseWriter, r *nethttp.Request) {
		values := 0
		if err := r.ParseForm(); err == nil {
			values = len(r.Form)
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(400)
		}
		if r.Header.Get("Content-Encoding") == "gzip" {
			h := proto.HTTPMessage{Fields: []proto.Field{{Name: "Content-Encoding", Value: "gzip"}}}
			if b, err = h.Decoded(b, 1<<20); err != nil {
				w.WriteHeader(400)
			}
		}
		if strings.HasSuffix(r.URL.Path, "/json") && !json.Valid(b) {
			w.WriteHeader(400)
		}
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %d fields, %d cookies, %d values", r.Method, r.URL.Path, len(r.Header), len(r.Cookies()), values))
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client, _ := k.sides()
	go conn.Write(client)
	f := http2.NewFramer(nil, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var list []string
	for len(list) < 7 {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			line := fmt.Sprintf("%d:%s", frame.StreamID, frame.PseudoValue("status"))
			for _, x := range frame.RegularFields() {
				if x.Name == "x-seen" {
					line += " " + x.Value
				}
			}
			list = append(list, line)
		case *http2.GoAwayFrame:
			t.Fatal(frame.ErrCode)
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}
