package decode_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/decode/redact"
	"netlab/pcaps"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
)

// busy makes traffic of many conversations at the same time, each of which is a
// list of steps that are taken in turn.
type busy struct {
	*craft.Builder
	r     *rand.Rand
	ports uint16
	lives [][]func()
}

// A calm network loses no time: no clock is set, and nobody is silent for long.
func newBusy(seed uint64) *busy {
	return &busy{Builder: craft.New(craft.Options{Link: capture.LinkRaw, Step: 10 * time.Microsecond}), r: rand.New(rand.NewPCG(seed, 1)), ports: 1024}
}

// from returns an endpoint that nobody has used.
func (b *busy) from() netip.AddrPort {
	b.ports++
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(b.r.IntN(9))}), b.ports)
}

func (b *busy) live(steps ...func()) { b.lives = append(b.lives, steps) }

// run takes the steps of all, in any order, until there are n packets or no more
// steps. Now and then it does something else.
func (b *busy) run(t testing.TB, now func(i int)) []capture.Packet {
	t.Helper()
	for i := 0; len(b.lives) > 0; i++ {
		// Few at a time go on, so that what is one after the other stays together.
		k := b.r.IntN(min(len(b.lives), 40))
		b.lives[k][0]()
		if b.lives[k] = b.lives[k][1:]; len(b.lives[k]) == 0 {
			b.lives = append(b.lives[:k], b.lives[k+1:]...)
		}
		now(i)
	}
	packets, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

func (b *busy) text(n int) []byte { return bytes.Repeat([]byte("lorem ipsum "), n/12+1)[:n] }

// http is a connection with some requests, and what a network does to it.
func (b *busy) http(c *craft.Talk) {
	var steps []func()
	add := func(f func()) { steps = append(steps, f) }
	c.MSS = 200 + b.r.IntN(1200)
	if b.r.IntN(8) > 0 { // else it is seen from the middle on
		add(c.Open)
	}
	var sent [2]int64
	send := func(side craft.Side, data []byte) {
		at := sent[side]
		sent[side] += int64(len(data))
		switch b.r.IntN(12) {
		case 0:
			add(func() { c.Drop(side, data) })
		case 1: // in two pieces, the second first, and the first twice
			k := int64(len(data) / 2)
			ack := craft.Flags{ACK: true}
			add(func() { c.Segment(side, at+k, ack, data[k:]) })
			add(func() { c.Segment(side, at, ack, data[:k]) })
			add(func() { c.Segment(side, at, ack, data[:k]) })
		case 2: // twice, otherwise the second time
			add(func() { c.Segment(side, at, craft.Flags{ACK: true}, data) })
			add(func() { c.Segment(side, at, craft.Flags{ACK: true}, bytes.ToUpper(data)) })
		case 3:
			for i := range data {
				if i >= 100 {
					rest := data[i:]
					add(func() { c.Send(side, rest) })
					break
				}
				one := data[i : i+1]
				add(func() { c.Send(side, one) })
			}
		default:
			add(func() { c.Send(side, data) })
		}
	}
	for i := range 1 + b.r.IntN(4) {
		n := b.r.IntN(3000)
		if b.r.IntN(10) == 0 {
			n *= 10
		}
		if b.r.IntN(2) == 0 {
			send(craft.Client, fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: a.example\r\nCookie: a=%d\r\n\r\n", i, n))
		} else {
			send(craft.Client, fmt.Appendf(nil, "POST /%d HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n%s", i, n, b.text(n)))
		}
		if b.r.IntN(10) > 0 {
			send(craft.Server, fmt.Appendf(nil, "HTTP/1.1 %d Any\r\nContent-Length: %d\r\n\r\n%s", 200+b.r.IntN(300), n, b.text(n)))
		}
	}
	switch b.r.IntN(6) {
	case 0:
		add(func() { c.Reset(craft.Server) })
	case 1: // it stays open
	case 2:
		add(func() { c.Close(craft.Client) })
		add(func() { c.Send(craft.Client, []byte("more")) })
	default:
		add(func() { c.Close(craft.Server) })
	}
	b.live(steps...)
}

// again is a connection between the same endpoints, several times.
func (b *busy) again() {
	a, web := b.from(), netip.MustParseAddrPort("10.2.0.1:80")
	var steps []func()
	for i := range 4 {
		c := b.TCP(a, web)
		c.ISN(uint32(1000+i*10_000_000), uint32(5000+i*10_000_000))
		steps = append(steps, c.Open,
			func() { c.Send(craft.Client, fmt.Appendf(nil, "GET /again/%d HTTP/1.0\r\n\r\n", i)) },
			func() { c.Send(craft.Server, []byte("HTTP/1.0 404 Not Found\r\n\r\nno")) })
		switch i {
		case 0:
			steps = append(steps, func() { c.Close(craft.Server) })
		case 1:
			steps = append(steps, func() { c.Reset(craft.Client) })
		}
	}
	b.live(steps...)
}

// raw is a dialogue of no known protocol, that leaves a gap open.
func (b *busy) raw(odd bool) {
	c := b.TCP(b.from(), netip.MustParseAddrPort("10.2.0.2:7777"))
	steps := []func(){c.Open}
	for i := range 10 {
		steps = append(steps, func() { c.Send(craft.Side(i%2), fmt.Appendf(nil, "\x00line %d\n", i)) })
	}
	if odd {
		for i := range 100 {
			steps = append(steps, func() { c.Segment(craft.Client, int64(100+20*i), craft.Flags{ACK: true}, b.text(10)) })
		}
	}
	b.live(steps...)
}

var names = []string{"a.example", "b.example", "a-much-longer-name.of-nobody.example"}

func query(id uint16, name string) []byte {
	m := binary.BigEndian.AppendUint16(nil, id)
	m = append(m, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for label := range strings.SplitSeq(name, ".") {
		m = append(append(m, byte(len(label))), label...)
	}
	return append(m, 0, 0, 1, 0, 1)
}

// answer answers a query with n addresses.
func answer(query []byte, n int) []byte {
	m := bytes.Clone(query)
	m[2], m[3], m[7] = 0x81, 0x80, byte(n)
	for i := range n {
		m = append(m, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, byte(i))
	}
	return m
}

func (b *busy) dns() {
	from, server := b.from(), netip.MustParseAddrPort("10.2.0.3:53")
	c := b.UDP(from, server)
	var steps []func()
	for i := range uint16(1 + b.r.IntN(4)) {
		q := query(i, names[b.r.IntN(len(names))])
		steps = append(steps, func() { c.Send(craft.Client, q) })
		switch b.r.IntN(8) {
		case 0: // no answer
		case 1:
			steps = append(steps, func() { b.unreachable(from, server) })
		case 2, 3:
			steps = append(steps, b.fragments(from, server, answer(q, 60))...)
		default:
			steps = append(steps, func() { c.Send(craft.Server, answer(q, 1+int(i))) })
		}
	}
	b.live(steps...)
}

// unreachable says that a datagram did not arrive.
func (b *busy) unreachable(from, server netip.AddrPort) {
	ip := func(length int, protocol byte, from, to netip.Addr) []byte {
		h := append([]byte{0x45, 0, 0, byte(length), 0, 0, 0, 0, 64, protocol, 0, 0}, from.AsSlice()...)
		return append(h, to.AsSlice()...)
	}
	m := append(ip(56, 1, server.Addr(), from.Addr()), 3, 3, 0, 0, 0, 0, 0, 0)
	m = append(m, ip(28, 17, from.Addr(), server.Addr())...)
	m = binary.BigEndian.AppendUint16(m, from.Port())
	m = binary.BigEndian.AppendUint16(m, server.Port())
	b.Packet(append(m, 0, 8, 0, 0))
}

// fragments sends the server's answer in pieces; perhaps the last says otherwise
// than the one before, or never comes.
func (b *busy) fragments(from, server netip.AddrPort, data []byte) []func() {
	whole := craft.New(craft.Options{Link: capture.LinkRaw})
	whole.UDP(from, server).Send(craft.Server, data)
	packets, err := whole.Packets()
	if err != nil {
		panic(err)
	}
	ip, rest := packets[0].Data[:20], packets[0].Data[20:]
	id := uint16(b.r.Uint32())
	piece := func(at, end int, odd bool) func() {
		p := append(bytes.Clone(ip), rest[at:end]...)
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[4:], id)
		off := uint16(at / 8)
		if end < len(rest) {
			off |= 0x2000
		}
		binary.BigEndian.PutUint16(p[6:], off)
		if odd {
			p[20] ^= 0xff
		}
		return func() { b.Packet(p) }
	}
	switch b.r.IntN(4) {
	case 0:
		return []func(){piece(0, 400, false), piece(400, 800, false)}
	case 1:
		return []func(){piece(400, len(rest), false), piece(0, 400, false)}
	case 2: // what is odd makes it whole
		return []func(){piece(0, 400, false), piece(392, len(rest), true)}
	}
	return []func(){piece(0, 400, false), piece(200, 600, true), piece(600, len(rest), false)}
}

// ftp is a control connection, with connections for its data.
func (b *busy) ftp() {
	from, server := netip.AddrPortFrom(b.from().Addr(), b.ports), netip.MustParseAddrPort("10.2.0.4:21")
	c := b.TCP(from, server)
	say := func(s craft.Side, format string, args ...any) func() {
		return func() { c.Send(s, fmt.Appendf(nil, format+"\r\n", args...)) }
	}
	steps := []func(){
		c.Open, say(craft.Server, "220 ready"), say(craft.Client, "USER a"), say(craft.Server, "230 in"),
	}
	port := 50000 + b.ports%10000
	at := func(a netip.Addr, port uint16) string {
		return fmt.Sprintf("%s,%d,%d", strings.ReplaceAll(a.String(), ".", ","), port>>8, port&255)
	}
	var data *craft.Talk
	switch b.r.IntN(4) {
	case 0:
		data = b.TCP(b.from(), netip.AddrPortFrom(server.Addr(), port))
		steps = append(steps, say(craft.Client, "PASV"), say(craft.Server, "227 Entering Passive Mode (%s)", at(server.Addr(), port)))
	case 1: // two commands at once, and two replies
		data = b.TCP(b.from(), netip.AddrPortFrom(server.Addr(), port))
		steps = append(steps, say(craft.Client, "TYPE I\r\nEPSV"), say(craft.Server, "200 binary\r\n229 Extended (|||%d|)", port))
	case 2:
		data = b.TCP(netip.AddrPortFrom(server.Addr(), 20), netip.AddrPortFrom(from.Addr(), port))
		steps = append(steps, say(craft.Client, "PORT %s", at(from.Addr(), port)), say(craft.Server, "200 ok"))
	default:
		data = b.TCP(netip.AddrPortFrom(server.Addr(), 20), netip.AddrPortFrom(from.Addr(), port))
		steps = append(steps, say(craft.Client, "EPRT |1|%s|%d|", from.Addr(), port), say(craft.Server, "200 ok"))
	}
	steps = append(steps, data.Open, say(craft.Client, "RETR f"), say(craft.Server, "150 here"))
	for range 5 {
		steps = append(steps, func() { data.Send(craft.Side(b.r.IntN(2)), b.text(1000)) })
	}
	steps = append(steps, func() { data.Close(craft.Server) }, say(craft.Server, "226 done"), say(craft.Client, "QUIT"), func() { c.Close(craft.Server) })
	b.live(steps...)
}

// traffic is that of all kinds, about 40 packets for each of n. Where it is not
// calm, connections stay silent, clocks are set, packets are cut, and some are no
// packets.
func traffic(t testing.TB, seed uint64, n int, calm bool) []capture.Packet {
	t.Helper()
	b := newBusy(seed)
	for i := range n {
		web := netip.MustParseAddrPort("10.2.0.1:80")
		b.http(b.TCP(b.from(), web))
		if i%2 == 0 {
			b.http(b.TCP(b.from(), web))
			b.dns()
		}
		if i%10 == 0 {
			b.http(b.TCP(netip.AddrPortFrom(netip.MustParseAddr("fd00::1"), b.ports), netip.MustParseAddrPort("[fd00::2]:80")))
			b.raw(!calm)
			b.again()
			b.ftp()
		}
	}
	packets := b.run(t, func(i int) {
		if calm {
			return
		}
		switch b.r.IntN(300) {
		case 0:
			b.Wait([]time.Duration{time.Second, 3 * time.Second, 70 * time.Second, 3 * time.Minute, 2 * time.Hour, 3 * time.Hour}[b.r.IntN(6)])
		case 1:
			b.Wait(-[]time.Duration{time.Millisecond, 30 * time.Second, 10 * time.Hour}[b.r.IntN(3)])
		case 2:
			b.Packet(b.text(b.r.IntN(60)))
		case 3:
			b.Packet([]byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 89, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
		}
	})
	for i := range packets {
		if p := &packets[i]; !calm && b.r.IntN(50) == 0 {
			p.Data = p.Data[:b.r.IntN(len(p.Data)+1)]
		}
	}
	return packets
}

// file writes a capture file.
func file(t testing.TB, packets []capture.Packet) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := pcaps.NewWriter(&buf, pcaps.Options{Link: packets[0].Link})
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		if err := w.WritePacket(&packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// sources open the same file in the ways that there are.
var sources = map[string]func(r *pcaps.Reader) capture.Source{
	"lent": func(r *pcaps.Reader) capture.Source { return r },
	// What is in a packet may be overwritten, as soon as the next is asked for.
	"not lent": func(r *pcaps.Reader) capture.Source { return &overwriting{src: r} },
	"idle": func(r *pcaps.Reader) capture.Source {
		return struct {
			*idling
			capture.Lender
		}{&idling{src: r, r: rand.New(rand.NewPCG(1, 2))}, r}
	},
	"idle, not lent": func(r *pcaps.Reader) capture.Source {
		return &idling{src: &overwriting{src: r}, r: rand.New(rand.NewPCG(3, 4))}
	},
}

// overwriting is a Source that breaks the bytes of a packet when its time is over.
type overwriting struct {
	src  capture.Source
	data []byte
	p    capture.Packet
}

func (o *overwriting) Next() (*capture.Packet, error) {
	p, err := o.src.Next()
	for i := range o.data {
		o.data[i] = 0xdb
	}
	if err != nil {
		return p, err
	}
	o.p = *p
	o.data = append(o.data[:0], p.Data...)
	o.p.Data = o.data
	return &o.p, nil
}

// idling is a Source that has nothing to say now and then.
type idling struct {
	src  capture.Source
	r    *rand.Rand
	last time.Time
}

func (s *idling) Next() (*capture.Packet, error) {
	if !s.last.IsZero() && s.r.IntN(200) == 0 {
		return &capture.Packet{Time: s.last.Add(time.Duration(s.r.Int64N(int64(300 * time.Millisecond))))}, capture.ErrIdle
	}
	p, err := s.src.Next()
	if err == nil {
		s.last = p.Time
	}
	return p, err
}

// printed decodes a file, and returns what is printed of it: json, stats, text or bodies.
func printed(t testing.TB, file []byte, from, what string, opts decode.Options) ([]byte, *decode.Summary) {
	t.Helper()
	r, err := pcaps.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	j := printer.NewJSON(&out)
	j.Hide = redact.Finder{}
	var sink decode.Sink = j
	switch what {
	case "stats":
		s := printer.NewStats(nil, printer.Style{})
		s.JSON = j
		sink = s
	case "text":
		sink = printer.NewText(&out, printer.Style{})
	case "bodies":
		sink, opts.Keep = printer.NewBodies(&out, printer.Style{}), printer.KeepBodies
	}
	sum, err := decode.Run(sources[from](r), sink, opts)
	if err != nil {
		t.Fatal(err)
	}
	account(t, sum)
	return out.Bytes(), sum
}

// difference returns the first line in which two outputs differ.
func difference(a, b []byte) string {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return fmt.Sprintf("line %d is\n%s\nand\n%s", i+1, x[i], y[i])
		}
	}
	return fmt.Sprintf("there are %d lines and %d", len(x), len(y))
}

// sameForAll wants the same bytes from any number of workers, and returns the sums
// of each way to open the file. What is printed as text is made the same way from all of
// these.
func sameForAll(t *testing.T, file []byte, opts decode.Options, workers ...int) map[string]*decode.Summary {
	t.Helper()
	sums := make(map[string]*decode.Summary)
	for from := range sources {
		for _, what := range []string{"json", "stats", "text", "bodies"} {
			if from != "lent" && (what == "text" || what == "bodies") {
				continue
			}
			opts.Workers = 1
			want, sum := printed(t, file, from, what, opts)
			sums[from] = sum
			for _, n := range workers {
				opts.Workers = n
				if got, _ := printed(t, file, from, what, opts); !bytes.Equal(got, want) {
					t.Errorf("%s, %s: with 1 and %d workers, %s", from, what, n, difference(want, got))
				}
			}
		}
	}
	return sums
}

func TestWorkersOnSamples(t *testing.T) {
	for _, s := range samples.List() {
		data, err := samples.Open(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := io.ReadAll(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, digest := range []bool{false, true} {
			sameForAll(t, file, decode.Options{Digest: digest}, 2, 3, 8)
		}
	}
}

func TestWorkers(t *testing.T) {
	conversations, workers := 250, []int{2, 3, 8}
	if raced {
		conversations, workers = 20, []int{3}
	}
	f := file(t, traffic(t, 1, conversations, false))
	for name, opts := range map[string]decode.Options{
		"plain":             {},
		"digest":            {Digest: true},
		"few conversations": {Conversations: 10},
		"little may wait":   {Waiting: 5000},
		"tight":             {Conversations: 5, Waiting: 1000, Digest: true},
	} {
		t.Run(name, func(t *testing.T) {
			for from, sum := range sameForAll(t, f, opts, workers...) {
				if opts.Conversations > 0 && sum.Anomalies[flow.TableLimit] == 0 || opts.Waiting > 0 && sum.Anomalies[flow.PendingLimit] == 0 {
					t.Errorf("%s: no limit struck: %v", from, sum.Anomalies)
				}
			}
		})
	}
}

// TestWorkersWithoutMemory fills the memory in several ways.
func TestWorkersWithoutMemory(t *testing.T) {
	if raced {
		t.Skip("it takes too many packets with the race detector")
	}
	junk := strings.Repeat("x", 1400)
	for name, test := range map[string]struct {
		n    int
		make func(buf []byte, i int) []byte
		odd  []string // all of them tell of it
	}{
		"table": {60_000, func(buf []byte, i int) []byte {
			switch {
			case i%7 == 0:
				return datagram(buf, i, "who is there?")
			case i%2 == 0:
				return segment(buf, i, false, packet.SYN, 1, 0, "")
			}
			return segment(buf, i, false, packet.ACK, 1, 0, "GET / HTTP/1.0\r\n\r\n")
		}, []string{flow.TableLimit}},
		"over": {40_000, func(buf []byte, i int) []byte {
			return segment(buf, i/2, i%2 == 1, [2]packet.Flags{packet.SYN, packet.RST | packet.ACK}[i%2], 1, uint32(2*(i%2)), "")
		}, []string{flow.TableLimit}},
		"messages": {20_000, func(buf []byte, i int) []byte {
			if i < 10_000 {
				return segment(buf, i, false, packet.SYN, 1, 0, "GET /")
			}
			return segment(buf, i*7%10_000, false, packet.ACK, 7+uint32((i/10_000-1)*len(junk)), 1, junk)
		}, []string{flow.MemoryLimit}},
		"gaps": {20_000, func(buf []byte, i int) []byte {
			if i < 10_000 {
				return segment(buf, i, false, packet.SYN, 1, 0, "")
			}
			return segment(buf, i*7%10_000, false, packet.ACK, 100+uint32(i/10_000*2000), 0, junk)
		}, []string{flow.PendingLimit}},
	} {
		t.Run(name, func(t *testing.T) {
			src := &made{n: test.n, make: func(i int) []byte { return test.make(nil, i) }}
			packets := make([]capture.Packet, test.n)
			for i := range packets {
				p, err := src.Next()
				if err != nil {
					t.Fatal(err)
				}
				packets[i] = *p
			}
			f := file(t, packets)
			for from, sum := range sameForAll(t, f, decode.Options{Memory: decode.MinMemory}, 3) {
				for _, kind := range test.odd {
					if sum.Anomalies[kind] == 0 {
						t.Errorf("%s: nothing tells of %s: %v", from, kind, sum.Anomalies)
					}
				}
			}
		})
	}
}

// datagram writes an IPv4 packet with a datagram of conversation i.
func datagram(buf []byte, i int, payload string) []byte {
	buf = segment(buf, i, false, 0, 0, 0, payload)
	buf = append(buf[:28], buf[40:]...)
	buf[9] = 17
	binary.BigEndian.PutUint16(buf[2:], uint16(len(buf)))
	binary.BigEndian.PutUint16(buf[24:], uint16(len(buf)-20))
	binary.BigEndian.PutUint16(buf[26:], 0)
	return buf
}

// byConversation sorts records by the conversation that they are of.
func byConversation(t *testing.T, out []byte) map[int][]string {
	t.Helper()
	of := make(map[int][]string)
	for line := range bytes.Lines(out) {
		var record struct {
			Type             string
			ID, Conversation *int
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		id := -1 // of none
		switch {
		case record.Conversation != nil:
			id = *record.Conversation
		case record.Type == "conversation":
			id = *record.ID
		}
		of[id] = append(of[id], string(line))
	}
	return of
}

// unforked is a sink that is no Forker.
func unforked(s decode.Sink) decode.Sink { return decode.Tee(s, plain{}) }

type plain struct{}

func (plain) Exchange(*proto.Exchange) error { return nil }

// TestBatchesAreNotSeen wants the same of each conversation, and in the same
// order, whether packets come one by one or in batches.
func TestBatchesAreNotSeen(t *testing.T) {
	conversations := 400
	if raced {
		conversations = 100
	}
	f := file(t, traffic(t, 2, conversations, true))
	var one bytes.Buffer
	r, err := pcaps.NewReader(bytes.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode.Run(r, unforked(printer.NewJSON(&one)), decode.Options{Digest: true}); err != nil {
		t.Fatal(err)
	}
	want := byConversation(t, one.Bytes())
	for _, from := range []string{"lent", "not lent"} {
		for _, workers := range []int{1, 3} {
			r, err := pcaps.NewReader(bytes.NewReader(f))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			sum, err := decode.Run(sources[from](r), printer.NewJSON(&out), decode.Options{Digest: true, Workers: workers})
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range []string{flow.TableLimit, flow.MemoryLimit, flow.PendingLimit} {
				if sum.Anomalies[kind] > 0 {
					t.Fatalf("a limit struck: %v", sum.Anomalies)
				}
			}
			got, failed := byConversation(t, out.Bytes()), 0
			for id, lines := range want {
				if strings.Join(got[id], "") != strings.Join(lines, "") && failed < 3 {
					t.Errorf("%s, %d workers: conversation %d is\n%sand packet by packet\n%s", from, workers, id, strings.Join(got[id], ""), strings.Join(lines, ""))
					failed++
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s, %d workers: %d conversations, want %d", from, workers, len(got), len(want))
			}
		}
	}
}

// endless is a Source that begins again at its end, as if time went on, until
// it was asked too often.
type endless struct {
	packets []capture.Packet
	n, most int64
	p       capture.Packet
	odd     func(n int64) error // in place of a packet
}

var errEndless = errors.New("it was not stopped")

func (e *endless) Next() (*capture.Packet, error) {
	if e.odd != nil {
		if err := e.odd(e.n); errors.Is(err, capture.ErrIdle) {
			e.n++
			return &capture.Packet{Time: e.p.Time.Add(time.Millisecond)}, err
		} else if err != nil {
			return nil, err
		}
	}
	if e.n == e.most {
		return nil, errEndless
	}
	count := int64(len(e.packets))
	e.p = e.packets[e.n%count]
	e.p.Time = e.p.Time.Add(time.Duration(e.n/count) * 10 * time.Second)
	e.n++
	e.p.Number = e.n
	return &e.p, nil
}

// narrow takes so many bytes, and no more.
type narrow struct{ left int }

func (w *narrow) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errSink
	}
	return len(p), nil
}

// TestSinkErrorStopsWorkers wants the error of a writer back, soon.
func TestSinkErrorStopsWorkers(t *testing.T) {
	packets := traffic(t, 3, 50, true)
	idle := func(n int64) error {
		if n%100 == 50 {
			return capture.ErrIdle
		}
		return nil
	}
	for _, workers := range []int{1, 3} {
		for _, room := range []int{0, 1, 100_000, 1_000_000} {
			for name, odd := range map[string]func(int64) error{"": nil, " idle": idle} {
				t.Run(fmt.Sprintf("%d workers, room %d%s", workers, room, name), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { // which waits for all goroutines
						const most = 300_000
						_, err := decode.Run(&endless{packets: packets, most: most, odd: odd}, printer.NewJSON(&narrow{left: room}), decode.Options{Workers: workers})
						if !errors.Is(err, errSink) {
							t.Errorf("error %v", err)
						}
					})
				})
			}
		}
	}
}

// TestSourceErrorStopsWorkers wants all that came before an error of the source,
// and the error.
func TestSourceErrorStopsWorkers(t *testing.T) {
	packets := traffic(t, 4, 50, true)
	broken := errors.New("disk on fire")
	for _, at := range []int64{0, 1, 10_000} {
		for name, end := range map[string]error{"broken": broken, "damaged": capture.ErrDamaged, "end": io.EOF} {
			t.Run(fmt.Sprint(name, " at ", at), func(t *testing.T) {
				var outs [2]bytes.Buffer
				for i, workers := range []int{1, 3} {
					synctest.Test(t, func(t *testing.T) {
						src := &endless{packets: packets, odd: func(n int64) error {
							switch {
							case n == at:
								return end
							case n%1000 == 500:
								return capture.ErrIdle
							}
							return nil
						}, most: 100_000}
						sum, err := decode.Run(src, printer.NewJSON(&outs[i]), decode.Options{Workers: workers})
						if end == broken && !errors.Is(err, broken) || end != broken && err != nil {
							t.Errorf("error %v", err)
						}
						if idle := (at + 500) / 1000; sum.Packets != at-idle {
							t.Errorf("%d packets, want %d", sum.Packets, at-idle)
						}
						if sum.Truncated != (end == capture.ErrDamaged) {
							t.Errorf("truncated is %v", sum.Truncated)
						}
					})
				}
				if !bytes.Equal(outs[0].Bytes(), outs[1].Bytes()) {
					t.Error(difference(outs[0].Bytes(), outs[1].Bytes()))
				}
			})
		}
	}
}

// weak is a Forker of which the parts fail.
type weak struct {
	after int
	fails error
}

func (w *weak) Exchange(*proto.Exchange) error {
	if w.after--; w.after < 0 {
		return w.fails
	}
	return nil
}
func (w *weak) Fork() decode.Part    { return &weak{after: w.after, fails: w.fails} }
func (w *weak) Flush() error         { return nil }
func (w *weak) Len() int             { return 0 }
func (w *weak) Write(int, int) error { return nil }
func (w *weak) Reset()               {}

func TestPartErrorStops(t *testing.T) {
	packets := traffic(t, 5, 50, true)
	for _, workers := range []int{1, 3} {
		for _, after := range []int{0, 100} {
			_, err := decode.Run(&endless{packets: packets, most: 300_000}, &weak{after: after, fails: errSink}, decode.Options{Workers: workers})
			if !errors.Is(err, errSink) {
				t.Errorf("%d workers, after %d: error %v", workers, after, err)
			}
		}
	}
}

// letters is a Lender of packets that are of no conversation.
type letters struct {
	n, size int
	buf     []byte
	at      int
	swap    func([]byte) []byte
	seen    map[*byte]bool
	p       capture.Packet
}

func (l *letters) Lend(swap func([]byte) []byte) { l.swap = swap }

func (l *letters) Next() (*capture.Packet, error) {
	if l.n--; l.n < 0 {
		return nil, io.EOF
	}
	if l.at+l.size > len(l.buf) {
		l.buf, l.at = l.swap(l.buf), 0
		l.seen[&l.buf[0]] = true
	}
	l.p.Number++
	l.p.Data = l.buf[l.at : l.at+l.size]
	clear(l.p.Data)
	l.p.Length, l.p.Link, l.p.Time = l.size, capture.LinkRaw, time.Unix(1, 0)
	l.at += l.size
	return &l.p, nil
}

// TestBuffersComeBack wants the buffers back of packets that nobody needs.
func TestBuffersComeBack(t *testing.T) {
	for _, workers := range []int{1, 3} {
		src := &letters{n: 20_000, size: 4 << 10, buf: make([]byte, 256<<10), seen: make(map[*byte]bool)}
		if _, err := decode.Run(src, printer.NewJSON(io.Discard), decode.Options{Workers: workers}); err != nil {
			t.Fatal(err)
		}
		if n := len(src.seen); n > 30 {
			t.Errorf("%d workers: %d buffers were made", workers, n)
		}
	}
}

// FuzzWorkers decodes damaged captures with one worker, and with several.
func FuzzWorkers(f *testing.F) {
	for i, s := range samples.List() {
		f.Add(s.Name, []byte{}, byte(i))
		f.Add(s.Name, []byte{2, 3, 1, 60, 5, 4, 5, 200, 1, 7, 40, 3, 4, 2, 0, 100, 5, 2, 0, 1}, byte(i))
	}
	f.Fuzz(func(t *testing.T, name string, script []byte, with byte) {
		packets := open(t, name)
		// Of all hosts there are two, so that several conversations are.
		other := open(t, name)
		for i := range other {
			for j := range other[i].Data {
				if p := other[i].Data[j:]; len(p) >= 4 && p[0] == 10 && p[1] == 1 {
					p[1] = 2
				}
			}
			packets = append(packets, other[i])
		}
		packets, idle := mutate(packets, script)
		opts := decode.Options{Keep: 1 << 10 * int64(with&1), Digest: with&2 > 0, NoChecksums: with&4 > 0}
		if with&8 > 0 {
			opts.Conversations = 2
		}
		if with&16 > 0 {
			opts.Waiting = 1000
		}
		var outs [2]bytes.Buffer
		for i, workers := range []int{1, 3} {
			opts.Workers = workers
			j := printer.NewJSON(&outs[i])
			j.Bodies = opts.Keep > 0
			sum, err := decode.Run(&replayed{packets: packets, idle: idle}, j, opts)
			if err != nil {
				t.Fatal(err)
			}
			account(t, sum)
		}
		if !bytes.Equal(outs[0].Bytes(), outs[1].Bytes()) {
			t.Error(difference(outs[0].Bytes(), outs[1].Bytes()))
		}
	})
}

// replayed is a Source of packets, that is idle before some.
type replayed struct {
	packets []capture.Packet
	idle    map[int]time.Duration
	n       int
	rested  bool
	p       capture.Packet
}

func (r *replayed) Next() (*capture.Packet, error) {
	if r.n >= len(r.packets) {
		return nil, io.EOF
	}
	if wait, ok := r.idle[r.n]; ok && !r.rested {
		r.rested = true
		return &capture.Packet{Time: r.packets[r.n].Time.Add(wait)}, capture.ErrIdle
	}
	r.p, r.rested = r.packets[r.n], false
	r.n++
	r.p.Number = int64(r.n)
	return &r.p, nil
}
