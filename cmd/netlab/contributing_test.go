package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/craft"
)

// TestContributing adds the protocol of CONTRIBUTING.md as it says there, and
// wants netlab to know it.
func TestContributing(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(text)
	if code == nil {
		t.Fatal("CONTRIBUTING.md shows no protocol")
	}
	registry, err := os.ReadFile(filepath.Join(root, "decode/proto/registry.go"))
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(registry), "\t&FTP,\n", "\t&FTP,\n\t&Redis,\n", 1)

	dir := t.TempDir()
	write := func(name string, data []byte) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(root, "decode/proto/redis.go"):    write("redis.go", code[1]),
		filepath.Join(root, "decode/proto/registry.go"): write("registry.go", []byte(changed)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	netlab := filepath.Join(dir, "netlab")
	if out, err := exec.Command("go", "build", "-overlay", write("overlay.json", overlay), "-o", netlab, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	b, err := craft.Recipe(strings.NewReader(`
tcp r 10.1.0.1:40000 > 10.1.0.2:6379
r open
r > "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPI"
r > "NG\r\n"
r < "$-1\r\n+PONG\r\n"
r close`))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "redis.pcap")
	w, err := pcaps.Create(file, pcaps.Options{Link: b.Link()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := capture.Copy(w, b.Source()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(netlab, "decode", "--json", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		var record struct {
			Type              string
			Request, Response struct{ Words []string }
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if record.Type == "redis" {
			got = append(got, strings.Join(record.Request.Words, " ")+": "+strings.Join(record.Response.Words, " "))
		}
	}
	if want := "GET a: (nil)\nPING: PONG"; strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}
