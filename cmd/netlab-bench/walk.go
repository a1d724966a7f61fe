package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// walkCommand does in Go what peers/walk.c does, but reads the file: the least that
// a decoder in Go has to do.
func walkCommand(_ context.Context, std stdio, args []string) error {
	if len(args) != 1 {
		return usageError("it takes one FILE")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	w := walker{table: make([]tuple, 1<<12)}
	if err := w.walk(f); err != nil {
		return fmt.Errorf("walk %s: %w", args[0], err)
	}
	fmt.Fprintf(std.out, "%d packets, %d 5-tuples, %d bytes of payload\n", w.packets, w.used, w.payload)
	return nil
}

// walker counts what passes.
type walker struct {
	table            []tuple // a power of two
	used             int
	packets, payload int64
}

// tuple is a conversation, its lower end first. packets is 0 in a free place.
type tuple struct {
	addrs, ports     uint64
	packets, payload int64
}

// place returns where a conversation is, or would be.
func (w *walker) place(addrs, ports uint64) *tuple {
	h := (addrs ^ ports*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	for i := h ^ h>>32; ; i++ {
		t := &w.table[i&uint64(len(w.table)-1)]
		if t.packets == 0 || t.addrs == addrs && t.ports == ports {
			return t
		}
	}
}

// grow doubles the table.
func (w *walker) grow() {
	old := w.table
	w.table = make([]tuple, 2*len(old))
	for _, t := range old {
		if t.packets > 0 {
			*w.place(t.addrs, t.ports) = t
		}
	}
}

// walk reads a little-endian pcap file of Ethernet.
func (w *walker) walk(src io.Reader) error {
	const buffer = 1 << 20 // room for any packet there is
	r := bufio.NewReaderSize(src, buffer)
	le := binary.LittleEndian
	head, err := r.Peek(24)
	if err != nil {
		return err
	}
	if magic := le.Uint32(head); magic != 0xa1b2c3d4 && magic != 0xa1b23c4d || le.Uint32(head[20:]) != 1 {
		return errors.New("it is no little-endian pcap file of Ethernet")
	}
	for skip := 24; ; {
		if _, err := r.Discard(skip); err != nil {
			return err
		}
		head, err := r.Peek(16)
		if len(head) == 0 && err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		skip = 16 + int(le.Uint32(head[8:]))
		record, err := r.Peek(skip)
		if err != nil {
			return err
		}
		w.packet(record[16:])
	}
}

// packet reads the headers of Ethernet, IPv4, TCP and UDP.
func (w *walker) packet(p []byte) {
	be := binary.BigEndian
	w.packets++
	if len(p) < 14+20 || be.Uint16(p[12:]) != 0x0800 {
		return
	}
	ip := p[14:]
	if total := int(be.Uint16(ip[2:])); total > 0 && total < len(ip) {
		ip = ip[:total]
	}
	head := int(ip[0]&15) * 4
	if head < 20 || len(ip) < head+8 {
		return
	}
	l4, transport := ip[head:], 8
	switch ip[9] {
	case 6:
		if len(l4) < 20 {
			return
		}
		transport = int(l4[12]>>4) * 4
	case 17:
	default:
		return
	}
	if len(l4) < transport {
		return
	}
	src, dst := uint64(be.Uint32(ip[12:])), uint64(be.Uint32(ip[16:]))
	sport, dport := uint64(be.Uint16(l4)), uint64(be.Uint16(l4[2:]))
	if src > dst || src == dst && sport > dport {
		src, dst, sport, dport = dst, src, dport, sport
	}
	addrs, ports := src<<32|dst, sport<<32|dport<<16|uint64(ip[9])
	t := w.place(addrs, ports)
	if t.packets == 0 {
		if w.used++; w.used*2 > len(w.table) {
			w.grow()
			t = w.place(addrs, ports)
		}
		t.addrs, t.ports = addrs, ports
	}
	t.packets++
	t.payload += int64(len(l4) - transport)
	w.payload += int64(len(l4) - transport)
}
