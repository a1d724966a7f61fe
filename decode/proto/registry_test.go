package proto

import (
	"encoding/hex"
	"strings"
	"testing"

	"netlab/decode/flow"
)

const (
	dnsQuery    = "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"
	dnsResponse = "\x00\x01\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"
	nbnsQuery   = "\x80\x01\x01\x10\x00\x01\x00\x00\x00\x00\x00\x00\x20FHEPFCELEHFCEPFFFACACACACACACABN\x00\x00\x20\x00\x01"
	// clientHello is only as much as is looked at.
	clientHello = "\x16\x03\x01\x00\x33\x01\x00"
)

// ofTCP puts its length before a message.
func ofTCP(dns string) string { return string([]byte{byte(len(dns) >> 8), byte(len(dns))}) + dns }

func TestFind(t *testing.T) {
	const open = false
	tests := map[string]struct {
		transport      flow.Transport
		client, server string
		ended          bool // both
		want           *Protocol
	}{
		"request":                      {flow.TCP, "GET / HTTP/1.1\r\n", "", open, &HTTP},
		"request_of_an_unknown_method": {flow.TCP, "BREW /pot HTTP/1.0\n", "", open, &HTTP},
		"request_behind_empty_lines":   {flow.TCP, "\r\n\n\r\nGET / HTTP/1.1\r\n", "", open, &HTTP},
		"request_line_unfinished":      {flow.TCP, "GET / HTTP/1.1", "", open, nil},
		"request_line_that_ends":       {flow.TCP, "GET / HTTP/1.1", "", true, &Raw},
		"request_of_a_later_version":   {flow.TCP, "GET / HTTP/2.0\r\n", "", open, &HTTP},
		"request_without_version":      {flow.TCP, "GET /\r\n", "", open, nil},
		"the_same_answered_by_http":    {flow.TCP, "GET /\r\n", "HTTP/1.0", open, &HTTP},
		"the_same_answered_otherwise":  {flow.TCP, "GET /\r\n", "<html>", open, &HTTP},
		"the_same_with_more":           {flow.TCP, "GET /\r\nH", "<html>", open, &Raw},
		"the_same_in_redis":            {flow.TCP, "GET key\r\n", "$-1\r\n", open, &Raw},
		"the_same_and_no_more":         {flow.TCP, "GET /\r\n", "", true, &Raw},
		"a_method_nobody_knows":        {flow.TCP, "BREW /\r\n", "<html>", open, &Raw},
		"a_method_too_long":            {flow.TCP, strings.Repeat("A", maxMethod+1) + " / HTTP/1.1\r\n", "<html>", open, &Raw},
		"response":                     {flow.TCP, "", "HTTP/1.1 200 OK\r\n", open, &HTTP},
		"response_unfinished":          {flow.TCP, "", "HTTP/1.1 200 OK", open, nil},
		"response_to_anything":         {flow.TCP, "\x00\x01", "HTTP/1.1 200 OK\r\n", open, &HTTP},
		"preface_of_http_2":            {flow.TCP, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", true, &HTTP2},
		"empty_lines":                  {flow.TCP, "\r\n\r", "", open, nil},
		"request_over_udp":             {flow.UDP, "GET / HTTP/1.1\r\n", "", true, &Raw},

		"client_hello":           {flow.TCP, clientHello, "", open, &TLS},
		"client_hello_begins":    {flow.TCP, clientHello[:3], "", open, nil},
		"client_hello_ends":      {flow.TCP, clientHello[:3], "", true, &Raw},
		"client_hello_and_alert": {flow.TCP, clientHello, "\x15\x03\x01", open, &TLS},
		"server_hello_alone":     {flow.TCP, "", "\x16\x03\x03\x00\x33\x02\x00", true, &Raw},
		"client_hello_by_udp":    {flow.UDP, clientHello, "", true, &Raw},

		"dns_query":                 {flow.UDP, dnsQuery, "", true, &DNS},
		"dns_response":              {flow.UDP, "", dnsResponse, true, &DNS},
		"dns_response_of_a_client":  {flow.UDP, dnsResponse, "", true, &Raw},
		"dns_query_of_a_server":     {flow.UDP, "", dnsQuery, true, &Raw},
		"dns_cut_short":             {flow.UDP, dnsQuery[:len(dnsQuery)-1], "", true, &Raw},
		"dns_with_something_behind": {flow.UDP, dnsQuery + "x", "", true, &DNS},
		"dns_header_alone":          {flow.UDP, dnsQuery[:dnsHeaderLen], "", true, &Raw},
		"dns_pointer_that_loops":    {flow.UDP, dnsQuery[:dnsHeaderLen] + "\xc0\x0c\x00\x01\x00\x01", "", true, &Raw},
		"nbns":                      {flow.UDP, nbnsQuery, "", true, &Raw},
		"dns_with_a_label_of_32":    {flow.UDP, nbnsQuery[:dnsHeaderLen+1] + strings.ToLower(nbnsQuery[dnsHeaderLen+1:]), "", true, &DNS},
		"zeroes":                    {flow.UDP, string(make([]byte, 40)), "", true, &Raw},
		"empty_datagram":            {flow.UDP, "", "", true, &Raw},
		"dns_over_tcp":              {flow.TCP, ofTCP(dnsQuery), "", open, &DNS},
		"dns_over_tcp_unfinished":   {flow.TCP, ofTCP(dnsQuery)[:20], "", open, nil},
		"dns_over_tcp_that_ends":    {flow.TCP, ofTCP(dnsQuery)[:20], "", true, &Raw},
		"dns_over_tcp_one_byte":     {flow.TCP, "\x00", "", open, nil},
		"dns_without_length":        {flow.TCP, dnsQuery, "", true, &Raw},
		"dns_answer_over_tcp":       {flow.TCP, "", ofTCP(dnsResponse), open, &DNS},

		"ftp":                    {flow.TCP, "USER joe\r\n", "220 ready\r\n", open, &FTP},
		"ftp_of_several_lines":   {flow.TCP, "auth TLS\r\n", "220-hello\r\n", open, &FTP},
		"ftp_greeting":           {flow.TCP, "", "220 ready\r\n", open, nil},
		"ftp_command":            {flow.TCP, "USER joe\r\n", "", open, nil},
		"ftp_command_unfinished": {flow.TCP, "USER joe", "220 ready\r\n", open, nil},
		"ftp_greeting_that_ends": {flow.TCP, "", "220 ready\r\n", true, &Raw},
		"smtp":                   {flow.TCP, "EHLO a\r\n", "220 mail\r\n", open, &Raw},
		"pop3":                   {flow.TCP, "USER joe\r\n", "+OK\r\n", open, &Raw},
		"a_number_that_goes_on":  {flow.TCP, "USER joe\r\n", "2200 ready\r\n", open, &Raw},
		"ftp_command_in_umlauts": {flow.TCP, "\xdcSER joe\r\n", "220 ready\r\n", open, &Raw},

		"nothing":        {flow.TCP, "", "", open, nil},
		"nothing_at_all": {flow.TCP, "", "", true, &Raw},
		"ssh":            {flow.TCP, "SSH-2.0-a\r\n", "SSH-2.0-b\r\n", open, &Raw},
		"long":           {flow.TCP, strings.Repeat("a", MaxOpening), "", open, &Raw},
		"nearly_long":    {flow.TCP, strings.Repeat("a", 20), "", open, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := Opening{Transport: tt.transport, First: [2][]byte{[]byte(tt.client), []byte(tt.server)}, Ended: [2]bool{tt.ended, tt.ended}}
			if got := Find(o); got != tt.want {
				t.Errorf("Find: %v, want %v", protocolName(got), protocolName(tt.want))
			}
		})
	}
}

func protocolName(p *Protocol) string {
	if p == nil {
		return "not known yet"
	}
	return p.Name
}

func TestSideOf(t *testing.T) {
	tests := map[string]struct {
		transport flow.Transport
		data      string
		want      flow.Direction
		known     bool
	}{
		"request":           {flow.TCP, "GET / HTTP/1.1\r\n\r\n", c2s, true},
		"request_begins":    {flow.TCP, "GET /a/long/path", c2s, true},
		"response":          {flow.TCP, "HTTP/1.1 200 OK\r\n\r\n", s2c, true},
		"client_hello":      {flow.TCP, clientHello, c2s, true},
		"server_hello":      {flow.TCP, "\x16\x03\x03\x00\x33\x02\x00", c2s, false},
		"query":             {flow.UDP, dnsQuery, c2s, true},
		"answer":            {flow.UDP, dnsResponse, s2c, true},
		"query_over_tcp":    {flow.TCP, ofTCP(dnsQuery), c2s, true},
		"answer_over_tcp":   {flow.TCP, ofTCP(dnsResponse), s2c, true},
		"nbns":              {flow.UDP, nbnsQuery, c2s, false},
		"anything":          {flow.TCP, "\x80\x81\x82", c2s, false},
		"anything_over_udp": {flow.UDP, "ping", c2s, false},
		"nothing":           {flow.TCP, "", c2s, false},
		"an_empty_datagram": {flow.UDP, "", c2s, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d, known := SideOf(tt.transport, []byte(tt.data)); d != tt.want || known != tt.known {
				t.Errorf("%s, %t; want %s, %t", d, known, tt.want, tt.known)
			}
		})
	}
}

// TestRegistry holds the table to what the rest of the house expects of it.
func TestRegistry(t *testing.T) {
	all := Protocols()
	if len(all) == 0 || all[len(all)-1] != &Raw {
		t.Fatal("raw is not the last: it takes whatever no other does")
	}
	for _, p := range all {
		if p.Name == "" || p.Name != strings.ToLower(p.Name) || p.Name == Anything || Lookup(p.Name) != p {
			t.Errorf("%q is not looked up by its name", p.Name)
		}
		if p.Probe == nil || p.New == nil {
			t.Errorf("%s lacks a function", p.Name)
		}
	}
	for _, name := range []string{"", "HTTP", "nonsense", Anything} {
		if p := Lookup(name); p != nil {
			t.Errorf("Lookup(%q) is %s", name, p.Name)
		}
	}
}

// TestProbesOnlyPeek has all probes look at the same bytes.
func TestProbesOnlyPeek(t *testing.T) {
	for _, first := range []string{"\r\nGET / HTTP/1.1\r\n", ofTCP(dnsQuery), clientHello, "220 ready\r\n"} {
		o := Opening{Transport: flow.TCP, First: [2][]byte{[]byte(first), []byte(first)}}
		for _, p := range Protocols() {
			p.Probe(o)
		}
		for d := range o.First {
			if string(o.First[d]) != first {
				t.Errorf("%s was changed to %s", hex.EncodeToString([]byte(first)), hex.EncodeToString(o.First[d]))
			}
		}
	}
}
