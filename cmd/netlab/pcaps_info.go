package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"netlab/decode/printer"
	"netlab/pcaps"
)

func pcapsInfoCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "info",
		Usage:     "say what capture files are, without decoding them",
		ArgsUsage: "FILE...",
		Description: "Kind, times, rates, interfaces, what was dropped, comments, and the SHA-256 of the file as it lies there.\n\n" +
			"Example: netlab pcaps info bug.pcapng",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON Lines, a record for each file"}},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				_, err := oneFile(c)
				return err
			}
			for i, name := range c.Args().Slice() {
				info, err := std.inspect(name)
				if err != nil {
					return err
				}
				if c.Bool("json") {
					err = json.NewEncoder(std.out).Encode(info.record())
				} else {
					_, err = io.WriteString(std.out, strings.Repeat("\n", min(i, 1))+info.text())
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// inspected is a file and what is known of it.
type inspected struct {
	*pcaps.Info
	name string
	size int64 // as it lies there; -1 when that is not known
	sum  string
}

// inspect reads a file to its end.
func (std stdio) inspect(name string) (*inspected, error) {
	hash, count := sha256.New(), &counter{}
	tee := std
	tee.in = io.TeeReader(std.in, io.MultiWriter(hash, count))
	_, closer, err := tee.openFile(name)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	i := &inspected{name: name, size: -1}
	if i.Info, err = pcaps.Inspect(readers(closer)[0]); err != nil {
		return nil, err
	}
	switch {
	case name == "-":
		if _, err := io.Copy(io.Discard, tee.in); err != nil { // behind the damage
			return nil, err
		}
	case isPath(name):
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
			return i, err // it was read, and can't be again
		}
		if _, err := io.Copy(io.MultiWriter(hash, count), f); err != nil {
			return nil, err
		}
	default:
		return i, nil
	}
	i.size, i.sum = count.n, hex.EncodeToString(hash.Sum(nil))
	return i, nil
}

type counter struct{ n int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return len(b), nil
}

// kind names format and variant.
func (i *inspected) kind() string {
	s := i.Format.String()
	if i.Format == pcaps.Pcap {
		s += ", times in " + i.precision()
	} else {
		s += ", " + printer.Count(int64(i.Sections), "section")
	}
	if i.BigEndian {
		s += ", big-endian"
	}
	if i.Compression != "" {
		s += ", in " + i.Compression
	}
	return s
}

func (i *inspected) precision() string {
	if i.Nano {
		return "nanoseconds"
	}
	return "microseconds"
}

// rates are how long the packets take, and what is per second of it.
func (i *inspected) rates() (took time.Duration, packets, bits float64) {
	took = i.Last.Sub(i.First)
	if s := took.Seconds(); s > 0 {
		packets, bits = float64(i.Packets)/s, 8*float64(i.WireBytes)/s
	}
	return took, packets, bits
}

// text is what is known, a line each.
func (i *inspected) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, printer.Clean(fmt.Sprintf(format, args...)))
	}
	line("file", "%s", i.name)
	line("kind", "%s", i.kind())
	if i.size >= 0 {
		line("size", "%s (%d bytes)", printer.Bytes(i.size), i.size)
		line("sha256", "%s", i.sum)
	}
	packets := printer.Count(i.Packets, "packet")
	if i.Cut > 0 {
		packets += fmt.Sprintf(", %d of them cut", i.Cut)
	}
	line("packets", "%s; %s captured of %s", packets, printer.Bytes(i.Bytes), printer.Bytes(i.WireBytes))
	if i.Packets > 0 {
		took, perSecond, bits := i.rates()
		line("from", "%s", i.First.Format(time.RFC3339Nano))
		line("to", "%s, %s later", i.Last.Format(time.RFC3339Nano), printer.Duration(took))
		line("rate", "%.1f packets and %.0f bits a second, %d bytes a packet", perSecond, bits, i.WireBytes/i.Packets)
		order := "in the order of time"
		if i.Backwards > 0 {
			order = fmt.Sprintf("not in the order of time: %s earlier than the one before", printer.Count(i.Backwards, "packet"))
		}
		line("order", "%s", order)
	}
	for n := range i.Interfaces {
		line("interface", "%s", (*interfaceInfo)(&i.Interfaces[n]).text(n))
	}
	for _, pair := range [][2]string{{"made by", i.Application}, {"on", i.OS}, {"hardware", i.Hardware}} {
		if pair[1] != "" {
			line(pair[0], "%s", pair[1])
		}
	}
	for _, c := range i.Comments {
		line("comment", "%s", c)
	}
	if n := i.CommentCount - int64(len(i.Comments)); n > 0 {
		line("comment", "and %d more", n)
	}
	if i.PacketComments+i.Secrets+i.Names+i.Unknown > 0 {
		line("beside", "%s of packets; blocks: %d of secrets, %d of names, %d of others", printer.Count(i.PacketComments, "comment"), i.Secrets, i.Names, i.Unknown)
	}
	if i.Damage != "" {
		line("damaged", "%s", i.Damage)
	}
	return b.String()
}

// text is what is known of the n-th interface.
func (i *interfaceInfo) text(n int) string {
	s := fmt.Sprintf("%d", n)
	if i.Name != "" {
		s += " " + i.Name
	}
	s += fmt.Sprintf(": %s, %s", i.Link, printer.Count(i.Packets, "packet"))
	if i.SnapLen > 0 {
		s += fmt.Sprintf(", up to %d bytes each", i.SnapLen)
	}
	for _, pair := range [][2]string{{", ", i.Description}, {", filter ", i.Filter}, {", on ", i.OS}} {
		if pair[1] != "" {
			s += pair[0] + pair[1]
		}
	}
	if c := i.Statistics; c != nil {
		for _, x := range []struct {
			n    int64
			what string
		}{{c.Received, "received"}, {c.Accepted, "accepted by the filter"}, {c.IfDropped, "dropped by the interface"}, {c.OSDropped, "dropped by the kernel"}, {c.Delivered, "delivered"}} {
			if x.n >= 0 {
				s += fmt.Sprintf(", %d %s", x.n, x.what)
			}
		}
	}
	return s
}

type interfaceInfo pcaps.InterfaceInfo

// infoRecord is a record of netlab pcaps info --json.
type infoRecord struct {
	Type        string            `json:"type"` // "file"
	File        string            `json:"file"`
	Format      string            `json:"format"`
	Compression string            `json:"compression,omitempty"`
	BigEndian   bool              `json:"big_endian,omitempty"`
	Precision   string            `json:"precision,omitempty"` // of a pcap file
	Sections    int               `json:"sections,omitempty"`
	FileBytes   *int64            `json:"file_bytes,omitempty"`
	SHA256      string            `json:"sha256,omitempty"`
	Packets     int64             `json:"packets"`
	Bytes       int64             `json:"bytes"`
	WireBytes   int64             `json:"wire_bytes"`
	Cut         int64             `json:"cut"`
	Longest     int               `json:"longest"`
	First       *time.Time        `json:"first,omitempty"`
	Last        *time.Time        `json:"last,omitempty"`
	Duration    float64           `json:"duration_ms"`
	PacketRate  float64           `json:"packets_per_second"`
	BitRate     float64           `json:"bits_per_second"`
	InOrder     bool              `json:"in_order"`
	Backwards   int64             `json:"backwards"`
	Interfaces  []interfaceRecord `json:"interfaces"`
	Application string            `json:"application,omitempty"`
	OS          string            `json:"os,omitempty"`
	Hardware    string            `json:"hardware,omitempty"`
	Comments    []string          `json:"comments,omitempty"`
	Of          int64             `json:"packet_comments"`
	Secrets     int64             `json:"secrets"`
	Names       int64             `json:"name_blocks"`
	Unknown     int64             `json:"unknown_blocks"`
	Truncated   bool              `json:"truncated"`
	Damage      string            `json:"damage,omitempty"`
}

type interfaceRecord struct {
	Name        string `json:"name,omitempty"`
	Link        string `json:"link"`
	SnapLen     uint32 `json:"snaplen"`
	Packets     int64  `json:"packets"`
	Description string `json:"description,omitempty"`
	Filter      string `json:"filter,omitempty"`
	OS          string `json:"os,omitempty"`
	Received    *int64 `json:"received,omitempty"`
	Accepted    *int64 `json:"accepted,omitempty"`
	IfDropped   *int64 `json:"dropped_by_interface,omitempty"`
	OSDropped   *int64 `json:"dropped_by_kernel,omitempty"`
	Delivered   *int64 `json:"delivered,omitempty"`
}

func (i *inspected) record() *infoRecord {
	took, packets, bits := i.rates()
	r := &infoRecord{
		Type: "file", File: i.name, Format: i.Format.String(), Compression: i.Compression, BigEndian: i.BigEndian, Sections: i.Sections, SHA256: i.sum,
		Packets: i.Packets, Bytes: i.Bytes, WireBytes: i.WireBytes, Cut: i.Cut, Longest: i.Longest,
		Duration: float64(took) / 1e6, PacketRate: packets, BitRate: bits, InOrder: i.Backwards == 0, Backwards: i.Backwards,
		Application: i.Application, OS: i.OS, Hardware: i.Hardware, Comments: i.Comments,
		Of: i.PacketComments, Secrets: i.Secrets, Names: i.Names, Unknown: i.Unknown, Truncated: i.Damage != "", Damage: i.Damage,
	}
	if i.size >= 0 {
		r.FileBytes = &i.size
	}
	if i.Format == pcaps.Pcap {
		r.Precision = i.precision()
	}
	if i.Packets > 0 {
		r.First, r.Last = &i.First, &i.Last
	}
	for n := range i.Interfaces {
		x := &i.Interfaces[n]
		one := interfaceRecord{Name: x.Name, Link: x.Link.String(), SnapLen: x.SnapLen, Packets: x.Packets, Description: x.Description, Filter: x.Filter, OS: x.OS}
		if c := x.Statistics; c != nil {
			known := func(n *int64) *int64 {
				if *n < 0 {
					return nil
				}
				return n
			}
			one.Received, one.Accepted, one.IfDropped = known(&c.Received), known(&c.Accepted), known(&c.IfDropped)
			one.OSDropped, one.Delivered = known(&c.OSDropped), known(&c.Delivered)
		}
		r.Interfaces = append(r.Interfaces, one)
	}
	return r
}
