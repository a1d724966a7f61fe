package bundle_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"netlab/replay/bundle"
)

// asIs leaves texts as they are.
func asIs(s string) string { return s }

const report = `{"type":"outcome","conversation":3,"index":1,"protocol":"http","verdict":"different","request":"GET /?token=s3cret","recorded":"200 OK","live":"500 s3cret","packet":7,"answer_packet":9,"differences":[{"kind":"status","path":"","recorded":"200 OK","live":"500 s3cret"},{"kind":"value","path":"body $.s3cret","recorded":"s3cret","live":"s3cret too"}]}
{"type":"outcome","conversation":3,"index":2,"protocol":"http","verdict":"same"}
{"type":"outcome","pass":2,"conversation":3,"index":1,"protocol":"http","verdict":"different"}
{"type":"outcome","conversation":1,"index":0,"protocol":"redis","verdict":"failed","reason":"s3cret did not come"}
{"type":"connection","conversation":3,"verdict":"same"}
{"type":"replay","answers":{"recorded":3}}
`

// TestReport takes from a report what differs, and nothing of what was said.
func TestReport(t *testing.T) {
	list, err := bundle.ReadReport(strings.NewReader(report), func(s string) string { return strings.ReplaceAll(s, "s3cret", "######") })
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	if f := list[0]; f.Packet != 7 || f.AnswerPacket != 9 || f.Comment() != "netlab replay: different: status was 200, is 500; value body $.######" {
		t.Errorf("%+v, %s", f, f.Comment())
	}
	list[0].Request = "GET /"
	var out bytes.Buffer
	if err := bundle.WriteReport(&out, list); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"outcome","conversation":1,"index":0,"protocol":"redis","verdict":"failed"}
{"type":"outcome","conversation":3,"index":1,"protocol":"http","verdict":"different","request":"GET /","packet":7,"answer_packet":9,"differences":[{"kind":"status","path":"","recorded":"200","live":"500"},{"kind":"value","path":"body $.######"}]}
`
	if out.String() != want {
		t.Errorf("written:\n%s\nwant:\n%s", &out, want)
	}
	readme := bundle.ReadmeText(bundle.Facts{Version: "v1", Differing: list, Servers: []bundle.Server{{Address: "10.0.0.1:80", Protocol: "http", Conversations: 1}}})
	for _, s := range []string{"`#3.1 GET /: different: status was 200, is 500;", "10.0.0.1:80: http, 1 conversation", "replay.jsonl", "netlab replay bug.zip --to"} {
		if !strings.Contains(readme, s) {
			t.Errorf("the README has no %q:\n%s", s, readme)
		}
	}
	opened := bundle.ReadmeText(bundle.Facts{Version: "v1", Opened: 2, Upgraded: 1, Servers: []bundle.Server{{Address: "10.0.0.1:443", Protocol: "http2", Conversations: 1}}})
	for _, s := range []string{"2 conversations went through TLS", "netlab replay bug.zip --to localhost:8443 --tls\n", "`--alpn h2`", "STARTTLS"} {
		if strings.Contains(readme, s) || !strings.Contains(opened, s) {
			t.Errorf("of what was opened, and of that alone, the README has %q:\n%s%s", s, opened, readme)
		}
	}
	if strings.Contains(readme+out.String(), "s3cret") {
		t.Errorf("a secret is in it:\n%s%s", readme, &out)
	}
}

// TestBadReport refuses what is none.
func TestBadReport(t *testing.T) {
	for trait, text := range map[string]string{
		"empty": "", "text": "GET /", "other_json": `{"type":"http"}`, "cut": report[:strings.Index(report, `{"type":"replay"`)], "array": "[]",
	} {
		if list, err := bundle.ReadReport(strings.NewReader(text), asIs); !errors.Is(err, bundle.ErrReport) {
			t.Errorf("%s: %v, %v", trait, list, err)
		}
	}
}

// TestBundleIsTheSame makes one twice: nothing of when and where is in it.
func TestBundleIsTheSame(t *testing.T) {
	made := func() []byte {
		var out bytes.Buffer
		w := bundle.NewWriter(&out)
		for _, name := range []string{bundle.Readme, bundle.HAR} {
			if err := w.Add(name, strings.NewReader("what is in "+name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	first := made()
	if !bytes.Equal(first, made()) {
		t.Error("two bundles of the same differ")
	}
	z, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil || len(z.File) != 2 {
		t.Fatalf("%v", err)
	}
	r, err := z.File[1].Open()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "what is in exchanges.har" {
		t.Errorf("%q, %v", text, err)
	}
}

// full is a disk with no room.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

// TestBundleDiskFull tells what could not be written, and does not go on.
func TestBundleDiskFull(t *testing.T) {
	w := bundle.NewWriter(full{})
	err := w.Add(bundle.Readme, bytes.NewReader(make([]byte, 1<<20)))
	if err == nil {
		err = w.Close()
	}
	if !errors.Is(err, errFull) {
		t.Errorf("ends with %v", err)
	}
}

// FuzzReadReport wants any text to be read in bounds, and what it tells to be written.
func FuzzReadReport(f *testing.F) {
	f.Add([]byte(report))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := bundle.ReadReport(bytes.NewReader(text), asIs)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := bundle.WriteReport(&out, list); err != nil {
			t.Error(err)
		}
		if n := strings.Count(out.String(), "\n"); n != len(list) {
			t.Errorf("%d lines of %d", n, len(list))
		}
	})
}
