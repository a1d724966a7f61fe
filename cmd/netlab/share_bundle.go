package main

import (
	"bufio"
	"cmp"
	"context"
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
	ledger, bodies, har *os.File
	archive             *printer.HAR
	servers             []bundle.Server
	asked               map[[2]int]string // of the findings
}

// read reads what would be shared, as whoever gets it does: for what a plan of it is, for
// originals that are left in it, and to make what can be read of it without netlab.
func (s *sharing) read(ctx context.Context) error {
	s.views = &views{asked: make(map[[2]int]string)}
	for _, f := range s.findings {
		s.views.asked[[2]int{f.Conversation, f.Index}] = ""
	}
	sinks := append(s.is.Sinks(), s.views)
	var flush []*bufio.Writer
	if s.isBundle() {
		for _, v := range []struct {
			file **os.File
			sink func(w io.Writer) decode.Sink
		}{
			{&s.views.ledger, func(w io.Writer) decode.Sink { return printer.NewText(w, printer.Style{}) }},
			{&s.views.bodies, func(w io.Writer) decode.Sink {
				bodies := printer.NewBodies(w, printer.Style{})
				bodies.Heads = true
				return bodies
			}},
			{&s.views.har, func(w io.Writer) decode.Sink {
				s.views.archive = printer.NewHAR(w, version())
				return s.views.archive
			}},
		} {
			f, err := s.scratch.file()
			if err != nil {
				return err
			}
			w := bufio.NewWriterSize(f, 256<<10)
			*v.file, flush = f, append(flush, w)
			sinks = append(sinks, v.sink(w))
		}
	}
	r, err := again(s.packets)
	if err != nil {
		return err
	}
	src := until(ctx, r)
	if s.cleaning != nil {
		s.search = s.cleaning.redact.Search()
		sinks = append(sinks, s.search)
		src = &searching{src, s.search}
	}
	if _, err := decode.Run(src, decode.Tee(sinks...), decode.Options{Keep: redact.KeepBytes, Memory: s.room / 4}); err != nil {
		return fmt.Errorf("share: read what would be shared: %w", err)
	}
	for _, w := range flush {
		if err := w.Flush(); err != nil {
			return fmt.Errorf("share: %w", err)
		}
	}
	for i := range s.findings {
		f := &s.findings[i]
		f.Request = s.views.asked[[2]int{f.Conversation, f.Index}]
	}
	return nil
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
	d, err := newDraft(s.out)
	if err != nil {
		return err
	}
	defer d.drop()
	fill := s.bundle
	if !s.isBundle() {
		fill = s.bare
	}
	if err := fill(ctx, d.path); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return status(exitCanceled)
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
	if err := m.keep(); err != nil {
		return err
	}
	return d.keep()
}

// writeMap writes what stands for what.
func (s *sharing) writeMap(path string) error {
	f, err := createPrivate(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	return errors.Join(s.cleaning.redact.Map(w), w.Flush(), f.Close())
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
	readme := bundle.ReadmeText(s.facts())
	var report strings.Builder
	if err := bundle.WriteReport(&report, s.findings); err != nil {
		return err
	}
	if s.cleaning != nil {
		// Packets were searched; these are made of other things.
		s.search.Bytes(bundle.Readme, []byte(readme))
		s.search.Bytes(bundle.Report, []byte(report.String()))
		if err := s.left(); err != nil {
			return err
		}
	}
	w := bundle.NewWriter(f)
	type entry struct {
		name    string
		content []io.Reader
	}
	entries := []entry{
		{bundle.Readme, []io.Reader{strings.NewReader(readme)}},
		{pcaps.BundleCapture, []io.Reader{s.packets}},
		{bundle.Exchanges, []io.Reader{s.views.ledger, strings.NewReader("\n"), s.views.bodies}},
	}
	if s.views.archive.Entries > 0 {
		entries = append(entries, entry{bundle.HAR, []io.Reader{s.views.har}})
	}
	if len(s.findings) > 0 {
		entries = append(entries, entry{bundle.Report, []io.Reader{strings.NewReader(report.String())}})
	}
	for _, e := range entries {
		for _, r := range e.content {
			if f, ok := r.(*os.File); ok {
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					return err
				}
			}
		}
		if err := w.Add(e.name, &interruptible{ctx, io.MultiReader(e.content...)}); err != nil {
			return fmt.Errorf("share: %w", err)
		}
	}
	return errors.Join(w.Close(), f.Close())
}

// facts are what the README says.
func (s *sharing) facts() bundle.Facts {
	conversations, exchanges, values := s.is.Counts()
	f := bundle.Facts{Version: version(), Conversations: conversations, Exchanges: exchanges, Values: values, Servers: s.views.servers,
		Bare: s.cleaning == nil, Differing: s.findings, HTTP: s.views.archive.Entries > 0}
	if s.cleaning != nil {
		f.Replaced, f.Blanked = s.cleaning.replaced(), s.cleaning.blanked()
	}
	for _, d := range s.differs {
		f.Differences = append(f.Differences, d.String())
	}
	return f
}

// summary tells what was made.
func (s *sharing) summary() error {
	var b strings.Builder
	conversations, exchanges, values := s.is.Counts()
	fmt.Fprintf(&b, "%s: %s, %s, %s", s.out, printer.Count(s.written, "packet"), printer.Count(conversations, "conversation"), printer.Count(exchanges, "exchange"))
	if len(s.findings) > 0 {
		fmt.Fprintf(&b, ", %d of them answered differently", len(s.findings))
	}
	b.WriteByte('\n')
	if s.cleaning == nil {
		fmt.Fprintf(s.std.err, "netlab: nothing was replaced: %s has all secrets that were said. Do not pass it on\n", printer.Clean(s.out))
		_, err := io.WriteString(s.std.out, printer.Clean(b.String()))
		return err
	}
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "%s:\n  %s\n", title, strings.Join(lines, "\n  "))
		}
	}
	list("replaced", s.cleaning.replaced())
	list("blanked", s.cleaning.blanked())
	looked, omitted := s.search.Looked()
	fmt.Fprintf(&b, "proof: none of %s is in it, as it was, decompressed, or decoded from base64 or URLs", countOf(looked, "original", "originals"))
	if omitted > 0 {
		fmt.Fprintf(&b, "; %d more are too short, or too much like words, to be looked for", omitted)
	}
	b.WriteByte('\n')
	if len(s.differs) == 0 {
		fmt.Fprintf(&b, "proof: it is the same to replay: %s, %s, %s\n", printer.Count(conversations, "conversation"), printer.Count(exchanges, "exchange"), countOf(values, "value that lives", "values that live"))
	} else {
		var lines []string
		for _, d := range s.differs[:min(len(s.differs), maxTold)] {
			lines = append(lines, d.String())
		}
		if n := len(s.differs) - maxTold; n > 0 {
			lines = append(lines, fmt.Sprintf("and %d more", n))
		}
		list("it is not the same to replay", lines)
	}
	fmt.Fprintf(&b, "what stands for what is in %s: keep it to yourself\n", s.mapName())
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(s.std.out, printer.Clean(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}
