package printer_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/pcaps/samples"
)

// want is the type of a promised field: a string below, an object with fields of
// its own, or a list of what is in the array.
type (
	object map[string]any
	list   []any // all elements are alike: there is one
)

// The types of plain fields; a ? before one allows null, and a ! lets the field
// be left out.
const (
	text    = "string"
	number  = "number"
	boolean = "bool"
	instant = "time"
)

// promised are the fields of each record that programs may rely on. More
// may be there.
var promised = map[string]object{
	"conversation": {
		"id": number, "transport": text, "client": text, "server": text, "protocol": text, "start": instant, "end": instant,
		"state": text, "guessed": boolean, "client_to_server": direction, "server_to_client": direction,
	},
	"http": {
		"conversation": number, "index": number, "state": text, "latency_ms": "!" + number, "interim": optional{list{number}},
		"request": nullable{object{
			"time": instant, "method": text, "target": text, "host": "?" + text, "version": text, "headers": list{pair{}}, "body_bytes": number,
		}},
		"response": nullable{object{"time": instant, "status": number, "version": text, "headers": list{pair{}}, "body_bytes": number}},
	},
	"dns": {
		"conversation": number, "id": number,
		"query":    nullable{object{"questions": list{object{"name": text, "type": text}}}},
		"response": nullable{object{"questions": list{object{"name": text, "type": text}}}},
	},
	"ftp":     {"conversation": number, "command": "!" + text, "argument": "!" + text, "code": "!" + number, "text": "!" + text},
	"raw":     {"conversation": number, "request": nullable{object{"bytes": number}}, "response": nullable{object{"bytes": number}}},
	"tls":     {"conversation": number, "sni": text, "alpn": list{text}, "version": text},
	"anomaly": {"packet": number, "conversation": "!" + number, "kind": text, "detail": text},
	"capture": {"file": text, "packets": number, "bytes": number, "truncated": boolean, "link_types": list{text}, "undecoded": number},
}

var direction = object{
	"packets": number, "bytes": number, "sha256": text, "gaps": list{list{number}}, "retransmitted": number, "out_of_order": number,
}

// nullable is an object or null, optional may be left out, and a pair is a header
// field: name and value.
type (
	nullable struct{ object }
	optional struct{ list }
	pair     struct{}
)

// check holds a value to what was promised.
func check(path string, want, got any) error {
	wrong := func() error { return fmt.Errorf("%s is %v, want %v", path, got, want) }
	switch w := want.(type) {
	case object:
		m, ok := got.(map[string]any)
		if !ok {
			return wrong()
		}
		for name, of := range w {
			v, there := m[name]
			spec, _ := of.(string)
			_, may := of.(optional)
			if !there && (may || strings.HasPrefix(spec, "!")) {
				continue
			}
			if !there {
				return fmt.Errorf("%s.%s is not there", path, name)
			}
			if spec != "" {
				of = strings.TrimPrefix(spec, "!")
			}
			if err := check(path+"."+name, of, v); err != nil {
				return err
			}
		}
	case nullable:
		if got != nil {
			return check(path, w.object, got)
		}
	case optional:
		return check(path, w.list, got)
	case list:
		l, ok := got.([]any)
		if !ok {
			return wrong()
		}
		for i, v := range l {
			if err := check(fmt.Sprintf("%s[%d]", path, i), w[0], v); err != nil {
				return err
			}
		}
	case pair:
		l, ok := got.([]any)
		if !ok || len(l) != 2 {
			return wrong()
		}
		return check(path, list{text}, got)
	case string:
		if got == nil && w[0] == '?' {
			return nil
		}
		ok := false
		switch strings.TrimPrefix(w, "?") {
		case text:
			_, ok = got.(string)
		case number:
			_, ok = got.(json.Number)
		case boolean:
			_, ok = got.(bool)
		case instant:
			s, _ := got.(string)
			_, err := time.Parse("2006-01-02T15:04:05.000000000Z07:00", s)
			ok = err == nil
		}
		if !ok {
			return wrong()
		}
	}
	return nil
}

// lines reads JSON Lines, each of which must be an object, and nothing behind the
// last.
func lines(t *testing.T, out []byte) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range bytes.Lines(out) {
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) || line[len(line)-1] != '\n' {
			t.Fatalf("more than one value, or no end of line: %q", line)
		}
		all = append(all, m)
	}
	return all
}

// clientHello is what Go's own TLS client says first.
func clientHello(t *testing.T) string {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		// It ends when the pipe does.
		_ = tls.Client(theirs, &tls.Config{ServerName: "a.example", NextProtos: []string{"h2", "http/1.1"}}).Handshake()
	}()
	defer ours.Close()
	head := make([]byte, 5)
	if _, err := io.ReadFull(ours, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(ours, body); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(append(head, body...))
}

// TestPromises holds every record of every sample, and of what no sample shows,
// to the promised fields.
func TestPromises(t *testing.T) {
	seen := make(map[string]int)
	hold := func(t *testing.T, out []byte) {
		t.Helper()
		all := lines(t, out)
		for i, m := range all {
			typ, _ := m["type"].(string)
			want, ok := promised[typ]
			if !ok {
				t.Fatalf("a record of type %q", typ)
			}
			if err := check(typ, want, m); err != nil {
				t.Errorf("%v in %v", err, m)
			}
			if last := i == len(all)-1; last != (typ == "capture") {
				t.Errorf("record %d of %d is of type %s", i, len(all), typ)
			}
			seen[typ]++
		}
	}
	for _, s := range samples.List() {
		t.Run(s.Name, func(t *testing.T) {
			var out bytes.Buffer
			sample(t, s.Name, printer.NewJSON(&out), decode.Options{Digest: true})
			hold(t, out.Bytes())
		})
	}
	t.Run("tls", func(t *testing.T) {
		var out bytes.Buffer
		recipe(t, "tcp a 10.1.0.1:40001 > 10.1.0.2:443\na open\na > hex "+clientHello(t), printer.NewJSON(&out), decode.Options{Digest: true})
		hold(t, out.Bytes())
		if m := lines(t, out.Bytes())[0]; m["sni"] != "a.example" || fmt.Sprint(m["alpn"]) != "[h2 http/1.1]" || m["version"] != "1.3" {
			t.Errorf("%v", m)
		}
	})
	for typ := range promised {
		if seen[typ] == 0 {
			t.Errorf("no record of type %s was seen", typ)
		}
	}
}

// TestJSONFlush wants each record at once when that is asked for, and the last
// without being asked.
func TestJSONFlush(t *testing.T) {
	c := &flow.Conversation{}
	for _, live := range []bool{false, true} {
		var out bytes.Buffer
		p := printer.NewJSON(&out)
		p.Live = live
		if err := p.Finish(c); err != nil {
			t.Fatal(err)
		}
		if got := len(lines(t, out.Bytes())) == 1; got != live {
			t.Errorf("live %v: a record was written at once: %v", live, got)
		}
		if err := p.Summary(&decode.Summary{}); err != nil {
			t.Fatal(err)
		}
		if n := len(lines(t, out.Bytes())); n != 2 {
			t.Errorf("live %v: %d records in the end", live, n)
		}
	}
	var out bytes.Buffer
	p := printer.NewJSON(&out)
	n := 0
	for out.Len() == 0 && n < 100_000 {
		n++
		if err := p.Finish(c); err != nil {
			t.Fatal(err)
		}
	}
	if n < 10 || n > 1000 {
		t.Errorf("%d records were gathered before they were written", n)
	}
}

// full is a writer to a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestWriteFails wants the error of a writer back from every printer, so that
// nothing more is read.
func TestWriteFails(t *testing.T) {
	for name, sink := range map[string]decode.Sink{
		"text": printer.NewText(full{}, printer.Style{}), "live": printer.NewLive(full{}, printer.Style{}),
		"json": printer.NewJSON(full{}), "follow": printer.NewFollow(full{}, printer.Style{}, 0),
		"stats": printer.NewStats(full{}, printer.Style{}),
	} {
		if err := pour(t, decode.New(sink, decode.Options{}), "udp a 10.1.0.1:50001 > 10.1.0.2:7777\na > \"hi\"\n"); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOddRecords writes what no small sample has.
func TestOddRecords(t *testing.T) {
	var out bytes.Buffer
	p := printer.NewJSON(&out)
	c := &flow.Conversation{}
	for i := range flow.MaxGaps + 3 {
		c.Sides[0].AddGap(flow.Gap{Offset: int64(2 * i), Length: 1}, nil)
	}
	if err := p.Finish(c); err != nil {
		t.Fatal(err)
	}
	if err := p.Anomaly(flow.Anomaly{Kind: "odd", Detail: "</script>\x1b\xff", Packet: 3}); err != nil {
		t.Fatal(err)
	}
	far := &proto.Message{Time: time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC), Complete: true, Body: &proto.Turn{}}
	if err := p.Exchange(&proto.Exchange{Conversation: c, Protocol: &proto.Raw, Request: far}); err != nil {
		t.Fatal(err)
	}
	interim := &proto.Message{Kind: proto.Interim, Body: &proto.Turn{Bytes: 1}}
	if err := p.Exchange(&proto.Exchange{Conversation: c, Protocol: &proto.HTTP, State: proto.Broken, Interim: []*proto.Message{interim}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Summary(&decode.Summary{Truncated: true, Damage: "it ends inside a packet"}); err != nil {
		t.Fatal(err)
	}
	all := lines(t, out.Bytes())
	side := all[0]["client_to_server"].(map[string]any)
	if n := len(side["gaps"].([]any)); n != flow.MaxGaps || side["more_gaps"] != json.Number("3") {
		t.Errorf("%d gaps and %v more", n, side["more_gaps"])
	}
	if m, ok := all[2]["request"].(map[string]any); !ok || m["time"] != "0001-01-01T00:00:00.000000000Z" {
		t.Errorf("a year of five digits: %v", all[2])
	}
	if m := all[1]; m["detail"] != "</script>\x1b\ufffd" || m["conversation"] != nil {
		t.Errorf("%v", m)
	}
	if bytes.Contains(out.Bytes(), []byte("</script>")) {
		t.Error("JSON that ends a script")
	}
	if m := all[3]; fmt.Sprint(m["interim"]) != "[1 byte]" || m["request"] != nil || m["response"] != nil || m["why"] != "no response in the recording" {
		t.Errorf("%v", m)
	}
	if m := all[4]; m["truncated"] != true || m["damage"] != "it ends inside a packet" || m["start"] != nil {
		t.Errorf("%v", m)
	}
}
