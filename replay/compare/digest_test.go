package compare

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// keeping returns an answer of which so many bytes are kept.
func keeping(t *testing.T, raw string, keep int64) *proto.Message {
	t.Helper()
	r := &receiver{}
	g := proto.NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, r, proto.Options{Keep: keep, Protocol: &proto.HTTP})
	g.Chunk(flow.ClientToServer, flow.Chunk{Data: []byte("GET / HTTP/1.1\r\n\r\n")})
	g.Chunk(flow.ServerToClient, flow.Chunk{Data: []byte(raw), Ack: 18})
	g.Close()
	if r.response == nil || !r.response.Complete {
		t.Fatalf("no whole answer in %.100q", raw)
	}
	return r.response
}

// inZstd is an answer in that encoding.
func inZstd(t *testing.T, parts ...string) string {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var frames []byte // one behind the other is their content so (RFC 8878, section 3.1)
	known := make(map[string][]byte)
	for _, p := range parts {
		if known[p] == nil {
			known[p] = z.EncodeAll([]byte(p), nil)
		}
		frames = append(frames, known[p]...)
	}
	return ok("Content-Encoding: zstd", string(frames))
}

// TestDigests compares answers of which not all is kept on one side or on both, or whose
// content is too large to take its encoding off.
func TestDigests(t *testing.T) {
	body := strings.Repeat("0123456789", 100)
	changed := body[:900] + "x" + body[901:]
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return fmt.Sprintf("%d bytes with SHA-256 %x…", len(s), h[:8])
	}
	const keep, all = 500, 1 << 20
	for name, c := range map[string]struct {
		was, is         string
		keep, keepsLive int64
		want            []string
	}{
		"same":           {ok("", body), ok("A: b", body), keep, keep, []string{`header a is new: "b"`}},
		"same_whole_now": {ok("", body), ok("", body), keep, all, nil},
		"same_zipped":    {ok("", body), inZstd(t, body), keep, all, nil},
		"further_on":     {ok("", body), ok("", changed), keep, keep, []string{"body was " + sum(body) + ", is " + sum(changed)}},
		"where":          {ok("", body), ok("", "0123x"), keep, all, []string{"body at byte 4 was " + sum(body) + ", is " + sum("0123x")}},
		"status":         {ok("", body), strings.Replace(ok("", body), "200 OK", "500 Oh", 1), keep, keep, []string{"status was 200 OK, is 500 Oh"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := told(Rules{}.Messages(keeping(t, c.was, c.keep), keeping(t, c.is, c.keepsLive)))
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// TestHugeContent has content that is compared by its digest for its size without encoding.
func TestHugeContent(t *testing.T) {
	if raced {
		t.Skip("64 MiB are too much for the race detector, and nothing happens at once")
	}
	part := strings.Repeat("0123456789abcdef", 1<<16)
	parts := slices.Repeat([]string{part}, proto.MaxContent/len(part)+1)
	const all = 1 << 20
	got := told(Rules{}.Messages(keeping(t, inZstd(t, parts...), all), keeping(t, inZstd(t, append(parts, "!")...), all)))
	if len(got) != 1 || !strings.HasPrefix(got[0], "body was 68157440 bytes with SHA-256 ") || !strings.Contains(got[0], ", is 68157441 bytes with SHA-256 ") {
		t.Errorf("%q", got)
	}
}
