package proto

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
)

// SMTPContent is a mail on its way, as it is behind DATA or, in part, BDAT.
type SMTPContent struct {
	// Bytes counts the content, without what SMTP put into it and the line that
	// ends it; Missing how much of it was never seen.
	Bytes, Missing int64
	// Subject, From and To are those of the mail's header, without encodings (RFC
	// 2047); empty when it has none, or is not all there.
	Subject, From, To string
}

// Held returns how much memory the content has need of.
func (c *SMTPContent) Held() int { return len(c.Subject) + len(c.From) + len(c.To) }

// Endpoint says that it is content.
func (c *SMTPContent) Endpoint() string { return "content" }

// Summary is the size with the subject.
func (c *SMTPContent) Summary() string {
	s := fmt.Sprintf("mail of %d bytes", c.Bytes)
	if c.Bytes == 1 {
		s = "mail of 1 byte"
	}
	if c.Subject != "" {
		s += fmt.Sprintf(" %q", c.Subject)
	}
	return s
}

// AppendJSON appends the size and the fields of the header that are there.
func (c *SMTPContent) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"content_bytes":`...)
	dst = strconv.AppendInt(dst, c.Bytes, 10)
	dst = appendMissing(dst, c.Missing)
	for _, f := range [...]Field{{`"subject":`, c.Subject}, {`"from":`, c.From}, {`"to":`, c.To}} {
		if f.Value != "" {
			dst = append(append(dst, ','), f.Name...)
			dst = AppendString(dst, f.Value)
		}
	}
	return dst
}

// MailContent returns the content of a message of SMTP, up to limit bytes, as who
// sent the mail wrote it. It needs the message's Raw. When that fails, it returns
// what it got, and why.
func MailContent(m *Message, limit int) ([]byte, error) {
	r := smtpReading{}
	raw := m.Raw
	switch b := m.Body.(type) {
	case *SMTPContent:
		r.newline = true
	case *SMTPCommand:
		if b.Chunk == nil {
			return nil, nil
		}
		raw = raw[bytes.IndexByte(raw, '\n')+1:]
		r.left = int64(len(raw))
		r.counted = true
	default:
		return nil, nil
	}
	var out []byte
	large := false
	r.tell = func(p []byte) {
		large = large || len(p) > limit-len(out)
		out = append(out, p[:min(len(p), limit-len(out))]...)
	}
	r.take(raw, true)
	switch {
	case large:
		return out, ErrContentTooLarge
	case m.RawMissing > 0:
		return out, fmt.Errorf("%d bytes of the message were not kept", m.RawMissing)
	case len(m.Raw) == 0:
		return nil, errors.New("the bytes of the message were not kept")
	}
	return out, nil
}

// Bounds of a mail's header, as much of it as is kept while it is read, and of each
// field that is kept of it.
const (
	maxSMTPHeader = 16 << 10
	maxSMTPField  = 1 << 10
)

// smtpReading is content that is being read.
type smtpReading struct {
	command *SMTPCommand // BDAT, or nil
	counted bool         // it is as long as was said
	left    int64        // when it is counted
	newline bool         // a line begins
	cr      bool         // the byte before was a CR
	plain   bool         // its beginning is not a mail's

	bytes, missing int64
	header         []byte
	torn           bool // something is missing behind header
	tell           func([]byte)
}

// take reads on and returns how many bytes it is done with, and whether the content
// ends with them.
func (r *smtpReading) take(data []byte, end bool) (n int, done bool) {
	if r.counted {
		n = int(min(r.left, int64(len(data))))
		r.left -= int64(n)
		r.content(data[:n])
		return n, r.left == 0
	}
	const last = ".\r\n"
	for n < len(data) {
		if rest := data[n:]; r.newline && rest[0] == '.' {
			switch {
			case bytes.HasPrefix(rest, []byte(last)):
				return n + len(last), true
			case len(rest) < len(last) && string(rest) == last[:len(rest)] && !end:
				return n, false
			}
			n++ // the sender put it there (RFC 5321, section 4.5.2)
			r.newline, r.cr = false, false
			continue
		}
		i := bytes.IndexByte(data[n:], '\n')
		if i < 0 {
			r.content(data[n:])
			r.newline, r.cr = false, data[len(data)-1] == '\r'
			return len(data), false
		}
		// Only CR and LF end a line: what else some take for one is how mails are
		// smuggled into others.
		r.newline = i > 0 && data[n+i-1] == '\r' || i == 0 && r.cr
		r.cr = false
		r.content(data[n : n+i+1])
		n += i + 1
	}
	return n, false
}

// content takes a part of the mail.
func (r *smtpReading) content(data []byte) {
	r.bytes += int64(len(data))
	if room := maxSMTPHeader - len(r.header); room > 0 && !r.torn && !r.plain {
		r.header = append(r.header, data[:min(room, len(data))]...)
	}
	if r.tell != nil {
		r.tell(data)
	}
}

// skip passes over n missing bytes. It reports whether all of them are content, as
// far as can be known, and whether that ends with them.
func (r *smtpReading) skip(n int64) (known, done bool) {
	known = !r.counted || n <= r.left
	if r.counted {
		n = min(n, r.left)
		r.left -= n
	}
	r.bytes += n
	r.missing += n
	r.torn, r.newline, r.cr = true, false, false
	return known, r.counted && r.left == 0
}

// ended returns what was read.
func (r *smtpReading) ended() *SMTPContent {
	c := &SMTPContent{Bytes: r.bytes, Missing: r.missing}
	n := endOfHead(r.header, 0)
	if n < 0 {
		n = len(r.header)
		if r.torn || n == maxSMTPHeader {
			n = bytes.LastIndexByte(r.header, '\n') + 1 // the last line is cut
		}
	}
	fields, _ := parseFields(nil, string(r.header[:n]))
	for _, f := range fields {
		for _, want := range [...]struct {
			name  string
			value *string
		}{{"Subject", &c.Subject}, {"From", &c.From}, {"To", &c.To}} {
			if *want.value == "" && strings.EqualFold(f.Name, want.name) {
				*want.value = decodedField(f.Value)
			}
		}
	}
	return c
}

// decodedField returns a header field on one line and without encodings.
func decodedField(v string) string {
	v = v[:min(len(v), maxSMTPField)]
	v = strings.NewReplacer("\r\n", "", "\n", "").Replace(v)
	if d, err := new(mime.WordDecoder).DecodeHeader(v); err == nil {
		v = d[:min(len(d), maxSMTPField)]
	}
	return strings.Clone(v)
}
