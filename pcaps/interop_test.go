package pcaps_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/craft"
)

// TestInterop has other programs read what we write.
func TestInterop(t *testing.T) {
	const recipe = `
time 2026-01-02T03:04:05.123456789Z
step 1ns
snaplen 61
tcp a 10.1.0.1:40001 > 10.1.0.2:7777
a open
a > "ping"
a < "a somewhat longer answer"
a close
`
	b, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	packets, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	// mixed adds a second interface of another link type, which only pcapng holds.
	raw := packets[0]
	raw.Data, raw.Length, raw.Link, raw.Interface = raw.Data[14:54], 40, capture.LinkRaw, 1
	mixed := append(packets[:len(packets):len(packets)], raw)

	for _, file := range []struct {
		name    string
		opts    pcaps.Options
		packets []capture.Packet
	}{
		{"pcap", pcaps.Options{Link: 1}, packets},
		{"pcapng", pcaps.Options{Format: pcaps.PcapNG}, packets},
		{"pcapng_two_links", pcaps.Options{Format: pcaps.PcapNG}, mixed},
	} {
		path := filepath.Join(t.TempDir(), file.name)
		if err := os.WriteFile(path, write(t, file.opts, file.packets), 0o600); err != nil {
			t.Fatal(err)
		}
		// lines are what a program that has a line for each packet says of the file.
		var lines []string
		for _, p := range file.packets {
			lines = append(lines, fmt.Sprintf("%d.%09d %d %d", p.Time.Unix(), p.Time.Nanosecond(), p.Length, len(p.Data)))
		}
		t.Run("tshark/"+file.name, func(t *testing.T) {
			out := output(t, "tshark", "-n", "-r", path, "-T", "fields", "-E", "separator= ",
				"-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len")
			if got, want := strings.TrimSpace(out), strings.Join(lines, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
		t.Run("capinfos/"+file.name, func(t *testing.T) {
			out := output(t, "capinfos", "-c", "-d", "-M", "-T", "-r", "-m", path)
			bytes := 0
			for _, p := range file.packets {
				bytes += p.Length
			}
			if want := fmt.Sprintf("%s,%d,%d", path, len(file.packets), bytes); strings.TrimSpace(out) != want {
				t.Errorf("got %q, want %q", out, want)
			}
		})
		if file.name == "pcapng_two_links" {
			continue // tcpdump reads files of one link type only
		}
		t.Run("tcpdump/"+file.name, func(t *testing.T) {
			out := output(t, "tcpdump", "-n", "-tt", "--nano", "-r", path)
			got := strings.Split(strings.TrimSpace(out), "\n")
			if len(got) != len(lines) {
				t.Fatalf("%d packets, want %d:\n%s", len(got), len(lines), out)
			}
			for i, p := range file.packets {
				if want := fmt.Sprintf("%d.%09d IP 10.1.0.", p.Time.Unix(), p.Time.Nanosecond()); !strings.HasPrefix(got[i], want) {
					t.Errorf("packet %d: got %q, want %q", i+1, got[i], want)
				}
			}
		})
	}
}

// output runs a program and returns what it says of a file that it finds whole.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &complaints)
	}
	return out.String()
}
