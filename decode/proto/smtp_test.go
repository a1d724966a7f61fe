package proto

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
)

// exchanges plays a conversation of one packet a side.
func exchanges(t *testing.T, p *Protocol, client, server string) []*Exchange {
	t.Helper()
	tr := &transcript{transport: flow.TCP, protocol: p, lines: []line{{d: c2s, data: []byte(client), ack: patient}, {d: s2c, data: []byte(server), ack: patient}}}
	r := tr.play(t, Options{Keep: keepAll}, whole)
	slices.SortFunc(r.exchanges, func(a, b *Exchange) int { return a.Index - b.Index })
	return r.exchanges
}

// attributes are all that an exchange has, as text.
func attributes(p *Protocol, e *Exchange) map[string]string {
	all := make(map[string]string)
	for _, a := range p.Attributes {
		var texts []string
		for _, v := range a.Get(nil, e) {
			if a.Kind != Text {
				v.Text = strconv.FormatInt(v.Number, 10)
			}
			texts = append(texts, v.Text)
		}
		if texts != nil {
			all[a.Name] = strings.Join(texts, ",")
		}
	}
	return all
}

func TestMailContent(t *testing.T) {
	for name, tt := range map[string]struct{ sent, want string }{
		"plain":        {"DATA\r\na\r\nb\r\n.\r\n", "a\r\nb\r\n"},
		"empty":        {"DATA\r\n.\r\n", ""},
		"dots":         {"DATA\r\n..\r\n...a\r\nb.\r\n.\r\n", ".\r\n..a\r\nb.\r\n"},
		"bare_newline": {"DATA\r\na\n.\nb\r\n.\nc\r\n.\r\n", "a\n.\nb\r\n\nc\r\n"},
		"chunk":        {"BDAT 7 LAST\r\n..\r\n.\r\n", "..\r\n.\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, e := range exchanges(t, &SMTP, tt.sent, "354 go\r\n250 ok\r\n") {
				c := smtpContent(e.Request)
				if c == nil {
					continue
				}
				got, err := MailContent(e.Request, 100)
				if err != nil || string(got) != tt.want || c.Bytes != int64(len(tt.want)) {
					t.Errorf("%q, %d bytes, %v; want %q", got, c.Bytes, err, tt.want)
				}
				if len(got) > 1 {
					if got, err := MailContent(e.Request, 1); err != ErrContentTooLarge || string(got) != tt.want[:1] {
						t.Errorf("up to 1 byte: %q, %v", got, err)
					}
				}
			}
		})
	}
}

func TestSMTPAttributes(t *testing.T) {
	got := []map[string]string{}
	for _, e := range exchanges(t, &SMTP, "mail FROM:<a@b> SIZE=1\r\nRCPT TO: <c@d>\r\nDATA\r\nSubject: x\r\nFrom: y\r\n\r\n.\r\n", "250 a\r\n550 b\r\n354 c\r\n250 d\r\n") {
		got = append(got, attributes(&SMTP, e))
	}
	want := []map[string]string{
		{"smtp.command": "MAIL", "smtp.sender": "a@b", "smtp.code": "250"},
		{"smtp.command": "RCPT", "smtp.recipient": "c@d", "smtp.code": "550"},
		{"smtp.command": "DATA", "smtp.code": "354"},
		{"smtp.subject": "x", "smtp.from": "y", "smtp.content_bytes": "23", "smtp.code": "250"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}
