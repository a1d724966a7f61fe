package values

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"netlab/replay/plan"
)

// spell writes a text as it has to be where the use stands, or says why that can't be.
func (u *Use) spell(text string) ([]byte, string) {
	switch u.form {
	case FromURL:
		text = url.QueryEscape(text)
	case Base64:
		text = u.base64.EncodeToString([]byte(text))
	}
	if text == "" {
		return nil, "it is empty now"
	}
	text = u.beside[0] + text + u.beside[1]
	spelled, ok := u.spelling.spell(text)
	if ok && !u.inBody {
		ok = mayStandInHead(spelled) && (u.Place.Kind != Cookie || !strings.ContainsAny(spelled, ";\" "))
	}
	if !ok {
		return nil, "what the server says now can't stand there"
	}
	return []byte(spelled), ""
}

// edits puts texts into a request, in place of its uses; nil leaves one as it is. Places are
// in what the client says.
func (q *Request) edits(texts [][]byte) []plan.Edit {
	var head, body []plan.Edit
	for i := range q.Uses {
		u := &q.Uses[i]
		if texts[i] == nil {
			continue
		}
		e := plan.Edit{At: int64(u.at.from), Length: int64(u.at.to - u.at.from), With: texts[i]}
		if u.inBody {
			body = append(body, e)
		} else {
			head = append(head, e)
		}
	}
	if len(body) > 0 {
		body, head = q.framing.frame(body, head)
	}
	list := append(head, body...)
	for i := range list {
		list[i].At += q.At
	}
	return list
}

// mayStandInHead reports whether a text can be a part of a line (RFC 9110, section 5.5).
func mayStandInHead(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}

// spell writes a text so, and reports whether that is possible.
func (s spelling) spell(text string) (string, bool) {
	switch s {
	case inPath:
		return url.PathEscape(text), true
	case inQuery:
		return url.QueryEscape(text), true
	case inString:
		return quote(text), true
	case asNumber:
		if isNumber(text) {
			return text, true
		}
		return `"` + quote(text) + `"`, true
	case inBase64:
		return base64.StdEncoding.EncodeToString([]byte(text)), true
	case delimited:
		return text, !strings.Contains(text, "\n--")
	}
	return text, true
}

// frame turns edits of the content into edits of the body as it is sent, and adds those that
// put its lengths right.
func (r *framing) frame(content, head []plan.Edit) (body, fullHead []plan.Edit) {
	if !r.chunked {
		grown := int64(0)
		for i := range content {
			grown += int64(len(content[i].With)) - content[i].Length
			content[i].At += int64(r.body)
		}
		if at := r.length; grown != 0 && at.to > at.from {
			e := plan.Edit{At: int64(at.from), Length: int64(at.to - at.from), With: strconv.AppendInt(nil, int64(r.content)+grown, 10)}
			i := 0
			for i < len(head) && head[i].At < e.At {
				i++
			}
			head = append(head[:i:i], append([]plan.Edit{e}, head[i:]...)...)
		}
		return content, head
	}
	begin := 0
	for _, c := range r.chunks {
		data := run{begin, begin + c.DataEnd - c.Data}
		begin = data.to
		inside, size := within(content, data, c.Data)
		switch {
		case len(inside) == 0:
			continue
		case size == 0: // a chunk of no bytes would be the last
			body = append(body, plan.Edit{At: int64(c.Begin), Length: int64(c.End - c.Begin)})
			continue
		case size != data.to-data.from:
			body = append(body, plan.Edit{At: int64(c.Size), Length: int64(c.SizeEnd - c.Size), With: strconv.AppendInt(nil, int64(size), 16)})
		}
		body = append(body, inside...)
	}
	return body, head
}

// within returns the parts of edits that lie within some bytes, moved to where these stand,
// and how many bytes there are then. The first part of an edit has all that is new.
func within(edits []plan.Edit, data run, to int) ([]plan.Edit, int) {
	var list []plan.Edit
	size := data.to - data.from
	for _, e := range edits {
		at, end := int(e.At), int(e.At+e.Length)
		from, till := max(at, data.from), min(end, data.to)
		if from >= till {
			continue
		}
		part := plan.Edit{At: int64(to + from - data.from), Length: int64(till - from)}
		if at >= data.from {
			part.With = e.With
		}
		size += len(part.With) - int(part.Length)
		list = append(list, part)
	}
	return list, size
}
