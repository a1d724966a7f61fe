package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// counts is what netlab says of a capture: its records, as counted here, and the
// last of them.
type counts struct {
	records   map[string]int64 // by type
	exchanges map[string]int64 // by state
	streams   Streams
	last      *jsonRecord
}

// jsonRecord is what matters here of any record of netlab decode --json.
type jsonRecord struct {
	Type           string
	State          string
	ClientToServer jsonSide `json:"client_to_server"`
	ServerToClient jsonSide `json:"server_to_client"`
	// Of the last record.
	Packets       int64
	PacketsByKind map[string]int64 `json:"packets_by_kind"`
	Undecoded     int64
	Truncated     bool
	Conversations map[string]int64
	Exchanges     map[string]int64
}

type jsonSide struct {
	Bytes         int64
	Retransmitted int64
	OutOfOrder    int64 `json:"out_of_order"`
}

// count reads records to their end.
func count(r io.Reader) (counts, error) {
	c := counts{records: make(map[string]int64), exchanges: make(map[string]int64)}
	for d := json.NewDecoder(r); ; {
		var rec jsonRecord
		if err := d.Decode(&rec); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return c, err
		}
		c.records[rec.Type]++
		switch rec.Type {
		case "conversation":
			for _, side := range []jsonSide{rec.ClientToServer, rec.ServerToClient} {
				c.streams.Bytes += side.Bytes
				c.streams.Retransmitted += side.Retransmitted
				c.streams.OutOfOrder += side.OutOfOrder
			}
		case "anomaly":
		case "capture":
			c.last = &rec
		default:
			c.exchanges[rec.State]++
		}
	}
	if c.last == nil {
		return c, errors.New("there is no record of the capture")
	}
	return c, nil
}

// against returns what is not as the truth has it.
func (c counts) against(t Truth, protocol string) []string {
	var wrong []string
	same := func(what string, got, want int64) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s %s, not %s", thousands(got), what, thousands(want)))
		}
	}
	between := func(what string, got, least, most int64) {
		if got < least || got > most {
			wrong = append(wrong, fmt.Sprintf("%s %s, not %s to %s", thousands(got), what, thousands(least), thousands(most)))
		}
	}
	same("packets", c.last.Packets, t.Packets)
	same("packets by kind", total(c.last.PacketsByKind), t.Packets)
	same("packets undecoded", c.last.Undecoded, 0)
	if c.last.Truncated {
		wrong = append(wrong, "the file is said to be truncated")
	}
	same("records of conversations", c.records["conversation"], t.Conversations)
	same("conversations in the last record", total(c.last.Conversations), t.Conversations)

	// What was cut off may have been asked without anybody having read it.
	complete, all := c.exchanges["complete"], c.records[protocol]
	between("complete exchanges", complete, t.Responses, t.Requests+t.Cut)
	between("exchanges", all, t.Requests, t.Requests+t.Cut)
	same("records of another protocol", total(c.exchanges)-all, 0)
	for _, state := range []string{"complete", "unanswered", "broken"} {
		same(state+" exchanges in the last record", c.last.Exchanges[state], c.exchanges[state])
	}
	if t.Streams != nil {
		same("bytes in streams", c.streams.Bytes, t.Streams.Bytes)
		same("retransmitted segments", c.streams.Retransmitted, t.Streams.Retransmitted)
		same("segments out of order", c.streams.OutOfOrder, t.Streams.OutOfOrder)
	}
	return wrong
}

func total(counts map[string]int64) int64 {
	var n int64
	for _, c := range counts {
		n += c
	}
	return n
}

// checkAll holds what netlab counts against what is known, and prints both.
func (c *contest) checkAll(ctx context.Context, tables []table) error {
	fmt.Fprint(c.std.out, "## Counts\n\n")
	failed := false
	for _, t := range tables {
		fmt.Fprintf(c.std.err, "%s: counting\n", t.workload.name)
		got, err := c.count(ctx, c.place.file(t.workload))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			failed = true
			fmt.Fprintf(c.std.out, "- %s: WRONG: %v\n", t.workload.name, err)
			continue
		}
		wrong := got.against(t.truth, t.workload.protocol)
		for _, what := range wrong {
			failed = true
			fmt.Fprintf(c.std.out, "- %s: WRONG: %s\n", t.workload.name, what)
		}
		if len(wrong) == 0 {
			fmt.Fprintf(c.std.out, "- %s: right: %s packets, %s conversations, %s complete exchanges of %s\n", t.workload.name,
				thousands(got.last.Packets), thousands(t.truth.Conversations), thousands(got.exchanges["complete"]), thousands(got.records[t.workload.protocol]))
		}
	}
	if failed {
		return errWrong
	}
	return nil
}

// count has netlab decode a file, and counts what it says.
func (c *contest) count(ctx context.Context, file string) (counts, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+time.Minute)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		return counts{}, err
	}
	type counted struct {
		counts
		error
	}
	done := make(chan counted, 1)
	go func() {
		got, err := count(r)
		r.Close()
		done <- counted{got, err}
	}()
	run := child{args: []string{c.netlab, "decode", "--json", file}, out: w}
	res := run.run(ctx)
	w.Close()
	got := <-done
	if res.failure != "" {
		return got.counts, fmt.Errorf("netlab decode --json: %s", res.failure)
	}
	if got.error != nil {
		return got.counts, fmt.Errorf("read what netlab decode --json said: %w", got.error)
	}
	return got.counts, nil
}
