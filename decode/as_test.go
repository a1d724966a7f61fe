package decode_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/pcaps"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
)

// spoken lists what conversations were taken for, and who their clients were.
type spoken struct{ lines []string }

func (s *spoken) Exchange(*proto.Exchange) error { return nil }
func (s *spoken) Finish(c *flow.Conversation) error {
	s.lines = append(s.lines, fmt.Sprintf("%s > %s %s", c.Client(), c.Server(), c.Protocol))
	return nil
}

// TestAs names what is spoken, by transport and the server's port.
func TestAs(t *testing.T) {
	const recipe = `
tcp web 10.1.0.1:40001 > 10.1.0.2:8080
web open
web > "GET / HTTP/1.1\r\n\r\n"
web < "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
web close
tcp late 10.1.0.1:40002 > 10.1.0.2:50000
late < "+OK\r\n"
late > "PING\r\n"
udp ask 10.1.0.1:50053 > 10.1.0.53:8080
ask > dns 1 query a.example A
ask < dns 1 answer "a.example. 60 IN A 192.0.2.1"
udp back 10.1.0.1:50054 > 10.1.0.53:777
back < "ping"
`
	as := func(t flow.Transport, port uint16, p *proto.Protocol) decode.As {
		return decode.As{Transport: t, Port: port, Protocol: p}
	}
	const web, late = "10.1.0.1:40001 > 10.1.0.2:8080 ", "10.1.0.1:40002 > 10.1.0.2:50000 "
	const ask, back, turned = "10.1.0.1:50053 > 10.1.0.53:8080 ", "10.1.0.53:777 > 10.1.0.1:50054 ", "10.1.0.1:50054 > 10.1.0.53:777 "
	const wrong = "10.1.0.2:50000 > 10.1.0.1:40002 "
	for _, c := range []struct {
		name string
		as   []decode.As
		want []string
	}{
		{"nothing", nil, []string{web + "http", wrong + "raw", ask + "dns", back + "raw"}},
		{"tcp", []decode.As{as(flow.TCP, 8080, &proto.Raw)}, []string{web + "raw", wrong + "raw", ask + "dns", back + "raw"}},
		{"udp", []decode.As{as(flow.UDP, 8080, &proto.Raw)}, []string{web + "http", wrong + "raw", ask + "raw", back + "raw"}},
		{"any", []decode.As{as(0, 8080, &proto.Raw)}, []string{web + "raw", wrong + "raw", ask + "raw", back + "raw"}},
		{"the_last_counts", []decode.As{as(0, 8080, &proto.Raw), as(flow.TCP, 8080, &proto.FTP)}, []string{web + "ftp", wrong + "raw", ask + "raw", back + "raw"}},
		{"the_port_tells_the_server", []decode.As{as(0, 50000, &proto.FTP), as(0, 777, &proto.Raw)}, []string{web + "http", late + "ftp", ask + "dns", turned + "raw"}},
		{"a_client_port_of_a_known_client", []decode.As{as(0, 40001, &proto.Raw)}, []string{web + "http", wrong + "raw", ask + "dns", back + "raw"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := craft.Recipe(strings.NewReader(recipe))
			if err != nil {
				t.Fatal(err)
			}
			var got spoken
			if _, err := decode.Run(b.Source(), &got, decode.Options{As: c.as}); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				found := false
				for _, line := range got.lines {
					found = found || line == want
				}
				if !found {
					t.Errorf("-want +got\n%s", cmp.Diff(c.want, got.lines))
					break
				}
			}
		})
	}
}

// TestAsWrong takes everything for every protocol, over either transport: what it is
// not is malformed, and no more than that.
func TestAsWrong(t *testing.T) {
	for _, p := range proto.Protocols() {
		for _, s := range samples.List() {
			f, err := samples.Open(s.Name)
			if err != nil {
				t.Fatal(err)
			}
			src, err := pcaps.NewReader(f)
			if err != nil {
				t.Fatal(err)
			}
			var as []decode.As
			for port := 1; port < 1<<16; port += 1 {
				if port < 1024 || port > 4000 && port < 10_000 {
					as = append(as, decode.As{Port: uint16(port), Protocol: p})
				}
			}
			if _, err := decode.Run(src, new(spoken), decode.Options{As: as}); err != nil {
				t.Errorf("%s as %s: %v", s.Name, p.Name, err)
			}
		}
	}
}
