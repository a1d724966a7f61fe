package tls

import (
	"strconv"
	"strings"
	"testing"
)

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
// (technical_details/JA4.md), and to what its own program makes of real hellos
// (python/test/testdata, as JA4 and JA4_ro), with values thrown in that don't count.
func TestJA4(t *testing.T) {
	const chrome = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
	for want, hello := range map[string]struct {
		version                         uint16
		alpn                            []string
		ciphers, extensions, signatures string
	}{
		"t13d1516h2_8daaf6152771_e5627efa2ab1": {
			version13, []string{"h2", "http/1.1"}, chrome,
			"001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015", "0403,0804,0401,0503,0805,0501,0806,0601",
		},
		"t13d1516h2_8daaf6152771_9b887d9acb53": { // a session resumed
			version13, []string{"h2", "http/1.1"}, chrome,
			"000d,0010,0000,000b,0023,4469,ff01,0033,000a,002d,002b,0005,0017,0012,001b,0029", "0403,0804,0401,0503,0805,0501,0806,0601",
		},
		"t13d1517h2_8daaf6152771_cb7bf5808d99": { // with a signature that only sees to it that others are ignored
			version13, []string{"h2"}, chrome,
			"fe0d,0010,0017,0033,44cd,ff01,000a,000d,0023,002b,000b,ca34,002d,0000,0005,001b,0012", "0904,0905,0906,0403,0804,0401,0503,0805,0501,0806,0601",
		},
		"t13d1615h2_46e7e9700bed_45f260be83e2": {
			version13, []string{"h2"}, chrome + ",000a",
			"0000,0017,ff01,000a,000b,0023,0010,0005,000d,0012,0033,002d,002b,001b,0015", "0403,0804,0401,0503,0805,0501,0806,0601,0201",
		},
		"t12d190800_d83cc789557e_7af1ed941c26": {
			version12, nil, "c02c,c02b,c030,c02f,c024,c023,c028,c027,c00a,c009,c014,c013,009d,009c,003d,003c,0035,002f,000a",
			"0000,0005,000a,000b,000d,0023,0017,ff01", "0804,0805,0806,0401,0501,0201,0403,0503,0203,0202,0601,0603",
		},
	} {
		o := offer{ciphers: hexes(t, "1a1a,"+hello.ciphers), extensions: hexes(t, hello.extensions+",2a2a"), signatures: hexes(t, "3a3a,"+hello.signatures)}
		if got := o.ja4(&Hello{Version: hello.version, ALPN: hello.alpn}); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for want, names := range map[string][]string{"00": nil, "h1": {"http/1.1"}, "99": {"9"}, "af": {"\xab\x00\xcf"}} {
		if got := ja4ALPN(names); got != want {
			t.Errorf("%q: %s, want %s", names, got, want)
		}
	}
}

// hexes are the numbers of a list in hexadecimal digits.
func hexes(t *testing.T, list string) (vs []uint16) {
	t.Helper()
	for text := range strings.SplitSeq(list, ",") {
		v, err := strconv.ParseUint(text, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, uint16(v))
	}
	return vs
}
