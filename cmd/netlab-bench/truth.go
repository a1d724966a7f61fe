package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Truth is what is known of a workload by whoever made it. Requests and responses
// are counted apart, for of a recording different programs know them: the server
// how many it was asked, the client how many answers it read to their ends.
type Truth struct {
	Recipe        int   `json:"recipe"` // of the program that made it, so that an older file is made again
	Seed          int64 `json:"seed"`
	Size          int64 `json:"size"` // what was asked for: connections, pairs or bytes
	FileBytes     int64 `json:"file_bytes"`
	Packets       int64 `json:"packets"`
	Conversations int64 `json:"conversations"`
	Requests      int64 `json:"requests"`
	Responses     int64 `json:"responses"`
	// Cut is how many connections ended in the middle of something.
	Cut int64 `json:"cut,omitempty"`
	// Streams says what went over the streams; nil where nobody knows.
	Streams *Streams `json:"streams,omitempty"`
}

// Streams is what a generator knows of what it made of its streams.
type Streams struct {
	Bytes         int64 `json:"bytes"` // distinct ones
	Retransmitted int64 `json:"retransmitted"`
	OutOfOrder    int64 `json:"out_of_order"`
}

// recipe is raised when what the generators make changes.
const recipe = 2

// truthOf returns the name of the file beside a capture that holds its truth.
func truthOf(capture string) string { return strings.TrimSuffix(capture, ".pcap") + ".truth.json" }

// readTruth reads what is known of a capture. One of another length than is known
// is an error: it is not what was made.
func readTruth(capture string) (Truth, error) {
	var t Truth
	data, err := os.ReadFile(truthOf(capture))
	if err != nil {
		return t, fmt.Errorf("read what is known of %s: %w", capture, err)
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return t, fmt.Errorf("read %s: %w", truthOf(capture), err)
	}
	st, err := os.Stat(capture)
	if err != nil {
		return t, fmt.Errorf("read %s: %w", capture, err)
	}
	if st.Size() != t.FileBytes {
		return t, fmt.Errorf("%s has %d bytes, but was made with %d", capture, st.Size(), t.FileBytes)
	}
	return t, nil
}

// write writes the truth of a capture, last of all: a capture without it was not
// finished.
func (t Truth) write(capture string) error {
	st, err := os.Stat(capture)
	if err != nil {
		return err
	}
	t.FileBytes = st.Size()
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(truthOf(capture), append(data, '\n'), 0o600)
}
