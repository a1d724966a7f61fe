package printer_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/decode/redact"
)

// texts is a column of what an exchange's request says it holds.
func texts(name string, values ...string) proto.Attribute {
	return proto.Attribute{Name: name, Get: func(vs []proto.Value, _ *proto.Exchange) []proto.Value {
		for _, v := range values {
			vs = append(vs, proto.Value{Text: v})
		}
		return vs
	}}
}

func integers(name string, kind proto.AttributeKind, values ...int64) proto.Attribute {
	return proto.Attribute{Name: name, Kind: kind, Get: func(vs []proto.Value, _ *proto.Exchange) []proto.Value {
		for _, v := range values {
			vs = append(vs, proto.Value{Number: v})
		}
		return vs
	}}
}

// one is an exchange of nothing.
func one() *proto.Exchange {
	return &proto.Exchange{Conversation: &flow.Conversation{ID: 7}, Protocol: &proto.Raw}
}

func TestColumns(t *testing.T) {
	for _, c := range []struct {
		name      string
		column    proto.Attribute
		tabs, csv string
	}{
		{"text", texts("a", "hello"), "hello", "hello"},
		{"missing", texts("a"), "", ""},
		{"empty", texts("a", ""), "", ""},
		{"list", texts("a", "b", "c"), "b,c", `"b,c"`},
		{"quotes", texts("a", `say "hi"`), `say "hi"`, `"say ""hi"""`},
		{"semicolon", texts("a", `b;=1`), `b;=1`, `"b;=1"`},
		{"spaces", texts("a", ` b `), ` b `, `" b "`},
		{"lines", texts("a", "b\r\nc\td"), `b\x0d\x0ac\x09d`, `b\x0d\x0ac\x09d`},
		{"escapes", texts("a", "\x1b[31m\u202eb\xff"), `\x1b[31m\u202eb\xff`, `\x1b[31m\u202eb\xff`},
		{"letters", texts("a", "äöü ✓"), "äöü ✓", "äöü ✓"},
		{"formula", texts("a", "=1+1"), "=1+1", `"'=1+1"`},
		{"formula_plus", texts("a", "+1"), "+1", `"'+1"`},
		{"formula_minus", texts("a", "-1"), "-1", `"'-1"`},
		{"formula_at", texts("a", "@SUM(A1)"), "@SUM(A1)", `"'@SUM(A1)"`},
		{"formula_tab", texts("a", "\t=1"), `\x09=1`, `"'\x09=1"`},
		{"formula_return", texts("a", "\r=1"), `\x0d=1`, `"'\x0d=1"`},
		{"formula_wide", texts("a", "＝1"), "＝1", `"'＝1"`},
		{"formula_quotes", texts("a", `=cmd|'/c calc'!A1,"x"`), `=cmd|'/c calc'!A1,"x"`, `"'=cmd|'/c calc'!A1,""x"""`},
		{"number", integers("a", proto.Number, -1), "-1", "-1"},
		{"numbers", integers("a", proto.Number, 1, -2), "1,-2", `"1,-2"`},
		{"duration", integers("a", proto.Duration, int64(250*time.Microsecond)), "0.25", "0.25"},
		{"truth", integers("a", proto.Truth, 1, 0), "true,false", `"true,false"`},
		{"moment", integers("a", proto.Moment, 1), "1970-01-01T00:00:00.000000001Z", "1970-01-01T00:00:00.000000001Z"},
		{"conversation", proto.Attribute{Name: "a", Kind: proto.Identity}, "7", "7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, form := range []struct {
				csv      bool
				sep, end string
				want     string
			}{{false, "\t", "\n", c.tabs}, {true, ",", "\r\n", c.csv}} {
				var b bytes.Buffer
				p := printer.NewColumns(&b, []proto.Attribute{c.column, texts("z", "z")})
				p.CSV = form.csv
				if err := p.Header(); err != nil {
					t.Fatal(err)
				}
				if err := p.Exchange(one()); err != nil {
					t.Fatal(err)
				}
				if err := p.Summary(nil); err != nil {
					t.Fatal(err)
				}
				want := "a" + form.sep + "z" + form.end + form.want + form.sep + "z" + form.end
				if d := cmp.Diff(want, b.String()); d != "" {
					t.Error(d)
				}
				if form.csv {
					r := csv.NewReader(&b)
					r.FieldsPerRecord = 2
					if _, err := r.ReadAll(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// TestColumnsHide shows nothing that is to be hidden, and changes no message.
func TestColumnsHide(t *testing.T) {
	const secret = "hunter2"
	e := one()
	e.Protocol, e.State = &proto.HTTP, proto.Broken
	body := &proto.HTTPMessage{
		Method: "GET", Target: "/a?token=" + secret, Fields: []proto.Field{{Name: "Cookie", Value: "sid=" + secret}, {Name: "Authorization", Value: "Basic " + secret}},
	}
	e.Request = &proto.Message{Body: body, Why: `what follows "` + secret + `" is odd`}
	e.Interim = []*proto.Message{{Body: &proto.HTTPMessage{Status: 100}}}
	var columns []proto.Attribute
	for _, a := range proto.HTTP.Attributes {
		if a.Any != nil {
			for _, name := range []string{"cookie", "authorization", "sid"} {
				columns = append(columns, proto.Attribute{Name: a.Name + name, Get: a.Any(name)})
			}
			continue
		}
		columns = append(columns, a)
	}
	columns = append(columns, proto.Attribute{Name: "why", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return append(vs, proto.Value{Text: e.Why()})
	}})
	for _, hide := range []printer.Hider{nil, redact.Finder{}} {
		var b strings.Builder
		p := printer.NewColumns(&b, columns)
		p.Hide = hide
		if err := p.Exchange(e); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), secret) == (hide != nil) || !strings.Contains(b.String(), "\t100\t") {
			t.Errorf("with %v: %s", hide, b.String())
		}
	}
	if e.Request.Body != body || !strings.Contains(body.Target, secret) {
		t.Error("the exchange itself was changed")
	}
}

// TestColumnsLive writes each line at once, and has no error swallowed.
func TestColumnsLive(t *testing.T) {
	var b bytes.Buffer
	p := printer.NewColumns(&b, []proto.Attribute{texts("a", "b")})
	p.Live = true
	if err := p.Exchange(one()); err != nil || b.String() != "b\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	p = printer.NewColumns(full{}, []proto.Attribute{texts("a", "b")})
	if err := p.Exchange(one()); err != nil {
		t.Fatal(err)
	}
	if err := p.Summary(new(decode.Summary)); err == nil {
		t.Error("an error of the writer is lost")
	}
}
