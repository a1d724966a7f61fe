package where

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// common are the fields that do not depend on the protocol.
var common = []proto.Attribute{
	{Name: "conversation", Kind: proto.Identity, About: "the conversation's number", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return proto.AppendNumber(vs, int64(e.Conversation.ID))
	}},
	{Name: "index", Kind: proto.Number, About: "the exchange's place in its conversation, from 0", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return proto.AppendNumber(vs, int64(e.Index))
	}},
	{Name: "protocol", About: "what the exchange is in: " + protocolNames(), Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return proto.AppendText(vs, e.Protocol.Name)
	}},
	{Name: "transport", About: "tcp or udp", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return proto.AppendText(vs, e.Conversation.Transport().String())
	}},
	{Name: "tcp", Kind: proto.Truth, About: "the transport is TCP", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return proto.AppendTruth(vs, e.Conversation.Transport() == flow.TCP)
	}},
	{Name: "udp", Kind: proto.Truth, About: "the transport is UDP", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return proto.AppendTruth(vs, e.Conversation.Transport() == flow.UDP)
	}},
	{Name: "client", Kind: proto.Place, About: "the client's address and port", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return place(vs, e, flow.ClientToServer)
	}},
	{Name: "server", Kind: proto.Place, About: "the server's address and port", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return place(vs, e, flow.ServerToClient)
	}},
	{Name: "client.addr", Kind: proto.Address, About: "the client's address", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return append(vs, proto.Value{Addr: e.Conversation.Client().Addr()})
	}},
	{Name: "server.addr", Kind: proto.Address, About: "the server's address", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return append(vs, proto.Value{Addr: e.Conversation.Server().Addr()})
	}},
	{Name: "addr", Kind: proto.Address, About: "both addresses", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return append(vs, proto.Value{Addr: e.Conversation.Client().Addr()}, proto.Value{Addr: e.Conversation.Server().Addr()})
	}},
	{Name: "client.port", Kind: proto.Number, About: "the client's port", Get: ports(0, true, false)},
	{Name: "server.port", Kind: proto.Number, About: "the server's port", Get: ports(0, false, true)},
	{Name: "port", Kind: proto.Number, About: "both ports", Get: ports(0, true, true)},
	{Name: "tcp.port", Kind: proto.Number, About: "both ports, over TCP", Get: ports(flow.TCP, true, true)},
	{Name: "tcp.srcport", Kind: proto.Number, About: "the client's port, over TCP", Get: ports(flow.TCP, true, false)},
	{Name: "tcp.dstport", Kind: proto.Number, About: "the server's port, over TCP", Get: ports(flow.TCP, false, true)},
	{Name: "udp.port", Kind: proto.Number, About: "both ports, over UDP", Get: ports(flow.UDP, true, true)},
	{Name: "udp.srcport", Kind: proto.Number, About: "the client's port, over UDP", Get: ports(flow.UDP, true, false)},
	{Name: "udp.dstport", Kind: proto.Number, About: "the server's port, over UDP", Get: ports(flow.UDP, false, true)},
	{Name: "state", About: "complete, unanswered or broken", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return proto.AppendText(vs, e.State.String())
	}},
	{Name: "why", About: "why it is not complete", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		if why := e.Why(); why != "" {
			return proto.AppendText(vs, why)
		}
		return vs
	}},
	{Name: "malformed", Kind: proto.Truth, About: "a message breaks the rules of its protocol", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return proto.AppendTruth(vs, e.Request != nil && e.Request.Malformed || e.Response != nil && e.Response.Malformed)
	}},
	{Name: "guessed", Kind: proto.Truth, About: "who is the client was guessed", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		return proto.AppendTruth(vs, e.Conversation.Guessed)
	}},
	{Name: "latency", Kind: proto.Duration, About: "from the request's end to the response's beginning", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		if d, ok := e.Latency(); ok {
			return proto.AppendNumber(vs, int64(d))
		}
		return vs
	}},
	{Name: "total", Kind: proto.Duration, About: "from the request's beginning to the response's end", Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		if d, ok := e.Total(); ok {
			return proto.AppendNumber(vs, int64(d))
		}
		return vs
	}},
	{Name: "time", Kind: proto.Moment, About: "when its first message began", Get: ofFirst(began)},
	{Name: "packet", Kind: proto.Number, About: "the packet in which its first message began", Get: ofFirst(packet)},
	{Name: "request.time", Kind: proto.Moment, About: "when the request began", Get: ofRequest(began)},
	{Name: "response.time", Kind: proto.Moment, About: "when the response began", Get: ofResponse(began)},
	{Name: "request.packet", Kind: proto.Number, About: "the packet in which the request began", Get: ofRequest(packet)},
	{Name: "response.packet", Kind: proto.Number, About: "the packet in which the response began", Get: ofResponse(packet)},
	{Name: "request.bytes", Kind: proto.Size, About: "the request's size on the wire", Get: ofRequest(size)},
	{Name: "response.bytes", Kind: proto.Size, About: "the response's size on the wire", Get: ofResponse(size)},
	{Name: "request", About: "the request in a line", Get: ofRequest(summary)},
	{Name: "response", About: "the response in a line", Get: ofResponse(summary)},
	{Name: "endpoint", About: "what is asked for, without what varies", Get: ofRequest(func(vs []proto.Value, m *proto.Message) []proto.Value {
		if b, ok := m.Body.(proto.Endpoint); ok {
			return proto.AppendText(vs, b.Endpoint())
		}
		return vs
	})},
	{Name: "code", Kind: proto.Number, About: "how it went, as a number, in protocols that say so", Get: ofOutcome(func(vs []proto.Value, code int, word string, _ bool) []proto.Value {
		if code == 0 && word != "" {
			return vs
		}
		return proto.AppendNumber(vs, int64(code))
	})},
	{Name: "outcome", About: "how it went, as a word, in protocols that say so", Get: ofOutcome(func(vs []proto.Value, _ int, word string, _ bool) []proto.Value {
		if word == "" {
			return vs
		}
		return proto.AppendText(vs, word)
	})},
	{Name: "failed", Kind: proto.Truth, About: "the response says that it went wrong, in protocols that say so", Get: ofOutcome(func(vs []proto.Value, _ int, _ string, failed bool) []proto.Value {
		return proto.AppendTruth(vs, failed)
	})},
}

// place appends where a direction comes from.
func place(vs []proto.Value, e *proto.Exchange, d flow.Direction) []proto.Value {
	at := e.Conversation.Flow(d).Src()
	return append(vs, proto.Value{Addr: at.Addr(), Number: int64(at.Port())})
}

// ports gets ports, over one transport or, with 0, over any.
func ports(t flow.Transport, client, server bool) func([]proto.Value, *proto.Exchange) []proto.Value {
	return func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		f := &e.Conversation.Tuple
		if t != 0 && f.Transport() != t {
			return vs
		}
		if client {
			vs = proto.AppendNumber(vs, int64(f.SrcPort()))
		}
		if server {
			vs = proto.AppendNumber(vs, int64(f.DstPort()))
		}
		return vs
	}
}

// ofMessage gets something of a message.
type ofMessage = func([]proto.Value, *proto.Message) []proto.Value

func ofRequest(get ofMessage) func([]proto.Value, *proto.Exchange) []proto.Value {
	return func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		if e.Request == nil {
			return vs
		}
		return get(vs, e.Request)
	}
}

func ofResponse(get ofMessage) func([]proto.Value, *proto.Exchange) []proto.Value {
	return func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		if e.Response == nil {
			return vs
		}
		return get(vs, e.Response)
	}
}

// ofFirst gets something of the message that is there first.
func ofFirst(get ofMessage) func([]proto.Value, *proto.Exchange) []proto.Value {
	return func(vs []proto.Value, e *proto.Exchange) []proto.Value {
		switch {
		case e.Request != nil:
			return get(vs, e.Request)
		case len(e.Interim) > 0:
			return get(vs, e.Interim[0])
		case e.Response != nil:
			return get(vs, e.Response)
		}
		return vs
	}
}

func began(vs []proto.Value, m *proto.Message) []proto.Value {
	return proto.AppendNumber(vs, int64(flow.At(m.Time)))
}

func packet(vs []proto.Value, m *proto.Message) []proto.Value {
	return proto.AppendNumber(vs, m.Packet)
}

func size(vs []proto.Value, m *proto.Message) []proto.Value { return proto.AppendNumber(vs, m.Length) }

func summary(vs []proto.Value, m *proto.Message) []proto.Value {
	return proto.AppendText(vs, m.Body.Summary())
}

func ofOutcome(get func(vs []proto.Value, code int, word string, failed bool) []proto.Value) func([]proto.Value, *proto.Exchange) []proto.Value {
	return ofResponse(func(vs []proto.Value, m *proto.Message) []proto.Value {
		if b, ok := m.Body.(proto.Outcome); ok {
			code, word, failed := b.Outcome()
			return get(vs, code, word, failed)
		}
		return vs
	})
}

// aliases are other names: short ones, and tshark's. A source is the client there,
// and a destination the server.
var aliases = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"id": "conversation", "host": "http.host", "method": "http.method", "target": "http.target", "path": "http.path",
		"url": "http.url", "status": "http.status", "ttfb": "latency", "ip": "addr",

		"frame.number": "packet", "frame.time": "time", "tcp.stream": "conversation", "udp.stream": "conversation",
		"ip.addr": "addr", "ip.src": "client.addr", "ip.dst": "server.addr", "ip.host": "addr",
		"ipv6.addr": "addr", "ipv6.src": "client.addr", "ipv6.dst": "server.addr",

		"http.request.method": "http.method", "http.request.uri": "http.target", "http.request.uri.path": "http.path",
		"http.request.uri.query": "http.query", "http.request.full_uri": "http.url", "http.request.version": "http.version",
		"http.response.code": "http.status", "http.response.phrase": "http.reason", "http.content_type": "http.type",
		"http.content_encoding": "http.encoding", "http.time": "latency",

		"dns.qry.name": "dns.name", "dns.flags.rcode": "dns.code", "dns.flags.truncated": "dns.truncated", "dns.count.answers": "dns.answers",
		"dns.a": "dns.address", "dns.aaaa": "dns.address", "dns.resp.ttl": "dns.ttl", "dns.time": "latency",

		"tls.handshake.extensions_server_name": "tls.sni", "tls.handshake.extensions_alpn_str": "tls.alpn",
		"ftp.request.command": "ftp.command", "ftp.request.arg": "ftp.argument", "ftp.response.code": "ftp.code", "ftp.response.arg": "ftp.text",
	}
})

// The registry: all fields in the order in which they are listed, and by name. Like
// aliases it is made when it is asked for, which most runs of netlab don't.
var (
	fields = sync.OnceValue(collect)
	byName = sync.OnceValue(func() map[string]proto.Attribute {
		m := make(map[string]proto.Attribute)
		for _, f := range fields() {
			m[f.Name] = f
		}
		return m
	})
)

// collect gathers the fields that are common and those of all protocols, each of
// which is one itself.
func collect() []proto.Attribute {
	list := slices.Clone(common)
	owners := make(map[string][]owned)
	var names []string
	for _, p := range proto.Protocols() {
		truths := []string{p.Name}
		if p.Record() != p.Name {
			truths = append(truths, p.Record())
		}
		for _, name := range truths {
			if slices.ContainsFunc(list, func(f proto.Attribute) bool { return f.Name == name }) {
				continue
			}
			list = append(list, proto.Attribute{Name: name, Kind: proto.Truth, About: "the exchange is in " + name, Get: func(vs []proto.Value, e *proto.Exchange) []proto.Value {
				return proto.AppendTruth(vs, e.Protocol.Name == name || e.Protocol.Record() == name)
			}})
		}
		for _, a := range p.Attributes {
			if owners[a.Name] == nil {
				names = append(names, a.Name)
			}
			owners[a.Name] = append(owners[a.Name], owned{p, a})
		}
	}
	for _, name := range names {
		list = append(list, join(owners[name]))
	}
	return list
}

// owned is an attribute of a protocol. Protocols of one Type have attributes of the
// same names.
type owned struct {
	of *proto.Protocol
	proto.Attribute
}

// join makes one field of those that several protocols have.
func join(list []owned) proto.Attribute {
	f := list[0].Attribute
	if len(list) == 1 {
		return f
	}
	pick := func(gets []func([]proto.Value, *proto.Exchange) []proto.Value) func([]proto.Value, *proto.Exchange) []proto.Value {
		return func(vs []proto.Value, e *proto.Exchange) []proto.Value {
			for i := range list {
				if list[i].of == e.Protocol {
					return gets[i](vs, e)
				}
			}
			return vs
		}
	}
	gets := make([]func([]proto.Value, *proto.Exchange) []proto.Value, len(list))
	if f.Any == nil {
		for i := range list {
			gets[i] = list[i].Get
		}
		f.Get = pick(gets)
		return f
	}
	f.Any = func(rest string) func([]proto.Value, *proto.Exchange) []proto.Value {
		gets := slices.Clone(gets)
		for i := range list {
			gets[i] = list[i].Any(rest)
		}
		return pick(gets)
	}
	return f
}

func protocolNames() string {
	var names []string
	for _, p := range proto.Protocols() {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// Fields returns all fields, those that all exchanges have first. One that has an
// Any stands for many: NAME follows what it is called.
func Fields() []proto.Attribute { return slices.Clone(fields()) }

// Names returns what fields can be called, sorted, and what the names of those begin
// with that NAME follows.
func Names() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range byName() {
			if !yield(name) {
				return
			}
		}
		for name := range aliases() {
			if !yield(name) {
				return
			}
		}
	})
}

// Aliases returns the other names of a field, sorted.
func Aliases(name string) []string {
	var list []string
	for alias, of := range aliases() {
		if of == name {
			list = append(list, alias)
		}
	}
	slices.Sort(list)
	return list
}

// Lookup returns the field of that name, called by it.
func Lookup(name string) (proto.Attribute, bool) {
	long := name
	if of, ok := aliases()[name]; ok {
		long = of
	}
	if f, ok := byName()[long]; ok {
		return f, f.Any == nil
	}
	for i := strings.LastIndexByte(name, '.'); i > 0; i = strings.LastIndexByte(name[:i], '.') {
		if f, ok := byName()[name[:i+1]]; ok && f.Any != nil {
			f.Name, f.Get, f.Any = name, f.Any(name[i+1:]), nil
			return f, true
		}
	}
	return proto.Attribute{}, false
}

// Unknown says that there is no field of a name, and which may be meant.
func Unknown(name string) string {
	name = name[:min(len(name), 80)] // and distance is no more work than that
	what := "there is no field " + strings.ToValidUTF8(name, "\ufffd")
	if f, ok := byName()[name]; ok && f.Any != nil {
		return what + " without a name behind it, as " + name + "NAME"
	}
	if n := Nearest(name, Names()); n != "" {
		return what + "; do you mean " + n + "?"
	}
	return what + "; netlab fields lists all"
}

// Nearest returns the one of some names that differs least from name, or of which
// it is a part; empty when none is near.
func Nearest(name string, names []string) string {
	names = slices.SortedStableFunc(slices.Values(names), func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	best, least := "", 0
	for _, n := range names {
		if d := distance(strings.ToLower(name), n); d <= max(1, len(n)/4) && (best == "" || d < least) {
			best, least = n, d
		}
	}
	if best != "" {
		return best
	}
	for _, n := range names {
		if strings.HasSuffix(n, "."+name) || strings.HasPrefix(n, name) || strings.HasSuffix(name, "."+n) {
			return n
		}
	}
	return ""
}

// distance counts the letters that have to be put in, taken out, replaced or
// swapped with the next to make b of a.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := range len(a) {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		rows = [3][]int{last, row, before}
	}
	return rows[1][len(b)]
}
