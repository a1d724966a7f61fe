package proto

import (
	"slices"
	"strings"
	"testing"

	"netlab/decode/flow"
)

func TestHTTPMessageFields(t *testing.T) {
	h := &HTTPMessage{Fields: []Field{
		{"Connection", "Keep-Alive, ,\tUpgrade ,"},
		{"connection", "close"},
		{"X", ""},
		{"X", "second"},
	}}
	for _, tt := range []struct {
		name, value string
		ok          bool
	}{
		{"CONNECTION", "Keep-Alive, ,\tUpgrade ,", true},
		{"x", "", true},
		{"y", "", false},
	} {
		if v, ok := h.Get(tt.name); v != tt.value || ok != tt.ok {
			t.Errorf("Get(%q) is %q, %t", tt.name, v, ok)
		}
	}
	var got []string
	h.Values("Connection", func(v string) { got = append(got, v) })
	if want := []string{"keep-alive", "upgrade", "close"}; !slices.Equal(got, want) {
		t.Errorf("Values: %q, want %q", got, want)
	}
	for element, want := range map[string]bool{"upgrade": true, "close": true, "keep": false, "": false} {
		if h.Has("connection", element) != want {
			t.Errorf("Has(%q) is not %t", element, want)
		}
	}
	if !h.IsRequest() || (&HTTPMessage{Status: 200}).IsRequest() {
		t.Error("requests and responses are mixed up")
	}
}

// TestRequestIn looks for request lines where the place in the stream is lost.
// What it finds must be a match for the rest of the parser, or that would look
// again and again.
func TestRequestIn(t *testing.T) {
	for line, want := range map[string]string{
		"GET / HTTP/1.1\r\n":                          "GET / HTTP/1.1\r\n",
		"GET / HTTP/1.1\n":                            "GET / HTTP/1.1\n",
		"GET / HTTP/1.1 \t\r\n":                       "GET / HTTP/1.1 \t\r\n",
		"M-SEARCH * HTTP/1.1\r\n":                     "M-SEARCH * HTTP/1.1\r\n",
		"GET /with a space HTTP/1.1\r\n":              "GET /with a space HTTP/1.1\r\n",
		`{"a": "b c"}POST /x HTTP/1.1` + "\r\n":       "POST /x HTTP/1.1\r\n",
		"a=b&c=dPOST /x HTTP/1.0\r\n":                 "POST /x HTTP/1.0\r\n",
		"\x00\x01\xffPUT /x HTTP/1.0\r\n":             "PUT /x HTTP/1.0\r\n",
		"the end of a bodyGET /x HTTP/1.1\r\n":        "GET /x HTTP/1.1\r\n",
		strings.Repeat("A", 40) + " / HTTP/1.1\r\n":   strings.Repeat("A", maxMethod) + " / HTTP/1.1\r\n",
		"get / HTTP/1.1\r\n":                          "",
		"GET  HTTP/1.1\r\n":                           "",
		"GET HTTP/1.1\r\n":                            "",
		"HTTP/1.1\r\n":                                "",
		" HTTP/1.1\r\n":                               "",
		" / HTTP/1.1\r\n":                             "",
		"GET / HTTP/11\r\n":                           "",
		"GET /\r\n":                                   "",
		"\r\n":                                        "",
		"":                                            "",
		"User-Agent: curl, which speaks HTTP/1.1\r\n": "",
	} {
		got := ""
		if i := requestIn([]byte(line)); i >= 0 {
			got = line[i:]
			if startLine(c2s, []byte(got), false) != Match {
				t.Errorf("in %q was found what is no request line: %q", line, got)
			}
		}
		if got != want {
			t.Errorf("in %q: %q, want %q", line, got, want)
		}
	}
}

func TestChunkSize(t *testing.T) {
	for line, want := range map[string]int64{
		"0": 0, "a": 10, "A": 10, "1f": 31, "00000000000000f": 15, "7fffffffffffff": 1<<55 - 1, "fffffffffffffff": 1<<60 - 1,
		"5;name=value": 5, "5 ; x": 5, "\t5\t": 5, "5;": 5,
		"": -1, ";": -1, "-1": -1, "+1": -1, "0x5": -1, "5 5": -1, "g": -1, "1_0": -1, "0000000000000001": -1, "５": -1,
	} {
		n, ok := parseChunkSize(line)
		if !ok {
			n = -1
		}
		if n != want {
			t.Errorf("%q: %d, want %d", line, n, want)
		}
	}
}

// TestStartLineBounds has the longest start lines that are taken, and longer
// ones.
func TestStartLineBounds(t *testing.T) {
	for d, line := range map[flow.Direction]string{
		c2s: "GET /" + strings.Repeat("x", maxStartLine-14) + " HTTP/1.1",
		s2c: "HTTP/1.1 200 " + strings.Repeat("x", maxStartLine-13),
	} {
		longer := line[:20] + "x" + line[20:]
		for name, tt := range map[string]struct {
			data string
			want Verdict
		}{
			"unfinished":        {line, NeedMore},
			"finished":          {line + "\n", Match},
			"longer":            {longer, NoMatch},
			"longer_and_ending": {longer + "\n", NoMatch},
		} {
			if got := startLine(d, []byte(tt.data), true); got != tt.want {
				t.Errorf("%s %s: %d, want %d", d, name, got, tt.want)
			}
		}
	}
}
