package pcaps

import "netlab/capture"

// Conversion says what Convert makes of packets.
type Conversion struct {
	// Keep says which packets are copied; nil copies all. The packets are numbered as
	// those of the merged sources are.
	Keep Keep
	// SnapLen cuts packets to so many bytes; 0 cuts none.
	SnapLen int
}

// Converted is what became of the packets, and of what else was in the files.
type Converted struct {
	Packets int64 // that were copied
	LeftOut int64 // that Keep refused
	Cut     int64 // of those copied, by SnapLen
	// Comments counts the comments of packets that came along, Lost what there was no
	// place for: comments of packets and of other blocks, secrets, names, statistics, and
	// blocks that nobody knows.
	Comments, Lost int64
}

// Convert copies what readers read, which were not read from yet, into a file of another
// kind, in the order of time. Interfaces keep their names, packets their comments, and
// secrets stand before the packets that stood behind them. A pcap file, which can hold one
// link type, gets that of the first packet.
//
// A damaged file is copied up to the damage, which is then the error.
func Convert(w *Writer, readers []*Reader, c Conversion) (Converted, error) {
	k := &converter{w: w, readers: readers, how: c}
	sources := make([]capture.Source, len(readers))
	for i, r := range readers {
		sources[i] = r
		see := r.OnBlock
		defer func() { r.OnBlock = see }()
		r.OnBlock = func(b Block) error {
			if see != nil {
				if err := see(b); err != nil {
					return err
				}
			}
			return k.block(b)
		}
	}
	w.opts.Describe = k.describe
	_, err := capture.Copy(k, Merge(sources...))
	if e := w.Flush(); err == nil {
		err = e
	}
	return k.done, err
}

// converter is a Sink of what its readers have just read.
type converter struct {
	w       *Writer
	readers []*Reader
	how     Conversion
	done    Converted
}

// describe says what is known of an interface of the merged sources.
func (k *converter) describe(i int) Interface {
	n := len(k.readers)
	iface := k.readers[i%n].Interfaces()[i/n]
	if snap := uint32(k.how.SnapLen); snap > 0 && (iface.SnapLen == 0 || iface.SnapLen > snap) {
		iface.SnapLen = snap
	}
	return iface
}

func (k *converter) WritePacket(p *capture.Packet) error {
	if k.how.Keep != nil {
		if ok, err := k.how.Keep(p); !ok || err != nil {
			k.done.LeftOut++
			return err
		}
	}
	var comments []string
	for code, value := range k.readers[p.Interface%len(k.readers)].Block().Options() {
		if code == OptionComment {
			comments = append(comments, string(value))
		}
	}
	if k.w.opts.Format == PcapNG {
		k.done.Comments += int64(len(comments))
	} else {
		k.done.Lost += int64(len(comments))
	}
	if n := k.how.SnapLen; n > 0 && len(p.Data) > n {
		short := *p
		short.Data = p.Data[:n]
		p = &short
		k.done.Cut++
	}
	if k.done.Packets == 0 {
		k.w.begin(p.Link)
	}
	if err := k.w.WriteCommented(p, comments...); err != nil {
		return err
	}
	k.done.Packets++
	return nil
}

// block carries secrets over, and counts what is lost.
func (k *converter) block(b Block) error {
	if kind, data, ok := b.Secrets(); ok && k.w.opts.Format == PcapNG {
		return k.w.Secrets(kind, data)
	}
	switch b.Type {
	case blockSection, blockInterface:
		for code := range b.Options() {
			if code == OptionComment {
				k.done.Lost++
			}
		}
	default:
		k.done.Lost++
	}
	return nil
}
