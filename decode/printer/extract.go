package printer

import (
	"fmt"
	"io"
	"mime"
	"path"
	"strings"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// KeepExtract is how much of a message decode.Options.Keep has to hold for its
// content to become a file; what is beyond is said to be missing.
const KeepExtract = proto.MaxContent

// MaxExtracted bounds the files of an Extract: no folder is made unusable.
const MaxExtracted = 100_000

// Folder is where an Extract puts files. Names have no separators, do not begin with
// a dot, and are of letters, digits, and "._-" only; none comes twice.
type Folder interface {
	Create(name string) (io.WriteCloser, error)
	Rename(from, to string) error
}

// Extract writes what conversations carried to files: the bodies of HTTP, with their
// encodings taken off, what FTP transferred, and mail. It prints a line for each.
type Extract struct {
	// Files and Bytes count what was written, Left what was not: MaxExtracted is
	// reached.
	Files, Bytes, Left int64

	w       io.Writer
	style   Style
	folder  Folder
	streams map[int]*stream // of FTP's data connections
}

// stream is a file that is being written.
type stream struct {
	name    string
	file    io.WriteCloser
	bytes   int64
	missing int64
}

// NewExtract returns an Extract into a folder that prints to w.
func NewExtract(w io.Writer, style Style, folder Folder) *Extract {
	return &Extract{w: w, style: style, folder: folder, streams: make(map[int]*stream)}
}

// Exchange writes what the messages of an exchange carry.
func (x *Extract) Exchange(e *proto.Exchange) error {
	for _, m := range e.Messages() {
		name, data, note := carried(e, m)
		if len(data) == 0 {
			continue
		}
		if err := x.put(fmt.Sprintf("%d.%d-%s", e.Conversation.ID, e.Index, name), data, note); err != nil {
			return err
		}
	}
	return nil
}

// carried returns what a message carries, what to call it, and what is wrong with it.
func carried(e *proto.Exchange, m *proto.Message) (name string, data []byte, note string) {
	var err error
	switch b := m.Body.(type) {
	case *proto.HTTPMessage:
		if b.BodyBytes == 0 {
			return "", nil, ""
		}
		data, err = proto.Content(m)
		name = httpName(e, m, b)
	case *proto.SMTPContent, *proto.SMTPCommand: // which may bring some with it
		data, err = proto.MailContent(m, proto.MaxContent)
		name = "mail.eml"
	}
	switch {
	case err != nil:
		note = err.Error()
	case !m.Complete:
		note = m.Why
	}
	return name, data, note
}

// httpName is what to call a body: the name that it was given, or the last part of
// what was asked for, with an ending for its type if it has none.
func httpName(e *proto.Exchange, m *proto.Message, h *proto.HTTPMessage) string {
	name := ""
	if v, ok := h.Get("Content-Disposition"); ok {
		if _, params, err := mime.ParseMediaType(v); err == nil {
			name = params["filename"]
		}
	}
	if name == "" && e.Request != nil {
		target, _, _ := strings.Cut(e.Request.Body.(*proto.HTTPMessage).Target, "?")
		name = path.Base(target)
	}
	if name == "" || name == "/" || name == "." {
		name = "index"
	}
	if m.Kind == proto.Request {
		name = "request-" + name
	}
	if path.Ext(name) == "" {
		kind, _ := h.Get("Content-Type")
		kind, _, _ = strings.Cut(kind, ";")
		name += endings[strings.ToLower(strings.TrimSpace(kind))]
	}
	return name
}

// endings of files by their type; those of the usual ones, for mime's list depends
// on the machine.
var endings = map[string]string{
	"text/html": ".html", "text/plain": ".txt", "text/css": ".css", "text/javascript": ".js", "application/javascript": ".js",
	"application/json": ".json", "application/xml": ".xml", "text/xml": ".xml", "image/png": ".png", "image/jpeg": ".jpg",
	"image/gif": ".gif", "image/webp": ".webp", "image/svg+xml": ".svg", "application/pdf": ".pdf", "application/zip": ".zip",
	"application/x-www-form-urlencoded": ".form", "multipart/form-data": ".multipart",
}

// maxName bounds a file's name.
const maxName = 120

// safeName keeps of a name what no file system, shell or desktop acts on.
func safeName(name string) string {
	var b strings.Builder
	for _, r := range name {
		if b.Len() == maxName {
			break
		}
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-', r == '_':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	return strings.TrimRight(strings.TrimLeft(b.String(), ".-"), ".")
}

// put writes a file.
func (x *Extract) put(name string, data []byte, note string) error {
	name = safeName(name)
	if x.Files == MaxExtracted {
		x.Left++
		return nil
	}
	f, err := x.folder.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return x.wrote(name, int64(len(data)), note)
}

// wrote prints that a file was written.
func (x *Extract) wrote(name string, bytes int64, note string) error {
	x.Files++
	x.Bytes += bytes
	if note != "" {
		note = x.style.paint(yellow, "  ("+Clean(note)+")")
	}
	_, err := fmt.Fprintf(x.w, "%10s  %s%s\n", Bytes(bytes), name, note)
	return err
}

// Stream writes what FTP transfers, as it comes.
func (x *Extract) Stream(c *flow.Conversation, _ flow.Direction, k flow.Chunk) error {
	if c.For == nil {
		return nil
	}
	s := x.streams[c.ID]
	if s == nil {
		if x.Files+int64(len(x.streams)) >= MaxExtracted {
			x.Left++
			return nil
		}
		s = &stream{name: fmt.Sprintf("%d-transfer.part", c.ID)} // what it is is known at its end
		var err error
		if s.file, err = x.folder.Create(s.name); err != nil {
			return err
		}
		x.streams[c.ID] = s
	}
	s.bytes += int64(len(k.Data))
	_, err := s.file.Write(k.Data)
	return err
}

// Gap notes that bytes of a transfer are missing. They are left out, not made up.
func (x *Extract) Gap(c *flow.Conversation, _ flow.Direction, g flow.Gap) error {
	if s := x.streams[c.ID]; s != nil {
		s.missing += g.Length
	}
	return nil
}

// Finish names a transfer by what asked for it.
func (x *Extract) Finish(c *flow.Conversation) error {
	s := x.streams[c.ID]
	if s == nil {
		return nil
	}
	delete(x.streams, c.ID)
	if err := s.file.Close(); err != nil {
		return err
	}
	what := "transfer"
	if command, file, ok := strings.Cut(c.For.Purpose, " "); ok && file != "" {
		what = path.Base(file)
	} else if command != "" {
		what = strings.ToLower(command) + ".txt"
	}
	name := safeName(fmt.Sprintf("%d-%s", c.ID, what))
	if err := x.folder.Rename(s.name, name); err != nil {
		return err
	}
	note := ""
	if s.missing > 0 {
		note = Count(s.missing, "byte") + " were not captured"
	}
	return x.wrote(name, s.bytes, note)
}

// Summary prints what all comes to.
func (x *Extract) Summary(*decode.Summary) error {
	left := ""
	if x.Left > 0 {
		left = fmt.Sprintf(", %d more are not written: there are too many", x.Left)
	}
	_, err := fmt.Fprintf(x.w, "%s, %s%s\n", Count(x.Files, "file"), Bytes(x.Bytes), left)
	return err
}
