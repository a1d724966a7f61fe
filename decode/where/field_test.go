package where_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/decode/where"
	"netlab/pcaps"
	"netlab/pcaps/samples"
)

var update = flag.Bool("update", false, "write FIELDS.md")

// TestDocumented holds FIELDS.md against the registry.
func TestDocumented(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Fields\n\nWhat `--where` can ask, and `decode -e` print. `netlab fields` lists the same; the tests make this page (`make golden`).\n\n")
	b.WriteString("| name | values | what | also called |\n|---|---|---|---|\n")
	for _, f := range where.Fields() {
		name := f.Name
		if f.Any != nil {
			name += "NAME"
		}
		also := where.Aliases(f.Name)
		for i := range also {
			also[i] = "`" + also[i] + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, f.Kind, f.About, strings.Join(also, ", "))
	}
	if *update {
		if err := os.WriteFile("FIELDS.md", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("FIELDS.md")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(have), b.String()); d != "" {
		t.Errorf("FIELDS.md is not what there is: make golden\n%s", d)
	}
}

// TestFieldsAreSound wants of each field what the list and the language count on.
func TestFieldsAreSound(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range where.Fields() {
		switch {
		case seen[f.Name]:
			t.Errorf("%s is there twice", f.Name)
		case f.About == "" || f.Kind.String() == "":
			t.Errorf("%s: nothing is said about it", f.Name)
		case (f.Any != nil) != strings.HasSuffix(f.Name, ".") || (f.Any == nil) != (f.Get != nil):
			t.Errorf("%s: an Any goes with a name that ends in a point", f.Name)
		}
		seen[f.Name] = true
		for _, alias := range where.Aliases(f.Name) {
			if long, ok := where.Lookup(alias); !ok || long.Name != f.Name {
				t.Errorf("%s is an alias of %s, and finds %s", alias, f.Name, long.Name)
			}
			if seen[alias] {
				t.Errorf("%s is an alias, and a field", alias)
			}
		}
	}
	for _, p := range proto.Protocols() {
		kinds := make(map[string]proto.AttributeKind)
		for _, a := range p.Attributes {
			if !strings.HasPrefix(a.Name, p.Record()+".") {
				t.Errorf("%s of %s does not begin with %s.", a.Name, p.Name, p.Record())
			}
			kinds[a.Name] = a.Kind
		}
		for _, f := range where.Fields() {
			if k, ok := kinds[f.Name]; ok && k != f.Kind {
				t.Errorf("%s is a %s in %s, and a %s elsewhere", f.Name, k, p.Name, f.Kind)
			}
		}
	}
}

// open opens a sample.
func open(t testing.TB, name string) capture.Source {
	t.Helper()
	f, err := samples.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	src, err := pcaps.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestSamples asks all there is of every exchange of the samples: what a field says
// is printed for it can be compared with it, and is equal.
func TestSamples(t *testing.T) {
	for _, s := range samples.List() {
		t.Run(s.Name, func(t *testing.T) {
			var c collector
			if _, err := decode.Run(open(t, s.Name), &c, decode.Options{}); err != nil {
				t.Fatal(err)
			}
			for _, e := range c.exchanges {
				for _, f := range where.Fields() {
					if f.Any != nil {
						f.Get = f.Any("host")
						f.Name += "host"
					}
					for _, v := range f.Get(nil, e) {
						text := string(f.Kind.Append(nil, v))
						if f.Kind == proto.Duration {
							text += "ms"
						}
						if f.Kind == proto.Text {
							text = fmt.Sprintf("%q", text)
						}
						expr := f.Name + " == " + text
						filter, err := where.Compile(expr)
						if err != nil {
							t.Fatal(err)
						}
						if !filter.Match(e) {
							t.Errorf("%s does not hold", expr)
						}
					}
				}
			}
		})
	}
}

// TestWorkers wants the same of an expression in front of a printer, however many
// work on it.
func TestWorkers(t *testing.T) {
	all := func() capture.Source {
		var list []capture.Source
		for _, s := range samples.List() {
			list = append(list, open(t, s.Name))
		}
		return pcaps.Merge(list...)
	}
	fields := slices.DeleteFunc(where.Fields(), func(f proto.Attribute) bool { return f.Any != nil })
	for _, expr := range []string{`http`, `tcp && !(status == 200)`, `latency > 1ms`, `udp`, `port == 1`, `protocol == raw or state != complete`, `id >= 0`} {
		f, err := where.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		for name, sink := range map[string]func(*bytes.Buffer) decode.Sink{
			"json":    func(b *bytes.Buffer) decode.Sink { return printer.NewJSON(b) },
			"stats":   func(b *bytes.Buffer) decode.Sink { return printer.NewStats(b, printer.Style{}) },
			"columns": func(b *bytes.Buffer) decode.Sink { return printer.NewColumns(b, fields) },
		} {
			var want string
			for _, workers := range []int{1, 2, 3, 7} {
				var b bytes.Buffer
				s := where.NewSink(f, sink(&b))
				if _, forks := s.(decode.Forker); forks == strings.HasPrefix(expr, "id") {
					t.Errorf("%s before %s: it is a Forker: %v", expr, name, forks)
				}
				if _, err := decode.Run(all(), s, decode.Options{Workers: workers}); err != nil {
					t.Fatal(err)
				}
				if want == "" {
					want = b.String()
				}
				if d := cmp.Diff(want, b.String()); d != "" {
					t.Errorf("%s before %s, %d workers:\n%s", expr, name, workers, d)
				}
			}
		}
	}
}

// TestAllocations wants none for what has no text to make.
func TestAllocations(t *testing.T) {
	if raced {
		t.Skip("with the race detector, pools drop what they are given")
	}
	list := exchanges(t)
	for _, expr := range []string{
		`http.status >= 500 && host ~ "^api" && latency > 250ms`, `client in {10.0.0.0/8 192.168.0.1:80}`, `http.header.host contains api || time > 2024-01-01`,
		`path starts_with /users && http.query != x && port == 80`, `latency ~ 250`, `http && !dns`,
		`client contains "10.1.0.1:40001" and server starts_with 10 and time ends_with Z`,
	} {
		f, err := where.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			for _, e := range list {
				f.Match(e)
			}
		}); n > 0.5 { // the collector may empty the pool
			t.Errorf("%s: %v allocations", expr, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	list := exchanges(b)
	f, err := where.Compile(`http.status >= 500 && host ~ "^api" && latency > 250ms`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range list {
			f.Match(e)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/exchange")
}
