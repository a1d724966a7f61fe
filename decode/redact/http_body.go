package redact

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"netlab/decode/memo"
	"netlab/decode/proto"
)

// maxContent bounds a body without its encodings that is looked into.
const maxContent = 4 * KeepBytes

// httpBody is a body as it stands in a message.
type httpBody struct {
	// data are the parts of it: chunks, or all.
	data [][2]int
	// extensions are those of chunks (RFC 9112, section 7.1.1).
	extensions [][2]int
	// first is where the line before the first chunk begins, last where the line of the last chunk,
	// which is empty, does.
	first, last int
}

// body looks at the body behind a head.
func (x *httpMessage) body() {
	head := len(x.h.Head)
	b := httpBody{data: [][2]int{{head, len(x.raw)}}}
	if x.h.Chunked {
		var ok bool
		if b, ok = chunks(x.raw, head); !ok {
			x.blank(head, len(x.raw), "an HTTP body whose chunks are malformed")
			return
		}
		for _, p := range b.extensions {
			x.texts(inHeader, p[0], p[1])
		}
		trailer := x.httpFields(nil, x.raw, min(len(x.raw), b.last+bytes.IndexByte(x.raw[b.last:], '\n')+1))
		for i := range trailer {
			x.field(&trailer[i])
		}
	}
	sent := x.raw[b.data[0][0]:b.data[0][1]]
	if len(b.data) > 1 {
		sent = nil
		for _, d := range b.data {
			sent = append(sent, x.raw[d[0]:d[1]]...)
		}
	}
	if len(sent) == 0 {
		return
	}
	if j := x.judged(sent); x.editing() {
		x.put(&b, sent, j)
	}
}

// chunks takes a chunked body apart that begins at an offset.
func chunks(raw []byte, at int) (b httpBody, ok bool) {
	list, ok := proto.HTTPChunks(raw, at)
	if !ok {
		return b, false
	}
	for _, c := range list {
		if c.Extension < c.ExtensionEnd {
			b.extensions = append(b.extensions, [2]int{c.Extension, c.ExtensionEnd})
		}
		if c.Data < c.DataEnd {
			b.data = append(b.data, [2]int{c.Data, c.DataEnd})
		}
	}
	b.first, b.last = at, list[len(list)-1].Begin
	if len(b.data) == 0 {
		b.data = [][2]int{{at, at}}
	}
	return b, true
}

// judgement is what becomes of a body as it is sent.
type judgement struct {
	why   string   // not empty: it is blanked
	list  []change // else in it, or when it had encodings
	now   string   // in its place
	tally tally    // of what is done in it
}

// bytes is about what a judgement takes.
func (j *judgement) bytes() int64 {
	const changeCost, tallyCost = 64, 256
	n := tallyCost + len(j.now)
	for i := range j.list {
		n += changeCost + len(j.list[i].with)
	}
	return int64(n)
}

// changed reports whether something else is sent.
func (j *judgement) changed() bool { return j.why != "" || len(j.list) > 0 || j.now != "" }

// applied is what is sent in the place of a body; nil if that is not known.
func (j *judgement) applied(sent []byte) []byte {
	switch {
	case j.why != "":
		return nil
	case len(j.list) > 0:
		return apply(sent, j.list)
	}
	return []byte(j.now)
}

// judged looks at a body, or knows what came of it when it was looked at before: that depends on
// its bytes and on how the head has them read, and, when all is learned, on nothing else. Learning
// from it again teaches nothing, unless there was no room for it.
func (x *httpMessage) judged(sent []byte) *judgement {
	how := []string{"learn"}
	if x.editing() {
		how[0] = "edit"
	}
	typ, _ := x.h.Get("Content-Type")
	how = x.h.AppendEncodings(append(how, typ))
	if len(sent) < memo.Worth && len(how) == 2 {
		return x.judge(sent, typ)
	}
	k := x.z.digests.Of(sent, how...)
	if j, ok := x.z.bodies.Get(k); ok {
		x.z.tally.add(&j.tally)
		return j
	}
	var j *judgement
	lost := x.z.dict.full()
	tally := x.z.tallied(func() { j = x.judge(sent, typ) })
	j.tally = tally
	if x.z.dict.full() == lost {
		x.z.bodies.Put(k, j, j.bytes())
	}
	return j
}

// judge looks at a body as it was sent.
func (x *httpMessage) judge(sent []byte, typ string) *judgement {
	encodings := slices.DeleteFunc(x.h.AppendEncodings(nil), func(v string) bool { return v == "identity" })
	content := sent
	if len(encodings) > 0 {
		var err error
		if content, err = x.h.Decoded(sent, maxContent); err != nil {
			return &judgement{why: "an HTTP body whose encoding can't be taken off"}
		}
	}
	list, known := x.content(nil, inBody, typ, content, 0, len(content), 0)
	if !x.editing() {
		return &judgement{}
	}
	if !known && !x.z.allowed(typ) {
		why := "an HTTP body of a type that is not understood: " + mediaType(typ)
		if len(encodings) == 0 {
			return &judgement{why: why}
		}
		x.z.blank(why, int64(len(sent)))
		list = []change{{from: 0, to: len(content), blank: true}}
	}
	if len(encodings) == 0 {
		return &judgement{list: list}
	}
	if len(list) == 0 {
		return &judgement{}
	}
	now, err := x.z.coders.encode(encodings, apply(content, list))
	if err != nil {
		return &judgement{why: "an HTTP body whose encoding can't be put on"}
	}
	return &judgement{now: string(now)}
}

// put has what was judged become of a body, and of what the head says of it.
func (x *httpMessage) put(b *httpBody, sent []byte, j *judgement) {
	switch {
	case j.why != "":
		x.blankBody(b, j.why)
	case len(j.list) > 0:
		x.inPlace(b, sent, j.list)
	case j.now != "":
		x.resend(b, j.now, len(sent))
	}
	if j.changed() && slices.ContainsFunc(x.fields, func(a httpField) bool { return isDigest(a.name) }) {
		x.digests(sent, j.applied(sent))
	}
}

// blankBody blanks a body, and leaves its chunks.
func (x *httpMessage) blankBody(b *httpBody, why string) {
	n := 0
	for _, d := range b.data {
		n += d[1] - d[0]
		if x.editing() && d[0] < d[1] {
			x.changes = append(x.changes, change{from: d[0], to: d[1], blank: true})
		}
	}
	if x.editing() {
		x.z.blank(why, int64(n))
	}
}

// inPlace changes what is to change in a body without an encoding.
func (x *httpMessage) inPlace(b *httpBody, sent []byte, list []change) {
	grown, same := 0, true
	for _, c := range list {
		if !c.blank {
			grown += len(c.with) - (c.to - c.from)
			same = same && len(c.with) == c.to-c.from
		}
	}
	if !same && x.h.Chunked {
		x.resend(b, string(apply(sent, list)), len(sent))
		return
	}
	begin := 0 // of a part, in what was sent
	for _, d := range b.data {
		for _, c := range list {
			from, to := max(c.from, begin), min(c.to, begin+d[1]-d[0])
			if from >= to {
				continue
			}
			k := change{from: d[0] + from - begin, to: d[0] + to - begin, blank: c.blank}
			switch {
			case c.blank:
			case same:
				k.with = c.with[from-c.from : to-c.from]
			default:
				k.with = c.with
			}
			x.changes = append(x.changes, k)
		}
		begin += d[1] - d[0]
	}
	if grown != 0 {
		x.declare(len(sent) + grown)
	}
}

// resend puts another body in the place of one, with the same chunks as far as they go.
func (x *httpMessage) resend(b *httpBody, now string, was int) {
	if !x.h.Chunked {
		if len(now) == 0 { // nothing would be left to replace
			return
		}
		x.changes = append(x.changes, change{from: b.data[0][0], to: b.data[0][1], with: now})
		if len(now) != was {
			x.declare(len(now))
		}
		return
	}
	var out []byte
	for i, d := range b.data {
		n := min(d[1]-d[0], len(now))
		if i == len(b.data)-1 {
			n = len(now)
		}
		if n > 0 {
			out = fmt.Appendf(out, "%x\r\n%s\r\n", n, now[:n])
			now = now[n:]
		}
	}
	x.changes = append(x.changes, change{from: b.first, to: b.last, with: string(out)})
}

// declare makes the length of the body another.
func (x *httpMessage) declare(n int) {
	for _, a := range x.fields {
		if a.name == "content-length" {
			x.change(a.from, a.to, strconv.Itoa(n))
		}
	}
}

// isDigest reports whether a field of the head says what the body's digest is.
func isDigest(name string) bool {
	switch name {
	case "content-md5", "digest", "content-digest", "repr-digest", "x-amz-content-sha256":
		return true
	}
	return false
}

// digests puts those of the body right (RFC 1864, RFC 3230, RFC 9530). One that was wrong, or
// that is of what is not known, becomes chance.
func (x *httpMessage) digests(was, now []byte) {
	for _, a := range x.fields {
		if !isDigest(a.name) {
			continue
		}
		at := a.from
		for at < a.to { // each base64 or hex value
			end := at
			for end < a.to && (isAlnum(x.raw[end]) || strings.IndexByte("+/=", x.raw[end]) >= 0) {
				end++
			}
			if i := bytes.IndexByte(x.raw[at:end], '='); i > 0 && i < 12 && end-at-i > 20 { // sha-256=…
				at += i + 1
			}
			if text := string(x.raw[at:end]); len(text) >= 20 {
				x.change(at, end, x.digest(text, was, now))
			}
			at = end + 1
		}
	}
}

// digest returns the digest of what is sent now, of the kind that another was.
func (x *httpMessage) digest(text string, was, now []byte) string {
	sums := func(b []byte) [][]byte {
		m, s1, s2, s5 := md5.Sum(b), sha1.Sum(b), sha256.Sum256(b), sha512.Sum512(b)
		return [][]byte{m[:], s1[:], s2[:], s5[:]}
	}
	forms := []func([]byte) string{base64.StdEncoding.EncodeToString, func(b []byte) string { return fmt.Sprintf("%x", b) }}
	if now != nil {
		before, after := sums(was), sums(now)
		for i := range before {
			for _, form := range forms {
				if form(before[i]) == text {
					return form(after[i])
				}
			}
		}
	}
	return x.z.names.Text(text)
}

// allowed reports whether bodies of that type stay though they are not understood.
func (z *Sanitizer) allowed(typ string) bool {
	typ = mediaType(typ)
	return slices.ContainsFunc(z.allow, func(a string) bool {
		a = strings.ToLower(a)
		main, all := strings.CutSuffix(a, "/*")
		return a == typ || all && strings.HasPrefix(typ, main+"/")
	})
}
