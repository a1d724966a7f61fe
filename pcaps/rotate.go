package pcaps

import (
	"fmt"
	"os"
	"time"

	"netlab/capture"
)

// Rotation says when a capture goes on in another file, and how many stay.
type Rotation struct {
	Size  int64         // bytes that a file may have; 0 is any
	Every time.Duration // of the packets in a file; 0 is any
	Keep  int           // files that stay, the one being written too; 0 is all
	// Begin is called with each new file, End with each that is about to be closed.
	Begin, End func(*NewFile) error
}

// Rotating writes packets to one file after the other. It is a capture.Sink and a
// capture.Flusher.
type Rotating struct {
	Rotation
	path    string
	opts    Options
	current *NewFile
	begin   time.Time // of current
	made    int
	names   []string // of the files that stay
	before  int64    // packets in those before current
	err     error
}

// CreateRotating makes the first file. Those that follow are named for the time of their
// first packet, the first one for now: app.pcap becomes app_00001_20261128151611.pcap.
func CreateRotating(path string, opts Options, r Rotation, now time.Time) (*Rotating, error) {
	s := &Rotating{Rotation: r, path: path, opts: opts}
	return s, s.open(now)
}

// open makes the next file, and removes the one that is too old to stay.
func (s *Rotating) open(at time.Time) error {
	stem, format, compression := splitName(s.path)
	s.made++
	name := fmt.Sprintf("%s_%05d_%s%s%s", stem, s.made, at.UTC().Format("20060102150405"), format, compression)
	var err error
	if s.current, err = Create(name, s.opts); err != nil {
		return err
	}
	s.begin = at
	s.names = append(s.names, name)
	if s.Keep > 0 && len(s.names) > s.Keep {
		if err := os.Remove(s.names[0]); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("pcaps: rotate: %w", err)
		}
		s.names = s.names[1:]
	}
	if s.Begin != nil {
		return s.Begin(s.current)
	}
	return nil
}

// WritePacket adds p to the file, or to another if it has grown too large or too old. A
// packet is in one file only.
func (s *Rotating) WritePacket(p *capture.Packet) error {
	if s.err != nil {
		return s.err
	}
	if s.full(p) {
		if s.err = s.close(); s.err == nil {
			s.err = s.open(p.Time)
		}
		if s.err != nil {
			return s.err
		}
	}
	s.err = s.current.WritePacket(p)
	return s.err
}

// full reports whether p belongs into another file. One packet has room in any.
func (s *Rotating) full(p *capture.Packet) bool {
	if s.current.Packets() == 0 {
		return false
	}
	if s.Every > 0 && p.Time.Sub(s.begin) >= s.Every {
		return true
	}
	return s.Size > 0 && s.current.Stored()+int64(aroundPacket+len(p.Data)+3) > s.Size
}

func (s *Rotating) close() error {
	if s.current == nil {
		return nil
	}
	var err error
	if s.End != nil {
		err = s.End(s.current)
	}
	if e := s.current.Close(); err == nil {
		err = e
	}
	s.before += s.current.Packets()
	s.current = nil
	return err
}

// Flush has the files hold all packets so far.
func (s *Rotating) Flush() error {
	if s.err != nil || s.current == nil {
		return s.err
	}
	s.err = s.current.Flush()
	return s.err
}

// Secrets adds them to the current file.
func (s *Rotating) Secrets(kind uint32, data []byte) error { return s.current.Secrets(kind, data) }

// Packets returns how many packets are in the files, also in those that did not stay.
func (s *Rotating) Packets() int64 {
	if s.current == nil {
		return s.before
	}
	return s.before + s.current.Packets()
}

// Files returns how many files were made, and the names of those that are there.
func (s *Rotating) Files() (made int, names []string) { return s.made, s.names }

// Close closes the last file.
func (s *Rotating) Close() error { return s.close() }
