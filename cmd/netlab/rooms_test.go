package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rooms says which packages of ours each package may import: arrows run one way,
// cmd to replay to decode to capture, and pcaps to capture. A new arrow is a
// change to the design, and belongs here first.
var rooms = map[string][]string{
	"capture":        nil,
	"capture/filter": {"capture"},
	"capture/live":   {"capture", "capture/filter"}, // whose programs it gives to the kernel
	"pcaps":          {"capture"},
	"pcaps/craft":    {"capture"},
	"pcaps/samples":  nil,
	"decode/flow":    nil,
	"decode/packet":  {"capture", "decode/flow"},
	"decode/tcp":     {"decode/flow", "decode/packet"},
	"decode/tls":     {"decode/flow"},
	"decode/proto":   {"decode/flow", "decode/tls"},
	"decode":         {"capture", "decode/flow", "decode/packet", "decode/tcp", "decode/tls", "decode/proto"},
	"decode/where":   {"decode", "decode/flow", "decode/proto"},
	"decode/memo":    nil,
	"decode/redact":  {"decode", "decode/flow", "decode/memo", "decode/proto", "decode/rewrite"}, // a Reading is a decode.Forker; the last one's Edits say what to change in conversations
	"decode/rewrite": {"capture", "decode/flow", "decode/packet", "decode/proto"},                // the latter's Exchange makes it a Sink
	"decode/printer": {"capture", "decode", "decode/flow", "decode/memo", "decode/packet", "decode/proto"},
	"replay/plan":    {"decode/flow", "decode/tls", "decode/proto"},
	"replay/compare": {"decode/proto"},
	"replay/values":  {"decode", "decode/flow", "decode/memo", "decode/proto", "replay/plan"}, // what it changes is what a plan sends; its Finder is a Forker
	"replay/serve":   {"decode/flow", "decode/tls", "decode/proto", "replay/plan"},
	"replay":         {"decode/flow", "decode/proto", "replay/plan", "replay/compare", "replay/values"},
	"replay/noise":   {"decode/proto", "replay", "replay/compare"},
	"replay/latency": {"replay", "replay/compare", "replay/noise"},
	"replay/rules":   {"replay/compare"},
	"replay/diff":    {"decode/flow", "decode/proto", "replay", "replay/compare", "replay/plan"},
	"replay/proof":   {"decode", "decode/flow", "decode/proto", "replay/plan", "replay/values"}, // of two recordings, as replay sees them
	"replay/bundle":  {"decode/printer"},                                                        // for what is counted and made harmless
	"replay/report":  {"decode/printer", "decode/proto", "replay", "replay/compare", "replay/latency", "replay/noise", "replay/plan", "replay/values"},
	"cmd/netlab":     {"*"},

	"capture/process":   nil,
	"replay/replaytest": nil, // and tests alone import it
	"cmd/netlab-bench":  {"capture", "pcaps", "pcaps/craft"},
}

// doors are the only packages through which these enter.
var doors = map[string][]string{
	"github.com/google/gopacket/pcap":   {"capture/live"},
	"github.com/google/gopacket/layers": {"pcaps/craft", "cmd/netlab-bench"}, // there it is what we are held against
	"github.com/google/gopacket":        {"pcaps/craft", "capture/live", "cmd/netlab-bench"},
	"github.com/urfave/cli/v2":          {"cmd/netlab"},
	"golang.org/x/net/bpf":              {"capture/filter", "capture/live", "capture/process"}, // the latter's is for system calls
}

// outside are what decoding must not touch: files, sockets and logs.
var outside = []string{"os", "net", "net/http", "log", "log/slog", "os/exec", "syscall"}

type listed struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

// list asks the go command for our packages, with these build tags.
func list(t *testing.T, tags string) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles", "-tags", tags, "netlab/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestRooms(t *testing.T) {
	for _, tags := range []string{"", "libpcap"} {
		seen := make(map[string]bool)
		for _, p := range list(t, tags) {
			room := strings.TrimPrefix(p.ImportPath, "netlab/")
			allowed, known := rooms[room]
			if !known {
				t.Errorf("%s is no room: give it a line in the table", room)
				continue
			}
			seen[room] = true
			for _, i := range p.Imports {
				ours, isOurs := strings.CutPrefix(i, "netlab/")
				if isOurs && !slices.Contains(allowed, ours) && !slices.Contains(allowed, "*") {
					t.Errorf("%s imports %s, which its line in the table does not allow", room, ours)
				}
				if door, ok := doors[i]; ok && !slices.Contains(door, room) {
					t.Errorf("%s imports %s, which enters by %v only", room, i, door)
				}
				if strings.HasPrefix(room, "decode") && slices.Contains(outside, i) {
					t.Errorf("%s imports %s: decoding has no files, sockets or logs", room, i)
				}
			}
		}
		for room := range rooms {
			if !seen[room] {
				t.Errorf("the table has a room %s that is not there", room)
			}
		}
	}
}

// TestDecodingHasNoClock finds uses of the wall clock where time is the packets'.
func TestDecodingHasNoClock(t *testing.T) {
	for _, p := range list(t, "") {
		room := strings.TrimPrefix(p.ImportPath, "netlab/")
		if !strings.HasPrefix(room, "decode") && !strings.HasPrefix(room, "pcaps") {
			continue
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After"}, s.Sel.Name) {
						t.Errorf("%s: time.%s", fset.Position(s.Pos()), s.Sel.Name)
					}
				}
				return true
			})
		}
	}
}
