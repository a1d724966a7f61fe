//go:build libpcap && cgo

package live

import (
	"errors"
	"strings"
	"time"

	"github.com/google/gopacket/pcap"

	"netlab/capture"
)

// Available reports whether there is an engine.
const Available = true

// Open listens on an interface.
func Open(opts Options) (Handle, error) {
	h, err := activate(opts)
	if err != nil {
		return nil, classify(opts.Interface, err)
	}
	if opts.Filter != "" {
		if err := h.SetBPFFilter(opts.Filter); err != nil {
			h.Close()
			return nil, &FilterError{opts.Filter, err}
		}
	}
	return &pcapHandle{h: h, link: linkType(int(h.LinkType()))}, nil
}

// activate opens the interface. It sets what OpenLive can't: the buffer, and a
// finite timeout without which Close would hang.
func activate(opts Options) (*pcap.Handle, error) {
	in, err := pcap.NewInactiveHandle(opts.Interface)
	if err != nil {
		return nil, err
	}
	defer in.CleanUp()
	snap, buffer := opts.SnapLen, opts.Buffer
	if snap <= 0 {
		snap = defaultSnapLen
	}
	if buffer <= 0 {
		buffer = defaultBuffer
	}
	if err := errors.Join(in.SetSnapLen(snap), in.SetBufferSize(buffer), in.SetTimeout(idle), in.SetPromisc(opts.Promiscuous)); err != nil {
		return nil, err
	}
	if opts.Immediate {
		if err := in.SetImmediateMode(true); err != nil {
			return nil, err
		}
	}
	return in.Activate()
}

// classify tells why an interface can't be listened on.
func classify(name string, err error) error {
	text := err.Error()
	if strings.Contains(text, "ermission") || strings.Contains(text, "not permitted") {
		return &PermissionError{name, errors.New("no permission to capture")}
	}
	return &InterfaceError{name, err, names()}
}

// linkType turns the operating system's number for a link type into that of
// files: they differ for raw IP.
func linkType(dlt int) capture.LinkType {
	switch dlt {
	case 12, 14: // DLT_RAW of Linux, of OpenBSD
		return capture.LinkRaw
	}
	return capture.LinkType(dlt)
}

type pcapHandle struct {
	h      *pcap.Handle
	link   capture.LinkType
	packet capture.Packet
}

func (p *pcapHandle) Link() capture.LinkType { return p.link }

func (p *pcapHandle) Next() (*capture.Packet, error) {
	data, info, err := p.h.ZeroCopyReadPacketData()
	switch {
	case err == nil:
	case errors.Is(err, pcap.NextErrorTimeoutExpired):
		return &capture.Packet{Time: time.Now().UTC()}, capture.ErrIdle
	default:
		return nil, err
	}
	p.packet.Number++
	p.packet.Time = info.Timestamp.UTC()
	p.packet.Data, p.packet.Length = data, info.Length
	p.packet.Link = p.link
	return &p.packet, nil
}

func (p *pcapHandle) Stats() (Stats, error) {
	s, err := p.h.Stats()
	if err != nil {
		return Stats{}, err
	}
	return Stats{Received: int64(s.PacketsReceived), Dropped: int64(s.PacketsDropped), IfDropped: int64(s.PacketsIfDropped)}, nil
}

func (p *pcapHandle) Close() { p.h.Close() }
