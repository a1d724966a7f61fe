package compare

import "testing"

// TestSameHTTP holds what sees at once that two answers are the same to what looks at them
// closely: it must never see what is not so.
func TestSameHTTP(t *testing.T) {
	text := "<p>hello</p>"
	answers := map[string]string{
		"plain":        ok("Date: Sat, 28 Nov 2026 16:00:00 GMT\nContent-Type: text/html", text),
		"later":        ok("Date: Sun, 29 Nov 2026 09:30:11 GMT\nContent-Type: text/html", text),
		"other body":   ok("Date: Sat, 28 Nov 2026 16:00:00 GMT\nContent-Type: text/html", "<p>adieu</p>"),
		"other type":   ok("Date: Sat, 28 Nov 2026 16:00:00 GMT\nContent-Type: text/xhtm", text),
		"other status": say("HTTP/1.1 404 OK\nDate: Sat, 28 Nov 2026 16:00:00 GMT\nContent-Type: text/html", text),
		"no date":      ok("Content-Type: text/html", text),
		"gzip":         ok("Content-Type: text/html\nContent-Encoding: gzip", zipped(t, text)),
		"said br":      ok("Content-Type: text/html\nContent-Encoding: br", zipped(t, text)),
		"chunked":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"other chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n",
		"trailer":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
		"to the end":   "HTTP/1.1 200 OK\r\n\r\nhello",
	}
	for was, recorded := range answers {
		for is, live := range answers {
			a, b := httpAnswer(t, recorded), httpAnswer(t, live)
			c := comparer{rules: &Rules{}}
			c.messages(a, b)
			closely := c.told()
			switch quick := sameHTTP(a, b); {
			case quick && len(closely) > 0:
				t.Errorf("%s and %s: the same at once, and then %v", was, is, told(closely))
			case !quick && (was == is || was == "plain" && is == "later"):
				t.Errorf("%s and %s: not seen to be the same", was, is)
			}
		}
	}
}

// TestSameAllocates wants no memory for that.
func TestSameAllocates(t *testing.T) {
	a, b := httpAnswer(t, ok("DATE: now\nETag: \"1\"", "hello")), httpAnswer(t, ok("DATE: then\nETag: \"2\"", "hello"))
	if n := testing.AllocsPerRun(100, func() {
		if (Rules{}).Messages(a, b) != nil {
			t.Fatal("they differ")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
