package tls

import (
	"bytes"
	"encoding/hex"
	"sync"
	"sync/atomic"
)

// MaxSecrets bounds the connections whose secrets are kept, some 400 bytes each:
// the oldest are let go.
const MaxSecrets = 1 << 16

// MaxStaged bounds what waits in Secrets to be published: the key log of a day.
const MaxStaged = 16 << 20

// maxSecret bounds a secret: the output of SHA-512. SHA-384's is the longest in use.
const maxSecret = 64

// Secrets are what opens connections, found by the random bytes of their client's
// hello: the lines of a key log as SSLKEYLOGFILE names it (RFC 9850). The zero value
// has none. It can be used by many goroutines at a time.
type Secrets struct {
	mu     sync.RWMutex
	table  map[random]*keys
	order  []random // the oldest first
	lines  int
	bad    int
	grows  bool
	staged []byte
	waits  atomic.Bool // there is something staged
}

// random is what a hello begins with.
type random [32]byte

// keys are the secrets of a connection; those not there are nil.
type keys struct{ by [labelCount][]byte }

// label says what a secret is for.
type label uint8

const (
	labelMaster label = iota // up to TLS 1.2
	labelClientEarly
	labelClientHandshake
	labelServerHandshake
	labelClientTraffic
	labelServerTraffic
	labelCount
)

var labels = map[string]label{
	"CLIENT_RANDOM":                   labelMaster,
	"CLIENT_EARLY_TRAFFIC_SECRET":     labelClientEarly,
	"CLIENT_HANDSHAKE_TRAFFIC_SECRET": labelClientHandshake,
	"SERVER_HANDSHAKE_TRAFFIC_SECRET": labelServerHandshake,
	"CLIENT_TRAFFIC_SECRET_0":         labelClientTraffic,
	"SERVER_TRAFFIC_SECRET_0":         labelServerTraffic,
}

// ignored are the labels of secrets that open nothing here.
var ignored = map[string]bool{
	"EXPORTER_SECRET": true, "EARLY_EXPORTER_SECRET": true, "EARLY_EXPORTER_MASTER_SECRET": true,
	"ECH_SECRET": true, "ECH_CONFIG": true, "RSA": true,
	"CLIENT_TRAFFIC_SECRET_N": true, "SERVER_TRAFFIC_SECRET_N": true,
}

// Add reads lines of a key log. What is no line of one is counted.
func (s *Secrets) Add(log []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(log) > 0 {
		line := log
		if i := bytes.IndexByte(log, '\n'); i >= 0 {
			line, log = log[:i], log[i+1:]
		} else {
			log = nil
		}
		s.line(line)
	}
}

// line reads one line: a label, the client's random bytes and the secret, in hex.
func (s *Secrets) line(line []byte) {
	f := bytes.Fields(line[:min(len(line), maxLine)])
	switch {
	case len(f) == 0 || f[0][0] == '#', ignored[string(f[0])]:
		return
	case len(f) != 3 || len(line) > maxLine:
		s.bad++
		return
	}
	of, known := labels[string(f[0])]
	var r random
	secret := make([]byte, hex.DecodedLen(min(len(f[2]), 2*maxSecret+2)))
	if !known || len(f[1]) != 2*len(r) || len(f[2]) > 2*maxSecret || len(f[2]) == 0 {
		s.bad++
		return
	}
	if _, err := hex.Decode(r[:], f[1]); err != nil {
		s.bad++
		return
	}
	if _, err := hex.Decode(secret, f[2]); err != nil || of == labelMaster && len(secret) != masterLen {
		s.bad++
		return
	}
	k := s.table[r]
	if k == nil {
		if s.table == nil {
			s.table = make(map[random]*keys)
		}
		if len(s.order) >= MaxSecrets {
			delete(s.table, s.order[0])
			s.order = s.order[1:]
		}
		k = new(keys)
		s.table[r], s.order = k, append(s.order, r)
	} else {
		other := *k // whoever looks at the one before is not disturbed
		k = &other
		s.table[r] = k
	}
	k.by[of] = secret
	s.lines++
}

// maxLine bounds a line: a label, and 32 and 64 bytes in hex, are 250.
const maxLine = 1 << 10

// masterLen is the length of a master secret (RFC 5246, section 8.1).
const masterLen = 48

// Grow says that more may come: what can't be read yet is held for a while.
func (s *Secrets) Grow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grows = true
}

// Stage adds lines that count from Publish on, and reports whether there was room.
func (s *Secrets) Stage(log []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grows = true
	if len(s.staged)+len(log)+1 > MaxStaged {
		return false
	}
	s.staged = append(append(s.staged, log...), '\n')
	s.waits.Store(true)
	return true
}

// Staged reports whether something waits for Publish. It is so of a nil Secrets
// never. It is asked of each packet.
func (s *Secrets) Staged() bool { return s != nil && s.waits.Load() }

// Publish adds what was staged.
func (s *Secrets) Publish() {
	s.mu.Lock()
	staged := s.staged
	s.staged = nil
	s.waits.Store(false)
	s.mu.Unlock()
	s.Add(staged)
}

// Count returns how many secrets were read, and how many lines were none.
func (s *Secrets) Count() (secrets, bad int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.lines, s.bad
}

// find returns the secret of a connection for a purpose, or nil; and whether one
// may still come.
func (s *Secrets) find(r random, of label) (secret []byte, grows bool) {
	if s == nil {
		return nil, false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.table[r]; k != nil {
		secret = k.by[of]
	}
	return secret, s.grows
}

// knows reports whether there is a secret of a connection, or one may still come.
func (s *Secrets) knows(r random) bool {
	if s == nil {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.grows || s.table[r] != nil
}
