package pcaps

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

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
	// Interfaces are declared at the beginning of a pcapng file, in the order of
	// Packet.Interface. Those that are not among them are when their first packet comes.
	Interfaces []Interface
	// Describe, where it is set, says of the latter what is known of them, by their
	// Packet.Interface.
	Describe func(i int) Interface
	// Micro has times in microseconds, what is below cut off: some readers know no others.
	Micro bool
}

// Writer writes a capture file with nanosecond timestamps, unless told otherwise, in
// little-endian byte order. It is a capture.Sink. Call Flush at the end.
//
// It hands on whole records only, so that what it writes to can be read at any time, up
// to the last Flush. Only a packet of largePacket bytes or more is written without being
// copied, behind its header.
type Writer struct {
	w      io.Writer
	opts   Options
	ifaces map[ifaceKey]uint32 // pcapng: the interface block of each
	buf    []byte              // records that were not written yet
	tail   []byte              // room for what stands behind a packet
	count  int64               // packets
	err    error               // sticky

	written int64 // bytes that went into w
	whole   int64 // of them, those up to the end of a record
	safe    int64 // packets in these
}

// ifaceKey is what packets of one interface block share.
type ifaceKey struct {
	link capture.LinkType
	from int
}

// largePacket is from where on copying a packet costs more than another system call.
const largePacket = 32 << 10

// NewWriter writes a capture file to w. The header is held back until the first Flush.
func NewWriter(w io.Writer, opts Options) (*Writer, error) {
	if opts.SnapLen == 0 {
		opts.SnapLen = DefaultSnapLen
	}
	pw := &Writer{w: w, opts: opts, buf: make([]byte, 0, windowSize)}
	if opts.Format == PcapNG {
		pw.ifaces = make(map[ifaceKey]uint32)
		pw.section()
		for i, iface := range opts.Interfaces {
			pw.iface(ifaceKey{iface.Link, i}, iface)
		}
		return pw, pw.err
	}
	le := binary.LittleEndian
	h := make([]byte, pcapHeaderLen)
	le.PutUint32(h, magicNano)
	if opts.Micro {
		le.PutUint32(h, magicMicro)
	}
	le.PutUint16(h[4:], 2)
	le.PutUint16(h[6:], 4)
	le.PutUint32(h[16:], opts.SnapLen)
	le.PutUint32(h[20:], uint32(opts.Link))
	pw.buf = append(pw.buf, h...)
	return pw, pw.err
}

// begin makes a pcap file one of packets of a link type, as long as its header is held back.
func (w *Writer) begin(link capture.LinkType) {
	if w.opts.Format == Pcap && w.written == 0 && w.count == 0 {
		w.opts.Link = link
		binary.LittleEndian.PutUint32(w.buf[20:], uint32(link))
	}
}

// Packets returns how many packets were written; after an error, how many of them are
// in the file as a whole.
func (w *Writer) Packets() int64 { return w.count }

// Size returns how many bytes the file has with what is held back.
func (w *Writer) Size() int64 { return w.written + int64(len(w.buf)) }

// WritePacket adds p to the file.
func (w *Writer) WritePacket(p *capture.Packet) error { return w.WriteCommented(p) }

// WriteCommented adds p to the file with comments, which a pcap file has no place for:
// there they are left out.
func (w *Writer) WriteCommented(p *capture.Packet, comments ...string) error {
	if w.err != nil {
		return w.err
	}
	var err error
	number := w.count + 1
	if w.opts.Format == PcapNG {
		err = w.enhanced(p, comments)
	} else {
		err = w.record(p)
	}
	if err != nil {
		w.err = fmt.Errorf("pcaps: write packet %d: %w", number, err)
		return w.err
	}
	w.count++
	return nil
}

// Flush hands what was written to the file underneath, also after a packet that
// could not be.
func (w *Writer) Flush() error {
	if err := w.put(); err != nil && w.err == nil {
		w.err = fmt.Errorf("pcaps: write: %w", err)
	}
	return w.err
}

// room makes room for a record with n bytes around that many of a packet. A large one
// has none before it that are held back.
func (w *Writer) room(n, packet int) error {
	if packet >= largePacket || len(w.buf)+n+packet > windowSize {
		return w.put()
	}
	return nil
}

// put writes what is held back.
func (w *Writer) put() error {
	if len(w.buf) == 0 {
		return nil
	}
	n, err := w.w.Write(w.buf)
	if err == nil {
		w.written += int64(n)
		w.whole, w.safe = w.written, w.count
		w.buf = w.buf[:0]
		return nil
	}
	records, packets := w.wholeIn(max(n, 0))
	w.whole, w.safe = w.written+int64(records), w.safe+packets
	w.written += int64(n)
	w.buf, w.count = w.buf[:0], w.safe
	return err
}

// wholeIn returns how many of the first n bytes of buf are whole records, and how many
// packets these are.
func (w *Writer) wholeIn(n int) (bytes int, packets int64) {
	le := binary.LittleEndian
	b := w.buf
	if w.opts.Format == Pcap && w.written == 0 {
		if n < pcapHeaderLen {
			return 0, 0
		}
		bytes = pcapHeaderLen
	}
	for bytes+12 <= len(b) {
		size, isPacket := recordHeader+int(le.Uint32(b[bytes+8:])), true
		if w.opts.Format == PcapNG {
			size, isPacket = int(le.Uint32(b[bytes+4:])), le.Uint32(b[bytes:]) == blockEnhanced
		}
		if bytes+size > n {
			break
		}
		if bytes += size; isPacket {
			packets++
		}
	}
	return bytes, packets
}

// ticks is a number of nanoseconds in what times are counted in.
func (w *Writer) ticks(ns int64) uint64 {
	if w.opts.Micro {
		ns /= int64(time.Microsecond)
	}
	return uint64(ns)
}

// recordHeader is the length of what stands before a packet in a pcap file.
const recordHeader = 16

// record writes p as pcap has it.
func (w *Writer) record(p *capture.Packet) error {
	if p.Link != w.opts.Link {
		return fmt.Errorf("it is of link type %s in a pcap file of %s; a file named .pcapng can hold both", p.Link, w.opts.Link)
	}
	if err := w.room(recordHeader, len(p.Data)); err != nil {
		return err
	}
	le := binary.LittleEndian
	sec := p.Time.Unix()
	w.buf = le.AppendUint32(w.buf, uint32(sec))
	w.buf = le.AppendUint32(w.buf, uint32(w.ticks(int64(p.Time.Nanosecond()))))
	w.buf = le.AppendUint32(w.buf, uint32(len(p.Data)))
	w.buf = le.AppendUint32(w.buf, uint32(p.Length))
	return w.data(p.Data, nil)
}

// data adds a packet's bytes, and what stands behind them. That a large one's header is
// in the file before it is no harm: what follows completes it.
func (w *Writer) data(b, tail []byte) error {
	if len(b) < largePacket {
		w.buf = append(append(w.buf, b...), tail...)
		return nil
	}
	parts := [...][]byte{w.buf, b, tail}
	w.buf = w.buf[:0]
	for _, part := range parts {
		n, err := w.w.Write(part)
		if w.written += int64(n); err != nil {
			return err
		}
	}
	w.whole, w.safe = w.written, w.count+1
	return nil
}
