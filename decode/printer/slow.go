package printer

import (
	"fmt"
	"strings"
	"time"

	"netlab/decode/proto"
)

// slowest is the shortest time that is worth a word about where it went.
const slowest = 10 * time.Millisecond

// slow says where the time of an exchange went: into the request, into the server's
// thinking or into the response; and what TCP had to wait for in it.
func slow(e *proto.Exchange, total time.Duration) string {
	var parts []string
	if total >= slowest {
		q, r := e.Request, e.Response
		server, _ := e.Latency()
		name, most := "server thinking", server
		if d := q.End.Sub(q.Time); d > most {
			name, most = "sending", d
		}
		if d := r.End.Sub(r.Time); d > most {
			name, most = "transfer", d
		}
		if most > total/2 {
			parts = append(parts, name)
		}
	}
	resent, full := e.Conversation.Delays(e.Request.Time, e.Response.End)
	if resent > 0 {
		parts = append(parts, fmt.Sprintf("%d sent again", resent))
	}
	if full > 0 {
		parts = append(parts, "window full "+Duration(full))
	}
	return strings.Join(parts, ", ")
}
