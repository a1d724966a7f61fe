package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"netlab/decode/printer"
	"netlab/replay/plan"
	"netlab/replay/serve"
)

// serveLog prints what a stand-in does.
type serveLog struct {
	std  stdio
	json bool
	at   []string // where it listens
	mu   sync.Mutex
	enc  *json.Encoder
}

func newServeLog(std stdio, asJSON bool) *serveLog {
	enc := json.NewEncoder(std.out)
	enc.SetEscapeHTML(false)
	return &serveLog{std: std, json: asJSON, enc: enc}
}

type listeningRecord struct {
	Type    string `json:"type"` // "listening"
	Address string `json:"address"`
	Network string `json:"network"`
	Server  string `json:"server"` // that is stood in for
	TLS     bool   `json:"tls"`
}

type leftRecord struct {
	Type         string `json:"type"` // "cannot_give"
	Server       string `json:"server"`
	Conversation int    `json:"conversation"`
	Answers      int64  `json:"answers"`
	Reason       string `json:"reason"`
}

type readyRecord struct {
	Type string `json:"type"` // "ready", behind all that listens
}

type servedRecord struct {
	Type     string       `json:"type"` // "served"
	Time     time.Time    `json:"time"`
	Client   string       `json:"client"`
	Protocol string       `json:"protocol,omitempty"`
	Request  string       `json:"request"`
	Answer   string       `json:"answer"`
	Known    bool         `json:"known"`
	Nearest  []serve.Near `json:"nearest,omitempty"`
	Fault    string       `json:"fault,omitempty"`
}

type unaskedRecord struct {
	Type         string `json:"type"` // "unasked"
	Server       string `json:"server"`
	Conversation int    `json:"conversation"`
	Request      string `json:"request"`
	Answer       string `json:"answer"`
}

type sumsRecord struct {
	Type       string           `json:"type"` // "serve", last
	Asked      int64            `json:"asked"`
	Answered   int64            `json:"answered"`
	Unmatched  int64            `json:"unmatched"`
	Refused    int64            `json:"refused"`
	Recorded   int64            `json:"recorded"`
	Given      int64            `json:"given"`
	NeverAsked int64            `json:"never_asked"`
	CannotGive int64            `json:"cannot_give"`
	Reasons    map[string]int64 `json:"reasons,omitempty"`
}

// listening says where a server listens: in JSON, for scripts.
func (l *serveLog) listening(network string, a net.Addr, s plan.Server, tls bool) {
	if !slices.Contains(l.at, a.String()) {
		l.at = append(l.at, a.String())
	}
	l.enc.Encode(listeningRecord{"listening", a.String(), network, s.String(), tls})
}

// ready says that all listens, before that what cannot be given.
func (l *serveLog) ready(list []serving) {
	for i := range list {
		list[i].server.Left(func(conversation int, why string, n int64) {
			if l.json {
				l.enc.Encode(leftRecord{"cannot_give", list[i].recorded.String(), conversation, n, why})
			}
		})
	}
	if l.json {
		l.enc.Encode(readyRecord{"ready"})
	}
	fmt.Fprintf(l.std.err, "netlab: answering on %s; Ctrl-C ends\n", strings.Join(l.at, ", "))
}

// event prints a thing that was asked.
func (l *serveLog) event(e serve.Event) {
	l.mu.Lock() // several servers may have something to say
	defer l.mu.Unlock()
	if l.json {
		l.enc.Encode(servedRecord{"served", time.Now().UTC(), e.Client, e.Protocol, e.Request, e.Answer, e.Known, e.Near, e.Fault})
		return
	}
	fault := ""
	if e.Fault != "" {
		fault = " [" + e.Fault + "]"
	}
	fmt.Fprintf(l.std.out, "%s %s > %s%s\n", e.Client, printer.Clean(e.Request), printer.Clean(e.Answer), printer.Clean(fault))
	for _, n := range e.Near {
		fmt.Fprintf(l.std.out, "    near: %s: %s\n", printer.Clean(n.Request), printer.Clean(strings.Join(n.Differs, "; ")))
	}
}

// maxUnasked bounds how many of the answers that nobody asked for are listed.
const maxUnasked = 20

// sums prints the accounts of some servers as one, and what follows from it.
func (l *serveLog) sums(list []serving, expectAll bool) error {
	r := sumsRecord{Type: "serve", Reasons: make(map[string]int64)}
	for i := range list {
		c := list[i].server.Counts()
		r.Answered += c.Answered
		r.Unmatched += c.Unmatched
		r.Refused += c.Refused
		r.Recorded += c.Recorded
		r.Given += c.Given
		r.NeverAsked += c.NeverAsked
		list[i].server.Left(func(_ int, why string, n int64) {
			r.Reasons[why] += n
			r.CannotGive += n
		})
	}
	r.Asked = r.Answered + r.Unmatched
	if l.json {
		l.unasked(list, int(r.NeverAsked))
		if err := l.enc.Encode(r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(l.std.err, "netlab: %s\n", r.text())
		l.unasked(list, maxUnasked)
	}
	if expectAll && r.NeverAsked+r.Unmatched > 0 {
		return status(exitDiffers)
	}
	return nil
}

// text is the account in words.
func (r *sumsRecord) text() string {
	s := fmt.Sprintf("%d asked = %d answered + %d not in the recording", r.Asked, r.Answered, r.Unmatched)
	if r.Refused > 0 {
		s += fmt.Sprintf("; %s turned away", printer.Count(r.Refused, "client"))
	}
	s += fmt.Sprintf("\nnetlab: %d recorded = %d given + %d never asked for", r.Recorded, r.Given, r.NeverAsked)
	if r.CannotGive > 0 {
		s += fmt.Sprintf(" + %d that cannot be given", r.CannotGive)
	}
	for _, why := range slices.SortedFunc(maps.Keys(r.Reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Reasons[b], r.Reasons[a]), cmp.Compare(a, b))
	}) {
		s += fmt.Sprintf("\n  %d: %s", r.Reasons[why], printer.Clean(why))
	}
	return s
}

// unasked lists what was recorded and never asked for.
func (l *serveLog) unasked(list []serving, most int) {
	left := most
	for i := range list {
		x := &list[i]
		x.server.Unasked(left, func(conversation int, request, answer string) {
			left--
			if l.json {
				l.enc.Encode(unaskedRecord{"unasked", x.recorded.String(), conversation, request, answer})
				return
			}
			fmt.Fprintf(l.std.err, "  never asked for: #%d %s\n", conversation, printer.Clean(request))
		})
	}
}
