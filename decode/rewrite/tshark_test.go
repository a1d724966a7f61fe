package rewrite

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/pcaps"
	"netlab/pcaps/samples"
)

// TestTshark has tshark find no fault with what samples and packets of control protocols
// become, with streams that have grown and shrunk.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed: apt-get install tshark")
	}
	path := filepath.Join(t.TempDir(), "all.pcapng")
	w, err := pcaps.Create(path, pcaps.Options{Format: pcaps.PcapNG})
	if err != nil {
		t.Fatal(err)
	}
	add := func(in []capture.Packet, edits func(*flow.Conversation, flow.Direction) []Edit) {
		out, _ := rewritten(t, in, others{}, edits)
		for i := range out {
			if err := w.WritePacket(&out[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range samples.List() {
		add(sampled(t, s.Name), nil)
	}
	edits := changes([]byte{10, 40, 90, 30, 20, 9, 200, 50, 0})
	steps := bytes.Repeat([]byte{0, 50, 0, 1, 90, 0, 6, 9, 9, 15, 9, 0}, 20)
	add(script(t, [2]uint32{0xffffff00, 5}, true, steps), func(*flow.Conversation, flow.Direction) []Edit { return edits })
	for name, c := range controls {
		if strings.HasSuffix(name, "_not_really") {
			continue // tshark finds the same fault with what was
		}
		data := unhex(t, c(template{t, false}))
		add([]capture.Packet{{Number: 1, Time: time.Unix(1e9, 0), Link: capture.LinkEthernet, Data: data, Length: len(data)}}, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const faults = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || " +
		"icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || igmp.checksum.status == 0"
	out, err := exec.Command(tshark, "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-Y", faults, "-T", "fields", "-e", "frame.number", "-e", "frame.protocols", "-e", "_ws.expert.message").Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) > 0 {
		t.Errorf("tshark finds fault with:\n%s", out)
	}
}
