package plan

import (
	"strings"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/tls"
)

// rewriter changes what a client says in HTTP/1, request by request: it puts a host in place
// of another, in Host and in a target that has one, and leaves some requests out. All other
// bytes stay as they are, and when they are sent. The target of CONNECT stays too, for it
// names no server that is talked to.
type rewriter struct {
	host    []byte // nil leaves it
	left    *leftOut
	parser  proto.Parser
	editor  Editor
	steps   []Step  // whose bytes are not all done with
	text    []byte  // of them
	begins  []int64 // where requests begin
	done    int     // how much of text
	request int
	inside  bool // of a request, behind its head
	over    bool // another protocol is spoken, or none
}

func newRewriter(host string, left *leftOut) *rewriter {
	w := &rewriter{left: left, parser: proto.HTTP.New(alone{})}
	if host != "" {
		w.host = []byte(host)
	}
	return w
}

// take takes a step and returns those that are done with, changed. Each request begins a
// step of its own.
func (w *rewriter) take(s Step) []Step {
	w.steps = append(w.steps, s)
	w.text = append(w.text, s.Bytes...)
	for !w.over {
		n, m := w.parser.Next(flow.ClientToServer, w.text[w.done:], false)
		if n == 0 && m == nil {
			break
		}
		w.look(n, m)
	}
	if w.over || len(w.text)-w.done > proto.MaxBuffered {
		w.done = len(w.text)
	}
	return w.pieces()
}

// look takes note of what the parser was done with.
func (w *rewriter) look(n int, m *proto.Message) {
	from, at := w.done, w.steps[0].Offset+int64(w.done)
	w.done += n
	if m != nil && m.Kind == proto.Skipped {
		w.over = m.Malformed
		return
	}
	switch {
	case w.left != nil && w.left.requests.at(w.request):
		w.editor.Add(Edit{At: at, Length: int64(n)})
	case !w.inside && w.host != nil:
		for _, e := range hostPlaces(string(w.text[from:w.done])) {
			w.editor.Add(Edit{At: at + e.At, Length: e.Length, With: w.host})
		}
	}
	if !w.inside {
		w.begins = append(w.begins, at)
	}
	w.inside = m == nil
	if m != nil {
		w.request++
		w.over = m.Next != ""
	}
}

// rest returns what is left when nothing more comes.
func (w *rewriter) rest() []Step {
	w.done = len(w.text)
	return w.pieces()
}

// pieces cuts off what is done with.
func (w *rewriter) pieces() []Step {
	var out []Step
	n := 0
	for left := w.done; n < len(w.steps) && left > 0; {
		s := &w.steps[n]
		size := min(left, len(s.Bytes), w.upTo(s.Offset))
		part := *s
		part.Bytes = s.Bytes[:size]
		w.editor.Next(&part)
		if len(part.Bytes) > 0 {
			out = append(out, part)
		}
		left -= size
		s.Bytes, s.Offset = s.Bytes[size:], s.Offset+int64(size)
		if len(s.Bytes) == 0 {
			n++
		}
	}
	w.steps = append(w.steps[:0], w.steps[n:]...)
	w.text = append(w.text[:0], w.text[w.done:]...)
	w.done = 0
	return out
}

// upTo returns how many bytes from an offset on belong to no request that begins behind it.
func (w *rewriter) upTo(offset int64) int {
	for len(w.begins) > 0 && w.begins[0] <= offset {
		w.begins = w.begins[1:]
	}
	if len(w.begins) == 0 {
		return 1 << 30
	}
	return int(w.begins[0] - offset)
}

// alone is what a parser is told that sees only one side.
type alone struct{}

func (alone) Conversation() *flow.Conversation {
	return &flow.Conversation{Tuple: flow.Unknown(flow.TCP)}
}
func (alone) Request() *proto.Message           { return nil }
func (alone) At(flow.Direction, int) proto.Mark { return proto.Mark{} }
func (alone) Keep() int64                       { return 0 }
func (alone) With() string                      { return "" }
func (alone) Secrets() *tls.Secrets             { return nil }

// hostPlaces returns where the host stands in the head of a request.
func hostPlaces(head string) []Edit {
	var list []Edit
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
				list = append(list, Edit{At: int64(len(method) + 1 + from), Length: int64(to - from)})
			}
		} else if name, value, ok := strings.Cut(text, ":"); ok && strings.EqualFold(name, "host") {
			value = strings.TrimLeft(value, " \t")
			list = append(list, Edit{At: int64(offset + len(text) - len(value)), Length: int64(len(value))})
		}
		offset += len(line)
	}
	return list
}
