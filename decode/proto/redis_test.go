package proto

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
)

// redisArray is a command as clients write it.
func redisArray(words string) string {
	var b strings.Builder
	list := strings.Fields(words)
	fmt.Fprintf(&b, "*%d\r\n", len(list))
	for _, w := range list {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

func TestRedisKeys(t *testing.T) {
	for words, want := range map[string]string{
		"GET a": "a", "SET a b": "a", "MGET a b c": "a,b,c", "MSET a 1 b 2": "a,b", "DEL a b": "a,b", "PING": "", "AUTH a": "", "CONFIG GET a": "",
		"EVAL return 2 a b c": "a,b", "EVAL return 9 a": "a", "EVAL return -1 a": "", "EVAL return x a": "", "EVAL": "", "OBJECT ENCODING a": "a",
		"BITOP AND a b": "a,b", "ZUNION 1 a WEIGHTS 2": "a", "PUBLISH a b": "", "module.do a": "a",
	} {
		c := exchanges(t, &Redis, redisArray(words), "+OK\r\n")[0].Request.Body.(*RedisCommand)
		if got := strings.Join(c.Keys(), ","); got != want {
			t.Errorf("%s: %s, want %s", words, got, want)
		}
	}
}

func TestRedisAttributes(t *testing.T) {
	e := exchanges(t, &Redis, redisArray("config GET save"), "-WRONGTYPE no\r\n")[0]
	want := map[string]string{"redis.command": "CONFIG", "redis.arguments": "GET,save", "redis.kind": "error", "redis.error": "WRONGTYPE"}
	if d := cmp.Diff(want, attributes(&Redis, e)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if _, word, failed := e.Response.Body.(Outcome).Outcome(); word != "WRONGTYPE" || !failed {
		t.Errorf("outcome %s, %t", word, failed)
	}
	if got := e.Request.Body.(Endpoint).Endpoint(); got != "CONFIG GET" {
		t.Errorf("endpoint %s", got)
	}
}

// keeperOf keeps exchanges, and takes no anomaly.
type keeperOf struct{ exchanges []*Exchange }

func (k *keeperOf) Exchange(e *Exchange) { k.exchanges = append(k.exchanges, e) }
func (k *keeperOf) Anomaly(a flow.Anomaly) {
	panic(a.Detail)
}

// TestRedisBounds reads a large value, and many small ones, and keeps little.
func TestRedisBounds(t *testing.T) {
	const size = 8 << 20
	for name, reply := range map[string]string{
		"string":   fmt.Sprintf("$%d\r\n%s\r\n", size, strings.Repeat("v", size)),
		"elements": fmt.Sprintf("*%d\r\n%s", size/16, strings.Repeat("$9\r\n123456789\r\n", size/16)),
		"lists":    fmt.Sprintf("*%d\r\n%s", size/16, strings.Repeat("*1\r\n*1\r\n:1\r\n", size/16)),
	} {
		t.Run(name, func(t *testing.T) {
			r := &keeperOf{}
			g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, r, Options{Protocol: &Redis})
			const bound = dialogueCost + 2*messageCost + 3*maxRedisTexts + 2*redisValueCost*maxRedisValues
			for off := 0; off < len(reply); off += 1460 {
				g.Chunk(s2c, flow.Chunk{Data: []byte(reply[off:min(off+1460, len(reply))]), Offset: int64(off), Time: timeOf(1), Packet: 1, Ack: flow.NoAck})
				if n := g.Held(); n > bound {
					t.Fatalf("%d bytes are held", n)
				}
			}
			g.Close()
			if len(r.exchanges) != 1 || r.exchanges[0].Response.Length != int64(len(reply)) || !r.exchanges[0].Response.Complete {
				t.Errorf("%d exchanges", len(r.exchanges))
			}
			if b := r.exchanges[0].Response.Body; len(b.AppendJSON(nil)) > 4*maxRedisTexts {
				t.Errorf("%d bytes of JSON", len(b.AppendJSON(nil)))
			}
		})
	}
}
