package proto

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
	"netlab/decode/tls"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	c2s = flow.ClientToServer
	s2c = flow.ServerToClient
)

func arrow(d flow.Direction) string { return [...]string{">", "<"}[d] }

// transcript is a conversation written down. In its file each line is something
// that one side did, and one packet:
//
//	# a comment
//	transport udp                 tcp when it is not said
//	server 224.0.0.251:5353       no address when it is not said; so for client
//	protocol dns                  found from the bytes when it is not said
//	keylog LABEL RANDOM SECRET    a line of the key log
//	>>> "GET / HTTP/1.1\r\n"      the client sends; what follows is put together
//	    300*"x" hex 0d0a          a line that begins with white space goes on
//	<<< ack 3 "HTTP/1.1 200"      the server has read 3 bytes; else all, or "none"
//	<<< gap 12                    12 bytes were not captured
//	<<< cut 5 "abc"               5 more bytes of a datagram were cut off
//	<<< end                       the server sends no more
type transcript struct {
	transport flow.Transport
	protocol  *Protocol
	ends      [2]netip.AddrPort // client and server
	lines     []line
	secrets   *tls.Secrets
}

// line is one line of a transcript. Its packet's number is its index plus one.
type line struct {
	d    flow.Direction
	kind lineKind
	data []byte
	// n is the length of a gap, or how much was cut off a datagram.
	n   int64
	ack int64 // of the sender; patient unless the transcript says otherwise
}

type lineKind uint8

const (
	saysData lineKind = iota
	saysGap
	saysEnd
)

// patient stands for the acknowledgement of a sender that has read all that came
// before.
const patient = -2

// parseTranscript reads the text form.
func parseTranscript(text string) (*transcript, error) {
	tr := &transcript{transport: flow.TCP}
	var joined []string
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		switch {
		case strings.TrimSpace(l) == "" || l[0] == '#':
		case (l[0] == ' ' || l[0] == '\t') && len(joined) > 0:
			joined[len(joined)-1] += l
		default:
			joined = append(joined, l)
		}
	}
	for _, l := range joined {
		word, rest, _ := strings.Cut(l, " ")
		rest = strings.TrimSpace(rest)
		switch word {
		case "transport":
			if tr.transport = map[string]flow.Transport{"tcp": flow.TCP, "udp": flow.UDP}[rest]; tr.transport == 0 {
				return nil, fmt.Errorf("unknown transport in %q", l)
			}
		case "client", "server":
			a, err := netip.ParseAddrPort(rest)
			if err != nil {
				return nil, err
			}
			tr.ends[slices.Index([]string{"client", "server"}, word)] = a
		case "protocol":
			if tr.protocol = Lookup(rest); tr.protocol == nil {
				return nil, fmt.Errorf("unknown protocol in %q", l)
			}
		case "keylog":
			if tr.secrets == nil {
				tr.secrets = new(tls.Secrets)
			}
			tr.secrets.Add([]byte(rest))
		case ">>>", "<<<":
			x, err := parseLine(rest)
			if err != nil {
				return nil, fmt.Errorf("%w in %.80q", err, l)
			}
			if word == "<<<" {
				x.d = s2c
			}
			tr.lines = append(tr.lines, x)
		default:
			return nil, fmt.Errorf("no such line: %.80q", l)
		}
	}
	return tr, nil
}

func parseLine(s string) (line, error) {
	x := line{ack: patient}
	number := func() (int64, error) {
		word, rest, _ := strings.Cut(s, " ")
		s = strings.TrimSpace(rest)
		return strconv.ParseInt(word, 10, 64)
	}
	inHex := false
	for s != "" {
		if times, rest, ok := strings.Cut(s, "*\""); s[0] == '"' || ok && strings.Trim(times, "0123456789") == "" {
			n := 1
			if s[0] != '"' {
				var err error
				if n, err = strconv.Atoi(times); err != nil {
					return x, err
				}
				s = `"` + rest
			}
			quoted, err := strconv.QuotedPrefix(s)
			if err != nil {
				return x, err
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return x, err
			}
			x.data = append(x.data, strings.Repeat(text, n)...)
			s, inHex = strings.TrimSpace(s[len(quoted):]), false
			continue
		}
		word, rest, _ := strings.Cut(s, " ")
		s = strings.TrimSpace(rest)
		var err error
		switch {
		case word == "hex":
			inHex = true
		case word == "end":
			x.kind = saysEnd
		case word == "gap":
			x.kind = saysGap
			x.n, err = number()
		case word == "cut":
			x.n, err = number()
		case word == "ack" && strings.HasPrefix(s, "none"):
			x.ack = flow.NoAck
			s = strings.TrimSpace(s[len("none"):])
		case word == "ack":
			x.ack, err = number()
		case inHex:
			var b []byte
			b, err = hex.DecodeString(word)
			x.data = append(x.data, b...)
		default:
			err = fmt.Errorf("%q", word)
		}
		if err != nil {
			return x, err
		}
	}
	return x, nil
}

// size returns how many bytes are said.
func (tr *transcript) size() int {
	n := 0
	for i := range tr.lines {
		n += len(tr.lines[i].data)
	}
	return n
}

// A cutter returns how long the next piece is of the rest of a line.
type cutter func(lineIndex, rest int) int

func whole(_, rest int) int { return rest }

func bytewise(int, int) int { return 1 }

// randomly cuts into pieces of up to longest bytes.
func randomly(seed uint64, longest int) cutter {
	r := rand.New(rand.NewPCG(seed, 0))
	return func(int, int) int { return 1 + r.IntN(longest) }
}

// once cuts line i before its byte at.
func once(i, at int) cutter {
	first := true
	return func(l, rest int) int {
		if l == i && first {
			first = false
			return at
		}
		return rest
	}
}

// epoch is when transcripts begin; each line comes a millisecond after the one
// before it.
var epoch = time.Unix(1e9, 0).UTC()

func timeOf(packet int64) time.Time { return epoch.Add(time.Duration(packet) * time.Millisecond) }

// play runs the transcript through a Dialogue, and holds what comes out to what
// Dialogue and Message promise.
func (tr *transcript) play(t testing.TB, opts Options, cut cutter) *recorder {
	t.Helper()
	return tr.playIn(t, new(Dialogue), opts, cut)
}

// playIn is play with a Dialogue that was, perhaps, another's.
func (tr *transcript) playIn(t testing.TB, g *Dialogue, opts Options, cut cutter) *recorder {
	t.Helper()
	if tr.protocol != nil {
		opts.Protocol = tr.protocol
	}
	if tr.secrets != nil {
		opts.Secrets = tr.secrets
	}
	r := &recorder{t: t, conv: &flow.Conversation{ID: 7, Tuple: flow.NewFlow(tr.transport, tr.ends[0], tr.ends[1])}, keep: opts.Keep, spare: opts.Spare != nil}
	r.inside = func(p *Protocol) bool { return g.inner != nil && p != g.protocol }
	g.Renew(r.conv, r, opts, 0)
	scratch := make([]byte, 0, 4096)
	for i := range tr.lines {
		l := &tr.lines[i]
		packet := int64(i + 1)
		ack := l.ack
		if ack == patient {
			ack = int64(len(r.present[l.d.Reverse()]))
		}
		switch l.kind {
		case saysEnd:
			g.End(l.d)
		case saysGap:
			if l.n == 0 {
				break
			}
			gap := flow.Gap{Offset: int64(len(r.present[l.d])), Length: l.n}
			for j := i + 1; j < len(tr.lines); j++ {
				if next := &tr.lines[j]; next.d == l.d && len(next.data) > 0 {
					gap.Packet, gap.Time = int64(j+1), timeOf(int64(j+1))
					break
				}
			}
			r.missed(l.d, l.n)
			g.Gap(l.d, gap)
		default:
			for data := l.data; ; {
				n := len(data)
				if tr.transport == flow.TCP && n > 0 {
					n = min(n, cut(i, n))
				}
				// The Dialogue must not hold on to what it is shown.
				scratch = append(scratch[:0], data[:n]...)
				k := flow.Chunk{Data: scratch, Offset: int64(len(r.present[l.d])), Time: timeOf(packet), Packet: packet, Ack: ack}
				r.said(l.d, scratch)
				if tr.transport == flow.UDP {
					g.Datagram(l.d, &k, int(l.n))
				} else if n > 0 {
					g.Chunk(l.d, k)
				}
				for j := range scratch {
					scratch[j] = 0xee
				}
				r.inBounds(g, n)
				if data = data[n:]; len(data) == 0 {
					break
				}
			}
			if tr.transport == flow.UDP {
				r.missed(l.d, l.n)
			}
		}
	}
	g.Close()
	g.Close() // changes nothing
	r.finished(g)
	return r
}

// recorder writes down what comes out of a Dialogue. Its own account of the
// streams is what the messages are held to.
type recorder struct {
	t         testing.TB
	text      strings.Builder
	conv      *flow.Conversation
	keep      int64
	spare     bool // what is handed on is not the recorder's own
	stream    [2][]byte
	present   [2][]bool       // of each offset, whether its byte was seen
	messages  [2][]*Message   // of protocols that do not interleave
	bodies    strings.Builder // what is kept of the messages of those that do
	indexes   map[int]bool
	anomalies map[string]int
	exchanges []*Exchange
	inside    func(*Protocol) bool // an exchange of that is in a stream inside of the recorder's
}

func (r *recorder) said(d flow.Direction, data []byte) {
	r.stream[d] = append(r.stream[d], data...)
	for range data {
		r.present[d] = append(r.present[d], true)
	}
}

func (r *recorder) missed(d flow.Direction, n int64) {
	r.stream[d] = append(r.stream[d], make([]byte, n)...)
	r.present[d] = append(r.present[d], make([]bool, n)...)
}

// Exchange checks an exchange by itself and writes it down.
func (r *recorder) Exchange(e *Exchange) {
	if r.indexes == nil {
		r.indexes = make(map[int]bool)
	}
	if r.indexes[e.Index] {
		r.t.Errorf("exchange %d came twice", e.Index)
	}
	r.indexes[e.Index] = true
	r.exchanges = append(r.exchanges, e)
	if e.Conversation != r.conv || e.Protocol == nil {
		r.t.Errorf("exchange %d: conversation or protocol is not set", e.Index)
	}
	if (e.State == Complete) != (e.Why() == "") {
		r.t.Errorf("exchange %d is %s, and why: %q", e.Index, e.State, e.Why())
	}
	for _, a := range e.Protocol.Attributes { // there is something to be asked about any exchange
		get := a.Get
		if a.Any != nil {
			get = a.Any("a")
		}
		for _, v := range get(nil, e) {
			a.Kind.Append(nil, v)
		}
	}
	var summaries []string
	for _, m := range e.Messages() {
		summaries = append(summaries, clip(visible(m.Body.Summary()), 200))
	}
	if len(summaries) == 0 {
		r.t.Errorf("exchange %d is empty", e.Index)
	}
	if e.Request == nil {
		summaries = append([]string{"-"}, summaries...)
	}
	if e.Response == nil && e.Protocol.Pairing != Alone {
		summaries = append(summaries, "-")
	}
	fmt.Fprintf(&r.text, "%s %d %s: %s", e.Protocol.Name, e.Index, e.State, strings.Join(summaries, " | "))
	if why := e.Why(); why != "" {
		fmt.Fprintf(&r.text, " (%s)", why)
	}
	r.text.WriteByte('\n')
	for _, m := range e.Messages() {
		r.message(m, e.Protocol)
	}
	if f := e.Protocol.AppendJSON; f != nil {
		fmt.Fprintf(&r.text, "  %s\n", r.json(f(nil, e)))
	}
	if r.spare {
		poison(e)
	}
}

// message writes a message down; the place of one that is inside of another protocol
// is in the inner stream, of which there is no account.
func (r *recorder) message(m *Message, p *Protocol) {
	inside := r.inside(p)
	d := m.Direction
	own := m
	if r.spare {
		own = &Message{Direction: d, Offset: m.Offset, Length: m.Length, Raw: bytes.Clone(m.Raw), RawMissing: m.RawMissing}
	}
	switch {
	case p.Interleaves:
		r.checkKept(m)
	case inside:
	case m.Within == nil: // else its bytes are another's
		r.messages[d] = append(r.messages[d], own)
	case m.Raw != nil || m.RawMissing != m.Length:
		r.t.Errorf("message at %s%d is within another and has bytes of its own", arrow(d), m.Offset)
	}
	if m.Complete && m.Why != "" && !m.Malformed || !m.Complete && m.Why == "" {
		r.t.Errorf("message at %s%d: complete is %t, and why: %q", arrow(d), m.Offset, m.Complete, m.Why)
	}
	if m.Packet > 0 && !m.Time.Equal(timeOf(m.Packet)) || m.LastPacket > 0 && !m.End.Equal(timeOf(m.LastPacket)) {
		r.t.Errorf("message at %s%d: the times are not those of packets %d and %d", arrow(d), m.Offset, m.Packet, m.LastPacket)
	}
	flags := ""
	if m.Malformed {
		flags += " malformed"
	}
	if !m.Complete {
		flags += " incomplete"
	}
	if m.Why != "" {
		flags += fmt.Sprintf(" %q", m.Why)
	}
	if m.Next != "" {
		flags += " then " + m.Next
	}
	missing := ""
	if inside {
		missing = " inside"
	} else if n := m.Length - r.seen(m); n > 0 && !p.Interleaves {
		missing = fmt.Sprintf("(-%d)", n)
	}
	fmt.Fprintf(&r.text, "  %s %d+%d%s packets %d-%d ack %d%s %s\n",
		arrow(d), m.Offset, m.Length, missing, m.Packet, m.LastPacket, m.Ack, flags, r.json(m.Body.AppendJSON(nil)))
}

// seen counts the bytes of a message that were captured, by the recorder's own
// account.
func (r *recorder) seen(m *Message) int64 {
	if m.Offset < 0 || m.Length < 0 || m.Offset+m.Length > int64(len(r.present[m.Direction])) {
		r.t.Errorf("message at %s%d+%d is beyond the stream's %d bytes", arrow(m.Direction), m.Offset, m.Length, len(r.present[m.Direction]))
		return 0
	}
	var n int64
	for _, p := range r.present[m.Direction][m.Offset:][:m.Length] {
		if p {
			n++
		}
	}
	return n
}

func (r *recorder) json(fields []byte) string {
	d := json.NewDecoder(bytes.NewReader(slices.Concat([]byte("{"), fields, []byte("}"))))
	d.UseNumber()
	if err := namesOnce(d); err != nil || d.More() {
		r.t.Errorf("not JSON: %v in %s", err, fields)
	}
	return clip(string(fields), 4000)
}

// namesOnce reads a value, in whose objects no name may stand twice: of two, most
// programs see one.
func namesOnce(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil || token != json.Delim('{') && token != json.Delim('[') {
		return err
	}
	names := make(map[json.Token]bool)
	for d.More() {
		if token == json.Delim('{') {
			name, err := d.Token()
			if err != nil {
				return err
			}
			if names[name] {
				return fmt.Errorf("%q stands there twice", name)
			}
			names[name] = true
		}
		if err := namesOnce(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// visible writes what an editor would not show.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// clip keeps the golden files readable.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:n], ""), len(s))
}

func (r *recorder) Anomaly(a flow.Anomaly) {
	if a.Conversation != r.conv || a.Packet == 0 || !a.Time.Equal(timeOf(a.Packet)) || a.Detail == "" {
		r.t.Errorf("anomaly %s lacks something: %+v", a.Kind, a)
	}
	if r.anomalies == nil {
		r.anomalies = make(map[string]int)
	}
	r.anomalies[a.Kind]++
	fmt.Fprintf(&r.text, "! %s %s%d packet %d: %s\n", a.Kind, arrow(a.Direction), a.Offset, a.Packet, a.Detail)
}

// inBounds checks what the Dialogue holds after a chunk of n bytes.
func (r *recorder) inBounds(g *Dialogue, n int) {
	if got, want := g.Held(), g.weigh(); got != want {
		r.t.Fatalf("%d bytes are said to be held, and are %d", got, want)
	}
	for d := range g.sides {
		if got := len(g.sides[d].buf); got > MaxBuffered+n {
			r.t.Fatalf("%d bytes are buffered", got)
		}
	}
	if len(g.opening.events) > 3*(MaxOpening+1) || g.opening.bytes > MaxOpening+n {
		r.t.Fatalf("%d events are held", len(g.opening.events))
	}
	if len(g.waiting) > MaxWaiting || len(g.early) > maxEarly {
		r.t.Fatalf("%d requests and %d responses wait", len(g.waiting), len(g.early))
	}
}

// finished checks that nothing stayed behind in a Dialogue that was closed, and
// accounts for the bytes of all messages.
func (r *recorder) finished(g *Dialogue) {
	r.t.Helper()
	fmt.Fprintf(&r.text, "= %q, %d bytes and %d bytes", r.conv.Protocol, len(r.present[0]), len(r.present[1]))
	finals, interims := g.Answers()
	fmt.Fprintf(&r.text, ", answers %d and %d\n", finals, interims)
	if len(g.opening.events) > 0 || len(g.waiting) > 0 || len(g.early) > 0 || len(g.sides[0].buf) > 0 || len(g.sides[1].buf) > 0 {
		r.t.Errorf("after Close are left: %d held, %d waiting, %d early, %d and %d bytes",
			len(g.opening.events), len(g.waiting), len(g.early), len(g.sides[0].buf), len(g.sides[1].buf))
	}
	for i := range r.indexes {
		if i < 0 || i >= len(r.indexes) {
			r.t.Errorf("exchanges are not numbered from 0 on: there is %d among %d", i, len(r.indexes))
		}
	}
	for d, ms := range r.messages {
		slices.SortStableFunc(ms, func(a, b *Message) int { return int(a.Offset - b.Offset) })
		end := int64(0)
		for _, m := range ms {
			if m.Length > 0 && m.Offset < end {
				r.t.Errorf("messages overlap at %s%d", arrow(flow.Direction(d)), m.Offset)
			}
			end = max(end, m.Offset+m.Length)
			r.checkRaw(m)
		}
	}
}

// checkRaw holds Raw to the stream.
func (r *recorder) checkRaw(m *Message) {
	seen := r.seen(m)
	if int64(len(m.Raw))+m.RawMissing != m.Length {
		r.t.Errorf("message at %s%d: %d raw bytes and %d missing are not %d", arrow(m.Direction), m.Offset, len(m.Raw), m.RawMissing, m.Length)
		return
	}
	if want := min(seen, r.keep); int64(len(m.Raw)) != want {
		r.t.Errorf("message at %s%d has %d raw bytes, want %d", arrow(m.Direction), m.Offset, len(m.Raw), want)
		return
	}
	rest := m.Raw
	for off := m.Offset; len(rest) > 0; off++ {
		if !r.present[m.Direction][off] {
			continue
		}
		if rest[0] != r.stream[m.Direction][off] {
			r.t.Errorf("message at %s%d: Raw differs from the stream at %d", arrow(m.Direction), m.Offset, off)
			return
		}
		rest = rest[1:]
	}
}

// checkKept holds what is kept of a message whose bytes do not stand in one piece: it
// is the beginning of the content. What it is, is compared between the ways to cut.
func (r *recorder) checkKept(m *Message) {
	h, ok := m.Body.(*HTTPMessage)
	if !ok {
		return
	}
	if want := min(h.BodyBytes-h.BodyMissing, r.keep); int64(len(m.Raw))+m.RawMissing != h.BodyBytes ||
		int64(len(m.Raw)) > want || int64(len(m.Raw)) < want && h.BodyMissing == 0 {
		r.t.Errorf("message at %s%d: %d bytes are kept and %d missing, of %d and %d", arrow(m.Direction), m.Offset, len(m.Raw), m.RawMissing, h.BodyBytes, h.BodyMissing)
	}
	fmt.Fprintf(&r.bodies, "%s%d %q\n", arrow(m.Direction), m.Offset, m.Raw)
}

// keepAll is larger than any message here.
const keepAll = 1 << 40

// sameHoweverCut plays the transcript in many ways and returns what came out of
// it, which must be the same each time.
func (tr *transcript) sameHoweverCut(t testing.TB) string {
	t.Helper()
	first := tr.play(t, Options{Keep: keepAll}, whole)
	want, bodies := first.text.String(), first.bodies.String()
	for _, keep := range []int64{0, 7} {
		if diff := cmp.Diff(want, tr.play(t, Options{Keep: keep}, whole).text.String()); diff != "" {
			t.Fatalf("with Keep %d (-whole +keep):\n%s", keep, diff)
		}
	}
	try := func(name string, cut cutter) {
		t.Helper()
		r := tr.play(t, Options{Keep: keepAll}, cut)
		if got := r.text.String(); got != want {
			t.Fatalf("cut %s (-whole +cut):\n%s", name, cmp.Diff(want, got))
		}
		if diff := cmp.Diff(bodies, r.bodies.String()); diff != "" {
			t.Fatalf("cut %s: what is kept (-whole +cut):\n%s", name, diff)
		}
		if t.Failed() {
			t.Fatalf("cut %s", name)
		}
	}
	if tr.transport == flow.UDP {
		return want // datagrams are not cut
	}
	size := tr.size()
	if size <= 20<<10 {
		try("bytewise", bytewise)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range tr.lines {
		n := len(tr.lines[i].data)
		if n > 0 && size*n <= work {
			for at := 1; at < n; at++ {
				try(fmt.Sprintf("line %d at %d", i+1, at), once(i, at))
			}
			continue
		}
		for range min(n-1, 1+work/max(size, 1)) {
			at := 1 + r.IntN(n-1)
			try(fmt.Sprintf("line %d at %d", i+1, at), once(i, at))
		}
	}
	for seed := range uint64(8) {
		try(fmt.Sprintf("randomly by seed %d", seed), randomly(seed, max(2, size/(4<<seed))))
	}
	return want
}

// work is about how many bytes a transcript is played with for each of its lines.
const work = 1 << 20 >> raced

// TestTranscripts plays all transcripts of testdata and compares with the golden
// file beside each.
func TestTranscripts(t *testing.T) {
	for name, tr := range transcripts(t, "*") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkGolden(t, filepath.Join("testdata", name+".golden"), tr.sameHoweverCut(t))
		})
	}
}

// transcripts returns those of a folder of testdata by their names.
func transcripts(t testing.TB, folder string) map[string]*transcript {
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in %s: %v", folder, err)
	}
	all := make(map[string]*transcript)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel("testdata", strings.TrimSuffix(file, ".txt"))
		tr, err := parseTranscript(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.ToSlash(name)] = tr
	}
	return all
}

func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update && !t.Failed() {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s (-want +got):\n%s", file, cmp.Diff(string(want), got))
	}
}
