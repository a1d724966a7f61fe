package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netlab/decode/printer"
	"netlab/pcaps/samples"
)

// TestSamples looks at every sample in every way.
func TestSamples(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		t.Skip("only the capture tests run in the namespace")
	}
	records := func(t *testing.T, out string) {
		if out == "" {
			t.Error("no record")
		}
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %s", line)
			}
		}
	}
	something := func(t *testing.T, out string) {
		if out == "" {
			t.Error("nothing is printed")
		}
	}
	anything := func(*testing.T, string) {}
	type way struct {
		args []string
		hold func(*testing.T, string)
	}
	ways := []way{
		{nil, something},
		{[]string{"--json"}, records},
		{[]string{"--json", "--bodies", "--digest"}, records},
		{[]string{"--json", "--redact"}, records},
		{[]string{"--stats"}, something},
		{[]string{"--stats", "--json"}, records},
		{[]string{"--bodies"}, anything}, // there is not always an exchange
		{[]string{"-e", "conversation", "-e", "protocol", "--header"}, something},
		{[]string{"--csv"}, func(t *testing.T, out string) {
			rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
			if err != nil || len(rows) == 0 {
				t.Errorf("%d rows, %v", len(rows), err)
			}
		}},
		{[]string{"--har", "-"}, value},
	}
	for _, stage := range printer.Stages {
		ways = append(ways, way{[]string{"--stage", stage}, something}, way{[]string{"--stage", stage, "--json"}, records})
	}
	commands := 0
	for _, s := range samples.List() {
		decode := func(t *testing.T, args []string) (int, string, string) {
			var out, errs bytes.Buffer
			args = append(append([]string{"netlab", "decode"}, args...), "sample:"+s.Name)
			code := run(t.Context(), args, strings.NewReader(""), &out, &errs)
			return code, out.String(), errs.String()
		}
		t.Run(s.Name, func(t *testing.T) {
			for _, w := range ways {
				t.Run(strings.Join(w.args, ""), func(t *testing.T) {
					code, out, errs := decode(t, w.args)
					if code != 0 {
						t.Fatalf("exit status %d: %s", code, errs)
					}
					w.hold(t, out)
				})
			}
			dir := filepath.Join(t.TempDir(), "out")
			if code, out, errs := decode(t, []string{"--extract", dir}); code != 0 || out == "" {
				t.Errorf("--extract: exit status %d: %s", code, errs)
			}
			_, out, _ := decode(t, []string{"--json"})
			want := 2 // there is no HTTP request in the first conversation
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, `{"type":"http","conversation":0,`) && !strings.Contains(line, `"request":null`) {
					want = 0
				}
			}
			code, out, errs := decode(t, []string{"--curl", "0"})
			if code != want || strings.Contains(out, "curl ") != (want == 0) {
				t.Errorf("--curl: exit status %d, want %d: %s%s", code, want, out, errs)
			}
			if code == 0 {
				commands++
			}
		})
	}
	if commands < 5 {
		t.Errorf("%d samples became commands", commands)
	}
}

// value holds that there is one value of JSON.
func value(t *testing.T, out string) {
	if !json.Valid([]byte(out)) {
		t.Errorf("no JSON: %s", out)
	}
}
