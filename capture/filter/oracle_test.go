package filter

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"netlab/capture"
)

var update = flag.Bool("update", false, "ask tcpdump for its programs again")

// dlts are what tcpdump calls the link types that are held against it.
var dlts = map[capture.LinkType]string{
	capture.LinkEthernet: "EN10MB", capture.LinkLinuxSLL: "LINUX_SLL", capture.LinkLinuxSLL2: "LINUX_SLL2",
	capture.LinkNull: "NULL", capture.LinkLoop: "LOOP", capture.LinkRaw: "RAW", capture.LinkIPv4: "IPV4", capture.LinkIPv6: "IPV6",
	capture.LinkPPP: "PPP", capture.LinkPPPHDLC: "PPP_SERIAL",
}

var errNever = errors.New("expression rejects all packets")

// tcpdump asks for the program of an expression, optimised or as it comes.
func tcpdump(link capture.LinkType, expr string, optimise bool) ([]bpf.RawInstruction, error) {
	args := []string{"-ddd", "-y", dlts[link]}
	if !optimise {
		args = append(args, "-O")
	}
	cmd := exec.Command("tcpdump", append(args, "--", expr)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		text := strings.TrimSpace(stderr.String())
		if strings.Contains(text, errNever.Error()) {
			return []bpf.RawInstruction{{Op: returnK}}, nil
		}
		return nil, errors.New(strings.TrimPrefix(text, "tcpdump: "))
	}
	return parseProgram(strings.Fields(string(out))[1:])
}

func parseProgram(f []string) ([]bpf.RawInstruction, error) {
	var code []bpf.RawInstruction
	for ; len(f) >= 4; f = f[4:] {
		var n [4]uint64
		for i := range n {
			var err error
			if n[i], err = strconv.ParseUint(f[i], 10, 32); err != nil {
				return nil, err
			}
		}
		code = append(code, bpf.RawInstruction{Op: uint16(n[0]), Jt: uint8(n[1]), Jf: uint8(n[2]), K: uint32(n[3])})
	}
	return code, nil
}

// expressions reads testdata/expressions.txt.
func expressions(t testing.TB) []string {
	data, err := os.ReadFile("testdata/expressions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}

const goldenFile = "testdata/tcpdump.txt.gz"

// answer is what tcpdump says to an expression: its program optimised, and as it
// comes. They differ where a packet was cut: one reads behind its end before it
// has found what would pick it, and the other after. Either is tcpdump's.
type answer struct {
	code, plain []bpf.RawInstruction
	err         string
}

// golden reads what tcpdump has said to the expressions: for each link type and
// expression a line, with the numbers of both programs as tcpdump -ddd prints
// them, or with ! and why it has none.
func golden(t testing.TB) map[capture.LinkType]map[string]answer {
	if *update {
		writeGolden(t)
	}
	f, err := os.Open(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[capture.LinkType]map[string]answer)
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		parts := strings.Split(s.Text(), "\t")
		link, _ := strconv.Atoi(parts[0])
		if all[capture.LinkType(link)] == nil {
			all[capture.LinkType(link)] = make(map[string]answer)
		}
		var a answer
		if why, failed := strings.CutPrefix(parts[2], "!"); failed {
			a.err = why
		} else {
			var err2 error
			a.code, err = parseProgram(strings.Fields(parts[2]))
			a.plain, err2 = parseProgram(strings.Fields(parts[3]))
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
		}
		all[capture.LinkType(link)][parts[1]] = a
	}
	return all
}

func writeGolden(t testing.TB) {
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	for _, link := range slices.Sorted(maps.Keys(dlts)) {
		for _, expr := range expressions(t) {
			fmt.Fprintf(z, "%d\t%s", link, expr)
			for _, optimise := range []bool{true, false} {
				code, err := tcpdump(link, expr, optimise)
				io.WriteString(z, "\t")
				if err != nil {
					fmt.Fprintf(z, "!%s", err)
				}
				for _, c := range code {
					fmt.Fprintf(z, "%d %d %d %d ", c.Op, c.Jt, c.Jf, c.K)
				}
			}
			io.WriteString(z, "\n")
		}
	}
	z.Close()
	if err := os.WriteFile(goldenFile, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ours are expressions that tcpdump has a program for and we refuse, by a part of
// why. Nothing else may be.
var ours = []struct {
	links func(capture.LinkType) bool
	words string // in the expression
	why   string
}{
	{func(l capture.LinkType) bool { return l != capture.LinkLinuxSLL && l != capture.LinkLinuxSLL2 }, "bound", "does not hold which way a packet went"},
	{func(l capture.LinkType) bool { return l != capture.LinkLinuxSLL2 }, "ifindex", "does not hold the number of the interface"},
	{func(l capture.LinkType) bool { return l == capture.LinkLinuxSLL2 }, "", "can't be told on linux_sll2"},
	{func(l capture.LinkType) bool { return true }, "pppoe", "there is no pppoes on"},
}

// forgotten are expressions in which libpcap does not check that packets are of a
// protocol on the right of an operator, and what it forgets. The manual has it
// check that always; so do we.
var forgotten = map[string]string{
	"ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) = 0": "tcp and ip[6:2] & 0x1fff = 0",
	"((ip[0] & 0xf) * 4) + ((tcp[12] & 0xf0) / 4) = 40":            "tcp and ip[6:2] & 0x1fff = 0",
	"100 / udp[7] = 4":       "udp and ip[6:2] & 0x1fff = 0",
	"1 << ip[9] & 0x40 != 0": "ip",
	"0 - ip[8] > 0x7fffffff": "ip",
}

// difference compares a program with tcpdump's on packets, describes the first that
// only one of them picks, and returns how many were not compared: those on which
// tcpdump is of two minds, and those of another system's loopback.
func difference(got program, want answer, packets []capture.Packet) (text string, skipped int) {
	for i := range packets {
		p := &packets[i]
		a, b := got.run(p.Data, uint32(p.Length)) != 0, program(want.code).run(p.Data, uint32(p.Length)) != 0
		switch {
		case a == b:
		case foreign(p), a == (program(want.plain).run(p.Data, uint32(p.Length)) != 0):
			skipped++
		default:
			return fmt.Sprintf("packet %d of %d, %d of %d bytes: we say %v, tcpdump %v\n%x\nours:\n%s\ntcpdump's:\n%s", i, len(packets), len(p.Data), p.Length, a, b, p.Data, dump(got), dump(want.code)), skipped
		}
	}
	return "", skipped
}

// split parts packets by an expression.
func split(t *testing.T, expr string, packets []capture.Packet) (picked, rest []capture.Packet) {
	f, err := New(expr)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if ok, err := f.Match(&p); err != nil {
			t.Fatal(err)
		} else if ok {
			picked = append(picked, p)
		} else {
			rest = append(rest, p)
		}
	}
	return picked, rest
}

// foreign reports whether a packet is of the loopback of a system that tcpdump on
// Linux does not know.
func foreign(p *capture.Packet) bool {
	if p.Link != capture.LinkNull && p.Link != capture.LinkLoop || len(p.Data) < 4 {
		return false
	}
	family := binary.LittleEndian.Uint32(p.Data)
	if p.Link == capture.LinkLoop {
		family = binary.BigEndian.Uint32(p.Data)
	}
	return family != 2 && family != 10 && (slices.Contains(families[etherIP], family) || slices.Contains(families[etherIP6], family))
}

func dump(code []bpf.RawInstruction) string {
	var b strings.Builder
	list, _ := bpf.Disassemble(code)
	for i, c := range list {
		fmt.Fprintf(&b, "  %d %v\n", i, c)
	}
	return b.String()
}

// TestGolden holds the programs for all expressions and link types against those
// of tcpdump: they pick the same packets.
func TestGolden(t *testing.T) {
	for link, answers := range golden(t) {
		t.Run(link.String()+"_"+dlts[link], func(t *testing.T) {
			t.Parallel()
			packets := corpus(t, link)
			if len(packets) < 4000 {
				t.Errorf("%d packets are few", len(packets))
			}
			programs, refusals, picked, longer, skipped := 0, 0, 0, 0, 0
			var size, sizeWant int
			for _, expr := range expressions(t) {
				want, ok := answers[expr]
				if !ok {
					t.Errorf("%s: tcpdump was not asked; refresh with -update", expr)
					continue
				}
				got, err := Compile(expr, link, 0)
				switch {
				case err != nil && want.err == "":
					if !slices.ContainsFunc(ours, func(o struct {
						links func(capture.LinkType) bool
						words string
						why   string
					}) bool {
						return o.links(link) && strings.Contains(expr, o.words) && strings.Contains(err.Error(), o.why)
					}) {
						t.Errorf("%s: refused: %v", expr, err)
					}
					refusals++
				case err != nil:
					refusals++
				case want.err != "":
					t.Errorf("%s: tcpdump refuses it: %s", expr, want.err)
				default:
					programs++
					if err := check(want.code); err != nil {
						t.Fatal(err)
					}
					if err := check(want.plain); err != nil {
						t.Fatal(err)
					}
					compared := packets
					if f, ok := forgotten[expr]; ok {
						var rest []capture.Packet
						compared, rest = split(t, f, packets)
						for i := range rest {
							if program(got).run(rest[i].Data, uint32(rest[i].Length)) != 0 {
								t.Errorf("%s: picks a packet that is not %s", expr, f)
								break
							}
						}
					}
					d, n := difference(got, want, compared)
					if d != "" {
						t.Errorf("%s: %s", expr, d)
					}
					skipped += n
					n = 0
					for i := range packets[:1000] {
						if program(got).run(packets[i].Data, uint32(packets[i].Length)) != 0 {
							n++
						}
					}
					if n > 0 && n < 1000 {
						picked++
					}
					size, sizeWant = size+len(got), sizeWant+len(want.code)
					if len(got) > len(want.code) {
						longer++
					}
				}
			}
			t.Logf("%d packets; %d programs, %d of which pick some and not all of 1000; %d refused; %d instructions, tcpdump's %d (%d programs are longer); %d of %d answers not compared",
				len(packets), programs, picked, refusals, size, sizeWant, longer, skipped, programs*len(packets))
		})
	}
}
