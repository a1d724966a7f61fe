package tls

import (
	"bytes"
	gotls "crypto/tls"
	"fmt"
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"netlab/decode/flow"
)

const (
	c2s = flow.ClientToServer
	s2c = flow.ServerToClient
)

// feed writes data in pieces as long as next says, and returns the hello, of
// which there is at most one. It holds the stream to its bounds.
func feed(t *testing.T, s *listener, d flow.Direction, data []byte, next func() int) *Hello {
	t.Helper()
	var hello *Hello
	for len(data) > 0 {
		n := min(max(1, next()), len(data))
		h := s.Write(d, data[:n])
		data = data[n:]
		if h != nil && hello != nil {
			t.Fatalf("a second hello: %s", h.Summary())
		}
		if h != nil {
			hello = h
		}
		if x := &s.sides[d]; len(x.flight) > MaxHandshake || x.sealed && x.flight != nil {
			t.Fatalf("%d bytes of the handshake are held", len(x.flight))
		}
	}
	return basic(hello)
}

// exported compares hellos by what they show.
var exported = cmpopts.IgnoreUnexported(Hello{})

// basic is a hello without what is tested elsewhere.
func basic(h *Hello) *Hello {
	if h == nil {
		return nil
	}
	return &Hello{Server: h.Server, ServerName: h.ServerName, ALPN: h.ALPN, Version: h.Version, Cipher: h.Cipher}
}

// listener is a Stream that is given bytes, up to a hello of each side.
type listener struct {
	Stream
	buf  [2][]byte
	done [2]bool
}

func (l *listener) Write(d flow.Direction, data []byte) *Hello {
	if l.done[d] {
		return nil
	}
	l.buf[d] = append(l.buf[d], data...)
	for len(l.buf[d]) > 0 {
		n := Length(l.buf[d])
		if n < 0 {
			l.done[d] = true
			return nil
		}
		if n == 0 || n > len(l.buf[d]) {
			return nil
		}
		h := l.Record(d, l.buf[d][:n]).Hello
		l.buf[d] = l.buf[d][n:]
		if d == s2c && l.answer != nil {
			h = l.answer.Server
		} else if s := l.Settled(); d == s2c && s != nil {
			h = s.Server
		}
		if l.done[d] = h != nil || l.Sealed(d); l.done[d] {
			return h
		}
	}
	return nil
}

func whole() int { return 1 << 30 }

func single() int { return 1 }

// random returns lengths that are short and long alike.
func randomly(seed int64) func() int {
	r := rand.New(rand.NewSource(seed))
	return func() int { return 1 + r.Intn(1<<r.Intn(12)) }
}

// TestCryptoTLS listens to crypto/tls, whose opinion of what was agreed is known.
func TestCryptoTLS(t *testing.T) {
	tests := map[string]struct {
		version        uint16
		change         func(c, s *gotls.Config)
		client, server Hello // Cipher is what crypto/tls says
	}{
		"tls12_with_name_and_alpn": {gotls.VersionTLS12, func(c, s *gotls.Config) {
			c.ServerName, c.NextProtos, s.NextProtos = "www.example", []string{"h2", "http/1.1"}, []string{"http/1.1"}
		}, Hello{ServerName: "www.example", ALPN: []string{"h2", "http/1.1"}, Version: 0x0303},
			Hello{ALPN: []string{"http/1.1"}, Version: 0x0303}},
		"tls12_bare": {gotls.VersionTLS12, func(c, s *gotls.Config) {}, Hello{Version: 0x0303}, Hello{Version: 0x0303}},
		"tls13_with_name_and_alpn": {gotls.VersionTLS13, func(c, s *gotls.Config) {
			c.ServerName, c.NextProtos, s.NextProtos = "www.example", []string{"h2", "http/1.1"}, []string{"http/1.1"}
		}, Hello{ServerName: "www.example", ALPN: []string{"h2", "http/1.1"}, Version: 0x0304},
			Hello{Version: 0x0304}}, // what is chosen of ALPN is encrypted
		"tls13_bare": {gotls.VersionTLS13, func(c, s *gotls.Config) {}, Hello{Version: 0x0304}, Hello{Version: 0x0304}},
		"tls13_name_only": {gotls.VersionTLS13, func(c, s *gotls.Config) { c.ServerName = "a.example" },
			Hello{ServerName: "a.example", Version: 0x0304}, Hello{Version: 0x0304}},
		// An address is no name (RFC 6066, section 3): clients leave it out.
		"tls13_to_an_address": {gotls.VersionTLS13, func(c, s *gotls.Config) { c.ServerName = "192.0.2.1" },
			Hello{Version: 0x0304}, Hello{Version: 0x0304}},
		"tls13_hello_retry_request": {gotls.VersionTLS13, func(c, s *gotls.Config) {
			c.CurvePreferences = []gotls.CurveID{gotls.X25519, gotls.CurveP256}
			s.CurvePreferences = []gotls.CurveID{gotls.CurveP256}
		}, Hello{Version: 0x0304}, Hello{Version: 0x0304}},
		"tls13_offered_tls12_chosen": {gotls.VersionTLS12, func(c, s *gotls.Config) { c.MaxVersion = gotls.VersionTLS13 },
			Hello{Version: 0x0304}, Hello{Version: 0x0303}},
		"tls10": {gotls.VersionTLS10, func(c, s *gotls.Config) { c.ServerName = "old.example" },
			Hello{ServerName: "old.example", Version: 0x0301}, Hello{Version: 0x0301}},
	}
	cuts := map[string]func() func() int{
		"whole":        func() func() int { return whole },
		"byte_by_byte": func() func() int { return single },
	}
	for i := range int64(10) {
		cuts[fmt.Sprint("random_", i)] = func() func() int { return randomly(i) }
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := &gotls.Config{MinVersion: tt.version, MaxVersion: tt.version}
			s := c.Clone()
			tt.change(c, s)
			h := shake(t, c, s)
			tt.server.Server, tt.server.Cipher = true, h.state.CipherSuite
			if h.state.Version != tt.server.Version {
				t.Fatalf("crypto/tls agreed on %#x", h.state.Version)
			}
			for name, next := range cuts {
				t.Run(name, func(t *testing.T) {
					var stream listener
					if diff := cmp.Diff(&tt.client, feed(t, &stream, c2s, h.sent[c2s], next()), exported); diff != "" {
						t.Error("client (-want +got)\n" + diff)
					}
					if diff := cmp.Diff(&tt.server, feed(t, &stream, s2c, h.sent[s2c], next()), exported); diff != "" {
						t.Error("server (-want +got)\n" + diff)
					}
				})
			}
			if match, more := Match(h.sent[c2s]); !match || more {
				t.Errorf("the client's bytes match: %v, more wanted: %v", match, more)
			}
			if match, more := Match(h.sent[s2c]); match || more {
				t.Errorf("the server's bytes are taken for a client's: %v, %v", match, more)
			}
		})
	}
}

// TestHello takes hellos that are written by hand.
func TestHello(t *testing.T) {
	client, server := clientHead(0x0303), serverHead(0x0303, 0x1301)
	greased := bytes.Join([][]byte{
		number(0x0303), bytes.Repeat([]byte{0xab}, 32), vector(1),
		vector(2, number(0x2a2a), number(0x1301)), vector(1, []byte{0}),
	}, nil)
	tests := map[string]struct {
		typ  byte
		body []byte
		want *Hello
	}{
		"no_extensions":          {clientHello, clientHead(0x0301), &Hello{Version: 0x0301}},
		"no_extensions_ssl":      {clientHello, clientHead(0x0300), &Hello{Version: 0x0300}},
		"empty_extensions":       {clientHello, with(client), &Hello{Version: 0x0303}},
		"server_name":            {clientHello, with(client, serverName("a.example")), &Hello{Version: 0x0303, ServerName: "a.example"}},
		"server_name_is_no_text": {clientHello, with(client, serverName("\x1b[2J\xff")), &Hello{Version: 0x0303, ServerName: "\x1b[2J\xff"}},
		"server_name_of_another_kind": {clientHello, with(client, extension(extServerName, vector(2, []byte{1}, vector(2, []byte("x"))))),
			&Hello{Version: 0x0303}},
		"server_name_behind_another_kind": {clientHello, with(client, extension(extServerName, vector(2, []byte{1}, vector(2, []byte("x")), []byte{0}, vector(2, []byte("a.example"))))),
			&Hello{Version: 0x0303, ServerName: "a.example"}},
		"alpn":              {clientHello, with(client, alpn("h2", "http/1.1")), &Hello{Version: 0x0303, ALPN: []string{"h2", "http/1.1"}}},
		"unknown_extension": {clientHello, with(client, extension(0xabcd, []byte("?")), alpn("h2")), &Hello{Version: 0x0303, ALPN: []string{"h2"}}},
		"versions_in_any_order": {clientHello, with(client, versions(0x0302, 0x0304, 0x0303)),
			&Hello{Version: 0x0304}},
		// RFC 8446, section 4.2.1: the version at the head is not meant then.
		"versions_below_the_head": {clientHello, with(client, versions(0x0302, 0x0301)), &Hello{Version: 0x0302}},

		// RFC 8701: values that only see to it that servers ignore what they do
		// not know.
		"grease_versions": {clientHello, with(client, versions(0xfafa, 0x0304, 0x0303, 0x0a0a)), &Hello{Version: 0x0304}},
		"grease_everywhere": {clientHello, with(greased, extension(0x1a1a), serverName("a.example"), versions(0x7a7a, 0x0304),
			extension(10, vector(2, number(0x3a3a), number(29))), alpn("h2"), extension(0xeaea, []byte{0})),
			&Hello{Version: 0x0304, ServerName: "a.example", ALPN: []string{"h2"}}},
		"no_grease_but_like_it": {clientHello, with(client, versions(0x0a0b, 0x0304)), &Hello{Version: 0x0a0b}},
		"grease_only":           {clientHello, with(client, versions(0xfafa)), &Hello{Version: 0x0303}},

		"server_tls12":              {serverHello, with(serverHead(0x0303, 0xc02f), alpn("h2")), &Hello{Server: true, Version: 0x0303, Cipher: 0xc02f, ALPN: []string{"h2"}}},
		"server_tls13":              {serverHello, with(server, extension(extSupportedVersions, number(0x0304))), &Hello{Server: true, Version: 0x0304, Cipher: 0x1301}},
		"server_no_extensions":      {serverHello, serverHead(0x0301, 0x002f), &Hello{Server: true, Version: 0x0301, Cipher: 0x002f}},
		"server_knows_the_name":     {serverHello, with(server, extension(extServerName)), &Hello{Server: true, Version: 0x0303, Cipher: 0x1301}},
		"hello_request":             {0, nil, nil},
		"finished":                  {20, with(client), nil},
		"empty":                     {clientHello, nil, nil},
		"server_empty":              {serverHello, nil, nil},
		"extensions_one_byte":       {clientHello, append(bytes.Clone(client), 0), nil},
		"extensions_run_over":       {clientHello, append(bytes.Clone(client), 0, 1), nil},
		"extension_runs_over":       {clientHello, with(client, []byte{0xab, 0xcd, 0, 9, 1}), nil},
		"extension_head_short":      {clientHello, with(client, []byte{0xab, 0xcd, 0}), nil},
		"extension_one_byte_left":   {clientHello, with(client, alpn("h2"), []byte{0}), nil},
		"server_name_one_byte_left": {clientHello, with(client, extension(extServerName, vector(2, []byte{0}, vector(2, []byte("a.example")), []byte{0}))), nil},
		"alpn_one_byte_left":        {clientHello, with(client, extension(extALPN, vector(2, vector(1, []byte("h2")), []byte{1}))), nil},
		"server_name_runs_over":     {clientHello, with(client, extension(extServerName, vector(2, []byte{0, 0, 9, 'a'}))), nil},
		"server_names_run_over":     {clientHello, with(client, extension(extServerName, []byte{0, 9, 0, 0, 1, 'a'})), nil},
		"server_name_empty":         {clientHello, with(client, extension(extServerName)), nil},
		"alpn_name_runs_over":       {clientHello, with(client, extension(extALPN, vector(2, []byte{3, 'h', '2'}))), nil},
		"alpn_runs_over":            {clientHello, with(client, extension(extALPN, []byte{0, 9, 2, 'h', '2'})), nil},
		"alpn_empty":                {clientHello, with(client, extension(extALPN)), nil},
		"versions_run_over":         {clientHello, with(client, extension(extSupportedVersions, []byte{4, 3, 4})), nil},
		"versions_odd":              {clientHello, with(client, extension(extSupportedVersions, vector(1, []byte{3, 4, 3}))), nil},
		"server_version_one_byte":   {serverHello, with(server, extension(extSupportedVersions, []byte{3})), nil},
		"damage_before_a_good_one": {clientHello, with(client, extension(extALPN, []byte{0, 9, 2, 'h', '2'}), serverName("a.example")),
			nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := c2s
			if tt.typ == serverHello {
				d = s2c
			}
			data := record(maxRecord, message(tt.typ, tt.body))
			for _, next := range []func() int{whole, single} {
				var s listener
				if diff := cmp.Diff(tt.want, feed(t, &s, d, data, next), exported); diff != "" {
					t.Error("(-want +got)\n" + diff)
				}
			}
		})
	}
}

// TestTruncated takes hellos that end early, and say so: each is malformed, but
// where the extensions would begin, for there may be none.
func TestTruncated(t *testing.T) {
	client := with(clientHead(0x0303), serverName("a.example"), extension(10, vector(2, number(29))), alpn("h2", "http/1.1"), versions(0x0304, 0x0303))
	server := with(serverHead(0x0303, 0x1301), extension(extSupportedVersions, number(0x0304)), extension(51, number(29), vector(2, make([]byte, 32))))
	tests := map[string]struct {
		typ  byte
		body []byte
		head int
	}{
		"client": {clientHello, client, len(clientHead(0x0303))},
		"server": {serverHello, server, len(serverHead(0x0303, 0x1301))},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for n := range len(tt.body) + 1 {
				var s listener
				d := c2s
				if tt.typ == serverHello {
					d = s2c
				}
				h := s.Write(d, record(maxRecord, message(tt.typ, tt.body[:n])))
				if well := n == tt.head || n == len(tt.body); well != (h != nil) {
					t.Errorf("%d bytes of %d: a hello %v, want one %v", n, len(tt.body), h != nil, well)
				}
			}
		})
	}
}

// TestRecords cuts a handshake message up by records, as well as the bytes of the
// records.
func TestRecords(t *testing.T) {
	msg := message(clientHello, with(clientHead(0x0303), serverName("a.example"), extension(21, make([]byte, 20000))))
	for _, n := range []int{1, 2, 3, 4, 5, 100, 16384, maxRecord} {
		data := record(n, msg)
		if match, _ := Match(data); !match {
			t.Errorf("records of %d bytes do not match", n)
		}
		for _, next := range []func() int{whole, randomly(1)} {
			var s listener
			if h := feed(t, &s, c2s, data, next); h == nil || h.ServerName != "a.example" {
				t.Errorf("records of %d bytes: %v", n, h)
			}
		}
	}

	// A server's messages often share a record.
	server := message(serverHello, serverHead(0x0303, 0xc02f))
	flight := append(bytes.Clone(server), message(11, make([]byte, 3000))...)
	var s listener
	if h := s.Write(s2c, record(maxRecord, flight)); h == nil || h.Cipher != 0xc02f {
		t.Errorf("a hello that shares its record: %v", h)
	}
	if h := s.Write(s2c, record(maxRecord, server)); h != nil {
		t.Errorf("a second hello: %s", h.Summary())
	}
}

// TestNotAHandshake takes streams without a hello, most of which can be given up at
// once.
func TestNotAHandshake(t *testing.T) {
	tests := map[string]struct {
		first []byte
		done  bool
	}{
		"alert":                 {[]byte{21, 3, 1, 0, 2, 2, 40}, false},
		"application_data":      {[]byte{23, 3, 3, 0, 1, 0}, true},
		"text":                  {[]byte("GET / HTTP/1.1\r\n\r\n"), true},
		"empty_record":          {[]byte{22, 3, 1, 0, 0}, false},
		"record_too_large":      {[]byte{22, 3, 1, 0x48, 0x01}, true},
		"message_too_large":     {[]byte{22, 3, 1, 0, 4, 1, 1, 0, 1}, true},
		"message_16_mib":        {[]byte{22, 3, 1, 0, 4, 1, 255, 255, 255}, true},
		"alert_behind_a_record": {append(record(1, []byte{1}), 21, 3, 1, 0, 2, 2, 40), false},
		"another_message":       {record(maxRecord, message(11, nil)), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, next := range []func() int{whole, single} {
				var s listener
				if h := feed(t, &s, c2s, tt.first, next); h != nil {
					t.Errorf("a hello: %s", h.Summary())
				}
				if s.done[c2s] != tt.done {
					t.Errorf("given up: %t", s.done[c2s])
				}
			}
		})
	}
	// The longest record there may be is waited for.
	if n := Length([]byte{22, 3, 1, 0x48, 0x00}); n != recordHeaderLen+maxRecord {
		t.Errorf("a record of the largest size has %d bytes", n)
	}
}

// TestMaxHandshake takes a hello as long as one may be, and one longer by a byte.
func TestMaxHandshake(t *testing.T) {
	sized := func(n int) []byte {
		head := clientHead(0x0303)
		padding := n - 4 - len(head) - 2 - len(serverName("a.example")) - 4
		msg := message(clientHello, with(head, serverName("a.example"), extension(21, make([]byte, padding))))
		if len(msg) != n {
			t.Fatalf("a message of %d bytes, want %d", len(msg), n)
		}
		return record(16384, msg)
	}
	for _, next := range []func() int{whole, randomly(1)} {
		var s listener
		if h := feed(t, &s, c2s, sized(MaxHandshake), next); h == nil || h.ServerName != "a.example" {
			t.Errorf("at the bound: %v", h)
		}
		s = listener{}
		if h := feed(t, &s, c2s, sized(MaxHandshake+1), next); h != nil || !s.done[c2s] {
			t.Errorf("over the bound: %v, given up %v", h, s.done[c2s])
		}
	}
}

func TestMatch(t *testing.T) {
	tests := map[string]struct {
		first       string
		match, more bool
	}{
		"nothing":               {"", false, true},
		"type":                  {"\x16", false, true},
		"type_and_version":      {"\x16\x03\x01", false, true},
		"up_to_the_length":      {"\x16\x03\x01\x02\x00", false, true},
		"up_to_the_message":     {"\x16\x03\x01\x02\x00\x01", false, true},
		"client_hello":          {"\x16\x03\x01\x02\x00\x01\x00", true, false},
		"client_hello_and_more": {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", true, false},
		"ssl3":                  {"\x16\x03\x00\x00\x40\x01\x00", true, false},
		"record_of_tls13":       {"\x16\x03\x04\x00\x40\x01\x00", true, false},
		"record_of_one_byte":    {"\x16\x03\x01\x00\x01\x01\x16\x03", true, false},
		"largest_record":        {"\x16\x03\x01\x48\x00\x01\x00", true, false},
		"server_hello":          {"\x16\x03\x03\x00\x40\x02\x00", false, false},
		"alert":                 {"\x15\x03\x01\x00\x02\x02\x28", false, false},
		"major_version_2":       {"\x16\x02\x01\x00\x40\x01\x00", false, false},
		"minor_version_5":       {"\x16\x03\x05\x00\x40\x01\x00", false, false},
		"record_too_large":      {"\x16\x03\x01\x49\x00\x01\x00", false, false},
		"hello_too_large":       {"\x16\x03\x01\x40\x00\x01\x01", false, false},
		"no_from_the_start":     {"G", false, false},
		"no_in_the_middle":      {"\x16\x03\x01\x02\x00\x02", false, false},
		"text":                  {"GET / HTTP/1.1\r\n", false, false},
		"ssl2":                  {"\x80\x2e\x01\x03\x01\x00\x15", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if match, more := Match([]byte(tt.first)); match != tt.match || more != tt.more {
				t.Errorf("match %v, more %v, want %v, %v", match, more, tt.match, tt.more)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	tests := map[string]Hello{
		"client hello, TLS 1.3 for a.example, offers h2 http/1.1":    {ServerName: "a.example", ALPN: []string{"h2", "http/1.1"}, Version: 0x0304},
		"client hello, TLS 1.2":                                      {Version: 0x0303},
		"server hello, TLS 1.3, cipher TLS_AES_128_GCM_SHA256":       {Server: true, Version: 0x0304, Cipher: 0x1301},
		"server hello, TLS 1.0, cipher TLS_RSA_WITH_AES_128_CBC_SHA": {Server: true, Version: 0x0301, Cipher: 0x2f},
		"client hello, TLS 1.1":                                      {Version: 0x0302},
		"client hello, TLS ssl 3.0":                                  {Version: 0x0300},
		"client hello, TLS 0x7f1c, offers h2":                        {Version: 0x7f1c, ALPN: []string{"h2"}},
	}
	for want, h := range tests {
		if diff := cmp.Diff(want, h.Summary()); diff != "" {
			t.Error("(-want +got)\n" + diff)
		}
	}
}
