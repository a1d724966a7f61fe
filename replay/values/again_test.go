package values

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// pool are answers, of which many come again, and the requests that say what they have.
func pool(r *rand.Rand) (requests, answers []string) {
	for i := range 8 {
		token := fmt.Sprintf("%016x", r.Uint64())
		long := strings.Repeat("so it goes on, ", 20)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		fmt.Fprintf(z, `{"zipped":"z%s","id":%d}`, token, i+50)
		z.Close()
		answers = append(answers,
			message(fmt.Sprintf(`200|Content-Type: application/json||{"id":%d,"token":"%s","text":"%s","next":"/users/%d/orders/%d"}`, i, token, long, i, i+7)),
			message(fmt.Sprintf(`200|Content-Type: application/json|Transfer-Encoding: chunked||{"user_id":%d,|"csrf":"c%s"}`, i+3, token)),
			message(fmt.Sprintf(`200|Content-Type: text/html||<p>%s<input type=hidden name=csrf value=h%s><input type=hidden name=user_id value=%d>`, long, token, i+20)),
			message(fmt.Sprintf(`200|Content-Type: text/plain||%s key: %s and d%s, %%41%s`, long, token, token, token)),
			message(fmt.Sprintf("200|Content-Type: application/json|Content-Encoding: gzip||%s", packed.String())))
		requests = append(requests,
			message(fmt.Sprintf("GET /users/%d|Cookie: a=%s", i, token)), message(fmt.Sprintf("GET /orders/%d?csrf=c%s", i+7, token)),
			message(fmt.Sprintf("POST /orders|Content-Type: application/x-www-form-urlencoded||csrf=h%s&user_id=%d", token, i+20)),
			message(fmt.Sprintf(`PUT /users/%d|Content-Type: application/json||{"token":"%s","id":%d,"zipped":"z%s"}`, i+3, token, i, token)))
	}
	return requests, answers
}

// TestAgain finds the same with and without a memory of bodies that came before, whatever else there is
// room for.
func TestAgain(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		requests, answers := pool(r)
		with, without := NewFinder(Options{}), NewFinder(Options{})
		without.seed, without.again = with.seed, newAgain(0)
		without.alone = newPart(without)
		for _, f := range []*Finder{with, without} {
			f.bounds.tokens, f.bounds.places = 1<<16, 1<<16
			if seed%3 > 0 { // what is older is forgotten
				f.bounds.tokens = 40 + int(seed)*10
			}
			if seed%5 == 0 {
				f.bounds.places = 12
			}
		}
		var conversations [4]flow.Conversation
		var index [4]int
		at, hits := time.Unix(1e9, 0), 0
		for range 300 {
			n := r.IntN(len(conversations))
			conversations[n].ID = n
			e := exchange(requests[r.IntN(len(requests))], answers[r.IntN(min(len(answers), 3+3*int(seed)))])
			e.Conversation, e.Index = &conversations[n], index[n]
			index[n]++
			e.Request.Time, e.Response.End = at, at.Add(time.Millisecond)
			at = at.Add(time.Second)
			if known(with, e.Response) {
				hits++
			}
			with.Exchange(e)
			without.Exchange(e)
		}
		if hits < 100 && seed%3 == 0 {
			t.Errorf("seed %d: only %d of 300 bodies were known", seed, hits)
		}
		if !reflect.DeepEqual(with.ring, without.ring) {
			t.Fatalf("seed %d: something else is remembered", seed)
		}
		if a, b := with.Found(), without.Found(); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: with a memory of bodies %v, without %v", seed, a, b)
		} else if values, _ := a.Used(); values == 0 && seed%3 == 0 {
			t.Errorf("seed %d: nothing is found", seed)
		}
	}
}

// known reports whether a Finder remembers what a body offered, for an answer to a plain request.
func known(f *Finder, m *proto.Message) bool {
	h := m.Body.(*proto.HTTPMessage)
	for _, resource := range []string{"user", "order", ""} {
		for _, creates := range []string{"creates", ""} {
			how := []string{"application/json", resource}
			how[0], _ = looksInto(m, h)
			if creates != "" {
				how = append(how, creates)
			}
			if h.Chunked {
				how = append(how, "chunked")
			}
			h.Values("Content-Encoding", func(v string) { how = append(how, "in "+v) })
			if _, ok := f.again.memo.Get(f.alone.digest.Of(m.Raw[len(h.Head):], how...)); ok {
				return true
			}
		}
	}
	return false
}
