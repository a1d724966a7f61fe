package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/decode/redact"
	"netlab/pcaps"
	"netlab/replay/bundle"
)

// views are what a bundle has beside the packets, made of these as they are shared.
type views struct {
	ledger, bodies, har *packed
	archive             *printer.HAR
	servers             []bundle.Server
	asked               map[[2]int]string // of the findings
}

// packed is a scratch file with what comes into a bundle.
type packed struct {
	*bundle.Packed
	file *os.File
	buf  *bufio.Writer
}

func (s *sharing) newPacked() (*packed, error) {
	f, err := s.scratch.file()
	if err != nil {
		return nil, err
	}
	p := &packed{file: f, buf: bufio.NewWriterSize(f, 64<<10)}
	p.Packed = bundle.NewPacked(p.buf)
	return p, nil
}

// done says that all of it was written.
func (p *packed) done() error {
	if err := errors.Join(p.Flush(), p.buf.Flush()); err != nil {
		return fmt.Errorf("share: %w", err)
	}
	return nil
}

// part is what comes into a bundle.
func (p *packed) part(ctx context.Context) (bundle.Part, error) {
	content, err := contentOf(p.file)
	return bundle.Part{Packed: p.Packed, Written: &interruptible{ctx, content}}, err
}

// read reads what would be shared; for a bundle in several ways at a time.
func (s *sharing) read(ctx context.Context) error {
	s.stages.begin("proving it")
	if s.cleaning != nil {
		s.search = s.cleaning.redact.Search()
	}
	if !s.isBundle() {
		return s.seek(ctx)
	}
	return besides(ctx, s.look, s.compress, s.seek)
}

// reread reads the packets that would be shared.
func (s *sharing) reread(ctx context.Context, sink decode.Sink, through func(capture.Source) capture.Source) error {
	r, err := again(s.packets)
	if err == nil {
		_, err = decode.Run(lending(through(until(ctx, r)), r), sink, s.decoding())
	}
	if err != nil {
		return fmt.Errorf("share: read what would be shared: %w", err)
	}
	return nil
}

// watched is a Source of the packets that would be shared.
func (s *sharing) watched(src capture.Source) capture.Source {
	var total int64
	if st, err := s.packets.Stat(); err == nil {
		total = st.Size()
	}
	return s.stages.watched(src, total)
}

// seek looks for originals that are left in it, and for what a plan of it is.
func (s *sharing) seek(ctx context.Context) error {
	if s.search == nil {
		return s.reread(ctx, decode.Tee(s.is.Sinks()...), s.watched)
	}
	return s.reread(ctx, decode.Tee(append(s.is.Sinks(), s.search)...), func(src capture.Source) capture.Source {
		return &searching{s.watched(src), s.search}
	})
}

// compress makes the packets smaller.
func (s *sharing) compress(ctx context.Context) error {
	content, err := contentOf(s.packets)
	if err != nil {
		return err
	}
	if s.packed, err = s.newPacked(); err != nil {
		return err
	}
	if _, err := io.Copy(s.packed, &interruptible{ctx, content}); err != nil {
		return fmt.Errorf("share: %w", err)
	}
	return s.packed.done()
}

// look reads it as whoever gets it does, to make what can be read of it without netlab.
func (s *sharing) look(ctx context.Context) error {
	s.views = &views{asked: make(map[[2]int]string)}
	for _, f := range s.findings {
		s.views.asked[[2]int{f.Conversation, f.Index}] = ""
	}
	files := []**packed{&s.views.ledger, &s.views.bodies, &s.views.har}
	for _, p := range files {
		var err error
		if *p, err = s.newPacked(); err != nil {
			return err
		}
	}
	if err := s.reread(ctx, decode.Tee(append(s.views.sinks(), s.views)...), func(src capture.Source) capture.Source { return src }); err != nil {
		return err
	}
	for _, p := range files {
		if err := (*p).done(); err != nil {
			return err
		}
	}
	for i := range s.findings {
		f := &s.findings[i]
		f.Request = s.views.asked[[2]int{f.Conversation, f.Index}]
	}
	return nil
}

// sinks write what can be read in a bundle.
func (v *views) sinks() []decode.Sink {
	bodies := printer.NewBodies(v.bodies, printer.Style{})
	bodies.Heads = true
	v.archive = printer.NewHAR(v.har, version())
	return []decode.Sink{printer.NewText(v.ledger, printer.Style{}), bodies, v.archive}
}

// searching is a Source of packets in which originals are looked for as they come.
type searching struct {
	src    capture.Source
	search *redact.Search
}

func (k *searching) Next() (*capture.Packet, error) {
	p, err := k.src.Next()
	if err == nil {
		k.search.Packet(p.Number, p.Data) // what is encoded is in streams
	}
	return p, err
}

// Exchange notes what was asked where something differs.
func (v *views) Exchange(e *proto.Exchange) error {
	id := [2]int{e.Conversation.ID, e.Index}
	if _, ok := v.asked[id]; ok && e.Request != nil {
		v.asked[id] = e.Request.Body.Summary()
	}
	return nil
}

// maxServers bounds how many are told apart.
const maxServers = 1000

// Finish counts a conversation for its server.
func (v *views) Finish(c *flow.Conversation) error {
	address, protocol := c.Server().String(), cmp.Or(c.Protocol, proto.Raw.Name)
	if protocol == proto.Raw.Name {
		protocol = c.Transport().String()
	}
	i := slices.IndexFunc(v.servers, func(s bundle.Server) bool { return s.Address == address && s.Protocol == protocol })
	switch {
	case i >= 0:
		v.servers[i].Conversations++
	case len(v.servers) < maxServers:
		v.servers = append(v.servers, bundle.Server{Address: address, Protocol: protocol, Conversations: 1})
	}
	return nil
}

// pack makes the output of what is whole, and gives it its name.
func (s *sharing) pack(ctx context.Context) error {
	d := s.draft
	if d != nil {
		if err := s.packets.Close(); err != nil { // before it gets its name
			return fmt.Errorf("share: %w", err)
		}
	} else {
		s.stages.begin("packing it")
		var err error
		if d, err = newDraft(s.out); err != nil {
			return err
		}
		defer d.drop()
		fill := s.bundle
		if !s.isBundle() {
			fill = s.bare
		}
		err = fill(ctx, d.path)
		if ctx.Err() != nil {
			return status(exitCanceled)
		}
		if err != nil {
			return err
		}
	}
	if s.cleaning == nil {
		return d.keep()
	}
	m, err := newDraft(s.mapName())
	if err != nil {
		return err
	}
	defer m.drop()
	if err := s.writeMap(m.path); err != nil {
		return err
	}
	if s.mapped {
		if err := m.keep(); err != nil {
			return err
		}
	}
	return d.keep()
}

// writeMap writes what stands for what, if anything does.
func (s *sharing) writeMap(path string) error {
	f, err := createPrivate(path)
	if err != nil {
		return err
	}
	w := &counted{w: bufio.NewWriter(f)}
	err = errors.Join(s.cleaning.redact.Map(w), w.w.Flush(), f.Close())
	s.mapped = w.n > 0
	return err
}

// counted counts what is written.
type counted struct {
	w *bufio.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.w.Write(p)
}

// bare writes the packets as the kind of file that is asked for.
func (s *sharing) bare(_ context.Context, path string) error {
	r, err := again(s.packets)
	if err != nil {
		return err
	}
	w, err := pcaps.Create(path, pcaps.Options{Format: pcaps.FormatOf(path)})
	if err != nil {
		return err
	}
	_, err = pcaps.Convert(w.Writer, []*pcaps.Reader{r}, pcaps.Conversion{})
	return errors.Join(err, w.Close())
}

// bundle writes all of it.
func (s *sharing) bundle(ctx context.Context, path string) error {
	f, err := createPrivate(path)
	if err != nil {
		return err
	}
	defer f.Close()
	pseudonyms, err := s.pseudonyms()
	if err != nil {
		return err
	}
	facts := s.facts()
	facts.Listed = pseudonyms != nil
	readme := bundle.ReadmeText(facts)
	var report strings.Builder
	if err := bundle.WriteReport(&report, s.findings); err != nil {
		return err
	}
	if s.cleaning != nil {
		// Packets were searched; these are made of other things.
		s.search.Bytes(bundle.Readme, []byte(readme))
		s.search.Bytes(bundle.Report, []byte(report.String()))
		s.search.Bytes(bundle.PseudonymList, pseudonyms)
		if err := s.left(); err != nil {
			return err
		}
	}
	w := bundle.NewWriter(f)
	if err := w.Add(bundle.Readme, strings.NewReader(readme)); err != nil {
		return fmt.Errorf("share: %w", err)
	}
	// A line between the ledger and what was said.
	if _, err := io.WriteString(s.views.ledger, "\n"); err != nil {
		return fmt.Errorf("share: %w", err)
	}
	if err := s.views.ledger.done(); err != nil {
		return err
	}
	entries := []struct {
		name  string
		parts []*packed
	}{{pcaps.BundleCapture, []*packed{s.packed}}, {bundle.Exchanges, []*packed{s.views.ledger, s.views.bodies}}, {bundle.HAR, []*packed{s.views.har}}}
	for _, e := range entries {
		if e.name == bundle.HAR && s.views.archive.Entries == 0 {
			continue
		}
		var parts []bundle.Part
		for _, p := range e.parts {
			part, err := p.part(ctx)
			if err != nil {
				return err
			}
			parts = append(parts, part)
		}
		if err := w.Append(e.name, parts...); err != nil {
			return fmt.Errorf("share: %w", err)
		}
	}
	if len(s.findings) > 0 {
		if err := w.Add(bundle.Report, strings.NewReader(report.String())); err != nil {
			return fmt.Errorf("share: %w", err)
		}
	}
	if pseudonyms != nil {
		if err := w.Add(bundle.PseudonymList, bytes.NewReader(pseudonyms)); err != nil {
			return fmt.Errorf("share: %w", err)
		}
	}
	return errors.Join(w.Close(), f.Close())
}

// pseudonyms lists what stands in place of secrets; nil for none, or when it is too many.
func (s *sharing) pseudonyms() ([]byte, error) {
	if s.cleaning == nil {
		return nil, nil
	}
	values := int64(0)
	for _, c := range s.cleaning.redact.Summary().Found {
		values += c.Values
	}
	if values > bundle.MaxPseudonyms {
		return nil, nil
	}
	var pairs, out bytes.Buffer
	if err := s.cleaning.redact.Map(&pairs); err != nil {
		return nil, err
	}
	var list []string
	for lines := json.NewDecoder(&pairs); ; {
		var line struct{ Original, Pseudonym string }
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			err = bundle.WritePseudonyms(&out, list)
			return out.Bytes(), err // which is nil for none
		case err != nil:
			return nil, err
		case line.Pseudonym != line.Original:
			list = append(list, line.Pseudonym)
		}
	}
}

// facts are what the README says.
func (s *sharing) facts() bundle.Facts {
	conversations, exchanges, values := s.is.Counts()
	f := bundle.Facts{Version: version(), Conversations: conversations, Exchanges: exchanges, Values: values, Servers: s.views.servers,
		Bare: s.cleaning == nil, Differing: s.findings, HTTP: s.views.archive.Entries > 0, Opened: s.opened.conversations, Upgraded: s.opened.upgraded}
	if s.cleaning != nil {
		f.Replaced, f.Blanked = s.cleaning.replaced(), s.cleaning.blanked()
	}
	for _, d := range s.differs {
		f.Differences = append(f.Differences, d.String())
	}
	return f
}
