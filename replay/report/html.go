package report

import "sync"

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"netlab/decode/printer"
	"netlab/replay"
	"netlab/replay/noise"
)

// HTML writes one page that has all it needs, and no script.
type HTML struct {
	gathered
	w         io.Writer
	recording string
}

// NewHTML returns a report to w about a recording of that name.
func NewHTML(w io.Writer, recording string) *HTML { return &HTML{w: w, recording: recording} }

//go:embed report.html
var pageText string

// page escapes whatever a server sent for the place where it stands; Clean has made
// harmless before what browsers would turn around.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Funcs(template.FuncMap{"clean": printer.Clean}).Parse(pageText))
})

type htmlPage struct {
	Recording, Verdict string
	Answers, Conns     string
	Took, Sent         string
	Groups             []htmlGroup
	Findings           []string
	Noise              []noise.Evidence
	Notes              []string
	Latency            string
	MoreGroups         int
}

type htmlGroup struct {
	Kind, Endpoint, Place string
	Count                 string
	Request, Number       string
	Path, Recorded, Live  string
	Reason                string
	Also                  string
}

// Result writes the page.
func (h *HTML) Result(r *replay.Result) error {
	p := htmlPage{
		Recording: h.recording, Answers: sum(r.Checks), Conns: sum(r.Conns), Took: printer.Duration(r.Took), Sent: printer.Bytes(r.Bytes),
		Noise: h.noise, Notes: r.Notes, MoreGroups: h.groups.overflow, Verdict: "the same",
	}
	for _, x := range h.groups.sorted() {
		g := htmlGroup{
			Kind: x.what(), Endpoint: x.endpoint, Place: x.place, Request: x.sample.Request, Number: numberOf(x.sample), Also: strings.Join(x.also, " "),
			Count: fmt.Sprintf("%d of %s", x.answers, printer.Count(int64(h.groups.answers[x.endpoint]), "answer")),
			Path:  x.shown.Path, Recorded: x.shown.Recorded, Live: x.shown.Live,
		}
		if x.failed {
			g.Reason, g.Place = x.place, ""
		}
		p.Groups = append(p.Groups, g)
	}
	for i := range h.rows {
		for _, why := range h.rows[i].Slower {
			p.Findings = append(p.Findings, h.rows[i].Endpoint+" is slower: "+why)
		}
	}
	for _, c := range h.conns {
		p.Findings = append(p.Findings, c.number+" "+c.reason)
	}
	switch {
	case len(p.Groups)+len(p.Findings) > 0:
		p.Verdict = "different"
	case r.Compared() == 0:
		p.Verdict = "nothing was compared"
	}
	if r.Live.TotalCount() > 0 {
		p.Latency = fmt.Sprintf("now: %s; in the recording: %s", quantiles(r.Live), quantiles(r.Recorded))
	}
	return page().Execute(h.w, p)
}
