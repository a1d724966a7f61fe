package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/google/gopacket/tcpassembly"
	"github.com/google/gopacket/tcpassembly/tcpreader"
)

// gopacketCommand does what programs made with gopacket do. It uses tcpassembly:
// its younger twin, reassembly, can't be linked beside it, for both want the same
// flag.
func gopacketCommand(_ context.Context, std stdio, args []string) error {
	if len(args) != 2 {
		return usageError("it takes MODE and FILE")
	}
	var g gopacketPeer
	switch args[0] {
	case "layers":
	case "tcpassembly":
		g.assembler = tcpassembly.NewAssembler(tcpassembly.NewStreamPool(&byteStreams{peer: &g}))
	case "http":
		g.assembler = tcpassembly.NewAssembler(tcpassembly.NewStreamPool(&httpStreams{peer: &g}))
	default:
		return usageError(fmt.Sprintf("MODE is layers, tcpassembly or http, not %q", args[0]))
	}
	f, err := os.Open(args[1])
	if err != nil {
		return err
	}
	defer f.Close()
	if err := g.decode(f); err != nil {
		return fmt.Errorf("decode %s: %w", args[1], err)
	}
	fmt.Fprintf(std.out, "%d packets, %d streams, %d bytes, %d requests, %d responses\n", g.packets, g.streams.Load(), g.bytes.Load(), g.requests.Load(), g.responses.Load())
	return nil
}

// gopacketPeer decodes with a DecodingLayerParser, which allocates nothing, and
// hands TCP to an Assembler where there is one.
type gopacketPeer struct {
	assembler *tcpassembly.Assembler
	packets   int64
	streams   atomic.Int64
	bytes     atomic.Int64
	requests  atomic.Int64
	responses atomic.Int64
	reading   sync.WaitGroup
}

// How often streams that say nothing more are let go of, and which.
const (
	gopacketFlushEvery = 100_000 // packets
	gopacketIdle       = time.Minute
)

func (g *gopacketPeer) decode(src io.Reader) error {
	r, err := pcapgo.NewReader(bufio.NewReaderSize(src, 1<<20))
	if err != nil {
		return err
	}
	var (
		eth     layers.Ethernet
		ip      layers.IPv4
		tcp     layers.TCP
		udp     layers.UDP
		payload gopacket.Payload
		decoded []gopacket.LayerType
	)
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip, &tcp, &udp, &payload)
	parser.IgnoreUnsupported = true
	for {
		data, info, err := r.ZeroCopyReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		g.packets++
		payload = nil
		if err := parser.DecodeLayers(data, &decoded); err != nil {
			continue
		}
		if g.assembler == nil {
			g.bytes.Add(int64(len(payload)))
			continue
		}
		for _, layer := range decoded {
			if layer == layers.LayerTypeTCP {
				g.assembler.AssembleWithTimestamp(ip.NetworkFlow(), &tcp, info.Timestamp)
			}
		}
		if g.packets%gopacketFlushEvery == 0 {
			g.assembler.FlushOlderThan(info.Timestamp.Add(-gopacketIdle))
		}
	}
	if g.assembler != nil {
		g.assembler.FlushAll()
	}
	g.reading.Wait()
	return nil
}

// byteStreams counts the bytes of streams.
type byteStreams struct{ peer *gopacketPeer }

func (s *byteStreams) New(_, _ gopacket.Flow) tcpassembly.Stream {
	s.peer.streams.Add(1)
	return s
}

func (s *byteStreams) Reassembled(rs []tcpassembly.Reassembly) {
	for _, r := range rs {
		s.peer.bytes.Add(int64(len(r.Bytes)))
	}
}

func (s *byteStreams) ReassemblyComplete() {}

// httpStreams reads streams with net/http, which takes a goroutine for each.
type httpStreams struct{ peer *gopacketPeer }

func (s *httpStreams) New(_, _ gopacket.Flow) tcpassembly.Stream {
	s.peer.streams.Add(1)
	r := tcpreader.NewReaderStream()
	s.peer.reading.Add(1)
	go func() {
		defer s.peer.reading.Done()
		s.peer.read(bufio.NewReader(&r))
	}()
	return &r
}

// read reads messages until one can't be.
func (g *gopacketPeer) read(r *bufio.Reader) {
	defer tcpreader.DiscardBytesToEOF(r) // or the assembler waits for ever
	for {
		first, err := r.Peek(5)
		if err != nil {
			return
		}
		var body io.ReadCloser
		var count *atomic.Int64
		if string(first) == "HTTP/" {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				return
			}
			body, count = resp.Body, &g.responses
		} else {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body, count = req.Body, &g.requests
		}
		n, err := io.Copy(io.Discard, body)
		body.Close()
		if err != nil {
			return
		}
		g.bytes.Add(n)
		count.Add(1)
	}
}
