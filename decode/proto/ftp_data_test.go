package proto

import (
	"strings"
	"testing"

	"netlab/decode/flow"
)

// mayOpen are what packets begin with, by what they are.
var mayOpen = map[string]struct {
	data string
	want bool
}{
	"227":                  {"227 Entering Passive Mode (10,1,0,2,195,80).\r\n", true},
	"227_bare":             {"227 =10,1,0,2,195,80\r\n", true},
	"229":                  {"229 Entering Extended Passive Mode (|||50000|)\r\n", true},
	"227_of_lines":         {"227-see below\r\n227 Entering Passive Mode (10,1,0,2,195,80).\r\n", true},
	"229_of_lines":         {"229-see below\r\n229 (|||50000|)\r\n", true},
	"port":                 {"PORT 10,1,0,1,156,65\r\n", true},
	"port_in_lower_case":   {"port 10,1,0,1,156,65\r\n", true},
	"port_in_mixed_case":   {"PoRt 10,1,0,1,156,65\r\n", true},
	"eprt":                 {"EPRT |1|10.1.0.1|40001|\r\n", true},
	"eprt_in_lower_case":   {"eprt |1|10.1.0.1|40001|\r\n", true},
	"227_behind_another":   {"200 Type set to I\r\n227 Entering Passive Mode (10,1,0,2,195,80).\r\n", true},
	"229_behind_lines":     {"211-Features:\r\n EPSV\r\n211 End\r\n229 (|||50000|)\r\n", true},
	"port_behind_others":   {"TYPE I\r\nMODE S\r\nport 10,1,0,1,156,65\r\nRETR f\r\n", true},
	"eprt_behind_three":    {"CWD d\r\nEPRT |1|10.1.0.1|40001|\r\n", true},
	"port_behind_a_bare_n": {"NOOP\nPORT 10,1,0,1,156,65\n", true},
	"whole_line_cut":       {"PORT 10,1", true},
	"227_cut":              {"227 ", true},

	"nothing":             {"", false},
	"short_reply":         {"227", false},
	"short_command":       {"POR", false},
	"command_alone":       {"PORT", false}, // without an argument, it is none
	"second_line_short":   {"200 ok\r\n22", false},
	"end_of_line_alone":   {"\r\n", false},
	"other_reply":         {"230 Logged in\r\n", false},
	"other_227":           {"2270 is a number\r\n", false},
	"227_inside":          {"200 see 227 \r\n", false},
	"other_commands":      {"USER a\r\nPASS b\r\nLIST\r\n", false},
	"long_word":           {"PORTS are open\r\n", false},
	"other_character":     {"PORT:10,1,0,1,156,65\r\n", false},
	"space_first":         {" 227 Entering Passive Mode (10,1,0,2,195,80).\r\n", false},
	"request":             {"GET /port HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n", false},
	"request_of_four":     {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\n227 ", true}, // it is not looked at so closely
	"request_with_a_body": {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 14\r\n\r\na=227 &b=PORT ", false},
	"long_request":        {"DELETE / HTTP/1.1\r\nPort: 8080\r\n\r\n", false},
	"response":            {"HTTP/1.1 227 OK\r\nContent-Length: 0\r\n\r\n", false},
	"response_of_ports":   {"HTTP/1.1 200 OK\r\nPort: 8080\r\n\r\n227 ", false},
	"smtp":                {"220 mail.example ESMTP\r\n250-mail.example\r\n250 SIZE 1000\r\n", false},
	"tls":                 {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03PORT 227 ", false},
	"dns":                 {"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04port\x07example\x00\x00\x01\x00\x01", false},
	"zeros":               {strings.Repeat("\x00", 100), false},
	"not_ascii":           {"\xd0\xcf\xd2\xd4 10,1,0,1,156,65\r\n", false},
	"ssh":                 {"SSH-2.0-OpenSSH_9.6\r\n", false},
}

func TestMayOpen(t *testing.T) {
	for name, test := range mayOpen {
		t.Run(name, func(t *testing.T) {
			f := flow.Unknown(flow.TCP)
			if got := MayOpen(&f, []byte(test.data)); got != test.want {
				t.Errorf("%q may open a conversation: %v, want %v", test.data, got, test.want)
			}
			for _, ports := range [][2]uint16{{21, 40000}, {40000, 21}} {
				f.SetPorts(flow.TCP, ports[0], ports[1])
				if got := MayOpen(&f, []byte(test.data)); got != (test.data != "") {
					t.Errorf("from port %d to port %d, %q may open a conversation: %v", ports[0], ports[1], test.data, got)
				}
			}
		})
	}
}

// BenchmarkMayOpen looks at what most packets are: it is asked of each.
func BenchmarkMayOpen(b *testing.B) {
	for _, test := range []struct{ name, data string }{
		{"empty", ""},
		{"response", benchResponse},
		{"request", benchRequest},
		{"body", strings.Repeat("\x00\x01\x02lorem ipsum", 100)},
		{"ftp", "227 Entering Passive Mode (10,1,0,2,195,80).\r\n"},
	} {
		b.Run("data="+test.name, func(b *testing.B) {
			f, data := flow.Unknown(flow.TCP), []byte(test.data)
			b.ReportAllocs()
			for b.Loop() {
				MayOpen(&f, data)
			}
		})
	}
}
