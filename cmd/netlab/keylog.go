package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/decode/tls"
	"netlab/pcaps"
)

func keylogFlag() cli.Flag {
	return &cli.StringFlag{Name: "keylog", Usage: "open TLS with the keys in `FILE`, which a client wrote for SSLKEYLOGFILE"}
}

// keylog is a key log, perhaps still written.
type keylog struct {
	secrets *tls.Secrets
	f       *os.File // nil when there is none, or all of it was read
	rest    []byte   // a line that is not whole yet
	looked  time.Time
}

// lookEvery is how often a key log that grows is looked into at most: whole connections
// are over in a few of these.
const lookEvery = time.Millisecond

// maxKeyLine bounds a line that is not whole yet.
const maxKeyLine = 4 << 10

// openKeylog reads a key log; an empty name is none. One that grows is looked into
// while packets come, and need not be there yet.
func openKeylog(name string, grows bool) (*keylog, error) {
	k := &keylog{secrets: new(tls.Secrets)}
	if name == "" {
		return k, nil
	}
	f, err := os.Open(name)
	if err != nil && grows && errors.Is(err, os.ErrNotExist) {
		f, err = os.OpenFile(name, os.O_RDONLY|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, hinted{fmt.Errorf("keys: %w", err), "SSLKEYLOGFILE=keys.txt curl …, while the packets are captured"}
	}
	k.f = f
	if grows {
		k.secrets.Grow()
	}
	if err := k.look(k.secrets.Add); err != nil {
		f.Close()
		return nil, err
	}
	if !grows {
		k.secrets.Add(k.rest)
		k.f = nil
		f.Close()
	}
	if n, bad := k.secrets.Count(); n == 0 && bad > 0 && !grows {
		return nil, hinted{fmt.Errorf("keys: %s is no key log: none of its %d lines holds a key", name, bad), "a file that a client wrote for SSLKEYLOGFILE"}
	}
	return k, nil
}

// look reads whole lines.
func (k *keylog) look(add func([]byte)) error {
	for buf := make([]byte, 64<<10); ; {
		n, err := k.f.Read(buf)
		lines := append(k.rest, buf[:n]...)
		i := bytes.LastIndexByte(lines, '\n') + 1
		if i > 0 {
			add(lines[:i])
		}
		k.rest = append([]byte(nil), lines[i:]...)
		if len(k.rest) > maxKeyLine {
			k.rest = k.rest[:maxKeyLine]
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("keys: %w", err)
		}
	}
}

// Close closes the file.
func (k *keylog) Close() error {
	if k.f == nil {
		return nil
	}
	return k.f.Close()
}

// watch is a Source that looks into a key log that grows before it hands on a packet.
// It is a Lender if src is.
func (k *keylog) watch(src capture.Source) capture.Source {
	if k.f == nil {
		return src
	}
	w := &watched{src, k}
	if lender, ok := src.(capture.Lender); ok {
		return struct {
			*watched
			capture.Lender
		}{w, lender}
	}
	return w
}

type watched struct {
	src capture.Source
	k   *keylog
}

func (w *watched) Next() (*capture.Packet, error) {
	p, err := w.src.Next()
	if now := time.Now(); now.Sub(w.k.looked) >= lookEvery {
		w.k.looked = now
		if e := w.k.look(w.k.stage); e != nil {
			return nil, e
		}
	}
	return p, err
}

// stage has lines count from the next packet on.
func (k *keylog) stage(lines []byte) { k.secrets.Stage(lines) }

// block takes the secrets that a capture file brings.
func (k *keylog) block(b pcaps.Block) error {
	if kind, data, ok := b.Secrets(); ok && kind == pcaps.SecretsTLS {
		k.stage(data)
	}
	return nil
}

// within has the keys that are found in files count from where they stand.
func (k *keylog) within(files ...*pcaps.Reader) {
	for _, r := range files {
		if r != nil {
			r.OnBlock = k.block
		}
	}
}

// readers returns what reads the files that a Closer closes.
func readers(c io.Closer) []*pcaps.Reader {
	switch c := c.(type) {
	case *pcaps.Reader:
		return []*pcaps.Reader{c}
	case *pcaps.File:
		return []*pcaps.Reader{c.Reader}
	case abandoned:
		return readers(c.Closer)
	case closers:
		var all []*pcaps.Reader
		for _, one := range c {
			all = append(all, readers(one)...)
		}
		return all
	}
	return nil
}
