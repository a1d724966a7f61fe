package redact

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

const (
	c2s = flow.ClientToServer
	s2c = flow.ServerToClient
)

// tcp is a conversation over TCP.
func tcp(p *proto.Protocol, said ...said) *talk {
	return &talk{transport: flow.TCP, protocol: p, said: said}
}

// resp is a command of Redis.
func resp(words ...string) string {
	var b strings.Builder
	b.WriteString("*" + itoa(len(words)) + "\r\n")
	for _, w := range words {
		b.WriteString("$" + itoa(len(w)) + "\r\n" + w + "\r\n")
	}
	return b.String()
}

func itoa(n int) string {
	return strings.TrimLeft(string([]byte{'0' + byte(n/100), '0' + byte(n/10%10), '0' + byte(n%10)}), "0")
}

// message is one of PostgreSQL.
func message(kind byte, body string) string {
	n := len(body) + 4
	return string([]byte{kind, 0, 0, byte(n >> 8), byte(n)}) + body
}

// packet is one of MySQL.
func packet(number byte, body string) string {
	return string([]byte{byte(len(body)), byte(len(body) >> 8), 0, number}) + body
}

// text16 is a text with its length before it.
func text16(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }

// TestProtocolSecrets plants secrets in other protocols than HTTP, and wants none to be left, and all
// to be what it was.
func TestProtocolSecrets(t *testing.T) {
	plain := base64.StdEncoding.EncodeToString([]byte("\x00ada77\x00hunter2-S3CRET"))
	connect := "\x00\x04MQTT\x04\xc2\x00\x3c" + text16("device-77x") + text16("ada77") + text16("hunter2-S3CRET")
	publish := text16("home/ada@secret.example") + `{"token":"tok-S3CRET-tok"}`
	login := "\x85\xa6\x7f\x00\x00\x00\x00\x01\x21" + strings.Repeat("\x00", 23) + "ada77\x00\x14" + "hunter2-S3CRET-hash!" + "shop\x00"
	for _, c := range []struct {
		name    string
		k       *talk
		secrets []string
	}{
		{"ftp", tcp(&proto.FTP, said{s2c, "220-ftp.secret.example\r\n220 ready\r\n"}, said{c2s, "USER ada77\r\n"}, said{s2c, "331 Password for ada77\r\n"}, said{c2s, "PASS hunter2-S3CRET\r\n"}, said{s2c, "230 ok\r\n"},
			said{c2s, "PORT 93,184,216,34,4,1\r\n"}, said{s2c, "200 ok\r\n"}, said{c2s, "EPRT |2|2001:db8::77|5282|\r\n"}, said{s2c, "200 ok\r\n"}, said{c2s, "PASV\r\n"}, said{s2c, "227 Entering Passive Mode (93,184,216,35,4,2).\r\n"}),
			[]string{"ada77", "hunter2-S3CRET", "93,184,216", "2001:db8::77"}},
		{"smtp", tcp(&proto.SMTP, said{s2c, "220 mx.secret.example ESMTP\r\n"}, said{c2s, "EHLO client.secret.example\r\n"}, said{s2c, "250-mx.secret.example\r\n250 AUTH PLAIN LOGIN\r\n"}, said{c2s, "AUTH PLAIN " + plain + "\r\n"}, said{s2c, "235 ok\r\n"},
			said{c2s, "MAIL FROM:<ada@secret.example>\r\n"}, said{s2c, "250 ok\r\n"}, said{c2s, "DATA\r\n"}, said{s2c, "354 go\r\n"}, said{c2s, "Subject: hi\r\nFrom: Ada <ada@secret.example>\r\n\r\npassword: hunter3-S3CRET\r\n.\r\n"}, said{s2c, "250 ok\r\n"}),
			[]string{"hunter2-S3CRET", "ada77", plain, "ada@secret", "hunter3-S3CRET", "client.secret"}},
		{"smtp_login", tcp(&proto.SMTP, said{s2c, "220 mx ESMTP\r\n"}, said{c2s, "AUTH LOGIN\r\n"}, said{s2c, "334 VXNlcm5hbWU6\r\n"}, said{c2s, base64.StdEncoding.EncodeToString([]byte("ada77@secret")) + "\r\n"}, said{s2c, "334 UGFzc3dvcmQ6\r\n"},
			said{c2s, base64.StdEncoding.EncodeToString([]byte("hunter2-S3CRET")) + "\r\n"}, said{s2c, "235 ok\r\n"}), []string{"ada77@secret", "hunter2-S3CRET"}},
		{"redis", tcp(&proto.Redis, said{c2s, resp("AUTH", "ada77", "hunter2-S3CRET")}, said{s2c, "+OK\r\n"}, said{c2s, resp("HSET", "user:1", "password", "hunter3-S3CRET", "ip", "93.184.216.34")}, said{s2c, ":2\r\n"},
			said{c2s, resp("HGETALL", "user:1")}, said{s2c, "*4\r\n$8\r\npassword\r\n$14\r\nhunter3-S3CRET\r\n$2\r\nip\r\n$13\r\n93.184.216.34\r\n"}, said{c2s, "SET mail ada@secret.example\r\n"}, said{s2c, "-ERR no 93.184.216.34\r\n"}),
			[]string{"ada77", "hunter2-S3CRET", "hunter3-S3CRET", "93.184.216.34", "ada@secret"}},
		{"postgres", tcp(&proto.Postgres, said{c2s, "\x00\x00\x00\x1f\x00\x03\x00\x00user\x00ada77\x00database\x00d\x00\x00"}, said{s2c, message('R', "\x00\x00\x00\x03")}, said{c2s, message('p', "hunter2-S3CRET\x00")},
			said{s2c, message('R', "\x00\x00\x00\x00") + message('K', "\x00\x00\x00\x07key!") + message('Z', "I")}, said{c2s, message('Q', "select * from t where mail='ada@secret.example'\x00")},
			said{s2c, message('T', "\x00\x02password\x00"+strings.Repeat("\x00", 18)+"ip\x00"+strings.Repeat("\x00", 18)) + message('D', "\x00\x02\x00\x00\x00\x0ehunter3-S3CRET\x00\x00\x00\x0d93.184.216.34") + message('C', "SELECT 1\x00") + message('Z', "I")}),
			[]string{"ada77", "hunter2-S3CRET", "hunter3-S3CRET", "93.184.216.34", "ada@secret", "key!"}},
		{"mysql", tcp(&proto.MySQL, said{s2c, packet(0, "\x0a8.0.1\x00\x01\x00\x00\x00abcdefgh\x00\xff\xf7\x21\x02\x00\xff\x81\x15"+strings.Repeat("\x00", 10)+"abcdefghijkl\x00mysql_native_password\x00")}, said{c2s, packet(1, login)}, said{s2c, packet(2, "\x00\x00\x00\x02\x00\x00\x00")},
			said{c2s, packet(0, "\x03select 'ada@secret.example'")}, said{s2c, packet(1, "\x02") +
				packet(2, "\x03def\x00\x00\x00\x08password\x00\x0c\x21\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00") + packet(3, "\x03def\x00\x00\x00\x02ip\x00\x0c\x21\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00") +
				packet(4, "\xfe\x00\x00\x02\x00") + packet(5, "\x0ehunter3-S3CRET\x0d93.184.216.34") + packet(6, "\xfe\x00\x00\x02\x00")}),
			[]string{"ada77", "hunter2-S3CRET", "hunter3-S3CRET", "93.184.216.34", "ada@secret"}},
		{"mqtt", tcp(&proto.MQTT, said{c2s, "\x10" + string(rune(len(connect))) + connect}, said{s2c, "\x20\x02\x00\x00"}, said{c2s, "\x30" + string(rune(len(publish))) + publish}),
			[]string{"device-77x", "ada77", "hunter2-S3CRET", "ada@secret", "tok-S3CRET-tok"}},
		{"websocket", tcp(&proto.WebSocket, said{c2s, "\x81\x8e\x01\x02\x03\x04" + masked(`{"pass":"pw77"}`[:14])}, said{s2c, "\x81\x12ada@secret.example"}, said{s2c, "\x82\x06\x00S3CRE"}, said{s2c, "\x88\x0e\x03\xe8ip 10.1.2.33"}),
			[]string{"ada@secret", "S3CRE", "pw77", "10.1.2.33"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, z := sanitize(t, Options{}, c.k)
			text := out[0].all()
			if list := leaks(text, c.secrets...); len(list) > 0 {
				t.Errorf("left are %s in\n%q", list, text)
			}
			same(t, c.k, out[0])
			for _, b := range z.Summary().Blanked {
				if !strings.Contains(b.Why, "no text") {
					t.Errorf("blanked: %+v of %q", b, text)
				}
			}
		})
	}
}

// TestRedisValues wants a value to be the same where it is set and where it is got, and all that is
// secret by its key to be hidden, JSON or not.
func TestRedisValues(t *testing.T) {
	for key, c := range map[string]struct {
		value   string
		secrets []string
	}{
		"user:1":    {`{"email":"ada@secret.example","age":36,"token":"tok-S3CRET-tok"}`, []string{"ada@secret", "tok-S3CRET"}},
		"session:9": {`{"v":"abc77S3CRET","list":["x77y88z99w"],"n":7}`, []string{"abc77S3CRET", "x77y88z99w"}},
		"token:7":   {"tok-S3CRET-tok", []string{"tok-S3CRET"}},
		"secret:5":  {`{"it is": no JSON`, []string{"no JSON"}},
	} {
		t.Run(key, func(t *testing.T) {
			bulk := "$" + itoa(len(c.value)) + "\r\n" + c.value + "\r\n"
			k := tcp(&proto.Redis, said{c2s, resp("SET", key, c.value)}, said{s2c, "+OK\r\n"}, said{c2s, resp("GET", key)}, said{s2c, bulk})
			out, _ := sanitize(t, Options{}, k)
			if list := leaks(out[0].all(), c.secrets...); len(list) > 0 {
				t.Errorf("left are %s in\n%q", list, out[0].all())
			}
			same(t, k, out[0])
			set, got := out[0].said[0].text, out[0].said[3].text
			if !strings.HasSuffix(set, got) || strings.HasPrefix(c.value, "{\"email") && !strings.Contains(got, `,"age":36,"token":"`) {
				t.Errorf("set %q, got %q", set, got)
			}
		})
	}
}

// masked masks a payload by 1, 2, 3, 4.
func masked(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] ^= byte(i%4 + 1)
	}
	return string(b)
}

// TestFTPPorts wants the addresses of commands and replies to be those of the packets.
func TestFTPPorts(t *testing.T) {
	k := tcp(&proto.FTP, said{s2c, "220 x\r\n"}, said{c2s, "PORT 93,184,216,34,4,1\r\n"}, said{s2c, "227 Passive (93,184,216,34,7,8)\r\n"})
	out, z := sanitize(t, Options{}, k)
	a := strings.ReplaceAll(z.Pseudonyms().Addr(netip.MustParseAddr("93.184.216.34")).String(), ".", ",")
	if want := "220 x\r\nPORT " + a + ",4,1\r\n227 Passive (" + a + ",7,8)\r\n"; out[0].all() != want {
		t.Errorf("got %q, want %q", out[0].all(), want)
	}
}

// TestDNSNames wants names to be the same in questions, answers and pointers, and the names of
// addresses to be those of their pseudonyms, whatever their lengths.
func TestDNSNames(t *testing.T) {
	name := "\x03www\x04shop\x07example\x03com\x00"
	response := "\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x01" + name + "\x00\x01\x00\x01" +
		"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x05\x02db\xc0\x10" + // db.shop.example.com
		"\xc0\x32\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x5d\xb8\xd8\x22" +
		"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x0b\x00\x08\x00\x07\x00\x01\x18\x00\x5d\xb8\xd8"
	reverse := "\x12\x35\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x0234\x03216\x03184\x0293\x07in-addr\x04arpa\x00\x00\x0c\x00\x01" +
		"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x3c\x00\x16" + "\x04shop\x07example\x03com\x00"
	reverse = strings.Replace(reverse, "\x00\x16\x04shop", "\x00\x12\x04shop", 1)
	for _, transport := range []flow.Transport{flow.UDP, flow.TCP} {
		k := &talk{transport: transport, protocol: &proto.DNS}
		for _, m := range []string{response, reverse} {
			if transport == flow.TCP {
				m = text16(m)
			}
			k.said = append(k.said, said{s2c, m})
		}
		out, z := sanitize(t, Options{}, k)
		p := z.Pseudonyms()
		_, list := out[0].run(t, nil)
		if len(list) != 2 {
			t.Fatalf("%d messages in %q", len(list), out[0].all())
		}
		slices.SortFunc(list, func(a, b *proto.Exchange) int { return int(a.Response.Offset - b.Response.Offset) })
		q, r := list[0].Response.Body.(*proto.DNSMessage).Sections()
		addr := p.Addr(netip.MustParseAddr("93.184.216.34"))
		if q[0].Name != p.Host("www.shop.example.com") || strings.TrimSuffix(r[0][0].Data, ".") != p.Host("db.shop.example.com") || r[0][1].Name != p.Host("db.shop.example.com") || r[0][1].Data != addr.String() {
			t.Errorf("got %v, %v", q, r)
		}
		q, r = list[1].Response.Body.(*proto.DNSMessage).Sections()
		if q[0].Name != p.Host("34.216.184.93.in-addr.arpa") || r[0][0].Name != q[0].Name || strings.TrimSuffix(r[0][0].Data, ".") != p.Host("shop.example.com") {
			t.Errorf("got %v, %v", q, r)
		}
		b := addr.As4()
		if !strings.Contains(out[0].said[0].text, "\x00\x08\x00\x07\x00\x01\x18\x00"+string(b[:3])) {
			t.Errorf("the client's network is not that of %s in %q", addr, out[0].said[0].text)
		}
		if list := leaks(out[0].all(), "shop", "example"); len(list) > 0 {
			t.Errorf("left are %s", list)
		}
	}
}
