package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"netlab/pcaps/samples"
)

// TestFingerprints holds the fingerprints of the samples' hellos against tshark's: JA3, and JA4
// where tshark knows it (from 4.2 on).
func TestFingerprints(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	fields, err := exec.Command(tshark, "-G", "fields").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	for _, name := range []string{"ja3", "ja4"} {
		field := "tls.handshake." + name
		if !strings.Contains(string(fields), "\t"+field+"\t") {
			t.Logf("%s is not held against tshark, which is too old to know it", name)
			continue
		}
		seen := 0
		for _, s := range samples.List() {
			ours := fingerprints(t, name, s.Name)
			if len(ours) == 0 {
				continue // it takes tshark a second to begin
			}
			file := "../../pcaps/samples/" + s.Name + ".pcap"
			out, err := exec.Command(tshark, "-n", "-r", file, "-Y", "tls.handshake.type == 1", "-T", "fields", "-e", field).Output()
			if err != nil {
				t.Fatalf("tshark: %v", err)
			}
			theirs := strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == ',' })
			if slices.Sort(theirs); !slices.Equal(ours, theirs) {
				t.Errorf("%s of %s: %q, tshark says %q", name, s.Name, ours, theirs)
			}
			seen += len(ours)
		}
		if seen == 0 {
			t.Errorf("no sample has a hello with %s", name)
		}
	}
}

// fingerprints are those that netlab finds in a sample.
func fingerprints(t *testing.T, name, sample string) []string {
	t.Helper()
	_, out, errs := netlab(t, "decode", "--json", "sample:"+sample)
	var list []string
	for line := range strings.Lines(out) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%v in %s%s", err, line, errs)
		}
		if s, ok := record[name].(string); ok {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return list
}
