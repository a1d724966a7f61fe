package tls

import "testing"

// TestJA3 holds the fingerprint to the examples of github.com/salesforce/ja3.
func TestJA3(t *testing.T) {
	tests := map[string]offer{
		"ada70206e40642a3e4461f35503241d5": {
			head:       769,
			ciphers:    []uint16{47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4},
			extensions: []uint16{0, 10, 11}, groups: []uint16{23, 24, 25}, points: []byte{0},
		},
		"de350869b8c85de67a350c8d186f11e6": {
			head: 769, ciphers: []uint16{4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99},
		},
	}
	for want, o := range tests {
		if got := o.ja3(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestJA4 holds the fingerprint to the example of github.com/FoxIO-LLC/ja4
// (technical_details/JA4.md), with values thrown in that don't count.
func TestJA4(t *testing.T) {
	o := offer{
		ciphers: []uint16{0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
			0x009c, 0x009d, 0x002f, 0x0035},
		extensions: []uint16{0x2a2a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012,
			0x002b, 0xff01, 0x000b, 0x000a, 0x0015},
		signatures: []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
	}
	h := &Hello{Version: version13, ALPN: []string{"h2", "http/1.1"}}
	if got, want := o.ja4(h), "t13d1516h2_8daaf6152771_e5627efa2ab1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for want, names := range map[string][]string{"00": nil, "h1": {"http/1.1"}, "99": {"9"}, "af": {"\xab\x00\xcf"}} {
		if got := ja4ALPN(names); got != want {
			t.Errorf("%q: %s, want %s", names, got, want)
		}
	}
}
