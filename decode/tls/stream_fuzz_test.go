package tls

import (
	"bytes"
	gotls "crypto/tls"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"netlab/decode/flow"
)

// Recording makes other keys, so it is not what -update does elsewhere.
var rerecord = flag.Bool("record", false, "record the talks in testdata/talks again")

// What both sides say inside of each talk.
const (
	clientSays = "GET /of-the-client HTTP/1.1\r\nHost: a.example\r\n\r\n"
	serverSays = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nof the server"
)

// talk is a recorded connection: its records in order, and its keys. It is kept in a
// file, for what a fuzzer finds makes sense only with the same keys.
type talk struct {
	records []spoken
	log     []byte
}

type spoken struct {
	d   flow.Direction
	rec []byte
}

// talks are how those in testdata/talks were made.
var talks = []struct {
	name    string
	version uint16
	suite   uint16
}{
	{"tls10_cbc_sha", gotls.VersionTLS10, gotls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
	{"tls11_cbc_sha", gotls.VersionTLS11, gotls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA},
	{"tls12_cbc_sha256", gotls.VersionTLS12, gotls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256},
	{"tls12_chacha20", gotls.VersionTLS12, gotls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
	{"tls12_gcm", gotls.VersionTLS12, gotls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
	{"tls13", gotls.VersionTLS13, 0},
}

// hearing is a line that notes what is written, in order with the other one's.
type hearing struct {
	*end
	d     flow.Direction
	mu    *sync.Mutex
	heard *[]spoken
}

func (h hearing) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for rest := bytes.Clone(b); len(rest) > 0; {
		n := Length(rest)
		*h.heard = append(*h.heard, spoken{h.d, rest[:n]})
		rest = rest[n:]
	}
	return h.end.Write(b)
}

// recordTalk has crypto/tls make a talk.
func recordTalk(t testing.TB, version, suite uint16) talk {
	t.Helper()
	cert, err := keyPair()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var made talk
	var mu sync.Mutex
	lines := [2]*line{newLine(), newLine()}
	client := &gotls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ServerName: "a.example"}
	if suite != 0 {
		client.CipherSuites = []uint16{suite}
	}
	server := &gotls.Config{
		Certificates: []gotls.Certificate{cert}, MinVersion: version, MaxVersion: version,
		CipherSuites: client.CipherSuites, KeyLogWriter: &log,
	}
	c := gotls.Client(hearing{&end{in: lines[s2c], out: lines[c2s]}, c2s, &mu, &made.records}, client)
	s := gotls.Server(hearing{&end{in: lines[c2s], out: lines[s2c]}, s2c, &mu, &made.records}, server)
	done := make(chan error, 1)
	go func() {
		_, err := s.Read(make([]byte, len(clientSays)))
		if err == nil {
			_, err = s.Write([]byte(serverSays))
		}
		done <- err
	}()
	_, err = c.Write([]byte(clientSays))
	if err == nil {
		_, err = c.Read(make([]byte, len(serverSays)))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.Close()
	made.log = log.Bytes()
	return made
}

// write makes a file of a talk: lines of the key log, then of records.
func (k talk) write(name string) error {
	var b bytes.Buffer
	b.Write(k.log)
	for _, r := range k.records {
		fmt.Fprintf(&b, "%c %x\n", "><"[r.d], r.rec)
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

func readTalk(t testing.TB, name string) (k talk) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(string(data)) {
		who, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		if who != ">" && who != "<" {
			k.log = append(k.log, text...)
			continue
		}
		rec, err := hex.DecodeString(rest)
		if err != nil {
			t.Fatal(err)
		}
		d := c2s
		if who == "<" {
			d = s2c
		}
		k.records = append(k.records, spoken{d, rec})
	}
	return k
}

func talkFile(name string) string { return filepath.Join("testdata", "talks", name+".txt") }

// Steps are what FuzzStream does with a record, in the byte in front of it.
const (
	stepServer = 1 << iota // the server's, else the client's
	stepLose               // it is not there as a whole
	stepFind               // it is behind a gap
	stepEnd                // the direction ends behind it
)

func (k talk) steps() (out []byte) {
	for _, r := range k.records {
		out = append(append(out, byte(r.d)), r.rec...)
	}
	return out
}

// open has a Stream take steps, and returns what it says was inside.
func open(t *testing.T, secrets *Secrets, steps []byte) (inside [2][]byte) {
	t.Helper()
	s := NewStream(secrets)
	for len(steps) > 0 {
		step := steps[0]
		d := flow.Direction(step & stepServer)
		n := Length(steps[1:])
		if n <= 0 || n > len(steps)-1 {
			break
		}
		rec := steps[1 : 1+n]
		steps = steps[1+n:]
		sealed := s.Sealed(d)
		if step&stepLose != 0 {
			if lost := s.Lose(d, len(rec)); lost < 0 || lost > int64(len(rec)) {
				t.Fatalf("of a record of %d bytes, %d of what is inside are lost", len(rec), lost)
			}
			continue
		}
		if step&stepFind != 0 {
			lost, looked, ok := s.Find(d, rec, 8, 4096)
			if lost < 0 || lost > 4096 || looked < 0 || looked > 16*int64(len(rec)) || ok && sealed {
				t.Fatalf("a record behind a gap: %d lost, %d looked at, %v", lost, looked, ok)
			}
			if !ok {
				continue
			}
		}
		before := bytes.Clone(rec)
		out := s.Record(d, rec)
		if !bytes.Equal(before, rec) {
			t.Fatal("it has written to the record")
		}
		if out.Wait && len(out.Data) > 0 || sealed && (len(out.Data) > 0 || out.Wait) || len(out.Data) > len(rec) || out.Lost < 0 {
			t.Fatalf("sealed: %v, of %d bytes: %+v", sealed, len(rec), out)
		}
		inside[d] = append(inside[d], out.Data...)
		if step&stepEnd != 0 {
			s.End(d)
		}
		s.Settled()
		if held := s.Held(); held > 2*MaxHandshake+maxRecord+4*openerCost+1<<20 {
			t.Fatalf("%d bytes are held", held)
		}
	}
	s.Finish()
	return inside
}

// TestTalks opens each talk, and wants what was said.
func TestTalks(t *testing.T) {
	for _, k := range talks {
		if *rerecord {
			if err := recordTalk(t, k.version, k.suite).write(talkFile(k.name)); err != nil {
				t.Fatal(err)
			}
		}
		recorded := readTalk(t, talkFile(k.name))
		secrets := new(Secrets)
		secrets.Add(recorded.log)
		inside := open(t, secrets, recorded.steps())
		if string(inside[c2s]) != clientSays || string(inside[s2c]) != serverSays {
			t.Errorf("%s: inside was %q and %q", k.name, inside[c2s], inside[s2c])
		}
		if inside = open(t, nil, recorded.steps()); len(inside[c2s])+len(inside[s2c]) > 0 {
			t.Errorf("%s: without keys, inside was %q and %q", k.name, inside[c2s], inside[s2c])
		}
	}
}

// FuzzStream changes records of talks whose keys are known: whatever is done to them,
// nothing comes out that was not said by that side.
func FuzzStream(f *testing.F) {
	var all []*Secrets
	for i, k := range talks {
		recorded := readTalk(f, talkFile(k.name))
		secrets := new(Secrets)
		secrets.Add(recorded.log)
		all = append(all, secrets)
		steps := recorded.steps()
		f.Add(byte(i), steps)
		at := 0
		for j, r := range recorded.records {
			for _, step := range []byte{stepLose, stepFind, stepEnd} {
				changed := bytes.Clone(steps)
				changed[at] |= step
				f.Add(byte(i), changed)
			}
			if j > 0 {
				f.Add(byte(i), append(bytes.Clone(steps[:at]), steps[at+1+len(r.rec):]...))
			}
			at += 1 + len(r.rec)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, steps []byte) {
		inside := open(t, all[int(which)%len(all)], steps)
		for d, said := range []string{clientSays, serverSays} {
			got := string(inside[d])
			// A handshake that is said again begins again.
			for len(got) > 0 {
				i := 0
				for ; i < len(said) && i < len(got) && strings.Contains(said, got[:i+1]); i++ {
				}
				if i == 0 {
					t.Fatalf("this was not said: %q", got)
				}
				got = got[i:]
			}
		}
	})
}
