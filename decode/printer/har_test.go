package printer_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/redact"
	"netlab/decode/tls"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
)

// TestHAR holds archives to the specification: of all samples and transcripts, and of
// bodies that are packed, binary, hostile or not there.
func TestHAR(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	spec, err := c.Compile("testdata/har.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	entries := func(name string, hide printer.Hider, run func(decode.Sink, decode.Options)) string {
		t.Helper()
		var out bytes.Buffer
		p := printer.NewHAR(&out, "1")
		p.Hide = hide
		run(p, decode.Options{Keep: printer.KeepExtract})
		doc, err := jsonschema.UnmarshalJSON(&out)
		if err == nil {
			err = spec.Validate(doc)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list := doc.(map[string]any)["log"].(map[string]any)["entries"].([]any)
		if int64(len(list)) != p.Entries {
			t.Errorf("%s: %d entries, and %d were counted", name, len(list), p.Entries)
		}
		return fmt.Sprint(list)
	}
	for _, s := range samples.List() {
		entries(s.Name, nil, func(sink decode.Sink, opts decode.Options) { sample(t, s.Name, sink, opts) })
	}
	transcripts(t, func(file string, b *craft.Builder, keys *tls.Secrets, as []decode.As) {
		entries(file, nil, func(sink decode.Sink, opts decode.Options) {
			opts.Secrets, opts.As = keys, as
			if _, err := decode.Run(b.Source(), sink, opts); err != nil {
				t.Fatal(file, err)
			}
		})
	})
	for _, x := range []struct {
		name, text   string
		hide         printer.Hider
		want, absent []string
	}{
		{"hostile", hostile, nil, []string{"\x1b[31m"}, nil},
		{"bodies", bodies(t), nil, []string{"text:packed\n", "encoding:base64", "text:AAEC/w==", "unexpected EOF"}, nil},
		{"no_response", everything, nil, []string{"status:0", "no response in the recording"}, nil},
		{"frames", frames, nil, []string{
			"_resourceType:websocket", "data:Hello opcode:1", "type:receive", "type:send", "data:abcdef opcode:1", "data:AP+A opcode:2", "opcode:8",
		}, nil},
		{"frames_hidden", frames, redact.Finder{}, []string{"data: opcode:1"}, []string{"Hello", "abcdef", "AP+A"}},
		{"hidden", secrets, redact.Finder{}, []string{redact.Hidden}, []string{"S3CRET"}},
	} {
		got := entries(x.name, x.hide, func(sink decode.Sink, opts decode.Options) { recipe(t, x.text, sink, opts) })
		for _, want := range x.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in %s", x.name, want, got)
			}
		}
		for _, absent := range x.absent {
			if strings.Contains(got, absent) {
				t.Errorf("%s: %q in %s", x.name, absent, got)
			}
		}
	}
}
