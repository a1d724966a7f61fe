package printer

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"netlab/decode/proto"
)

// Curl prints the HTTP requests of a conversation as commands that send them again
// with curl, to be pasted into a POSIX shell. Nothing that was recorded can get out
// of its quotes.
type Curl struct {
	// Index picks one exchange of the conversation; below 0 it is all.
	Index int
	// To, if any, is where the commands send to, whatever host they name.
	To string
	// Found counts the requests that were printed.
	Found int

	w  io.Writer
	id int
}

// NewCurl returns a printer to w of the conversation with that id.
func NewCurl(w io.Writer, id int) *Curl { return &Curl{Index: -1, w: w, id: id} }

// Exchange prints a request.
func (c *Curl) Exchange(e *proto.Exchange) error {
	if e.Conversation.ID != c.id || c.Index >= 0 && e.Index != c.Index || e.Request == nil {
		return nil
	}
	h, ok := e.Request.Body.(*proto.HTTPMessage)
	if !ok {
		return nil
	}
	c.Found++
	text := curl(e, h)
	if c.To != "" {
		text = strings.Replace(text, "\n  --globoff", "\n  --connect-to "+quoteShell("::"+c.To)+" --globoff", 1)
	}
	_, err := io.WriteString(c.w, text)
	return err
}

// curlOwn are the header fields that curl makes itself, from what it is told.
var curlOwn = map[string]bool{
	"host": true, "content-length": true, "connection": true, "transfer-encoding": true, "expect": true,
}

func curl(e *proto.Exchange, h *proto.HTTPMessage) string {
	var b strings.Builder
	body, err := proto.Transferred(e.Request)
	switch {
	case err != nil:
		fmt.Fprintf(&b, "# the body is not whole: %s\n", Clean(err.Error()))
	case !e.Request.Complete:
		fmt.Fprintf(&b, "# the request is not whole: %s\n", Clean(e.Request.Why))
	}
	quoted := ""
	switch {
	case len(body) == 0:
	case utf8.Valid(body) && !strings.ContainsRune(string(body), 0):
		quoted = quoteShell(string(body))
	default: // a shell's arguments hold no NUL, and bytes are not everywhere kept
		fmt.Fprintf(&b, "printf %s | ", quoteShell(octal(body)))
		quoted = "@-"
	}
	b.WriteString("curl")
	if !(h.Method == "GET" && len(body) == 0 || h.Method == "POST" && len(body) > 0) {
		if h.Method == "HEAD" {
			b.WriteString(" --head")
		} else {
			b.WriteString(" -X " + quoteShell(h.Method))
		}
	}
	switch {
	case h.Version == "HTTP/1.0":
		b.WriteString(" --http1.0")
	case strings.HasPrefix(h.Version, "HTTP/2") && e.Conversation.Secured:
		b.WriteString(" --http2")
	case strings.HasPrefix(h.Version, "HTTP/2"):
		b.WriteString(" --http2-prior-knowledge")
	}
	named := make(map[string]bool)
	for _, f := range h.Fields {
		name := strings.ToLower(f.Name)
		named[name] = true
		switch {
		case curlOwn[name]:
		case f.Value == "":
			b.WriteString(" \\\n  -H " + quoteShell(f.Name+";"))
		default:
			b.WriteString(" \\\n  -H " + quoteShell(f.Name+": "+f.Value))
		}
	}
	// What curl would add of its own.
	for _, own := range [...]string{"User-Agent", "Accept", "Content-Type"} {
		if !named[strings.ToLower(own)] && (own != "Content-Type" || len(body) > 0) {
			b.WriteString(" \\\n  -H " + quoteShell(own+":"))
		}
	}
	if quoted != "" {
		b.WriteString(" \\\n  --data-binary " + quoted)
	}
	// Brackets and dots in a recorded path are no patterns and no way up.
	b.WriteString(" \\\n  --globoff --path-as-is " + quoteShell(URL(e, h)) + "\n")
	return b.String()
}

// URL returns what a request asked for, with its scheme and host: the recorded
// address where it named none.
func URL(e *proto.Exchange, h *proto.HTTPMessage) string {
	if strings.Contains(h.Target, "://") {
		return h.Target
	}
	host, ok := h.Get("Host")
	if !ok || host == "" {
		host = e.Conversation.Server().String()
	}
	scheme := "http"
	if e.Conversation.Secured {
		scheme = "https"
	}
	target := h.Target
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	return scheme + "://" + host + target
}

// quoteShell makes one word of s for a shell. What a terminal would act on when it
// is pasted is shown by its number (POSIX.1-2024, dollar-single-quotes, which bash
// and zsh have had for long).
func quoteShell(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return proto.Harmful(r) && r != '\n' }) || !utf8.ValidString(s) {
		return "$'" + strings.NewReplacer("%%", "%", "'", `\'`).Replace(octal([]byte(s))) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// octal writes bytes for printf (POSIX, printf utility).
func octal(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		switch {
		case c == '%':
			out.WriteString("%%")
		case c == '\\' || c < ' ' || c >= 0x7f:
			fmt.Fprintf(&out, `\%03o`, c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
