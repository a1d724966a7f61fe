package proto

import "strings"

// httpAttributes are what can be asked about an exchange of HTTP.
var httpAttributes = []Attribute{
	{Name: "http.method", About: "of the request", Get: ofRequest(func(vs []Value, h *HTTPMessage) []Value { return AppendText(vs, h.Method) })},
	{Name: "http.target", About: "the request's target, as sent", Get: ofRequest(func(vs []Value, h *HTTPMessage) []Value { return AppendText(vs, h.Target) })},
	{Name: "http.path", About: "the target's path, with its escapes", Get: ofRequest(func(vs []Value, h *HTTPMessage) []Value {
		path, _, _ := h.splitTarget()
		return AppendText(vs, path)
	})},
	{Name: "http.query", About: "what stands behind the ? of the target", Get: ofRequest(func(vs []Value, h *HTTPMessage) []Value {
		if _, query, ok := h.splitTarget(); ok {
			return AppendText(vs, query)
		}
		return vs
	})},
	{Name: "http.url", About: "host and target, without http://", Get: ofRequest(func(vs []Value, h *HTTPMessage) []Value {
		if !strings.HasPrefix(h.Target, "/") {
			return AppendText(vs, h.Target)
		}
		host, _ := h.Get("Host")
		return AppendText(vs, host+h.Target)
	})},
	{Name: "http.host", About: "the request's Host", Get: ofRequest(headerGet("Host"))},
	{Name: "http.user_agent", About: "the request's User-Agent", Get: ofRequest(headerGet("User-Agent"))},
	{Name: "http.referer", About: "the request's Referer", Get: ofRequest(headerGet("Referer"))},
	{Name: "http.cookie", About: "the names of the request's cookies", Get: ofRequest(func(vs []Value, h *HTTPMessage) []Value {
		return appendCookies(vs, h, func(name, _ string) (string, bool) { return name, true })
	})},
	{Name: "http.cookie.", About: "what the request's cookie of that name holds", Any: func(want string) func([]Value, *Exchange) []Value {
		return ofRequest(func(vs []Value, h *HTTPMessage) []Value {
			return appendCookies(vs, h, func(name, value string) (string, bool) { return value, name == want })
		})
	}},
	{Name: "http.status", Kind: Number, About: "of the response", Get: ofResponse(func(vs []Value, h *HTTPMessage) []Value { return AppendNumber(vs, int64(h.Status)) })},
	{Name: "http.reason", About: "what the response calls its status", Get: ofResponse(func(vs []Value, h *HTTPMessage) []Value {
		if h.IsSimple() {
			return vs
		}
		return AppendText(vs, h.Reason)
	})},
	{Name: "http.interim", Kind: Number, About: "the status of responses before the response, as 100", Get: func(vs []Value, e *Exchange) []Value {
		for _, m := range e.Interim {
			if h, ok := bodyOf[*HTTPMessage](m); ok {
				vs = AppendNumber(vs, int64(h.Status))
			}
		}
		return vs
	}},
	{Name: "http.version", About: "of the request, else of the response", Get: func(vs []Value, e *Exchange) []Value {
		for _, m := range [...]*Message{e.Request, e.Response} {
			if h, ok := bodyOf[*HTTPMessage](m); ok && h.Version != "" {
				return AppendText(vs, h.Version)
			}
		}
		return vs
	}},
	{Name: "http.type", About: "the response's Content-Type, without parameters", Get: ofResponse(mediaType)},
	{Name: "http.request.type", About: "the request's Content-Type, without parameters", Get: ofRequest(mediaType)},
	{Name: "http.encoding", About: "the response's Content-Encoding", Get: ofResponse(headerGet("Content-Encoding"))},
	{Name: "http.location", About: "where the response leads", Get: ofResponse(headerGet("Location"))},
	{Name: "http.request.body_bytes", Kind: Size, About: "what the request carries, as transferred", Get: ofRequest(bodyBytes)},
	{Name: "http.response.body_bytes", Kind: Size, About: "what the response carries, as transferred", Get: ofResponse(bodyBytes)},
	{Name: "http.header.", About: "each field of that name, of both messages", Any: func(name string) func([]Value, *Exchange) []Value {
		return either(headerGet(name))
	}},
	{Name: "http.request.header.", About: "each field of that name of the request", Any: func(name string) func([]Value, *Exchange) []Value {
		return ofRequest(headerGet(name))
	}},
	{Name: "http.response.header.", About: "each field of that name of the response", Any: func(name string) func([]Value, *Exchange) []Value {
		return ofResponse(headerGet(name))
	}},
	{Name: "http.request.headers", About: "the names of the request's fields", Get: ofRequest(headerNames)},
	{Name: "http.response.headers", About: "the names of the response's fields", Get: ofResponse(headerNames)},
}

func ofRequest(get func([]Value, *HTTPMessage) []Value) func([]Value, *Exchange) []Value {
	return of(requestOf, get)
}

func ofResponse(get func([]Value, *HTTPMessage) []Value) func([]Value, *Exchange) []Value {
	return of(responseOf, get)
}

// headerGet gets the values of all fields of that name.
func headerGet(name string) func([]Value, *HTTPMessage) []Value {
	return func(vs []Value, h *HTTPMessage) []Value {
		for i := range h.Fields {
			if strings.EqualFold(h.Fields[i].Name, name) {
				vs = AppendText(vs, h.Fields[i].Value)
			}
		}
		return vs
	}
}

func headerNames(vs []Value, h *HTTPMessage) []Value {
	for i := range h.Fields {
		vs = AppendText(vs, h.Fields[i].Name)
	}
	return vs
}

func bodyBytes(vs []Value, h *HTTPMessage) []Value { return append(vs, Value{Number: h.BodyBytes}) }

func mediaType(vs []Value, h *HTTPMessage) []Value {
	text, ok := h.Get("Content-Type")
	if !ok {
		return vs
	}
	text, _, _ = strings.Cut(text, ";")
	return AppendText(vs, strings.TrimSpace(text))
}

// splitTarget returns the target's path and its query, and whether there is one. A
// target in absolute form has its scheme and authority taken off (RFC 9112, section
// 3.2.2).
func (h *HTTPMessage) splitTarget() (path, query string, ok bool) {
	path, query, ok = strings.Cut(h.Target, "?")
	if _, rest, absolute := strings.Cut(path, "://"); absolute && !strings.HasPrefix(path, "/") {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			path = rest[i:]
		} else {
			path = "/"
		}
	}
	return path, query, ok
}

// appendCookies appends what pick takes of each cookie (RFC 6265, section 4.2.1).
func appendCookies(vs []Value, h *HTTPMessage, pick func(name, value string) (string, bool)) []Value {
	for i := range h.Fields {
		if !strings.EqualFold(h.Fields[i].Name, "Cookie") {
			continue
		}
		for rest, more := h.Fields[i].Value, true; more; {
			var pair string
			pair, rest, more = strings.Cut(rest, ";")
			name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if !ok {
				continue
			}
			if text, ok := pick(name, value); ok {
				vs = AppendText(vs, text)
			}
		}
	}
	return vs
}
