package tls

import (
	"bytes"
	gotls "crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
)

// recording is a connection of which all was received before.
type recording struct {
	net.Conn // nothing else is called
	in       bytes.Reader
}

func (r *recording) Read(b []byte) (int, error)  { return r.in.Read(b) }
func (r *recording) Write(b []byte) (int, error) { return len(b), nil }
func (r *recording) Close() error                { return nil }

var errSeen = errors.New("that was all we wanted")

// opinion returns the ClientHello that crypto/tls finds in data; nil when it
// finds none.
func opinion(data []byte) *gotls.ClientHelloInfo {
	var info *gotls.ClientHelloInfo
	c := &recording{}
	c.in.Reset(data)
	// The error is of no interest: after the hello there is always one.
	_ = gotls.Server(c, &gotls.Config{
		MinVersion: gotls.VersionTLS10,
		GetConfigForClient: func(i *gotls.ClientHelloInfo) (*gotls.Config, error) {
			info = i
			return nil, errSeen
		},
	}).Handshake()
	return info
}

// agree wants what crypto/tls takes for a ClientHello to come out the same.
func agree(t *testing.T, data []byte, h *Hello) {
	t.Helper()
	info := opinion(data)
	if info == nil {
		return // it refuses more than we do: it has to answer
	}
	if h == nil {
		t.Fatalf("no hello; crypto/tls finds one for %q", info.ServerName)
	}
	want := Hello{ServerName: info.ServerName, ALPN: info.SupportedProtos, Version: h.Version}
	if slices.Contains(info.Extensions, extSupportedVersions) {
		var highest uint16
		for _, v := range info.SupportedVersions {
			if v&0x0f0f != 0x0a0a {
				highest = max(highest, v)
			}
		}
		if highest != 0 {
			want.Version = highest
		}
	}
	if diff := cmp.Diff(&want, h, exported); diff != "" {
		t.Fatal("not as crypto/tls (-want +got)\n" + diff)
	}
}

// TestOpinion wants crypto/tls to have an opinion of ordinary hellos: without one
// the fuzzing finds nothing.
func TestOpinion(t *testing.T) {
	h := shake(t, &gotls.Config{ServerName: "a.example", NextProtos: []string{"h2"}}, &gotls.Config{NextProtos: []string{"h2"}})
	for _, data := range [][]byte{
		h.sent[c2s],
		record(7, message(clientHello, with(clientHead(0x0303), serverName("a.example"), alpn("h2"), versions(0x0304)))),
	} {
		info := opinion(data)
		if info == nil || info.ServerName != "a.example" {
			t.Fatalf("crypto/tls finds %+v", info)
		}
		var s listener
		agree(t, data, basic(s.Write(c2s, data)))
	}
}

func FuzzHello(f *testing.F) {
	for _, v := range []uint16{gotls.VersionTLS12, gotls.VersionTLS13} {
		h := shake(f, &gotls.Config{MaxVersion: v, ServerName: "a.example", NextProtos: []string{"h2"}}, &gotls.Config{NextProtos: []string{"h2"}})
		f.Add(h.sent[c2s], []byte{200}, false)
		f.Add(h.sent[s2c], []byte{3, 100}, true)
	}
	hello := with(clientHead(0x0303), extension(0x1a1a), serverName("a.example"), alpn("h2", "http/1.1"), versions(0xfafa, 0x0304, 0x0303))
	f.Add(record(maxRecord, message(clientHello, hello)), []byte{0}, false)
	f.Add(record(10, message(clientHello, hello)), []byte{7}, false)
	f.Add(record(maxRecord, message(clientHello, clientHead(0x0301))), []byte{1, 2, 3}, false)
	f.Add(record(maxRecord, message(serverHello, with(serverHead(0x0303, 0x1301), extension(extSupportedVersions, number(0x0304))))), []byte{1}, true)
	f.Add([]byte{22, 3, 1, 0, 4, 1, 255, 255, 255}, []byte{9}, false)
	f.Fuzz(func(t *testing.T, data, cuts []byte, server bool) {
		d := flow.ClientToServer
		if server {
			d = flow.ServerToClient
		}
		var all listener
		h := feed(t, &all, d, data, whole)
		// The same however it is cut.
		cut := bytes.NewReader(cuts)
		next := func() int {
			b, err := cut.ReadByte()
			if err == io.EOF {
				return 1000
			}
			return int(b)
		}
		var parts listener
		if diff := cmp.Diff(h, feed(t, &parts, d, data, next), exported); diff != "" {
			t.Fatal("whole and in parts (-whole +parts)\n" + diff)
		}
		if all.done[d] != parts.done[d] {
			t.Fatal("whole and in parts: only one of them is done")
		}
		agree(t, data, h)

		// An answer of Match is final: more bytes never change it.
		match, more := Match(data)
		if match && more {
			t.Fatal("it matches, and wants more")
		}
		for n := range min(len(data), 16) {
			if m, want := Match(data[:n]); !want && (m != match || more) {
				t.Fatalf("%d bytes: match %v; all: match %v, more %v", n, m, match, more)
			}
		}
	})
}
