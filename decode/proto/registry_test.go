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
	mqttConnect = "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
)

const (
	pgStartup     = "\x00\x00\x00\x20\x00\x03\x00\x00user\x00ada\x00database\x00shop\x00\x00"
	mysqlGreeting = "\x31\x00\x00\x00\x0a8.0.36\x00\x2a\x00\x00\x00saltsalt\x00\xff\xf7\x2d\x02\x00\xff\xdf\x15" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00moresaltmore\x00"
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
		"the_same_in_redis":            {flow.TCP, "GET key\r\n", "$-1\r\n", open, &Redis},
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
		"smtp":                   {flow.TCP, "EHLO a\r\n", "220 mail\r\n", open, &SMTP},
		"smtp_greeting":          {flow.TCP, "", "220 mail ESMTP\r\n", open, nil},
		"smtp_greeting_alone":    {flow.TCP, "", "220 mail ESMTP\r\n", true, &SMTP},
		"smtp_client_alone":      {flow.TCP, "EHLO a\r\n", "", true, &SMTP},
		"smtp_begins":            {flow.TCP, "EHLO a", "220 mail\r\n", open, nil},
		"smtp_in_the_middle":     {flow.TCP, "mail from:<a@b>\r\n", "250 ok\r\n", open, &SMTP},
		"smtp_auth":              {flow.TCP, "AUTH PLAIN AGE=\r\n", "220 mail\r\n", open, &SMTP},
		"smtp_greets_ftp":        {flow.TCP, "USER joe\r\n", "220 mail ESMTP\r\n", open, &FTP},
		"smtp_quits":             {flow.TCP, "QUIT\r\n", "220 mail ESMTP\r\n", open, &SMTP},
		"anything_quits":         {flow.TCP, "QUIT\r\n", "220 mail\r\n", open, &Raw},
		"lmtp":                   {flow.TCP, "LHLO a\r\n", "220 mail\r\n", open, &SMTP},
		"pop3":                   {flow.TCP, "USER joe\r\n", "+OK\r\n", open, &Raw},
		"a_number_that_goes_on":  {flow.TCP, "USER joe\r\n", "2200 ready\r\n", open, &Raw},
		"ftp_command_in_umlauts": {flow.TCP, "\xdcSER joe\r\n", "220 ready\r\n", open, &Raw},

		"postgres":                    {flow.TCP, pgStartup, "", open, &Postgres},
		"postgres_unfinished":         {flow.TCP, pgStartup[:20], "", open, nil},
		"postgres_that_ends":          {flow.TCP, pgStartup[:20], "", true, &Raw},
		"postgres_wants_tls":          {flow.TCP, "\x00\x00\x00\x08\x04\xd2\x16\x2f", "", open, &Postgres},
		"postgres_without_user":       {flow.TCP, "\x00\x00\x00\x0d\x00\x03\x00\x00a\x00b\x00\x00", "", true, &Raw},
		"postgres_query":              {flow.TCP, "Q\x00\x00\x00\x0dselect 1\x00", "", open, &Postgres},
		"postgres_no_query":           {flow.TCP, "Q\x00\x00\x00\x0dselectah\x00", "", true, &Raw},
		"postgres_run_up_to_sync":     {flow.TCP, "E\x00\x00\x00\x09\x00\x00\x00\x00\x00S\x00\x00\x00\x04", "", open, &Postgres},
		"postgres_answer":             {flow.TCP, "", "C\x00\x00\x00\x0dSELECT 1\x00Z\x00\x00\x00\x05I", open, &Postgres},
		"mysql_greeting":              {flow.TCP, "", mysqlGreeting, open, &MySQL},
		"mysql_greeting_unfinished":   {flow.TCP, "", mysqlGreeting[:12], open, nil},
		"mysql_greeting_that_ends":    {flow.TCP, "", mysqlGreeting[:12], true, &Raw},
		"mysql_greeting_and_nothing":  {flow.TCP, "", mysqlGreeting, true, &MySQL},
		"mysql_refusal":               {flow.TCP, "", "\x17\x00\x00\x00\xff\x10\x04Too many connections", open, &MySQL},
		"mysql_query":                 {flow.TCP, "\x09\x00\x00\x00\x03select 1", "", open, &MySQL},
		"mysql_no_query":              {flow.TCP, "\x09\x00\x00\x00\x03selectah", "", true, &Raw},
		"mysql_ping":                  {flow.TCP, "\x01\x00\x00\x00\x0e", "", open, &MySQL},
		"mqtt":                        {flow.TCP, mqttConnect + "x", "", open, &MQTT},
		"mqtt_begins":                 {flow.TCP, mqttConnect[:8], "", open, nil},
		"mqtt_ends":                   {flow.TCP, mqttConnect[:8], "", true, &Raw},
		"mqtt_of_3_1":                 {flow.TCP, "\x10\x0f\x00\x06MQIsdp\x03\x02", "", open, &MQTT},
		"mqtt_of_a_bridge":            {flow.TCP, "\x10\x0f\x00\x04MQTT\x84\x02", "", open, &MQTT},
		"mqtt_of_a_version_to_come":   {flow.TCP, "\x10\x0f\x00\x04MQTT\x06\x02", "", true, &Raw},
		"mqtt_publish_and_its_answer": {flow.TCP, "\x32\x06\x00\x01a\x00\x07x", "\x40\x02\x00\x07", open, &MQTT},
		"mqtt_answer_to_another":      {flow.TCP, "\x32\x06\x00\x01a\x00\x07x", "\x40\x02\x00\x08", true, &Raw},
		"mqtt_ping":                   {flow.TCP, "\xc0\x00", "\xd0\x00", open, &MQTT},
		"mqtt_ping_turned":            {flow.TCP, "\xd0\x00", "\xc0\x00", true, &Raw},
		"mqtt_topic_with_a_wildcard":  {flow.TCP, "\x30\x04\x00\x01#x", "", true, &Raw},
		"ber":                         {flow.TCP, "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", "", true, &Raw},
		"digits":                      {flow.TCP, "220 ready\r\n", "1234", true, &Raw},

		"quic_version_negotiation":             {flow.UDP, "", "\x80\x00\x00\x00\x00\x01a\x01b\x00\x00\x00\x01", true, &QUIC},
		"quic_version_negotiation_of_a_client": {flow.UDP, "\x80\x00\x00\x00\x00\x01a\x01b\x00\x00\x00\x01", "", true, &Raw},
		"quic_negotiation_of_nothing_known":    {flow.UDP, "", "\x80\x00\x00\x00\x00\x01a\x01b\x00\x00\x00\x07", true, &Raw},
		"quic_short_header":                    {flow.UDP, "\x40" + strings.Repeat("a", 40), "", true, &Raw},
		"quic_over_tcp":                        {flow.TCP, "\xe0\x00\x00\x00\x01\x00\x00\x10" + strings.Repeat("a", 40), "", true, &Raw},
		"quic_handshake":                       {flow.UDP, "\xe0\x00\x00\x00\x01\x00\x00\x10" + strings.Repeat("a", 40), "", true, &QUIC},
		"redis":                                {flow.TCP, "*1\r\n$4\r\nP", "", open, &Redis},
		"redis_begins":                         {flow.TCP, "*1\r\n$4\r\n", "", open, nil},
		"redis_ends":                           {flow.TCP, "*1\r\n$4\r\n", "", true, &Raw},
		"redis_without_words":                  {flow.TCP, "*0\r\n", "", true, &Raw},
		"redis_of_numbers":                     {flow.TCP, "*1\r\n:4\r\n", "", true, &Raw},
		"redis_of_a_long_name":                 {flow.TCP, "*1\r\n$400\r\nP", "", true, &Raw},
		"redis_line":                           {flow.TCP, "ping\r\n", "+PONG\r\n", open, &Redis},
		"redis_line_alone":                     {flow.TCP, "PING\r\n", "", open, nil},
		"redis_line_and_error":                 {flow.TCP, "SET a\r\n", "-ERR wrong number\r\n", open, &Redis},
		"redis_line_unknown":                   {flow.TCP, "PONG\r\n", "+PING\r\n", open, &Raw},
		"pop3_without_its_greeting":            {flow.TCP, "STAT\r\n", "+OK 2 320\r\n", open, &Raw},
		"redis_answer_alone":                   {flow.TCP, "", "$5\r\nhello\r\n", true, &Redis},
		"redis_error_alone":                    {flow.TCP, "", "-ERR no\r\n", true, &Raw},
		"redis_answer_waits":                   {flow.TCP, "", "$5\r\n", open, nil},
		"memcached":                            {flow.TCP, "set a 0 0 1\r\nx\r\n", "STORED\r\n", open, &Raw},

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
		"postgres_query":    {flow.TCP, "Q\x00\x00\x00\x0dselect 1\x00", c2s, true},
		"postgres_answer":   {flow.TCP, "D\x00\x00\x00\x06\x00\x00Z\x00\x00\x00\x05I", s2c, true},
		"mysql_query":       {flow.TCP, "\x09\x00\x00\x00\x03select 1", c2s, true},
		"mysql_greeting":    {flow.TCP, mysqlGreeting, s2c, true},
		"nbns":              {flow.UDP, nbnsQuery, c2s, false},
		"mqtt":              {flow.TCP, mqttConnect, c2s, true},
		"mqtt_answer":       {flow.TCP, "\x20\x02\x00\x00\x90\x03\x00\x01\x00", s2c, true},
		"quic_negotiation":  {flow.UDP, "\x80\x00\x00\x00\x00\x01a\x01b\x00\x00\x00\x01", s2c, true},
		"smtp_command":      {flow.TCP, "MAIL FROM:<a@b>\r\n", c2s, true},
		"smtp_greeting":     {flow.TCP, "220 mail ESMTP\r\n", s2c, true},
		"redis_command":     {flow.TCP, "*1\r\n$4\r\nPING\r\n", c2s, true},
		"redis_answer":      {flow.TCP, "$2\r\nab\r\n", s2c, true},
		"redis_either":      {flow.TCP, "*1\r\n$5\r\nhello\r\n", c2s, true},
		"redis_any_list":    {flow.TCP, "*1\r\n$5\r\nworld\r\n", c2s, false},
		"redis_list":        {flow.TCP, "*1\r\n$2\r\n12\r\n", s2c, true},
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
