package serve

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"netlab/decode/proto"
)

// Match says what of two requests of HTTP/1 has to be the same for one to be answered as
// the other was. Among the recorded requests that are, those are preferred that are the
// same in all, then those of the same host and body.
type Match struct {
	// Path and Query are the parts of the target. In any order, the parameters of two
	// queries are the same; Target wants the same order too.
	Method, Target, Path, Query, Host, Body bool
	// Headers are names of fields, in lower case.
	Headers []string
}

// DefaultMatch wants the same method and target.
var DefaultMatch = Match{Method: true, Target: true}

func (m *Match) empty() bool {
	return !(m.Method || m.Target || m.Path || m.Query || m.Host || m.Body || len(m.Headers) > 0)
}

// ParseMatch reads a list with commas: method, target, path, query, host, body and
// header:NAME.
func ParseMatch(s string) (Match, error) {
	var m Match
	for word := range strings.SplitSeq(s, ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		name, isHeader := strings.CutPrefix(word, "header:")
		switch {
		case word == "method":
			m.Method = true
		case word == "target":
			m.Target = true
		case word == "path":
			m.Path = true
		case word == "query":
			m.Query = true
		case word == "host":
			m.Host = true
		case word == "body":
			m.Body = true
		case isHeader && name != "":
			m.Headers = append(m.Headers, name)
		default:
			return m, fmt.Errorf("%q is nothing of a request; there are method, target, path, query, host, body and header:NAME", word)
		}
	}
	return m, nil
}

// question is what is asked in a request of HTTP/1, in parts.
type question struct {
	method, path, query, host string
	body                      [sha256.Size]byte // of its content
	hasBody                   bool
	head                      *proto.HTTPMessage
}

// newQuestion takes a request apart. The host in a target that has one, as proxies are
// asked, is the Host.
func newQuestion(m *proto.Message) *question {
	h := m.Body.(*proto.HTTPMessage)
	q := &question{method: h.Method, head: h}
	q.host, _ = h.Get("Host")
	target := h.Target
	if scheme, rest, ok := strings.Cut(target, "://"); ok && !strings.ContainsAny(scheme, "/?#") && h.Method != "CONNECT" {
		q.host, target = rest, "/"
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			q.host, target = rest[:i], rest[i:]
		}
	}
	q.path, q.query, _ = strings.Cut(target, "?")
	if h.BodyBytes > 0 {
		content, err := proto.Content(m)
		if err != nil {
			content = m.Raw[min(len(m.Raw), len(h.Head)):]
		}
		q.hasBody, q.body = true, sha256.Sum256(content)
	}
	return q
}

// target puts path and query together again.
func (q *question) target() string {
	if q.query == "" {
		return q.path
	}
	return q.path + "?" + q.query
}

// parameters is the query with its parameters in order of their names.
func parameters(query string) string {
	if !strings.Contains(query, "&") {
		return query
	}
	list := strings.Split(query, "&")
	slices.SortStableFunc(list, func(a, b string) int {
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	})
	return strings.Join(list, "&")
}

// keys are those by which a question is found, from the closest to the loosest, without
// the one of all its bytes. The answer to HEAD has no body: it is never that to another
// method.
func (m *Match) keys(q *question) [2]string {
	var b strings.Builder
	add := func(wanted bool, part string) {
		if wanted {
			b.WriteString(part)
		}
		b.WriteByte(0)
	}
	b.WriteByte(webKey)
	add(m.Method || q.method == "HEAD", q.method)
	add(m.Target, q.target())
	add(m.Path, q.path)
	add(m.Query, parameters(q.query))
	add(m.Host, strings.ToLower(q.host))
	add(m.Body, string(q.body[:]))
	for _, name := range m.Headers {
		for _, f := range q.head.Fields {
			add(strings.EqualFold(f.Name, name), f.Value)
		}
		b.WriteByte(1)
	}
	loose := b.String()
	add(true, q.method)
	add(true, q.target())
	add(true, strings.ToLower(q.host))
	add(true, string(q.body[:]))
	return [2]string{b.String(), loose}
}

// Near is a recorded request that comes near to one that is not in the recording.
type Near struct {
	Request string   `json:"request"`
	Differs []string `json:"differs"` // in which parts
}

// maxNear is how many are told; maxCompared how many are looked at for them.
const (
	maxNear     = 3
	maxCompared = 4096
)

// nearest returns the questions that come nearest to one.
func (w *web) nearest(m *Match, q *question) []Near {
	type scored struct {
		q     *question
		score int
	}
	list := make([]scored, 0, min(len(w.questions), maxCompared))
	for _, k := range w.questions[:cap(list)] {
		list = append(list, scored{k, q.likeness(k)})
	}
	slices.SortStableFunc(list, func(a, b scored) int { return b.score - a.score })
	var near []Near
	for _, s := range list[:min(len(list), maxNear)] {
		near = append(near, Near{s.q.method + " " + s.q.host + s.q.target(), q.differs(m, s.q)})
	}
	return near
}

// likeness says how much of a target two questions have in common, in thousandths, and
// then whether they are the same in other parts.
func (q *question) likeness(k *question) int {
	a, b := q.target(), k.target()
	front := 0
	for front < min(len(a), len(b)) && a[front] == b[front] {
		front++
	}
	back := 0
	for back < min(len(a), len(b))-front && a[len(a)-1-back] == b[len(b)-1-back] {
		back++
	}
	score := 2000 * (front + back) / max(1, len(a)+len(b))
	if q.path == k.path {
		score += 1000
	}
	if q.method == k.method {
		score += 300
	}
	if strings.EqualFold(q.host, k.host) {
		score += 100
	}
	if q.body == k.body {
		score += 100
	}
	return score
}

// differs says in which parts a request is not as a recorded one: of those that have to
// be the same, or, when they are, in host and body.
func (q *question) differs(m *Match, k *question) []string {
	var list []string
	part := func(name, is, was string) {
		if is != was {
			list = append(list, fmt.Sprintf("%s is %s, was %s", name, quote(is), quote(was)))
		}
	}
	if m.Method || q.method == "HEAD" || k.method == "HEAD" {
		part("method", q.method, k.method)
	}
	if m.Target || m.Path {
		part("path", q.path, k.path)
	}
	switch {
	case m.Target && q.query != k.query && parameters(q.query) == parameters(k.query):
		list = append(list, "the parameters of the query are in another order")
	case m.Target || m.Query:
		list = append(list, differingParameters(q.query, k.query)...)
	}
	if m.Host {
		part("host", strings.ToLower(q.host), strings.ToLower(k.host))
	}
	for _, name := range m.Headers {
		is, _ := q.head.Get(name)
		was, _ := k.head.Get(name)
		part("header "+name, is, was)
	}
	if m.Body && q.body != k.body {
		list = append(list, "another body")
	}
	if len(list) == 0 {
		list = append(list, "it was asked more often than in the recording")
	}
	return list
}

// differingParameters says which parameters of two queries differ.
func differingParameters(is, was string) []string {
	a, err1 := url.ParseQuery(is)
	b, err2 := url.ParseQuery(was)
	if err1 != nil || err2 != nil {
		if is == was {
			return nil
		}
		return []string{fmt.Sprintf("query is %s, was %s", quote(is), quote(was))}
	}
	var list []string
	for _, name := range slices.Sorted(keysOf(a, b)) {
		x, had := a[name]
		y, has := b[name]
		switch {
		case !had:
			list = append(list, "parameter "+quote(name)+" is missing")
		case !has:
			list = append(list, "parameter "+quote(name)+" is new")
		case !slices.Equal(x, y):
			list = append(list, fmt.Sprintf("parameter %s is %s, was %s", quote(name), quote(strings.Join(x, ", ")), quote(strings.Join(y, ", "))))
		}
	}
	const few = 5
	if len(list) > few {
		list = append(list[:few], fmt.Sprintf("and %d parameters more", len(list)-few))
	}
	return list
}

// keysOf are the names in both, each once.
func keysOf(a, b url.Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range a {
			if !yield(name) {
				return
			}
		}
		for name := range b {
			if _, both := a[name]; !both && !yield(name) {
				return
			}
		}
	}
}

// quote shows a part of a request; it is cut when it is long.
func quote(s string) string {
	const long = 80
	if len(s) > long {
		return fmt.Sprintf("%q…", s[:long])
	}
	return fmt.Sprintf("%q", s)
}
