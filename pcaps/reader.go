package pcaps

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"netlab/capture"
)

// ErrFormat means that a file is no capture file, or of a kind we can't read.
var ErrFormat = errors.New("not a capture file")

// Format is the kind of a capture file.
type Format int

// The formats that are read and written.
const (
	Pcap Format = iota
	PcapNG
)

func (f Format) String() string {
	if f == PcapNG {
		return "pcapng"
	}
	return "pcap"
}

// Interface is where packets of a file were captured.
type Interface struct {
	Name    string // empty when the file does not say
	Link    capture.LinkType
	SnapLen uint32 // as declared; 0 is no limit
}

// Reader reads a capture file, packet by packet. It is a capture.Source, and a
// capture.Lender. A compressed file is unpacked ahead, in a goroutine that ends
// when all is read or by Close.
type Reader struct {
	// OnBlock, where it is set, sees each block of a pcapng file that holds no
	// packet, in its place between the packets: section and interface headers
	// after they were understood, names, statistics, secrets, and what nobody
	// knows. The Block is valid during the call. An error ends the reading.
	OnBlock func(Block) error

	win    window
	name   string // for errors; may be empty
	format Format
	// compression is its name, or empty.
	compression string
	ahead       *readAhead // where it is compressed
	order       order
	ifaces      []Interface
	packet      capture.Packet
	record      []byte // what was read last, as it stands in the file
	err         error  // sticky

	pcap   pcapState
	pcapng pcapngState
}

// File is a Reader of an open file.
type File struct {
	*Reader
	f *os.File
}

// Open opens the capture file at path, or that in a zip file.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("pcaps: %w", err)
	}
	r, err := openFile(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{Reader: r, f: f}, nil
}

func openFile(f *os.File, path string) (*Reader, error) {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || !isZip(f) {
		return newReader(f, path)
	}
	src, err := openZip(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("pcaps: %s: %w", path, err)
	}
	r, err := newReader(src, path)
	if err == nil && r.compression == "" {
		r.compression = "zip"
	}
	return r, err
}

// Close closes the file.
func (f *File) Close() error {
	if f.ahead != nil {
		f.ahead.stop()
	}
	err := f.f.Close() // which ends a Read that waits for more
	f.Reader.Close()
	return err
}

// NewReader reads a capture file from r, which it reads ahead of what it needs. A
// file that is still being written can be read where r returns capture.ErrIdle in
// place of io.EOF: before the file's header is whole that is the error here.
//
// Whoever does not read to the end closes the Reader, for r may be compressed.
func NewReader(r io.Reader) (*Reader, error) { return newReader(r, "") }

// Close ends the unpacking of a compressed file, and waits for the Read under way
// of what the Reader was made of, which is not closed.
func (r *Reader) Close() error {
	if r.ahead != nil {
		r.ahead.stop()
		r.ahead.wait()
	}
	return nil
}

func newReader(src io.Reader, name string) (*Reader, error) {
	r := &Reader{name: name}
	src, compression, err := decompressed(src)
	if err != nil {
		return nil, fmt.Errorf("pcaps: read %s: %w", r.what(), err)
	}
	r.win, r.compression = newWindow(src), compression
	r.ahead, _ = src.(*readAhead)
	if err := r.open(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// open finds out the format, and reads the file's header.
func (r *Reader) open() error {
	head, err := r.win.peek(4)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return fmt.Errorf("pcaps: %s is empty: %w", r.what(), ErrFormat)
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("pcaps: read %s: %w", r.what(), err)
	}
	open := r.sniff(head)
	if open == nil {
		start, _ := r.win.peek(24)
		if bytes.HasPrefix(start, zipMagic) {
			return fmt.Errorf("pcaps: %s is a zip file, whose directory stands at its end, so it has to be a file with a name: %w", r.what(), ErrFormat)
		}
		inside := ""
		if r.compression != "" {
			inside = ", inside " + r.compression + ","
		}
		return fmt.Errorf("pcaps: %s%s begins with %.24q: %w", r.what(), inside, start, ErrFormat)
	}
	if err := open(); err != nil {
		return fmt.Errorf("pcaps: read the header of %s: %w", r.what(), err)
	}
	return nil
}

// sniff tells the format from the first four bytes, and returns what reads its
// header; nil when no format begins like this.
func (r *Reader) sniff(head []byte) func() error {
	if len(head) < 4 {
		return nil
	}
	switch {
	case bigEndian.u32(head) == blockSection:
		r.format = PcapNG
		return r.openPcapNG
	case r.pcapMagic(head):
		return r.openPcap
	}
	return nil
}

// Format returns the kind of file this is.
func (r *Reader) Format() Format { return r.format }

// Compression names how the file was compressed; empty when it is not.
func (r *Reader) Compression() string { return r.compression }

// Interfaces returns the interfaces that the file has declared so far; a pcap
// file has one.
func (r *Reader) Interfaces() []Interface { return r.ifaces }

// Offset returns how many bytes of the file, decompressed, have been taken.
func (r *Reader) Offset() int64 { return r.win.pos }

// Block returns the block that the last packet came in, for its options, valid as
// long as the packet's Data. That of a pcap file is empty.
func (r *Reader) Block() Block {
	if r.format != PcapNG || len(r.record) < 12 {
		return Block{Order: r.order.byteOrder()}
	}
	return Block{Type: r.order.u32(r.record), Body: r.record[8 : len(r.record)-4], Order: r.order.byteOrder(), whole: r.record}
}

// Lend has the packets read into buffers of the caller, as capture.Lender says.
// Blocks lie there with their packets and stay valid as long.
func (r *Reader) Lend(swap func(used []byte) []byte) { r.win.lend(swap) }

// Next returns the next packet; its Data is valid until the call after. At the
// end of a whole file the error is io.EOF; a file that was cut or is corrupt
// ends in an error that is capture.ErrDamaged.
//
// When what r was made of returns capture.ErrIdle, so does Next, and the next Next
// tries again. The Packet beside it is as late as the one before: a file's time is
// that of its packets.
func (r *Reader) Next() (*capture.Packet, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := r.read(); err != nil {
		if errors.Is(err, capture.ErrIdle) {
			r.packet.Data, r.packet.Length = nil, 0
			return &r.packet, err
		}
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("pcaps: read packet %d of %s: %w", r.packet.Number+1, r.what(), err)
		}
		r.err = err
		return nil, err
	}
	r.packet.Number++
	return &r.packet, nil
}

// read reads a record into packet.
func (r *Reader) read() error {
	if r.format == Pcap {
		return r.nextPcap()
	}
	return r.nextPcapNG()
}

// what names the file in errors.
func (r *Reader) what() string {
	if r.name == "" {
		return "the capture"
	}
	return r.name
}

// damaged is the error of a file that can be read no further.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", capture.ErrDamaged, fmt.Sprintf(format, args...))
}

// cut is the error of a record that the file does not hold to its end; other
// errors of the file's own pass as they are.
func (r *Reader) cut(err error, what string) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return damaged("the file ends inside %s at byte %d", what, r.win.pos)
	}
	return err
}
