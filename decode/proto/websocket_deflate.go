package proto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"

	"netlab/decode/flow"
)

// webSocketWith is what WebSocket has to know of the response that agreed upon it:
// the extensions, a line each.
func webSocketWith(h *HTTPMessage) string {
	var b strings.Builder
	h.Values("Sec-WebSocket-Extensions", func(v string) {
		if b.Len() < maxExtensions {
			b.WriteString(v)
			b.WriteByte('\n')
		}
	})
	return b.String()
}

// maxExtensions bounds them, about.
const maxExtensions = 1 << 10

// webSocketExtensions are those of webSocketWith.
func webSocketExtensions(with string) []string {
	return strings.Split(with, "\n")
}

// parseDeflate finds what was agreed upon for permessage-deflate (RFC 7692, section
// 7.1), for each direction; nil when it was not.
func parseDeflate(extensions []string) (sides [2]*deflateSide) {
	for _, e := range extensions {
		name, params, _ := strings.Cut(e, ";")
		if trimSpace(name) != "permessage-deflate" {
			continue
		}
		sides = [2]*deflateSide{{takeover: true, size: maxWindow}, {takeover: true, size: maxWindow}}
		for p := range strings.SplitSeq(params, ";") {
			key, value, _ := strings.Cut(p, "=")
			key, value = trimSpace(key), strings.Trim(trimSpace(value), `"`)
			d := flow.ClientToServer
			if strings.HasPrefix(key, "server_") {
				d = flow.ServerToClient
			}
			switch key {
			case "server_no_context_takeover", "client_no_context_takeover":
				sides[d].takeover = false
			case "server_max_window_bits", "client_max_window_bits":
				if bits, err := strconv.Atoi(value); err == nil && 8 <= bits && bits <= 15 {
					sides[d].size = 1 << bits
				}
			}
		}
		return sides
	}
	return sides
}

// Bounds of decompression. A window is 32 KiB at most (RFC 1951). Deflate makes 1032
// bytes of one at best: what a direction sends may grow 64 times, and by maxInflated
// beside, before the rest is not looked at. A message may hold several deflate
// streams, each of which begins with a copy of the window.
const (
	maxWindow         = 32 << 10
	maxInflated       = 64 << 20
	maxGrowth         = 64
	maxDeflateStreams = 16
)

// deflateSide takes the compression off the messages of a direction.
type deflateSide struct {
	takeover bool   // a message may refer to those before it
	size     int    // of the window
	window   []byte // the end of what was said so far
	gone     string // why that is not known any more
	credit   int64  // how many bytes may still come out
	begun    bool
}

// lose notes that a message was not seen whole.
func (x *deflateSide) lose(why string) {
	if x.takeover && x.gone == "" {
		x.gone, x.window = "an earlier message, to which it may refer, is not known: "+why, nil
	}
}

// inflater is a decompressor with what it reads from and into.
type inflater struct {
	src  bytes.Reader
	r    io.ReadCloser
	buf  [4 << 10]byte
	data []byte
}

// inflaters are those that nobody uses: each is 40 KiB.
var inflaters = sync.Pool{New: func() any {
	i := new(inflater)
	i.r = flate.NewReader(&i.src)
	return i
}}

// deflateTail is what the sender takes off a message (RFC 7692, section 7.2.2), with
// an empty last block behind it.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

var errInflated = errors.New("too much comes out of it")

// inflate takes the compression off a message. It returns the first keep bytes, how
// many there are, and what is wrong, by the sender's fault or not.
func (x *deflateSide) inflate(data []byte, keep int) (content []byte, n int64, problem string, malformed bool) {
	if x.gone != "" {
		return nil, -1, x.gone, false
	}
	if !x.begun {
		x.begun, x.credit = true, maxInflated
	}
	x.credit += maxGrowth * int64(len(data))
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.data = append(append(i.data[:0], data...), deflateTail...)
	if !x.takeover {
		x.window = x.window[:0]
	}
	err := x.run(i, func(b []byte) {
		n += int64(len(b))
		content = append(content, b[:min(len(b), keep-len(content))]...)
	})
	if cap(i.data) > maxIdle {
		i.data = nil
	}
	i.src.Reset(nil)
	if !x.takeover {
		x.window = nil // no other message refers to it
	}
	if err == nil {
		return content, n, "", false
	}
	problem = err.Error()
	var corrupt flate.CorruptInputError
	var internal flate.InternalError
	if errors.As(err, &corrupt) || errors.As(err, &internal) {
		problem = "it is corrupt" // where and how, depends on what the reader had read before
	}
	x.lose(problem)
	return content, -1, problem, true
}

// run shows out what comes out of i.data.
func (x *deflateSide) run(i *inflater, out func([]byte)) error {
	i.src.Reset(i.data)
	for range maxDeflateStreams {
		if err := i.r.(flate.Resetter).Reset(&i.src, x.window); err != nil {
			return err
		}
		for {
			n, err := i.r.Read(i.buf[:])
			if x.credit -= int64(n); x.credit < 0 {
				x.gone, x.window = errInflated.Error(), nil
				return errInflated
			}
			out(i.buf[:n])
			x.remember(i.buf[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
		}
		if i.src.Len() == 0 {
			return nil
		}
		// The sender ended a stream inside of the message (RFC 7692, section
		// 7.2.3.4).
	}
	return fmt.Errorf("more than %d deflate streams", maxDeflateStreams)
}

// remember puts b behind the window.
func (x *deflateSide) remember(b []byte) {
	if len(x.window)+len(b) > 2*x.size {
		if len(b) >= x.size {
			x.window = x.window[:0]
			b = b[len(b)-x.size:]
		} else {
			n := min(len(x.window), x.size-len(b))
			x.window = x.window[:copy(x.window, x.window[len(x.window)-n:])]
		}
	}
	x.window = append(x.window, b...)
}
