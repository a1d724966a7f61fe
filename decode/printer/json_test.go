package printer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/proto"
)

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
