package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestCryptoPAn holds the mapping of addresses against the trace that its authors published with
// their program, and what other programs make of IPv6.
func TestCryptoPAn(t *testing.T) {
	key := [32]byte{21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2}
	c := newCryptoPAn(key)
	for in, want := range map[string]string{
		"128.11.68.132": "135.242.180.132", "129.118.74.4": "134.136.186.123", "130.132.252.244": "133.68.164.234",
		"141.223.7.43": "141.167.8.160", "141.233.145.108": "141.129.237.235", "152.163.225.39": "151.140.114.167",
		"156.29.3.236": "147.225.12.42", "165.247.96.84": "162.9.99.234", "166.107.77.190": "160.132.178.185",
		"192.102.249.13": "252.138.62.131", "192.215.32.125": "252.43.47.189", "192.233.80.103": "252.25.108.8",
		"192.41.57.43": "252.222.221.184", "193.150.244.223": "253.169.52.216", "195.205.63.100": "255.186.223.5",
		"198.200.171.101": "249.199.68.213", "198.26.132.101": "249.36.123.202", "198.36.213.5": "249.7.21.132",
		"198.51.77.238": "249.18.186.254", "199.217.79.101": "248.38.184.213", "202.49.198.20": "245.206.7.234",
		"203.12.160.252": "244.248.163.4", "204.184.162.189": "243.192.77.90", "204.202.136.230": "243.178.4.198",
		"::1": "78ff:f001:9fc0:20df:8380:b1f1:704:ed", "2001:db8::1": "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e",
	} {
		b := netip.MustParseAddr(in).AsSlice()
		c.Map(b, 0)
		if got, _ := netip.AddrFromSlice(b); got.String() != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func names() *Pseudonyms { return NewPseudonyms([]byte("a key for tests only")) }

func TestAddr(t *testing.T) {
	p := names()
	for _, s := range []string{"127.0.0.1", "127.8.9.1", "::1", "0.0.0.0", "::", "224.0.0.251", "239.255.255.250", "255.255.255.255", "ff02::fb"} {
		if a := netip.MustParseAddr(s); p.Addr(a) != a {
			t.Errorf("%s became %s, though it is nobody's", s, p.Addr(a))
		}
	}
	for _, c := range classes {
		a := c.Addr().Next().Next().Next()
		if got := p.Addr(a); !c.Contains(got) {
			t.Errorf("%s became %s, which is not in %s", a, got, c)
		}
	}
	list := []string{"8.8.8.8", "8.8.4.4", "8.9.0.1", "93.184.216.34", "93.184.216.35", "11.0.0.1", "9.255.255.255", "172.15.1.1", "192.167.0.1", "192.169.0.1", "10.1.2.3", "10.1.2.4", "10.9.0.1", "2001:db8::1", "2001:db8::2", "2a00:1450::1", "fe80::1", "fd00::7", "128.0.0.1", "223.255.255.255"}
	seen := make(map[netip.Addr]string)
	for _, s := range list {
		a := netip.MustParseAddr(s)
		got := p.Addr(a)
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s both became %s", s, other, got)
		}
		seen[got] = s
		if got == a {
			t.Errorf("%s stayed", a)
		}
		for _, c := range classes {
			if c.Contains(a) != c.Contains(got) {
				t.Errorf("%s became %s: of the two, one is in %s", a, got, c)
			}
		}
		for _, s := range list {
			if b := netip.MustParseAddr(s); b.Is4() == a.Is4() {
				if x, y := common(a, b), common(got, p.Addr(b)); x != y {
					t.Errorf("%s and %s have %d bits in common, their pseudonyms %d", a, b, x, y)
				}
			}
		}
	}
	mapped := netip.MustParseAddr("::ffff:8.8.8.8")
	if got := p.Addr(mapped); got.Unmap() != p.Addr(netip.MustParseAddr("8.8.8.8")) || !got.Is4In6() {
		t.Errorf("%s became %s", mapped, got)
	}
}

func TestMAC(t *testing.T) {
	p := names()
	for _, a := range [][6]byte{{}, {255, 255, 255, 255, 255, 255}, {0x33, 0x33, 0, 0, 0, 0xfb}, {1, 0, 0x5e, 0, 0, 0xfb}} {
		if p.MAC(a) != a {
			t.Errorf("%x became %x", a, p.MAC(a))
		}
	}
	for _, a := range [][6]byte{{0x00, 0x1b, 0x21, 1, 2, 3}, {0x02, 0x42, 0xac, 0x11, 0, 2}} {
		got := p.MAC(a)
		if got == a || got[0]&3 != a[0]&3 || got[0] == a[0] && got[1] == a[1] && got[2] == a[2] {
			t.Errorf("%x became %x", a, got)
		}
	}
}

// shape is a text with a letter for each class.
func shape(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			b[i] = '9'
		case c >= 'a' && c <= 'z':
			b[i] = 'a'
		case c >= 'A' && c <= 'Z':
			b[i] = 'A'
		case c >= 0x80:
			b[i] = 'u'
		}
	}
	return string(b)
}

func TestText(t *testing.T) {
	p := names()
	for _, s := range []string{
		"hunter2", "S3cret-Passw0rd!", "correct horse battery staple", "7QmXh2Zk0pLr9VbN3sTy5WcD8e", "deadbeef00112233", "DEADBEEF00112233",
		"12345", "3.14159", "-42", "1.5e10", "0.25", "ada@example.com", "a.b+c@mail.example.co.uk", "4111111111111111", "4111 1111 1111 1111", "378282246310005",
		"+1 555 555 0100", "api.internal.example.com", "Grüße", "日本語のパスワード", "p\xff\xfew", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
		"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "AKIAIOSFODNN7EXAMPLE", "00:1b:21:01:02:03", "00-1B-21-01-02-03", "a", "Zz", "x1", strings.Repeat("k3Y", 200),
	} {
		got := p.Text(s)
		if shape(got) != shape(s) && !isAddress(s) {
			t.Errorf("%q became %q, of another shape", s, got)
		}
		if got == s && len(s) > 2 {
			t.Errorf("%q stayed", s)
		}
		if again := names().Text(s); again != got {
			t.Errorf("%q became %q, then %q", s, got, again)
		}
		if isNumber(s) != isNumber(got) || isHex(s) && !isHex(got) || isEmail(s) != isEmail(got) || isCard(s) != isCard(got) || isUUID(s) != isUUID(got) {
			t.Errorf("%q became %q, which is of another kind", s, got)
		}
		if NewPseudonyms([]byte("some other key, longer")).Text(s) == got && len(s) > 2 {
			t.Errorf("%q becomes %q with another key too", s, got)
		}
	}
	if a, b := p.Text("ada@example.com"), p.Host("example.com"); a != p.Text("ada")+"@"+b {
		t.Errorf("the address is %s, the host %s", a, b)
	}
	for _, s := range []string{"", "true", "0", "localhost", "anonymous"} {
		if p.Text(s) != s {
			t.Errorf("%q became %q", s, p.Text(s))
		}
	}
}

// TestPermutation wants no two short secrets of the same classes to become one.
func TestPermutation(t *testing.T) {
	p := names()
	for _, form := range []struct {
		format string
		n      int
	}{{"%04d", 10000}, {"a%03d", 1000}, {"%d", 10000}, {"0.%03d", 1000}} {
		seen := make(map[string]bool)
		for i := range form.n {
			s := fmt.Sprintf(form.format, i)
			if isTrivial(s) {
				continue
			}
			got := p.plain(s)
			if seen[got] {
				t.Fatalf("%s became %s, as another did", s, got)
			}
			seen[got] = true
		}
	}
}

func TestHost(t *testing.T) {
	p := names()
	a, b := p.Host("a.shop.example.com"), p.Host("b.shop.example.com")
	if a == b || a[strings.IndexByte(a, '.'):] != b[strings.IndexByte(b, '.'):] || !strings.HasSuffix(a, ".com") {
		t.Errorf("siblings became %s and %s", a, b)
	}
	if got := p.Host("WWW.Example.CO.UK."); !strings.HasPrefix(got, "WWW.") || !strings.HasSuffix(got, ".CO.UK.") || strings.Contains(got, "Example") {
		t.Errorf("got %s", got)
	}
	if x, y := p.Host("EXAMPLE.com"), p.Host("example.com"); !strings.EqualFold(x, y) {
		t.Errorf("%s and %s", x, y)
	}
	if got := p.Host("_http._tcp.files.lan"); !strings.HasPrefix(got, "_http._tcp.") || !strings.HasSuffix(got, ".lan") || strings.Contains(got, "files") {
		t.Errorf("got %s", got)
	}
	addr := p.Addr(netip.MustParseAddr("93.184.216.34")).As4()
	if got, want := p.Host("34.216.184.93.in-addr.arpa"), fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", addr[3], addr[2], addr[1], addr[0]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := p.Host("184.93.in-addr.arpa."), fmt.Sprintf("%d.%d.in-addr.arpa.", addr[1], addr[0]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	v6 := netip.MustParseAddr("2001:db8::567:89ab")
	nibbles := func(a netip.Addr) string {
		var list []string
		b := a.As16()
		for i := len(b) - 1; i >= 0; i-- {
			list = append(list, fmt.Sprintf("%x.%x", b[i]&15, b[i]>>4))
		}
		return strings.Join(list, ".") + ".ip6.arpa"
	}
	if got, want := p.Host(nibbles(v6)), nibbles(p.Addr(v6)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestJWT(t *testing.T) {
	enc := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	token := enc(`{"alg":"HS256","typ":"JWT","kid":"prod-7"}`) + "." + enc(`{"sub":"ada@example.com","name":"Ada Löve","uid":1234567,"exp":1767225600,"admin":true}`) + "." + enc("0123456789abcdef0123456789abcdef")
	if !isJWT(token) {
		t.Fatal("it is none")
	}
	got := names().Text(token)
	if len(got) != len(token) || !isJWT(got) || got == token {
		t.Fatalf("%s became %s", token, got)
	}
	parts := strings.Split(got, ".")
	var head, claims map[string]any
	for i, v := range []any{&head, &claims} {
		b, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(b, v)
		}
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
	if head["alg"] != "HS256" || head["kid"] == "prod-7" || claims["sub"] != names().Text("ada@example.com") || claims["exp"] != 1767225600.0 || claims["uid"] == 1234567.0 || claims["admin"] != true {
		t.Errorf("got %v and %v", head, claims)
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil {
		t.Error(err)
	}
}
