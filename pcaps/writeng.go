package pcaps

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"time"

	"netlab/capture"
)

// section begins a pcapng file.
func (w *Writer) section() {
	le := binary.LittleEndian
	body := make([]byte, 16)
	le.PutUint32(body, byteOrderMagic)
	le.PutUint16(body[4:], 1)
	le.PutUint64(body[8:], ^uint64(0)) // a section of unknown length
	w.block(blockSection, body)
}

// iface declares an interface, and returns its number in the file.
func (w *Writer) iface(key ifaceKey, i Interface) uint32 {
	le := binary.LittleEndian
	id := uint32(len(w.ifaces))
	w.ifaces[key] = id
	body := make([]byte, 8, 48)
	le.PutUint16(body, uint16(key.link))
	le.PutUint32(body[4:], cmp.Or(i.SnapLen, w.opts.SnapLen))
	if i.Name != "" {
		body = option(body, optionIfName, []byte(i.Name))
	}
	resolution := byte(9) // nanoseconds: 10^-9
	if w.opts.Micro {
		resolution = 6
	}
	body = option(body, optionTSResol, []byte{resolution})
	w.block(blockInterface, option(body, optionEnd, nil))
	return id
}

// aroundPacket is what an Enhanced Packet Block has beside the packet and its padding.
const aroundPacket = 32

// maxComment bounds a comment: an option counts its bytes with 16 bits.
const maxComment = 1<<16 - 1

// enhanced writes p as an Enhanced Packet Block, after the block of its
// interface when that is new.
func (w *Writer) enhanced(p *capture.Packet, comments []string) error {
	around := aroundPacket + 3
	var options []byte
	for _, c := range comments {
		options = option(options, OptionComment, []byte(c[:min(len(c), maxComment)]))
	}
	if len(options) > 0 {
		options = option(options, optionEnd, nil)
		around += len(options)
	}
	if err := w.room(around, len(p.Data)); err != nil {
		return err
	}
	key := ifaceKey{p.Link, p.Interface}
	id, ok := w.ifaces[key]
	if !ok {
		var i Interface
		if w.opts.Describe != nil {
			i = w.opts.Describe(p.Interface)
		}
		id = w.iface(key, i)
		if err := w.room(around, len(p.Data)); err != nil {
			return err
		}
	}
	le := binary.LittleEndian
	pad := -len(p.Data) & 3
	total := uint32(aroundPacket + len(p.Data) + pad + len(options))
	ts := w.ticks(p.Time.UnixNano())
	b := le.AppendUint32(w.buf, blockEnhanced)
	b = le.AppendUint32(b, total)
	b = le.AppendUint32(b, id)
	b = le.AppendUint32(b, uint32(ts>>32))
	b = le.AppendUint32(b, uint32(ts))
	b = le.AppendUint32(b, uint32(len(p.Data)))
	w.buf = le.AppendUint32(b, uint32(p.Length))
	w.tail = append(append(w.tail[:0], 0, 0, 0)[:pad], options...)
	w.tail = le.AppendUint32(w.tail, total)
	return w.data(p.Data, w.tail)
}

// block adds a block whose body is a multiple of four bytes.
func (w *Writer) block(typ uint32, body []byte) {
	le := binary.LittleEndian
	total := uint32(12 + len(body))
	w.buf = le.AppendUint32(w.buf, typ)
	w.buf = le.AppendUint32(w.buf, total)
	w.buf = append(w.buf, body...)
	w.buf = le.AppendUint32(w.buf, total)
}

// option appends an option to the body of a block.
func option(body []byte, code uint16, value []byte) []byte {
	body = binary.LittleEndian.AppendUint16(body, code)
	body = binary.LittleEndian.AppendUint16(body, uint16(len(value)))
	body = append(body, value...)
	return append(body, 0, 0, 0)[:len(body)+(-len(value)&3)]
}

// Counts are what is known of an interface when its packets were captured. What is
// negative is not known.
type Counts struct {
	Start, End time.Time
	// Received counts the packets that came in, Accepted those that a filter let
	// pass; IfDropped what the interface lost, OSDropped what the system had no room
	// for, Delivered what the capturing program got.
	Received, Accepted, IfDropped, OSDropped, Delivered int64
}

// Statistics adds an Interface Statistics Block for the i-th of Options.Interfaces
// (draft-ietf-opsawg-pcapng, section 4.6). In a pcap file there is no place for it, and
// nothing is written.
func (w *Writer) Statistics(i int, c Counts) error {
	if w.opts.Format != PcapNG || w.err != nil {
		return w.err
	}
	le := binary.LittleEndian
	stamp := func(b []byte, t time.Time) []byte {
		ts := w.ticks(t.UnixNano())
		return le.AppendUint32(le.AppendUint32(b, uint32(ts>>32)), uint32(ts))
	}
	body := stamp(le.AppendUint32(nil, uint32(i)), c.End)
	body = option(body, 2, stamp(nil, c.Start)) // isb_starttime
	body = option(body, 3, stamp(nil, c.End))   // isb_endtime
	// isb_ifrecv and those that follow.
	for k, n := range [...]int64{c.Received, c.IfDropped, c.Accepted, c.OSDropped, c.Delivered} {
		if n >= 0 {
			body = option(body, uint16(4+k), le.AppendUint64(nil, uint64(n)))
		}
	}
	return w.add(blockStatistics, option(body, optionEnd, nil))
}

// Secrets adds a Decryption Secrets Block, as of the kind SecretsTLS. It should stand
// before the packets that need it. A pcap file has no place for it, which is an error.
func (w *Writer) Secrets(kind uint32, data []byte) error {
	if w.opts.Format != PcapNG {
		return fmt.Errorf("pcaps: a pcap file has no place for secrets; one named .pcapng has")
	}
	le := binary.LittleEndian
	body := le.AppendUint32(le.AppendUint32(nil, kind), uint32(len(data)))
	body = append(body, data...)
	return w.add(blockSecrets, append(body, 0, 0, 0)[:len(body)+(-len(data)&3)])
}

// add adds a block that stands between packets.
func (w *Writer) add(typ uint32, body []byte) error {
	if w.err != nil {
		return w.err
	}
	if err := w.room(12+len(body), 0); err != nil {
		w.err = fmt.Errorf("pcaps: write: %w", err)
		return w.err
	}
	w.block(typ, body)
	return nil
}
