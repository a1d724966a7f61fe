package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/printer"
	"netlab/pcaps"
)

// TestMain lets the test binary be what the tests run: netlab-bench itself, and a
// netlab that knows decode --json FILE.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch _, known := commands[os.Args[1]]; {
		case known:
			main()
		case os.Args[1] == "decode":
			if err := decodeJSON(os.Args[len(os.Args)-1]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(exitFailed)
			}
			os.Exit(exitDone)
		}
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // what is run with the race detector need not wait for it
	os.Exit(m.Run())
}

func decodeJSON(file string) error {
	f, err := pcaps.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = decode.Run(f, printer.NewJSON(os.Stdout), decode.Options{})
	return err
}

// bench runs netlab-bench and returns its exit status.
func bench(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(context.Background(), stdio{&out, &errs}, args)
	return status, out.String(), errs.String()
}

// made makes a small workload in memory, and what netlab counts in it.
func made(t *testing.T, generate func(capture.Sink, int64, int64) (Truth, error), seed, size int64) (file []byte, truth Truth, got counts) {
	t.Helper()
	var pcap, json bytes.Buffer
	w, err := pcaps.NewWriter(&pcap, pcaps.Options{Link: capture.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	if truth, err = generate(w, seed, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	file = bytes.Clone(pcap.Bytes())
	r, err := pcaps.NewReader(&pcap)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode.Run(r, printer.NewJSON(&json), decode.Options{}); err != nil {
		t.Fatal(err)
	}
	if got, err = count(&json); err != nil {
		t.Fatal(err)
	}
	return file, truth, got
}
