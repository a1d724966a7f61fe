package printer_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/proto"
)

// unruly is what must stay inside of its quotes.
var unruly = []string{
	`/`, `/a'b`, `/$(id)`, "/`id`", `/"; id; "`, `/a\b`, `/%41%%`, "/\x1b]0;x\x07", "/\x9b31m", "/\xff\xfe", "/a\nb", `/\'`, `/[1-9]{a,b}`, "/é\u202e",
}

// TestCurlQuotes has a shell read the commands back.
func TestCurlQuotes(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash to read the commands with")
	}
	for _, s := range unruly {
		for _, body := range []string{"", s, s + "\x00" + s} {
			c := flow.Conversation{Tuple: flow.Unknown(flow.TCP)}
			h := &proto.HTTPMessage{Method: "PUT", Target: s, Version: "HTTP/1.1", BodyBytes: int64(len(body)), Fields: []proto.Field{{Name: "Host", Value: "h"}, {Name: "X", Value: s}, {Name: "User-Agent", Value: "-"}, {Name: "Accept", Value: "-"}, {Name: "Content-Type", Value: "-"}}}
			var out bytes.Buffer
			p := printer.NewCurl(&out, 0)
			e := &proto.Exchange{Conversation: &c, Protocol: &proto.HTTP, Request: &proto.Message{Complete: true, Body: h, Raw: []byte(body)}}
			if err := p.Exchange(e); err != nil || p.Found != 1 {
				t.Fatalf("%q: %d, %v", s, p.Found, err)
			}
			if strings.ContainsFunc(strings.ReplaceAll(out.String(), "\n", ""), proto.Harmful) {
				t.Errorf("%q: a terminal would act on %q", s, &out)
			}
			script := `curl() { for a in "$@"; do printf '%s\0' "$a"; if [ "$a" = @- ]; then cat; printf '\0'; fi; done; }; ` + out.String()
			got, err := exec.Command(shell, "-c", script).CombinedOutput()
			if err != nil {
				t.Errorf("%q: %v: %s in %s", s, err, got, &out)
				continue
			}
			want := []string{"-X", "PUT", "-H", "X: " + s, "-H", "User-Agent: -", "-H", "Accept: -", "-H", "Content-Type: -"}
			switch {
			case body == "":
			case strings.ContainsRune(body, 0) || strings.ToValidUTF8(body, "") != body:
				want = append(want, "--data-binary", "@-", body)
			default:
				want = append(want, "--data-binary", body)
			}
			want = append(want, "--globoff", "--path-as-is", "http://h"+s, "")
			if string(got) != strings.Join(want, "\x00") {
				t.Errorf("a shell reads\n%q, want\n%q, from\n%s", got, strings.Join(want, "\x00"), &out)
			}
		}
	}
}

func TestCurl(t *testing.T) {
	var out bytes.Buffer
	p := printer.NewCurl(&out, 0)
	sample(t, "http1-keepalive", p, decode.Options{Keep: printer.KeepBodies})
	golden(t, "http1-keepalive.curl", out.Bytes())
}
