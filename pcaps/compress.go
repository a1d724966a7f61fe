package pcaps

import (
	"io"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// compressor makes what is written to it smaller. What was flushed can be unpacked, even
// if it is never closed.
type compressor interface {
	io.WriteCloser
	Flush() error
}

// compressors are known by how the names of files end. They are set for speed: traffic
// does not wait.
var compressors = map[string]func(io.Writer) (compressor, error){
	".gz": func(w io.Writer) (compressor, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) },
	".zst": func(w io.Writer) (compressor, error) {
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	},
	".lz4": func(w io.Writer) (compressor, error) {
		c := lz4.NewWriter(w)
		return c, c.Apply(lz4.BlockSizeOption(lz4.Block256Kb))
	},
}

// splitName cuts a name where its endings begin: app.pcapng.gz is app, .pcapng and .gz.
func splitName(name string) (stem, format, compression string) {
	if ext := filepath.Ext(name); compressors[strings.ToLower(ext)] != nil {
		name, compression = strings.TrimSuffix(name, ext), ext
	}
	format = filepath.Ext(name)
	return strings.TrimSuffix(name, format), format, compression
}

// FormatOf returns the format that the name of a file asks for: pcapng when it
// ends so, perhaps before an ending that asks for compression, else pcap.
func FormatOf(name string) Format {
	if _, format, _ := splitName(name); strings.EqualFold(format, ".pcapng") {
		return PcapNG
	}
	return Pcap
}
