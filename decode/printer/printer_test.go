package printer_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/redact"
	"netlab/pcaps"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
)

var update = flag.Bool("update", false, "write the goldens anew")

// Live prints the time of day where it runs: here that is UTC.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// sample decodes a sample into a sink.
func sample(t *testing.T, name string, sink decode.Sink, opts decode.Options) *decode.Summary {
	t.Helper()
	r, err := samples.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	src, err := pcaps.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := decode.Run(src, sink, opts)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// pour decodes packets made from text.
func pour(t *testing.T, d *decode.Decoder, text string) error {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, err = capture.Copy(d, b.Source())
	if _, err2 := d.Close(); err == nil {
		err = err2
	}
	return err
}

// recipe decodes packets made from text into a sink.
func recipe(t *testing.T, text string, sink decode.Sink, opts decode.Options) {
	t.Helper()
	if err := pour(t, decode.New(sink, opts), text); err != nil {
		t.Fatal(err)
	}
}

// golden compares with a file in testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test -update writes it", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s: -want +got\n%s", file, d)
	}
}

// shown are the samples with a golden of every printer: each has something that
// the others have not.
var shown = []string{
	"http1-keepalive",       // two exchanges in one conversation
	"http1-continue",        // an interim response
	"http1-gap",             // bytes that were not captured
	"tcp-cut",               // a message that is not whole
	"tcp-overlap-disagrees", // an anomaly
	"tcp-reset",             // no answer at all
	"tcp-greeting",          // turns of no known protocol
	"ftp-passive",           // two conversations, and a server that speaks first
	"dns-lookup",            // datagrams, paired by their numbers
	"dns-truncated",         // UDP beside TCP
}

func TestText(t *testing.T) {
	for _, name := range shown {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			sample(t, name, printer.NewText(&out, printer.Style{}), decode.Options{})
			golden(t, name+".text", out.Bytes())
		})
	}
}

func TestLive(t *testing.T) {
	for _, name := range shown {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			sample(t, name, printer.NewLive(&out, printer.Style{}), decode.Options{})
			golden(t, name+".live", out.Bytes())
		})
	}
}

func TestJSON(t *testing.T) {
	for _, name := range shown {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			p := printer.NewJSON(&out)
			p.File = name + ".pcap"
			sample(t, name, p, decode.Options{Digest: name == "tcp-greeting"})
			golden(t, name+".json", out.Bytes())
		})
	}
}

func TestFollow(t *testing.T) {
	for _, c := range []struct {
		sample string
		id     int
	}{
		{"tcp-greeting", 0},  // text both ways
		{"http1-gap", 0},     // bytes that were not captured
		{"dns-truncated", 1}, // binary, and the other conversation is not shown
		{"udp-echo", 0},      // datagrams
	} {
		t.Run(c.sample, func(t *testing.T) {
			var out bytes.Buffer
			p := printer.NewFollow(&out, printer.Style{}, c.id)
			sample(t, c.sample, p, decode.Options{})
			if !p.Found {
				t.Error("the conversation was not found")
			}
			golden(t, c.sample+".follow", out.Bytes())
		})
	}
	t.Run("not_there", func(t *testing.T) {
		var out bytes.Buffer
		p := printer.NewFollow(&out, printer.Style{}, 7)
		sample(t, "tcp-greeting", p, decode.Options{})
		if p.Found || out.Len() > 0 {
			t.Errorf("found: %v, %q", p.Found, out.String())
		}
	})
}

// secrets says in each protocol what must not be seen.
const secrets = `
tcp web 10.1.0.1:40001 > 10.1.0.2:80
web open
web > "GET /?token=S3CRET HTTP/1.1\r\nHost: a.example\r\nCookie: a=S3CRET\r\n\r\n"
web < "HTTP/1.1 302 Found\r\nLocation: /?code=S3CRET\r\nContent-Length: 0\r\n\r\n"
web close
tcp raw 10.1.0.1:40002 > 10.1.0.2:7777
raw open
raw > "LOGIN S3CRET\n"
raw < "S3CRET is wrong\n"
raw close
tcp ftp 10.1.0.1:40003 > 10.1.0.2:21
ftp open
ftp < "220 ready\r\n"
ftp > "USER ada\r\n"
ftp < "331 Password?\r\n"
ftp > "PASS S3CRET\r\n"
ftp < "230 in\r\n"
ftp close
`

// TestHide wants all printers to hide what they are told to. Without that, the
// secrets are there, except where a summary never has them.
func TestHide(t *testing.T) {
	printers := map[string]func(*bytes.Buffer, printer.Hider) decode.Sink{
		"text": func(b *bytes.Buffer, h printer.Hider) decode.Sink {
			p := printer.NewText(b, printer.Style{})
			p.Hide = h
			return p
		},
		"live": func(b *bytes.Buffer, h printer.Hider) decode.Sink {
			p := printer.NewLive(b, printer.Style{})
			p.Hide = h
			return p
		},
		"json": func(b *bytes.Buffer, h printer.Hider) decode.Sink {
			p := printer.NewJSON(b)
			p.Hide = h
			return p
		},
	}
	for name, open := range printers {
		t.Run(name, func(t *testing.T) {
			var shown, hidden bytes.Buffer
			recipe(t, secrets, open(&shown, nil), decode.Options{})
			recipe(t, secrets, open(&hidden, redact.Finder{}), decode.Options{})
			if n := strings.Count(shown.String(), "S3CRET"); n < 3 {
				t.Errorf("%d secrets without hiding:\n%s", n, shown.String())
			}
			if strings.Contains(hidden.String(), "S3CRET") || !strings.Contains(hidden.String(), "token=***") {
				t.Errorf("hidden:\n%s", hidden.String())
			}
		})
	}
}
