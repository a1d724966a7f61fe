package replay

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"netlab/replay/plan"
)

// beside is the local end of a control connection.
type beside struct {
	net.Conn
	addr net.Addr
}

func (b beside) LocalAddr() net.Addr { return b.addr }

// TestRewrite names our own listener wherever a command has the server connect to one, and
// changes no other byte, however the lines are cut.
func TestRewrite(t *testing.T) {
	four, six := net.IPv4(127, 0, 0, 1), net.IPv6loopback
	tests := map[string]struct {
		local net.IP
		said  string
		want  string // a regular expression
		ports int
	}{
		"none":            {four, "USER a\r\nLIST port 1,2,3,4,5,6\r\n", `USER a\r\nLIST port 1,2,3,4,5,6\r\n`, 0},
		"port":            {four, "PORT 10,1,0,1,156,65\r\nLIST\r\n", `PORT 127,0,0,1,\d+,\d+\r\nLIST\r\n`, 1},
		"lower_case":      {four, "port 10,1,0,1,156,65\n", `port 127,0,0,1,\d+,\d+\n`, 1},
		"eprt":            {four, "TYPE I\r\nEPRT |1|10.1.0.1|40001|\r\nRETR f\r\n", `TYPE I\r\nEPRT \|1\|127\.0\.0\.1\|\d+\|\r\nRETR f\r\n`, 1},
		"eprt_over_ipv6":  {six, "EPRT |1|10.1.0.1|40001|\r\n", `EPRT \|2\|::1\|\d+\|\r\n`, 1},
		"port_over_ipv6":  {six, "PORT 10,1,0,1,156,65\r\n", `EPRT \|2\|::1\|\d+\|\r\n`, 1},
		"two":             {four, "PORT 10,1,0,1,156,65\r\nLIST\r\nPORT 10,1,0,1,156,66\r\n", `PORT 127,0,0,1,\d+,\d+\r\nLIST\r\nPORT 127,0,0,1,\d+,\d+\r\n`, 2},
		"makes_no_sense":  {four, "PORT what\r\n", `PORT 127,0,0,1,\d+,\d+\r\n`, 1},
		"without_its_end": {four, "NOOP\r\nPORT 10,1,0,1,156,65", `NOOP\r\n`, 0},
		"another_word":    {four, "PORTABLE x\r\nEPRT\r\n", `PORTABLE x\r\nEPRT\r\n`, 0},
	}
	for name, test := range tests {
		for _, size := range []int{1, 3, 1000} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				k := &call{sock: beside{addr: &net.TCPAddr{IP: test.local}}, transfers: newTransfers()}
				if l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: test.local}); err != nil {
					t.Skipf("no loopback of this kind: %v", err)
				} else {
					l.Close()
				}
				var out strings.Builder
				for from := 0; from < len(test.said); from += size {
					piece := test.said[from:min(len(test.said), from+size)]
					data, err := k.transfers.rewrite(k, int64(from), int64(out.Len()), []byte(piece))
					if err != nil {
						t.Fatal(err)
					}
					out.Write(data)
				}
				ports := 0
				for _, list := range k.transfers.offers {
					ports += len(list)
				}
				k.transfers.close(k)
				if !regexp.MustCompile("^"+test.want).MatchString(out.String()) || ports != test.ports {
					t.Errorf("says %q, %d ports", out.String(), ports)
				}
			})
		}
	}
}

// TestRewriteShifts says where what follows a longer command is.
func TestRewriteShifts(t *testing.T) {
	k := &call{sock: beside{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}, transfers: newTransfers()}
	defer k.transfers.close(k)
	const before, after = "PORT 1,2,3,4,5,6\r\n", "LIST\r\n"
	data, err := k.transfers.rewrite(k, 100, 100, []byte(before+after))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.answers.place(int64(100+len(before))), int64(100+len(data)-len(after)); got != want {
		t.Errorf("LIST is at %d, want %d in %q", got, want, data)
	}
}

// TestOffersOfOnePort gives each data connection what was negotiated for it, whichever asks first.
func TestOffersOfOnePort(t *testing.T) {
	transfers := newTransfers()
	transfers.put(7, &offer{port: 100})
	transfers.put(7, &offer{port: 101})
	for _, before := range []int{1, 0} {
		o, err := transfers.take(t.Context(), &plan.Errand{Port: 7, Before: before})
		if err != nil || o.port != uint16(100+before) {
			t.Errorf("after %d: %+v, %v", before, o, err)
		}
	}
}

// TestNoListenerNoCommand sends no command that names a recorded address.
func TestNoListenerNoCommand(t *testing.T) {
	k := &call{sock: beside{addr: &net.UnixAddr{Name: "x", Net: "unix"}}, transfers: newTransfers()}
	if data, err := k.transfers.rewrite(k, 0, 0, []byte("NOOP\r\nPORT 10,1,0,1,156,65\r\n")); err == nil || data != nil {
		t.Errorf("says %q, error %v", data, err)
	}
}
