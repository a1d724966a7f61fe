package main

import (
	"net"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestShadow replays what is said to one server to another while it is said.
func TestShadow(t *testing.T) {
	if !capturing(t) {
		return
	}
	server, other := httptest.NewServer(shop("950")), httptest.NewServer(shop("1050"))
	defer server.Close()
	defer other.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	out, errs, stop := background(t, "replay", "-i", "lo", "tcp", "--json", "--to", other.Listener.Addr().String())
	errs.wait(t, "listening on lo")
	ask(t, server.URL)
	// The last is answered while the conversation goes on: nobody waits for its end.
	out.wait(t, `"index":2`)
	if strings.Contains(out.String(), `"connection"`) {
		t.Logf("the conversation was over already:\n%s", out)
	}
	if code := stop(); code != exitDiffers {
		t.Errorf("exit status %d\n%s%s", code, out, errs)
	}
	for _, want := range []string{
		`"recorded":"200 OK, 13 bytes","live":"200 OK, 14 bytes"`, `"verdict":"same","request":"POST 127.0.0.1:` + port + `/echo`,
		`"answers":{"different":2,"failed":0,"recorded":3,"same":1,"skipped":0}`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in\n%s", want, out)
		}
	}
	// What is sent to the target is seen, too, and not sent again.
	out, errs, stop = background(t, "replay", "-i", "lo", "tcp", "port", port, "--to", "localhost:"+port)
	errs.wait(t, "listening on lo")
	ask(t, server.URL)
	if code := stop(); code != exitNothing || !strings.Contains(out.String(), "answers:     0 recorded") {
		t.Errorf("to itself: exit status %d\n%s%s", code, out, errs)
	}
}
