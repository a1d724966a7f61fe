package printer_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"maps"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/encoding/protowire"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/decode/redact"
	"netlab/decode/tls"
	"netlab/pcaps"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
)

// schema is printer.Schema, which a record is held to by its type: the reason why it is
// none of all types would be hard to read.
type schema struct {
	types map[string]*jsonschema.Schema
	whole *jsonschema.Schema
	// first has a record for each path of promised.
	first map[string]map[string]any
}

func compile(t *testing.T) *schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(printer.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	const name = "schema.json"
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s := &schema{types: make(map[string]*jsonschema.Schema), first: make(map[string]map[string]any)}
	if s.whole, err = c.Compile(name); err != nil {
		t.Fatal(err)
	}
	for _, of := range doc.(map[string]any)["oneOf"].([]any) {
		ref := of.(map[string]any)["$ref"].(string)
		if s.types[ref[len("#/$defs/"):]], err = c.Compile(name + ref); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// hold holds each line to the definition of its type.
func (s *schema) hold(t *testing.T, out []byte) []map[string]any {
	t.Helper()
	all := lines(t, out)
	for i, m := range all {
		typ, _ := m["type"].(string)
		def := s.types[typ]
		if def == nil {
			t.Fatalf("a record of type %q", typ)
		}
		if err := def.Validate(m); err != nil {
			t.Errorf("%v\nin %s", err, bytes.Split(out, []byte("\n"))[i])
			continue
		}
		for path := range strings.FieldsSeq(promised[typ]) {
			if key := typ + " " + path; s.first[key] == nil {
				if of, last := find(m, path); of != nil && of[last] != nil {
					s.first[key] = m
				}
			}
		}
	}
	return all
}

// promised are the fields that programs rely on, whatever the schema says: each record
// of a type has them, or null in place of the object that they are in.
var promised = map[string]string{
	"conversation": "id transport client server protocol start end state guessed client_to_server server_to_client " +
		"client_to_server.packets client_to_server.bytes client_to_server.gaps client_to_server.retransmitted server_to_client.out_of_order",
	"http": "conversation index state request response request.time request.method request.target request.host request.version request.headers " +
		"request.body_bytes response.time response.status response.version response.headers response.body_bytes",
	"dns":       "conversation id query response query.questions response.questions",
	"tls":       "conversation sni alpn version server",
	"ftp":       "conversation command argument code text",
	"smtp":      "conversation state request response response.code",
	"redis":     "conversation state request response request.command request.arguments response.kind",
	"postgres":  "conversation state request response request.command response.rows",
	"mysql":     "conversation state request response request.command response.rows",
	"mqtt":      "conversation state request response request.command request.from",
	"websocket": "conversation time direction opcode length final",
	"sse":       "conversation time event data data_bytes",
	"raw":       "conversation state request response request.bytes response.bytes",
	"anomaly":   "packet kind detail",
	"capture":   "file packets bytes truncated link_types undecoded reasons conversations.tcp exchanges.complete",
	"stats":     "protocol conversations exchanges.complete client_to_server.bytes server_to_client.packets",
	"endpoint":  "protocol endpoint exchanges failed incomplete response_bytes",
	"largest":   "conversation protocol client server sent received",
	"tcp":       "conversations packets retransmitted out_of_order zero_windows resets missing_bytes",
	"packet":    "packet time bytes wire_bytes link_type kind",
	"chunk":     "conversation direction offset length",
	"gap":       "conversation direction offset length cut",
	"message":   "conversation direction offset length index protocol kind complete summary",
}

// find returns the object that a path leads to, nil when there is none, and the name of
// the field in it.
func find(m map[string]any, path string) (map[string]any, string) {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		m, _ = m[name].(map[string]any)
	}
	return m, names[len(names)-1]
}

// ways are the ways of looking that print records.
var ways = map[string]func(*bytes.Buffer) (decode.Sink, decode.Options){
	"exchanges": func(b *bytes.Buffer) (decode.Sink, decode.Options) { return printer.NewJSON(b), decode.Options{} },
	"digest": func(b *bytes.Buffer) (decode.Sink, decode.Options) {
		return printer.NewJSON(b), decode.Options{Digest: true}
	},
	"bodies": func(b *bytes.Buffer) (decode.Sink, decode.Options) {
		p := printer.NewJSON(b)
		p.Bodies = true
		return p, decode.Options{Keep: printer.KeepBodies}
	},
	"redact": func(b *bytes.Buffer) (decode.Sink, decode.Options) {
		p := printer.NewJSON(b)
		p.Hide = redact.Finder{}
		return p, decode.Options{}
	},
	"stats": func(b *bytes.Buffer) (decode.Sink, decode.Options) {
		p := printer.NewStats(nil, printer.Style{})
		p.JSON = printer.NewJSON(b)
		return p, decode.Options{}
	},
	"chunks": func(b *bytes.Buffer) (decode.Sink, decode.Options) {
		p := printer.NewChunks(nil, printer.Style{})
		p.JSON = printer.NewJSON(b)
		return p, decode.Options{}
	},
	"messages": func(b *bytes.Buffer) (decode.Sink, decode.Options) {
		p := printer.NewMessages(nil, printer.Style{})
		p.JSON = printer.NewJSON(b)
		return p, decode.Options{}
	},
}

// TestSchema holds every record of every sample, of every transcript, and of what
// neither shows, looked at in each way, to the schema; then the schema to its promises.
func TestSchema(t *testing.T) {
	s := compile(t)
	for way, open := range ways {
		look := func(name string, run func(decode.Sink, decode.Options)) {
			var out bytes.Buffer
			run(open(&out))
			all := s.hold(t, out.Bytes())
			for i, m := range all {
				if last := i == len(all)-1; last != (m["type"] == "capture") {
					t.Errorf("%s, %s: record %d of %d is of type %s", way, name, i, len(all), m["type"])
				}
			}
		}
		for _, x := range samples.List() {
			look(x.Name, func(sink decode.Sink, opts decode.Options) { sample(t, x.Name, sink, opts) })
		}
		for _, text := range []string{everything, packets, hostile, secrets, bodies(t), frames} {
			look("a recipe", func(sink decode.Sink, opts decode.Options) { recipe(t, text, sink, opts) })
		}
		transcripts(t, func(file string, b *craft.Builder, secrets *tls.Secrets, as []decode.As) {
			look(file, func(sink decode.Sink, opts decode.Options) {
				opts.Secrets, opts.As = secrets, as
				if _, err := decode.Run(b.Source(), sink, opts); err != nil {
					t.Fatal(file, err)
				}
			})
		})
	}
	for _, x := range samples.List() {
		for _, segments := range []bool{false, true} {
			r, err := samples.Open(x.Name)
			if err != nil {
				t.Fatal(err)
			}
			src, err := pcaps.NewReader(r)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			p := printer.NewPackets(nil, printer.Style{})
			p.JSON, p.Segments = printer.NewJSON(&out), segments
			for q, err := src.Next(); err != io.EOF; q, err = src.Next() {
				if err != nil || p.WritePacket(q) != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(); err != nil {
				t.Fatal(err)
			}
			s.hold(t, out.Bytes())
		}
	}
	if t.Failed() {
		return
	}
	s.promises(t)
}

// promises wants a definition of each type, and that a record which lacks a promised
// field, has it of a wrong type, or has one too many is refused.
func (s *schema) promises(t *testing.T) {
	types := slices.Sorted(maps.Keys(s.types))
	if want := slices.Sorted(maps.Keys(promised)); !slices.Equal(types, want) {
		t.Errorf("the schema has %v, and promised are %v", types, want)
	}
	for _, p := range proto.Protocols() {
		if s.types[p.Record()] == nil && p != &proto.MySQLCompressed { // which is only around another
			t.Errorf("no definition is of %s, of %s", p.Record(), p.Name)
		}
	}
	for typ, def := range s.types {
		for path := range strings.FieldsSeq(promised[typ]) {
			m := s.first[typ+" "+path]
			if m == nil {
				t.Errorf("no record of type %s with %s was seen", typ, path)
				continue
			}
			of, name := find(m, path)
			right := of[name]
			if err := s.whole.Validate(m); err != nil {
				t.Errorf("%s as it was: %v", typ, err)
			}
			delete(of, name)
			if def.Validate(m) == nil || s.whole.Validate(m) == nil {
				t.Errorf("%s without %s is taken", typ, path)
			}
			of[name] = []any{map[string]any{}} // nothing promised has that type
			if def.Validate(m) == nil || s.whole.Validate(m) == nil {
				t.Errorf("%s with a wrong %s is taken", typ, path)
			}
			of[name] = right
			of["surprise"] = true
			if open := path == "reasons"; !open && def.Validate(m) == nil {
				t.Errorf("%s with a surprise beside %s is taken", typ, path)
			}
			delete(of, "surprise")
		}
	}
}

// TestExactNumbers wants numbers of 64 bits as they are, in records that hold to the
// schema.
func TestExactNumbers(t *testing.T) {
	s := compile(t)
	const most = math.MaxInt64
	varint := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), math.MaxUint64)
	for name, c := range map[string]struct {
		protocol *proto.Protocol
		body     proto.Body
		want     string
	}{
		"redis": {&proto.Redis, &proto.RedisReply{RedisValue: proto.RedisValue{Kind: proto.RedisInteger, Text: "9223372036854775807", Length: 19}}, `"value":9223372036854775807`},
		"redis_least": {&proto.Redis, &proto.RedisReply{RedisValue: proto.RedisValue{Kind: proto.RedisInteger, Text: "-9223372036854775808", Length: 20}},
			`"value":-9223372036854775808`},
		"mysql": {&proto.MySQL, &proto.MySQLResponse{Rows: most, InsertID: math.MaxUint64, Results: []proto.SQLResult{{HasAffected: true, Affected: most}}},
			`"rows":9223372036854775807,"affected":9223372036854775807,"insert_id":18446744073709551615`},
		"grpc": {&proto.HTTP2, &proto.HTTPMessage{Status: 200, BodyBytes: most, GRPC: &proto.GRPC{Messages: []proto.GRPCMessage{{Bytes: int64(len(varint)), Data: varint}}}},
			`"fields":{"3":18446744073709551615}`},
		"http": {&proto.HTTP, &proto.HTTPMessage{Status: 200, BodyBytes: most}, `"body_bytes":9223372036854775807`},
		"raw":  {&proto.Raw, &proto.Turn{Bytes: most}, `"bytes":9223372036854775807`},
		"dns":  {&proto.DNS, &proto.DNSMessage{Wire: unhex(t, "1267"+"81800000000100000000"+"00"+"0001"+"0001"+"ffffffff"+"0004"+"c0000201")}, `"ttl":4294967295`},
	} {
		var out bytes.Buffer
		p := printer.NewJSON(&out)
		e := &proto.Exchange{Conversation: &flow.Conversation{}, Protocol: c.protocol, Response: &proto.Message{Complete: true, Packet: most, Body: c.body}}
		if err := p.Exchange(e); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		s.hold(t, out.Bytes())
		if got := out.String(); !strings.Contains(got, c.want) || !strings.Contains(got, `"packet":9223372036854775807`) {
			t.Errorf("%s: %s has no %s", name, got, c.want)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// said finds the parts of a line of a transcript.
var said = regexp.MustCompile("(?:(\\d+)\\*)?(\"(?:[^\"\\\\]|\\\\.)*\")|\\S+")

// transcripts makes packets of the transcripts of decode/proto, which its transcript_test.go
// describes. What is acknowledged is left to craft.
func transcripts(t *testing.T, f func(file string, b *craft.Builder, secrets *tls.Secrets, as []decode.As)) {
	files, err := filepath.Glob("../proto/testdata/*/*.txt")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := craft.New(craft.Options{})
		ends := map[string]netip.AddrPort{"client": netip.MustParseAddrPort("10.1.0.1:40001"), "server": netip.MustParseAddrPort("10.1.0.2:4000")}
		var talk *craft.Talk
		var secrets *tls.Secrets
		var as []decode.As
		udp := false
		text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(data), "")
		for line := range strings.Lines(regexp.MustCompile(`\n[ \t]+`).ReplaceAllString(text, " ")) {
			word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			rest = strings.TrimSpace(rest)
			side := craft.Client
			switch word {
			case "transport":
				udp = rest == "udp"
			case "client", "server":
				ends[word] = netip.MustParseAddrPort(rest)
			case "protocol":
				as = []decode.As{{Port: ends["server"].Port(), Protocol: proto.Lookup(rest)}}
			case "keylog":
				if secrets == nil {
					secrets = new(tls.Secrets)
				}
				secrets.Add([]byte(rest))
			case "<<<":
				side = craft.Server
				fallthrough
			case ">>>":
				if talk == nil && udp {
					talk = b.UDP(ends["client"], ends["server"])
				} else if talk == nil {
					talk = b.TCP(ends["client"], ends["server"])
					talk.MSS = 1400
					talk.Open()
				}
				say(t, talk, side, rest)
			}
		}
		f(file, b, secrets, as)
	}
}

// say does what a line of a transcript says.
func say(t *testing.T, talk *craft.Talk, side craft.Side, rest string) {
	t.Helper()
	var data []byte
	words := said.FindAllStringSubmatch(rest, -1)
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w[2] != "":
			text, err := strconv.Unquote(w[2])
			if err != nil {
				t.Fatal(err)
			}
			n, err := strconv.Atoi("0" + w[1])
			if err != nil {
				t.Fatal(err)
			}
			if w[1] == "" {
				n = 1
			}
			data = append(data, strings.Repeat(text, n)...)
		case w[0] == "end":
			talk.Fin(side)
			return
		case w[0] == "gap":
			n, err := strconv.Atoi(words[i+1][0])
			if err != nil {
				t.Fatal(err)
			}
			talk.Drop(side, make([]byte, min(n, 1<<24)))
			return
		case w[0] == "ack", w[0] == "cut":
			i++
		case w[0] != "hex":
			data = append(data, unhex(t, w[0])...)
		}
	}
	talk.Send(side, data)
}
