package filter

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"netlab/capture"
)

// ddd prints a program as tcpdump -ddd does.
func ddd(code []bpf.RawInstruction) string {
	var b strings.Builder
	fmt.Fprintln(&b, len(code))
	for _, c := range code {
		fmt.Fprintln(&b, c.Op, c.Jt, c.Jf, c.K)
	}
	return b.String()
}

// TestReadDDD reads what was printed, and refuses the rest.
func TestReadDDD(t *testing.T) {
	code, err := Compile("tcp port 80 or udp[4:2] > 100", capture.LinkEthernet, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadDDD(strings.NewReader(ddd(code)))
	if err != nil || !slices.Equal(got, code) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "0\n", "-1\n", "5000\n", "1\n", "2\n6 0 0 1\n", "1\n6 0 0 1\n6 0 0 1\n", "1\n6 0 0\n", "1\n6 0 300 1\n", "1\n40 0 0 12\n", "(000) ret #1\n"} {
		if code, err := ReadDDD(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, code)
		}
	}
}

// FuzzReadDDD runs what it reads.
func FuzzReadDDD(f *testing.F) {
	for _, expr := range []string{"", "tcp port 80", "ip[2:2] - 20 > udp[4]"} {
		code, err := Compile(expr, capture.LinkEthernet, 0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ddd(code), []byte("packet"))
	}
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		if code, err := ReadDDD(strings.NewReader(text)); err == nil {
			program(code).run(data, uint32(len(data)))
		}
	})
}

// TestWithoutHeader compares programs for packets whose header is put there later with
// those for packets that have it, on what stands behind it.
func TestWithoutHeader(t *testing.T) {
	header := []byte{8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}
	body := []byte{0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 53, 0, 12, 0, 0, 'a', 'b', 'c', 'd'}
	whole := slices.Concat(header, body)
	for _, test := range []struct {
		expr string
		want bool
	}{
		{"udp[8] = 97", true}, {"udp[8:4] = 0x61626364", true}, {"greater 52", true}, {"greater 53", false}, {"less 51", false},
		{"ip[9] = 17 and len = 52", true}, {"len - ip[2:2] = 20", true}, {"ip[ip[8] - 55] = 17", true},
	} {
		inFile, err := Compile("("+test.expr+")", capture.LinkLinuxSLL2, 0)
		if err != nil {
			t.Fatalf("%s: %v", test.expr, err)
		}
		live, err := CompileLinux(test.expr, capture.LinkLinuxSLL2, 0)
		if err != nil {
			t.Fatalf("%s: %v", test.expr, err)
		}
		if got := program(inFile).run(whole, uint32(len(whole))) != 0; got != test.want {
			t.Errorf("%s in a file: %v", test.expr, got)
		}
		// What the kernel tells beside a packet stands for the header here.
		for i := range live {
			if live[i].K == besideProtocol {
				live[i] = bpf.RawInstruction{Op: loadConst, K: 0x0800}
			}
			if live[i].K == besideTagged {
				live[i] = bpf.RawInstruction{Op: loadConst, K: 0}
			}
		}
		if got := program(live).run(body, uint32(len(body))) != 0; got != test.want {
			t.Errorf("%s in a kernel: %v", test.expr, got)
		}
	}
	for _, expr := range []string{"ether[0] = 1", "link[2] = 1"} {
		if _, err := CompileLinux(expr, capture.LinkLinuxSLL2, 0); err == nil {
			t.Errorf("%s asks for what is not there", expr)
		}
	}
}
