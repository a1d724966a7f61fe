package printer

import (
	"fmt"
	"io"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Live prints a line for each thing that happens, when it happens.
type Live struct {
	// Hide puts what must not be shown out of sight; nil shows all.
	Hide Hider

	w     io.Writer
	style Style
}

// NewLive returns a printer to w.
func NewLive(w io.Writer, style Style) *Live { return &Live{w: w, style: style} }

// line prints one line: the time of day, the conversation, and text.
func (l *Live) line(at time.Time, id int, p paint, text string) error {
	head := fmt.Sprintf("%s #%-4d ", at.Local().Format("15:04:05.000000"), id)
	if l.style.Width > 0 {
		text = fit(text, max(20, l.style.Width-len(head)))
	}
	_, err := fmt.Fprintln(l.w, l.style.paint(dim, head)+l.style.paint(p, text))
	return err
}

// Start prints who begins to talk.
func (l *Live) Start(c *flow.Conversation) error {
	return l.line(c.Start.Time(), c.ID, dim, fmt.Sprintf("%s %s > %s begins", c.Transport(), c.Client(), c.Server()))
}

// Exchange prints what was asked and answered.
func (l *Live) Exchange(e *proto.Exchange) error {
	var summary []byte
	request := string(appendRequest(nil, e, l.Hide, &summary))
	response := string(appendResponse(nil, e, l.Hide, &summary))
	text := e.Protocol.Name + " "
	switch {
	case request == "":
		text += "< " + response
	case response == "":
		text += request
	default:
		text += request + " > " + response
	}
	if d, ok := e.Latency(); ok {
		text += ", " + Duration(d)
	}
	ms := e.Messages()
	return l.line(ms[len(ms)-1].End, e.Conversation.ID, severity(e), text)
}

// Close prints that a connection ended.
func (l *Live) Close(c *flow.Conversation) error {
	return l.line(c.End.Time(), c.ID, dim, fmt.Sprintf("%s after %s, %s sent, %s received%s", ending(c),
		Duration(c.End.Sub(c.Start)), Bytes(c.Sides[0].Bytes), Bytes(c.Sides[1].Bytes), trouble(troubles(c))))
}

// Anomaly prints what is odd.
func (l *Live) Anomaly(a flow.Anomaly) error {
	id := 0
	if a.Conversation != nil {
		id = a.Conversation.ID
	}
	a.Conversation = nil // the line has its number
	return l.line(a.Time, id, yellow, "odd: "+anomalyLine(a, l.Hide))
}
