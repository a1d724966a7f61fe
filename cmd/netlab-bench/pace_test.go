package main

import (
	"path/filepath"
	"testing"
	"time"
)

// TestPaceRecording makes recordings, and reads back what is in them: each message at
// its time.
func TestPaceRecording(t *testing.T) {
	due := arrivals(1000, 2*time.Second, 1)
	if len(due) < 1800 || len(due) > 2200 {
		t.Fatalf("%d messages in 2 s at 1,000 a second", len(due))
	}
	for _, network := range []string{"udp", "tcp"} {
		file := filepath.Join(t.TempDir(), network+".pcap")
		if err := makePace(file, network, due); err != nil {
			t.Fatal(err)
		}
		list, err := paceTimes(file)
		if err != nil || len(list) != len(due) {
			t.Fatalf("%s: %d of %d messages: %v", network, len(list), len(due), err)
		}
		seen, err := seenTimes(file, len(due))
		if err != nil {
			t.Fatal(err)
		}
		for i, late := range paceErrors(due, seen) {
			if late != 0 || list[i].at-list[0].at != due[i]-due[0] {
				t.Fatalf("%s: message %d is at %v, %v late, and was due at %v", network, i, list[i].at, late, due[i])
			}
		}
		if _, err := seenTimes(file, len(due)+1); err == nil {
			t.Errorf("%s: a message that is not there was not missed", network)
		}
	}
}

// TestPaceErrors measures from the message that was least late.
func TestPaceErrors(t *testing.T) {
	start := time.Now()
	late := paceErrors([]time.Duration{0, time.Second, 2 * time.Second}, []time.Time{
		start.Add(3 * time.Millisecond), start.Add(1001 * time.Millisecond), start.Add(2011 * time.Millisecond),
	})
	if len(late) != 3 || late[0] != 0.002 || late[1] != 0 || late[2] != 0.01 {
		t.Errorf("%v", late)
	}
}
