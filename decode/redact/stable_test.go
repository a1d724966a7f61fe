package redact

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// TestStable wants pseudonyms to be those that other versions made with the same key: bundles go
// together by them.
func TestStable(t *testing.T) {
	p := names()
	// Parts of names, addresses and numbers, put together by chance.
	r := rand.New(rand.NewPCG(5, 6))
	h := sha256.New()
	var a4 [4]byte
	var a16 [16]byte
	for i := range 4000 {
		for k := range a4 {
			if i%3 == 0 || k > 1 {
				a4[k] = byte(r.Uint32())
			}
		}
		for k := range a16 {
			if i%5 == 0 || k > 7+i%8 {
				a16[k] = byte(r.Uint32())
			}
		}
		fmt.Fprintln(h, p.Addr(netip.AddrFrom4(a4)), p.Addr(netip.AddrFrom16(a16)))
	}
	parts := []string{"a", "www", "api", "Shop", "example", "com", "co", "uk", "de", "_tcp", "xn--ab12", "local", "", "in-addr", "arpa", "ip6", "12", "255", "f", "0", "deadbeef01", "Host-1", "grüße", "1.2", "..", "localhost", "tok_9Xc", "123456", "10", "4111111111111111", "a@b.com", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "-42", "日本"}
	for range 6000 {
		n := 1 + r.IntN(6)
		var list []string
		for range n {
			x := parts[r.IntN(len(parts))]
			if r.IntN(4) == 0 {
				x += fmt.Sprint(r.IntN(100000))
			}
			list = append(list, x)
		}
		s := strings.Join(list, []string{".", "", "-", "@", " "}[r.IntN(5)])
		fmt.Fprintln(h, p.Text(s), p.Host(s), isAddress(s), isHost(s), isEmail(s))
		if l := strings.Split(s, "."); len(s) > 0 {
			fmt.Fprintln(h, p.host(l))
		}
	}
	for range 2000 {
		b := make([]byte, r.IntN(30))
		for i := range b {
			b[i] = "0123456789abcdefABCDEF:.-%xyz"[r.IntN(29)]
		}
		fmt.Fprintln(h, isAddress(string(b)), p.Text(string(b)), p.Host(string(b)))
	}
	const want = "a8fa3ff9b9904aa429cad3a2e3da57b660d3dfe2e11a7b9fab7117227383aa73"
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
		t.Errorf("what stands for %d texts has the digest %s, want %s", 12000, got, want)
	}
}
