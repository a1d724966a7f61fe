package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"netlab/pcaps"
	"netlab/pcaps/craft"
)

// secrets are planted in a recording, each at least once, of all kinds and in all encodings. The
// search for them knows nothing of how they are found and replaced.
var secrets = map[string]string{
	"cookie that is set":         "s1dK3ZV5PYJ2MXA6TRC4NWB8EHD",
	"cookie of a third party":    "GA1.2.1830512345.1690001234",
	"bearer token":               "tkB6N3CQ5YKJ7WZ2MPV4TRA8EHDx",
	"basic user":                 "margaret",
	"basic password":             "hunter2-Zk81",
	"JWT":                        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI4MTIzNDU2Iiwicm9sZSI6InZpcCJ9.q7Yk2mB0x3fVt9sLwPzR5uNcJdHgEaKi1oTqMvXyZ8w",
	"API key in a header":        "AKQ7ZP5VTM3YRA6CNB8EHDJ4XW",
	"API key in a query":         "qk_9f8e7d6c5b4a39281706f5e4",
	"password in a form":         "correct-horse-91",
	"password, URL-encoded":      "p@ss w0rd&more=1",
	"password in JSON":           "Tr0ub4dor&3x",
	"password in nested JSON":    "nested-pw-5521",
	"e-mail in JSON":             "ada.lovelace@corp-mail.io",
	"e-mail in a form":           "grace+hopper@corp-mail.io",
	"e-mail in text":             "alan.turing@bletchley-park.io",
	"card in JSON":               "4539148803436467",
	"card with spaces":           "4539 1488 0343 6467",
	"phone number":               "+49 30 901820-77",
	"session in gzip":            "gzsess-77ab1c9e0d42",
	"token in brotli":            "brtok-5d4c3b2a19f80e7d6c",
	"token in zstd":              "zstok-0a1b2c3d4e5f607182",
	"token in chunks":            "chtok-8899aabbccddeeff0011",
	"token over packets":         "sptok-123e4567e89b12d3a456426614174000",
	"token in base64":            "b64tok-77f3a1c05e9d4b28",
	"CSRF token":                 "csrf-J4XW2KQ7ZP5VTM3YRA6CNB8",
	"host of HTTP":               "shop.intranet-acme.net",
	"host in DNS":                "db7.prod.intranet-acme.net",
	"host in SNI":                "login.intranet-acme.net",
	"name in a certificate":      "cert-only.intranet-acme.net",
	"text record":                "v=verify 5up3r-s3cr3t-txt-record",
	"user of FTP":                "ftpuser-karl",
	"password of FTP":            "ftp-pass-Xy77",
	"password of SMTP":           "smtp-pass-Qw12",
	"sender of mail":             "sender.person@corp-mail.io",
	"what a rule hides in mail":  "merger with Initech on friday",
	"password of Redis":          "redis-auth-9911",
	"what a rule hides in Redis": "redis-value-of-customer-jane",
	"opaque body":                "\x00\x01OPAQUE-customer-photo-bytes\xff",
	"unknown protocol":           "PLAIN-unknown-proto-secret",
	"comment of a packet":        "comment: called by bob from accounting",
	"comment of the file":        "captured on bobs-laptop",
	"name of an interface":       "eth0-secret-lab",
	"filter of the capture":      "host secret-filter-host",
	"name block":                 "nameblock.intranet-acme.net",
	"key of TLS":                 "CLIENT_RANDOM 5ec2e700",
	"private key":                "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
	"IPv4 address":               "198.51.77.23",
	"IPv4 address of the server": "203.0.113.199",
	"IPv6 address":               "2001:db8:77:1::abcd",
	"address in text":            "198.51.77.200",
	"hardware address":           "\x00\x1b\x63\x84\x45\xe6",
}

// planted is a recording with all of them.
func planted(t *testing.T) string {
	t.Helper()
	b := craft.New(craft.Options{})
	client := func(port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(secrets["IPv4 address"]), port)
	}
	server := func(port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(secrets["IPv4 address of the server"]), port)
	}
	plantWeb(t, b.TCP(client(40001), server(80)))
	plantDNS(t, b.UDP(client(40002), server(53)))
	say := func(port uint16, lines ...string) {
		talk := b.TCP(client(40000+port), server(port))
		talk.Open()
		for _, line := range lines {
			side := craft.Client
			if rest, ok := strings.CutPrefix(line, "<"); ok {
				side, line = craft.Server, rest
			}
			talk.Send(side, []byte(line+"\r\n"))
		}
		talk.Close(craft.Client)
	}
	say(21, "<220 ready", "USER "+secrets["user of FTP"], "<331 go on", "PASS "+secrets["password of FTP"], "<230 in", "QUIT", "<221 bye")
	auth := base64.StdEncoding.EncodeToString([]byte("\x00mailuser\x00" + secrets["password of SMTP"]))
	say(25, "<220 mail ESMTP", "EHLO client", "<250 AUTH PLAIN", "AUTH PLAIN "+auth, "<235 in", "MAIL FROM:<"+secrets["sender of mail"]+">", "<250 ok",
		"RCPT TO:<"+secrets["e-mail in text"]+">", "<250 ok", "DATA", "<354 go on",
		"From: "+secrets["sender of mail"]+"\r\nSubject: "+secrets["what a rule hides in mail"]+"\r\n\r\nSee "+secrets["address in text"]+"\r\n.", "<250 ok", "QUIT", "<221 bye")
	redis := func(words ...string) string {
		s := fmt.Sprintf("*%d", len(words))
		for _, w := range words {
			s += fmt.Sprintf("\r\n$%d\r\n%s", len(w), w)
		}
		return s
	}
	say(6379, redis("AUTH", secrets["password of Redis"]), "<+OK", redis("SET", "k", secrets["what a rule hides in Redis"]), "<+OK",
		redis("GET", "k"), fmt.Sprintf("<$%d\r\n%s", len(secrets["what a rule hides in Redis"]), secrets["what a rule hides in Redis"]))
	say(7777, secrets["unknown protocol"], "<"+secrets["unknown protocol"])
	plantTLS(t, b, netip.AddrPortFrom(netip.MustParseAddr(secrets["IPv6 address"]), 40443), netip.MustParseAddrPort("[2001:db8:77:1::443]:443"))
	b.Packet(arp(netip.MustParseAddr(secrets["IPv4 address"]), netip.MustParseAddr(secrets["address in text"])))
	b.Packet(unreachable(t, b))
	return withBlocks(t, b)
}

// plantWeb says HTTP.
func plantWeb(t *testing.T, talk *craft.Talk) {
	t.Helper()
	talk.MSS = 700
	talk.Open()
	host := "\r\nHost: " + secrets["host of HTTP"] + "\r\nCookie: sid=" + secrets["cookie that is set"] + "; _ga=" + secrets["cookie of a third party"]
	ask := func(line, headers, body string) {
		if body != "" {
			headers += fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
		talk.Send(craft.Client, []byte(line+" HTTP/1.1"+host+"\r\n"+headers+"\r\n"+body))
	}
	answer := func(headers, body string) {
		talk.Send(craft.Server, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", headers, len(body), body))
	}
	const form, asJSON = "Content-Type: application/x-www-form-urlencoded\r\n", "Content-Type: application/json\r\n"
	ask("GET /login", "", "")
	answer("Content-Type: text/html\r\nSet-Cookie: sid="+secrets["cookie that is set"]+"; HttpOnly\r\n", `<form><input type="hidden" name="csrf_token" value="`+secrets["CSRF token"]+`"></form>`)
	ask("POST /login", form, "email="+url.QueryEscape(secrets["e-mail in a form"])+"&password="+secrets["password in a form"]+"&new_password="+url.QueryEscape(secrets["password, URL-encoded"])+"&csrf_token="+secrets["CSRF token"])
	answer(asJSON, fmt.Sprintf(`{"token":%q,"user":{"email":%q,"phone":%q,"card_number":%q}}`, secrets["JWT"], secrets["e-mail in JSON"], secrets["phone number"], secrets["card in JSON"]))
	ask("POST /pay?api_key="+secrets["API key in a query"], "Authorization: Bearer "+secrets["bearer token"]+"\r\nX-Api-Key: "+secrets["API key in a header"]+"\r\n"+asJSON,
		fmt.Sprintf(`{"password":%q,"deep":{"list":[{"passwd":%q}]},"card":%q,"note":%q}`, secrets["password in JSON"], secrets["password in nested JSON"], secrets["card with spaces"],
			base64.StdEncoding.EncodeToString([]byte("token="+secrets["token in base64"]+"&mail="+secrets["e-mail in JSON"]))))
	answer("Content-Type: text/plain\r\n", "Write to "+secrets["e-mail in text"]+" or call "+secrets["phone number"]+" from "+secrets["address in text"]+".\n-----BEGIN PRIVATE KEY-----\n"+secrets["private key"]+"\n-----END PRIVATE KEY-----\n")
	ask("GET /admin", "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(secrets["basic user"]+":"+secrets["basic password"]))+"\r\nX-Forwarded-For: "+secrets["address in text"]+"\r\n", "")
	answer(asJSON+"Content-Encoding: gzip\r\n", packedBody(t, "gzip", fmt.Sprintf(`{"session_id":%q,"for":%q}`, secrets["session in gzip"], secrets["e-mail in JSON"])))
	ask("GET /br", "Authorization: Bearer "+secrets["JWT"]+"\r\n", "")
	answer(asJSON+"Content-Encoding: br\r\n", packedBody(t, "br", fmt.Sprintf(`{"access_token":%q}`, secrets["token in brotli"])))
	ask("GET /zstd", "", "")
	answer(asJSON+"Content-Encoding: zstd\r\n", packedBody(t, "zstd", fmt.Sprintf(`{"refresh_token":%q}`, secrets["token in zstd"])))
	ask("GET /chunks", "", "")
	body := fmt.Sprintf(`{"token":%q}`, secrets["token in chunks"])
	talk.Send(craft.Server, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n14\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", asJSON, body[:20], len(body)-20, body[20:]))
	talk.MSS = 90 // the token begins in one packet and ends in another
	ask("GET /split", "X-Auth-Token: "+secrets["token over packets"]+"\r\n", "")
	talk.MSS = 700
	answer("Content-Type: application/x-photo\r\n", secrets["opaque body"])
	talk.Close(craft.Client)
}

// packedBody is a body in a content encoding.
func packedBody(t *testing.T, coding, body string) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "br":
		w = brotli.NewWriter(&out)
	case "zstd":
		z, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// plantDNS asks for names.
func plantDNS(t *testing.T, talk *craft.Talk) {
	t.Helper()
	name := func(host string) (b []byte) {
		for label := range strings.SplitSeq(host, ".") {
			b = append(append(b, byte(len(label))), label...)
		}
		return append(b, 0)
	}
	message := func(id, flags, answers uint16, question []byte, typ uint16, data []byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, id)
		for _, n := range []uint16{flags, 1, answers, 0, 0} {
			b = binary.BigEndian.AppendUint16(b, n)
		}
		b = binary.BigEndian.AppendUint16(append(b, question...), typ)
		b = binary.BigEndian.AppendUint16(b, 1)
		if answers > 0 {
			b = binary.BigEndian.AppendUint16(append(b, 0xc0, 12), typ)
			b = append(b, 0, 1, 0, 0, 0, 60)
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
		}
		return b
	}
	text := secrets["text record"]
	for i, q := range []struct {
		host string
		typ  uint16
		data []byte
	}{
		{secrets["host in DNS"], 1, netip.MustParseAddr(secrets["address in text"]).AsSlice()},
		{secrets["host of HTTP"], 28, netip.MustParseAddr(secrets["IPv6 address"]).AsSlice()},
		{secrets["host in DNS"], 16, append([]byte{byte(len(text))}, text...)},
	} {
		talk.Send(craft.Client, message(uint16(i+1), 0x0100, 0, name(q.host), q.typ, nil))
		talk.Send(craft.Server, message(uint16(i+1), 0x8180, 1, name(q.host), q.typ, q.data))
	}
}

// plantTLS shakes hands: the names are said in clear, before anything is encrypted.
func plantTLS(t *testing.T, b *craft.Builder, client, server netip.AddrPort) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{secrets["host in SNI"], secrets["name in a certificate"]}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, made, made, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	talk := b.TCP(client, server)
	talk.Open()
	heard := &tapped{Conn: near, tap: &tap{b: b}, talk: talk}
	var done sync.WaitGroup
	done.Go(func() {
		s := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MaxVersion: tls.VersionTLS12})
		io.Copy(s, s)
		s.Close()
	})
	c := tls.Client(heard, &tls.Config{ServerName: secrets["host in SNI"], InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if _, err := io.WriteString(c, "what is encrypted"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	heard.Close()
	done.Wait()
}

// arp asks who has an address.
func arp(from, who netip.Addr) []byte {
	mac := secrets["hardware address"]
	p := []byte("\xff\xff\xff\xff\xff\xff" + mac + "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + mac)
	p = append(append(p, from.AsSlice()...), 0, 0, 0, 0, 0, 0)
	return append(p, who.AsSlice()...)
}

// unreachable quotes the first packet in an ICMP error.
func unreachable(t *testing.T, b *craft.Builder) []byte {
	t.Helper()
	packets, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	quoted := packets[0].Data[14:][:28]
	icmp := append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, quoted...)
	binary.BigEndian.PutUint16(icmp[2:], onesSum(icmp))
	ip := []byte{0x45, 0, 0, byte(20 + len(icmp)), 0, 9, 0, 0, 64, 1, 0, 0}
	ip = append(ip, netip.MustParseAddr(secrets["address in text"]).AsSlice()...)
	ip = append(ip, netip.MustParseAddr(secrets["IPv4 address"]).AsSlice()...)
	binary.BigEndian.PutUint16(ip[10:], onesSum(ip))
	return slices.Concat([]byte("\x02\x00\x00\x00\x00\x09"+secrets["hardware address"]+"\x08\x00"), ip, icmp)
}

// onesSum is the checksum of RFC 1071.
func onesSum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// withBlocks writes a pcapng file by hand, with all that may stand beside packets.
func withBlocks(t *testing.T, b *craft.Builder) string {
	t.Helper()
	le := binary.LittleEndian
	padded := func(s string) string { return s + strings.Repeat("\x00", -len(s)&3) }
	option := func(code uint16, value string) string {
		return string(le.AppendUint16(le.AppendUint16(nil, code), uint16(len(value)))) + padded(value)
	}
	var out bytes.Buffer
	block := func(typ uint32, body string) {
		n := uint32(12 + len(padded(body)))
		out.Write(le.AppendUint32(le.AppendUint32(nil, typ), n))
		out.WriteString(padded(body))
		out.Write(le.AppendUint32(nil, n))
	}
	block(0x0a0d0d0a, "\x4d\x3c\x2b\x1a\x01\x00\x00\x00"+strings.Repeat("\xff", 8)+option(1, secrets["comment of the file"])+option(0, ""))
	block(1, "\x01\x00\x00\x00\x00\x00\x04\x00"+option(2, secrets["name of an interface"])+option(11, "\x00"+secrets["filter of the capture"])+option(9, "\x09")+option(0, ""))
	address := string(netip.MustParseAddr(secrets["IPv4 address"]).AsSlice())
	record := address + secrets["name block"] + "\x00"
	block(4, string(le.AppendUint16([]byte{1, 0}, uint16(len(record))))+padded(record)+"\x00\x00\x00\x00")
	key := secrets["key of TLS"] + strings.Repeat("00", 28) + " " + strings.Repeat("11", 48) + "\n"
	block(10, string(le.AppendUint32(le.AppendUint32(nil, 0x544c534b), uint32(len(key))))+padded(key))
	packets, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		ts := uint64(p.Time.UnixNano())
		h := le.AppendUint32(nil, 0)
		for _, n := range []uint32{uint32(ts >> 32), uint32(ts), uint32(len(p.Data)), uint32(p.Length)} {
			h = le.AppendUint32(h, n)
		}
		body := string(h) + padded(string(p.Data))
		if i == 3 {
			body += option(1, secrets["comment of a packet"]) + option(0, "")
		}
		block(6, body)
	}
	file := filepath.Join(t.TempDir(), "planted.pcapng")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// forms are the bytes that a secret may be in what is shared, beside what it is when that is
// decoded.
func forms(name, secret string) []string {
	list := []string{secret}
	if a, err := netip.ParseAddr(secret); err == nil {
		list = append(list, string(a.AsSlice()))
	}
	if strings.HasPrefix(name, "host") || strings.HasPrefix(name, "name") {
		labels := ""
		for label := range strings.SplitSeq(secret, ".") {
			labels += string(rune(len(label))) + label
		}
		list = append(list, labels)
	}
	if strings.HasPrefix(name, "card") {
		list = append(list, strings.ReplaceAll(secret, " ", ""))
	}
	if name == "hardware address" {
		list = append(list, "00:1b:63:84:45:e6")
	}
	return append(list, hex.EncodeToString([]byte(secret)))
}

// unwrapped calls see with data, and with what it is when it is decoded, in any order of a few
// encodings.
func unwrapped(data []byte, depth int, see func([]byte)) {
	see(data)
	if depth == 0 {
		return
	}
	deeper := func(b []byte) {
		if len(b) > 0 && !bytes.Equal(b, data) {
			unwrapped(b, depth-1, see)
		}
	}
	if s, err := url.QueryUnescape(string(data)); err == nil {
		deeper([]byte(s))
	} else {
		deeper(loosely(data))
	}
	deeper([]byte(html.UnescapeString(string(data))))
	isBase64 := func(r rune) bool {
		return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("+/-_", r)
	}
	for _, word := range bytes.FieldsFunc(data, func(r rune) bool { return !isBase64(r) }) {
		if len(word) < 8 || len(word) > 1<<16 {
			continue
		}
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(string(word))
		for skip := range 4 { // it may begin behind something else
			text := plain[min(len(plain), skip):]
			if b, err := base64.RawStdEncoding.DecodeString(text[:len(text)/4*4]); err == nil {
				see(b)
				if s, err := url.QueryUnescape(string(b)); err == nil {
					see([]byte(s))
				}
			}
		}
	}
	for _, magic := range []struct {
		begin string
		open  func(io.Reader) (io.Reader, error)
	}{
		{"\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) }},
	} {
		for i := 0; ; i++ {
			n := bytes.Index(data[i:], []byte(magic.begin))
			if n < 0 {
				break
			}
			i += n
			if r, err := magic.open(bytes.NewReader(data[i:])); err == nil {
				b, _ := io.ReadAll(io.LimitReader(r, 1<<20))
				deeper(b)
			}
		}
	}
}

// loosely decodes %XX where that is one.
func loosely(data []byte) []byte {
	var out []byte
	for i := 0; i < len(data); i++ {
		if data[i] == '%' && i+2 < len(data) {
			if b, err := hex.DecodeString(string(data[i+1 : i+3])); err == nil {
				out, i = append(out, b...), i+2
				continue
			}
		}
		out = append(out, data[i])
	}
	return out
}

// streamsOf are the bytes of each direction in a capture that has them in order: all TCP and UDP
// over IP in Ethernet, taken apart here.
func streamsOf(t *testing.T, file string) map[string][]byte {
	t.Helper()
	f, err := pcaps.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	streams := make(map[string][]byte)
	for {
		p, err := f.Next()
		if err == io.EOF {
			return streams
		} else if err != nil {
			t.Fatal(err)
		}
		protocol, ends, rest := byte(0), "", []byte(nil)
		switch ip := p.Data[14:]; binary.BigEndian.Uint16(p.Data[12:]) {
		case 0x0800:
			protocol, ends, rest = ip[9], string(ip[12:20]), ip[4*int(ip[0]&15):binary.BigEndian.Uint16(ip[2:])]
		case 0x86dd:
			protocol, ends, rest = ip[6], string(ip[8:40]), ip[40:][:binary.BigEndian.Uint16(ip[4:])]
		}
		switch protocol {
		case 6:
			streams[ends+string(rest[:4])] = append(streams[ends+string(rest[:4])], rest[4*int(rest[12]>>4):]...)
		case 17:
			streams[ends+string(rest[:4])] = append(streams[ends+string(rest[:4])], rest[8:]...)
		}
	}
}

// bodiesOf are those of HTTP's answers in a stream, without chunks and encodings.
func bodiesOf(stream []byte) (all [][]byte) {
	for r := bufio.NewReader(bytes.NewReader(stream)); ; {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return all
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return all
		}
		all = append(all, body)
		if resp.Header.Get("Content-Encoding") == "br" {
			plain, _ := io.ReadAll(io.LimitReader(brotli.NewReader(bytes.NewReader(body)), 1<<20))
			all = append(all, plain)
		}
	}
}

// foundIn returns which of some secrets are found in a bundle or a capture, by their names, and where.
func foundIn(t *testing.T, file string, secrets map[string]string) map[string]string {
	t.Helper()
	parts := make(map[string][]byte)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts[filepath.Base(file)] = whole
	if z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole))); err == nil {
		for _, e := range z.File {
			r, err := e.Open()
			if err != nil {
				t.Fatal(err)
			}
			if parts[e.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	for ends, stream := range streamsOf(t, file) {
		parts[fmt.Sprintf("stream %x", ends)] = stream
		for i, body := range bodiesOf(stream) {
			parts[fmt.Sprintf("stream %x, body %d", ends, i)] = body
		}
	}
	type form struct {
		name        string
		text, lower []byte
	}
	var looked []form
	for name, secret := range secrets {
		for _, f := range forms(name, secret) {
			looked = append(looked, form{name, []byte(f), []byte(strings.ToLower(f))})
		}
	}
	found, seen := make(map[string]string), make(map[string]bool)
	for where, data := range parts {
		unwrapped(data, 2, func(b []byte) {
			if seen[string(b)] {
				return
			}
			seen[string(b)] = true
			lower := bytes.ToLower(b)
			for _, f := range looked {
				if bytes.Contains(b, f.text) || len(f.text) > 8 && bytes.Contains(lower, f.lower) {
					found[f.name] = where
				}
			}
		})
	}
	return found
}

// TestShareLeavesNoSecret plants secrets of all kinds and in all encodings, and searches for them
// in what is shared.
func TestShareLeavesNoSecret(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		t.Skip("only the capture tests run in the namespace")
	}
	file := planted(t)
	there := foundIn(t, file, secrets)
	if len(secrets) < 40 {
		t.Fatalf("%d secrets are planted", len(secrets))
	}
	for name := range secrets {
		if there[name] == "" {
			t.Errorf("the search does not find the %s in the recording itself", name)
		}
	}
	original, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	put(t, "key", []byte("the same pseudonyms each time: none has four bytes of an address by chance"))
	code, out, errs := netlab(t, "share", file, "-o", "bug.zip", "--key", "key", "--hide", "/merger with [A-Za-z ]+/", "--hide", "/redis-value-of-[a-z-]+/")
	if code != exitDone {
		t.Fatalf("exit status %d\n%s%s", code, out, errs)
	}
	for name, where := range foundIn(t, "bug.zip", secrets) {
		t.Errorf("the %s is still in %s", name, where)
	}
	for _, secret := range secrets {
		if strings.Contains(out+errs, secret) {
			t.Errorf("%q is told", secret)
		}
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, original) {
		t.Errorf("the original was changed: %v", err)
	}
	rightChecksums(t, file, "bug.zip")
	if want, got := servedVerdicts(t, file), servedVerdicts(t, "bug.zip"); !slices.Equal(want, got) || len(want) < 20 {
		t.Errorf("verdicts were\n%s\nand are\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	if t.Failed() {
		t.Log(out)
	}
}

// rightChecksums has tshark look for wrong checksums and malformed packets, of which there are
// no more than in the original.
func rightChecksums(t *testing.T, files ...string) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Log("not held against tshark, which is not installed")
		return
	}
	for _, file := range files {
		if filepath.Ext(file) == ".zip" {
			if code, _, errs := netlab(t, "pcaps", "convert", file, "-o", file+".pcapng"); code != exitDone {
				t.Fatal(errs)
			}
			file += ".pcapng"
		}
		args := []string{"-n", "-r", file, "-Y", "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0"}
		for _, layer := range []string{"ip", "tcp", "udp"} {
			args = append(args, "-o", layer+".check_checksum:TRUE")
		}
		out, err := exec.Command("tshark", args...).Output()
		if err != nil || len(out) > 0 {
			t.Errorf("tshark finds fault with %s: %v\n%s", file, err, out)
		}
	}
}

// servedVerdicts replays a recording to stand-ins for its servers, and returns the verdicts.
func servedVerdicts(t *testing.T, file string) []string {
	t.Helper()
	out, errs, stop := background(t, "serve", file, "--all", "--listen", "127.0.0.1:0", "--json")
	errs.wait(t, "answering on")
	args := []string{"replay", file, "--speed", "max", "--json", "--timeout", "60s"}
	for line := range strings.Lines(out.String()) {
		var l struct{ Type, Address, Server string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Type == "listening" {
			args = append(args, "--map", l.Server+"="+l.Address)
		}
	}
	_, told, more := netlab(t, args...)
	stop()
	var list []string
	for line := range strings.Lines(told) {
		var o struct {
			Type, Protocol, Verdict string
			Conversation, Index     int
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s%s", err, line, more)
		}
		if o.Type == "outcome" {
			list = append(list, strconv.Itoa(o.Conversation)+"."+strconv.Itoa(o.Index)+" "+o.Protocol+" "+o.Verdict)
		}
	}
	slices.Sort(list)
	return list
}
