package printer_test

import (
	"strings"
	"testing"

	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/proto"
)

// kept is a sink that keeps the sums.
type kept struct{ sums *decode.Summary }

func (k *kept) Exchange(*proto.Exchange) error { return nil }

func (k *kept) Summary(s *decode.Summary) error {
	k.sums = s
	return nil
}

func TestHints(t *testing.T) {
	const hello = "hex 160301002d010000290303000000000000000000000000000000000000000000000000000000000000000000000213010100"
	for name, c := range map[string]struct{ recipe, want string }{
		"plenty":     {"tcp a 10.1.0.1:1 > 10.1.0.2:80\na open\na > \"hi\"\na < \"ho\"\na close\n", ""},
		"handshakes": {"tcp a 10.1.0.1:1 > 10.1.0.2:80\na open\na close\n", "only handshakes"},
		"one side":   {"udp a 10.1.0.1:1 > 10.1.0.2:9\na > \"hi\"\na > \"hi\"\n", "only one direction"},
		"encrypted":  {"tcp a 10.1.0.1:1 > 10.1.0.2:443\na open\na > " + hello + "\n", "1 conversation is encrypted, and there are no keys"},
		"starttls": {"tcp a 10.1.0.1:1 > 10.1.0.2:25\na open\na < \"220 mail.example ESMTP\\r\\n\"\na > \"EHLO a.example\\r\\n\"\na < \"250 STARTTLS\\r\\n\"\n" +
			"a > \"STARTTLS\\r\\n\"\na < \"220 go on\\r\\n\"\na > " + hello + "\n", "1 conversation is encrypted, and there are no keys"},
	} {
		var sum kept
		recipe(t, c.recipe, &sum, decode.Options{})
		got := strings.Join(printer.Hints(sum.sums), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	var sum kept
	sample(t, "tcp-cut", &sum, decode.Options{})
	if got := strings.Join(printer.Hints(sum.sums), "; "); !strings.Contains(got, "bytes were cut off in 1 conversation") {
		t.Errorf("of what is cut: %q", got)
	}
	if got := printer.Hints(&decode.Summary{}); len(got) != 1 || got[0] != "there are no packets in it" {
		t.Errorf("of nothing: %q", got)
	}
}
