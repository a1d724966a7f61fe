package pcaps

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"netlab/capture"
)

// DefaultSnapLen is declared by files whose packets were not cut: what tcpdump
// declares, and what older readers accept.
const DefaultSnapLen = 262144

// Options say what a Writer writes.
type Options struct {
	Format  Format
	Link    capture.LinkType // of a pcap file, which can hold only one
	SnapLen uint32           // 0 is DefaultSnapLen
}

// FormatOf returns the format that the name of a file asks for: pcapng when it
// ends so, else pcap.
func FormatOf(name string) Format {
	if strings.HasSuffix(strings.ToLower(name), ".pcapng") {
		return PcapNG
	}
	return Pcap
}

// Writer writes a capture file with nanosecond timestamps in little-endian byte
// order. It is a capture.Sink. Call Flush at the end.
type Writer struct {
	w      *bufio.Writer
	opts   Options
	ifaces map[ifaceKey]uint32 // pcapng: the interface block of each
	count  int64
	err    error // sticky
	head   [32]byte
}

// ifaceKey is what packets of one interface block share.
type ifaceKey struct {
	link capture.LinkType
	from int
}

// NewWriter writes a capture file to w. The header is written at once.
func NewWriter(w io.Writer, opts Options) (*Writer, error) {
	if opts.SnapLen == 0 {
		opts.SnapLen = DefaultSnapLen
	}
	pw := &Writer{w: bufio.NewWriterSize(w, windowSize), opts: opts}
	le := binary.LittleEndian
	if opts.Format == PcapNG {
		pw.ifaces = make(map[ifaceKey]uint32)
		body := make([]byte, 16)
		le.PutUint32(body, byteOrderMagic)
		le.PutUint16(body[4:], 1)
		le.PutUint64(body[8:], ^uint64(0)) // a section of unknown length
		pw.block(blockSection, body)
		return pw, pw.err
	}
	h := make([]byte, pcapHeaderLen)
	le.PutUint32(h, magicNano)
	le.PutUint16(h[4:], 2)
	le.PutUint16(h[6:], 4)
	le.PutUint32(h[16:], opts.SnapLen)
	le.PutUint32(h[20:], uint32(opts.Link))
	pw.write(h)
	return pw, pw.err
}

// Packets returns how many packets were written.
func (w *Writer) Packets() int64 { return w.count }

// WritePacket adds p to the file.
func (w *Writer) WritePacket(p *capture.Packet) error {
	if w.err != nil {
		return w.err
	}
	if w.opts.Format == PcapNG {
		w.enhanced(p)
	} else {
		w.record(p)
	}
	if w.err == nil {
		w.count++
	}
	return w.err
}

// Flush hands what was written to the file underneath, also after a packet that
// could not be.
func (w *Writer) Flush() error {
	if err := w.w.Flush(); err != nil && w.err == nil {
		w.err = fmt.Errorf("pcaps: write: %w", err)
	}
	return w.err
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	if _, err := w.w.Write(b); err != nil {
		w.err = fmt.Errorf("pcaps: write packet %d: %w", w.count+1, err)
	}
}

// record writes p as pcap has it.
func (w *Writer) record(p *capture.Packet) {
	if p.Link != w.opts.Link {
		w.err = fmt.Errorf("pcaps: packet %d is of link type %s in a pcap file of %s; a file named .pcapng can hold both", w.count+1, p.Link, w.opts.Link)
		return
	}
	le, h := binary.LittleEndian, w.head[:16]
	le.PutUint32(h, uint32(p.Time.Unix()))
	le.PutUint32(h[4:], uint32(p.Time.Nanosecond()))
	le.PutUint32(h[8:], uint32(len(p.Data)))
	le.PutUint32(h[12:], uint32(p.Length))
	w.write(h)
	w.write(p.Data)
}

// enhanced writes p as an Enhanced Packet Block, after the block of its
// interface when that is new.
func (w *Writer) enhanced(p *capture.Packet) {
	le := binary.LittleEndian
	key := ifaceKey{p.Link, p.Interface}
	id, ok := w.ifaces[key]
	if !ok {
		id = uint32(len(w.ifaces))
		w.ifaces[key] = id
		body := make([]byte, 8, 20)
		le.PutUint16(body, uint16(p.Link))
		le.PutUint32(body[4:], w.opts.SnapLen)
		// if_tsresol of 9: nanoseconds. Then the end of the options.
		body = append(body, optionTSResol, 0, 1, 0, 9, 0, 0, 0, optionEnd, 0, 0, 0)
		w.block(blockInterface, body)
	}
	pad := -len(p.Data) & 3
	total := uint32(32 + len(p.Data) + pad)
	ts := uint64(p.Time.UnixNano())
	h := w.head[:28]
	le.PutUint32(h, blockEnhanced)
	le.PutUint32(h[4:], total)
	le.PutUint32(h[8:], id)
	le.PutUint32(h[12:], uint32(ts>>32))
	le.PutUint32(h[16:], uint32(ts))
	le.PutUint32(h[20:], uint32(len(p.Data)))
	le.PutUint32(h[24:], uint32(p.Length))
	w.write(h)
	w.write(p.Data)
	tail := w.head[:8]
	clear(tail[:4])
	le.PutUint32(tail[pad:], total)
	w.write(tail[:pad+4])
}

// block writes a block whose body is a multiple of four bytes.
func (w *Writer) block(typ uint32, body []byte) {
	le := binary.LittleEndian
	b := make([]byte, 8, 12+len(body))
	total := uint32(12 + len(body))
	le.PutUint32(b, typ)
	le.PutUint32(b[4:], total)
	b = append(b, body...)
	w.write(le.AppendUint32(b, total))
}

// NewFile is a Writer of a file that it made.
type NewFile struct {
	*Writer
	f *os.File
}

// Create makes a capture file at path, which only its owner can read: traffic is
// private. A file that is there is overwritten.
func Create(path string, opts Options) (*NewFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("pcaps: create: %w", err)
	}
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			f.Close()
			return nil, fmt.Errorf("pcaps: make private: %w", err)
		}
	}
	w, err := NewWriter(f, opts)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &NewFile{Writer: w, f: f}, nil
}

// Close flushes and closes the file.
func (f *NewFile) Close() error {
	err := f.Flush()
	if cerr := f.f.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("pcaps: close: %w", cerr))
	}
	return err
}
