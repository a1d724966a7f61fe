package plan

import (
	"slices"
	"strings"

	"netlab/decode/proto"
)

// SetHost puts a name in place of the host that requests of HTTP/1 are for: in Host, and
// in a target that has one. All other bytes stay as they are. The target of CONNECT stays
// too, for it names no server that is talked to. It returns how many requests it changed.
func (p *Plan) SetHost(name string) int {
	changed := 0
	for _, c := range p.Conns {
		if c.Protocol != &proto.HTTP {
			continue
		}
		var edits []edit
		var left int64 // bytes of requests that are not sent
		for i := range c.Checks {
			q := c.Checks[i].Exchange.Request
			if q == nil {
				continue
			}
			if c.Checks[i].Left {
				left += q.Length
				continue
			}
			h, ok := q.Body.(*proto.HTTPMessage)
			if !ok {
				continue
			}
			at := strings.Index(string(q.Raw[:min(len(q.Raw), len(h.Head)+16)]), h.Head) // empty lines may stand before it
			if places := hostPlaces(h.Head); at >= 0 && len(places) > 0 {
				for _, e := range places {
					edits = append(edits, edit{q.Offset - left + int64(at) + e.at, e.length})
				}
				changed++
			}
		}
		if len(edits) > 0 {
			c.edit(edits, []byte(name))
		}
	}
	return changed
}

// edit is a place in a stream.
type edit struct{ at, length int64 }

// hostPlaces returns where the host stands in the head of a request.
func hostPlaces(head string) []edit {
	var list []edit
	offset := 0
	for line := range strings.Lines(head) {
		text := strings.TrimRight(line, " \t\r\n")
		if offset == 0 {
			method, rest, _ := strings.Cut(text, " ")
			scheme := strings.Index(rest, "://")
			if method != "CONNECT" && scheme > 0 && !strings.ContainsAny(rest[:scheme], "/?# ") {
				from := scheme + len("://")
				to := len(rest)
				if n := strings.IndexAny(rest[from:], "/?# "); n >= 0 {
					to = from + n
				}
				from += strings.LastIndexByte(rest[from:to], '@') + 1
				list = append(list, edit{int64(len(method) + 1 + from), int64(to - from)})
			}
		} else if name, value, ok := strings.Cut(text, ":"); ok && strings.EqualFold(name, "host") {
			value = strings.TrimLeft(value, " \t")
			list = append(list, edit{int64(offset + len(text) - len(value)), int64(len(value))})
		}
		offset += len(line)
	}
	return list
}

// edit replaces places in what the client sends, in their order. A place may reach over
// several steps: the first then has all of what is new.
func (c *Conn) edit(edits []edit, with []byte) {
	var begin int64 // of the step in the recorded stream
	for i := range c.Steps {
		s := &c.Steps[i]
		end := begin + int64(len(s.Bytes))
		var out []byte
		done := begin // all before is in out
		for _, e := range edits {
			from, to := max(e.at, begin), min(e.at+e.length, end)
			inside := e.at >= begin && e.at < end
			if !inside && from >= to {
				continue
			}
			out = append(out, s.Bytes[done-begin:from-begin]...)
			if inside {
				out = append(out, with...)
			}
			done = max(done, to)
		}
		if out != nil || done > begin {
			s.Bytes = append(out, s.Bytes[done-begin:]...)
		}
		begin = end
		for len(edits) > 0 && edits[0].at+edits[0].length < begin {
			edits = edits[1:]
		}
	}
	c.Steps = slices.DeleteFunc(c.Steps, func(s Step) bool { return len(s.Bytes) == 0 })
}
