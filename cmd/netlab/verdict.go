package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/decode/printer"
	"netlab/pcaps"
	"netlab/replay"
	"netlab/replay/bundle"
	"netlab/replay/compare"
	"netlab/replay/latency"
	"netlab/replay/noise"
	"netlab/replay/plan"
	"netlab/replay/report"
	"netlab/replay/rules"
)

// compareFlags say what counts when answers are compared, and who is told.
var compareFlags = []cli.Flag{
	&cli.StringFlag{Name: "rules", Usage: "what counts is said in `FILE`, as --save-rules writes it"},
	&cli.StringFlag{Name: "save-rules", Usage: "write rules for the noise that was found, and those of --rules, to `FILE`"},
	&cli.BoolFlag{Name: "wire", Usage: "compare framing, the order and spelling of header fields, in how many pieces answers come, and who closes, too"},
	&cli.StringSliceFlag{Name: "report", Usage: "write a report: json=`FILE`, junit=FILE or html=FILE; several with commas"},
	&cli.BoolFlag{Name: "github", Usage: "print what differs as annotations of GitHub's workflows, too"},
	&cli.BoolFlag{Name: "strict", Usage: "compare everything, also dates, request ids and framing, and take nothing for noise"},
	&cli.BoolFlag{Name: "json", Usage: "print JSON Lines"},
	&cli.BoolFlag{Name: "all", Usage: "print each answer, those that are the same too"},
}

// verdictFlags are those and what a replay can do beside.
var verdictFlags = append(compareFlags[:len(compareFlags):len(compareFlags)], []cli.Flag{
	&cli.IntFlag{Name: "repeat", Value: 1, Usage: "play all of it `N` times: what differs between two passes is noise"},
	&cli.StringFlag{Name: "baseline", Usage: "play it to `HOST:PORT` first, a build that is right: what differs there is noise"},
	&cli.StringSliceFlag{Name: "fail-if", Usage: "exit with status 1 where an endpoint is slower for certain, and not by chance: `COND` is as p99 > 1.5x, of what was recorded, or p50 > 200ms"},
	&cli.StringFlag{Name: "show", Usage: "print both answers of exchange `ID`, as 3.0, and where they differ"},
	&cli.StringFlag{Name: "curl", Usage: "print the request of exchange `ID`, as 3.0, as a command that sends it to the target, and send nothing"},
}...)

// reporter is a report: a sink, what is noise, and the sums.
type reporter = report.Report

// readRules reads what --strict, --wire and --rules say.
func readRules(c *cli.Context) (compare.Rules, error) {
	r := compare.Rules{Strict: c.Bool("strict"), Wire: c.Bool("wire")}
	name := c.String("rules")
	if name == "" {
		return r, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return r, fmt.Errorf("%s: read --rules: %w", c.Command.Name, err)
	}
	defer f.Close()
	r.List, err = rules.Read(f, name)
	return r, err
}

// checkVerdict looks at the flags about comparing, and sets how often all is played.
func checkVerdict(c *cli.Context, opts *replay.Options) error {
	switch {
	case c.Int("repeat") < 1:
		return usagef("netlab replay: --repeat wants a number above 0")
	case c.IsSet("repeat") && c.IsSet("loop"):
		return usagef("netlab replay: --repeat plays all of it several times to find noise, --loop for load; give one of them")
	case c.Bool("strict") && (c.IsSet("repeat") || c.IsSet("baseline") || c.IsSet("save-rules")):
		return usagef("netlab replay: --strict takes nothing for noise, so --repeat, --baseline and --save-rules make no sense beside it")
	case c.IsSet("interface") && (c.IsSet("repeat") || c.IsSet("baseline") || c.IsSet("curl")):
		return usagef("netlab replay: what is seen once can't be played twice, so --repeat, --baseline and --curl make no sense with -i")
	case c.IsSet("baseline") && c.IsSet("map"):
		return usagef("netlab replay: --baseline is one server, and --map is for several")
	}
	if _, err := conditionsOf(c); err != nil {
		return err
	}
	if c.IsSet("repeat") {
		opts.Loop = c.Int("repeat")
	}
	if c.IsSet("baseline") {
		return checkTarget(c.String("baseline"))
	}
	return nil
}

// verdict starts the server under test if told to, plays a recording, first to a baseline if
// there is one, judges the answers, and reports.
func (std stdio) verdict(ctx context.Context, c *cli.Context, p replay.Source, out reporter, opts replay.Options) (*replay.Result, error) {
	stop, err := std.build(ctx, c, opts.Target)
	if err != nil {
		return nil, err
	}
	defer stop()
	if id := c.String("show"); id != "" {
		conn, index, err := exchangeID(c, "show", id)
		if err != nil {
			return nil, err
		}
		shown := &report.Shown{Conn: conn, Index: index}
		opts.Show = shown.Take
		defer func() { _, _ = io.WriteString(std.out, shown.String()) }()
	}
	conditions, err := conditionsOf(c)
	if err != nil {
		return nil, err
	}
	times, prints := latency.New(out), c.Bool("json") || c.Bool("github")
	if opts.Rules.Strict {
		result, err := std.play(ctx, p, times, opts, prints)
		if err != nil {
			_ = std.finish(out, times, conditions, result) // what was done by then, where that can still be told
			return nil, err
		}
		return result, std.finish(out, times, conditions, result)
	}
	judge := noise.New(times, opts.Rules)
	judge.Memory = opts.Memory / 2
	var pseudonyms *bundle.Pseudonyms
	if !c.IsSet("interface") {
		if pseudonyms, err = pseudonymsOf(c.Args().First()); err != nil {
			return nil, err
		}
	}
	if pseudonyms != nil {
		opts.Rules.Alike = pseudonyms.Alike
	}
	if base := c.String("baseline"); base != "" {
		right := opts
		right.Target, right.Loop, right.Show = base, 1, nil
		result, err := std.play(ctx, p, judge.Baseline(), right, prints)
		switch {
		case err != nil:
			return nil, err
		case result.Canceled:
			return nil, status(exitCanceled)
		case result.Opened == 0 && result.DialError != nil:
			return nil, hinted{fmt.Errorf("replay: --baseline: %w", result.DialError), dialHint(result.DialError)}
		}
	}
	result, err := std.play(ctx, p, judge, opts, prints)
	if err != nil {
		_ = judge.Settle(result) // as above
		_ = std.finish(out, times, conditions, result)
		return nil, err
	}
	if pseudonyms != nil && pseudonyms.Met() > 0 {
		result.Notes = append(result.Notes, fmt.Sprintf("%s in answers could not be compared: the bundle has pseudonyms there", printer.Count(pseudonyms.Met(), "value")))
	}
	if err := std.settle(c, judge, out, result); err != nil {
		return nil, err
	}
	return result, std.finish(out, times, conditions, result)
}

// pseudonymsOf reads what stands in a bundle in place of secrets; nil for any other FILE.
func pseudonymsOf(file string) (*bundle.Pseudonyms, error) {
	if !readsTwice(file) || !isPath(file) {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	list, err := pcaps.Beside(f, st.Size(), bundle.PseudonymList)
	if list == nil || err != nil {
		return nil, err
	}
	return bundle.ReadPseudonyms(list)
}

// conditionsOf reads --fail-if.
func conditionsOf(c *cli.Context) ([]latency.Condition, error) {
	var list []latency.Condition
	for _, s := range c.StringSlice("fail-if") {
		condition, err := latency.Parse(s)
		if err != nil {
			return nil, usagef("netlab replay: --fail-if: %v", err)
		}
		list = append(list, condition)
	}
	return list, nil
}

// finish reports latencies and sums.
func (std stdio) finish(out reporter, times *latency.Gatherer, conditions []latency.Condition, result *replay.Result) error {
	rows := times.Rows(conditions)
	for i := range rows {
		if len(rows[i].Slower) > 0 {
			result.Slower++
		}
	}
	return errors.Join(out.Latency(rows), out.Result(result))
}

// settle decides what is noise, reports it, and writes rules for it.
func (std stdio) settle(c *cli.Context, judge *noise.Judge, out reporter, result *replay.Result) error {
	if err := judge.Settle(result); err != nil {
		return err
	}
	advice := "run with --repeat 2"
	if c.Command.Name == "diff" {
		advice = "what is asked twice in a recording would tell"
	}
	if note := judge.Note(advice); note != "" {
		result.Notes = append(result.Notes, note)
	}
	learned := judge.Learned()
	if err := out.Noise(learned); err != nil {
		return err
	}
	if name := c.String("save-rules"); name != "" {
		return saveRules(name, c.String("rules"), learned)
	}
	return nil
}

// saveRules writes a file of rules, behind those that held.
func saveRules(name, before string, learned []noise.Evidence) error {
	var old []byte
	if before != "" {
		var err error
		if old, err = os.ReadFile(before); err != nil {
			return fmt.Errorf("replay: read --rules: %w", err)
		}
	}
	var list []rules.Learned
	for i := range learned {
		e := &learned[i]
		list = append(list, rules.Learned{Endpoint: e.Endpoint, Kind: e.Kind, Place: e.Place, Shape: e.Shape, Why: printer.Clean(e.Why())})
	}
	var b bytes.Buffer
	if err := rules.Write(&b, old, list); err != nil {
		return err
	}
	return writePrivate(name, b.Bytes())
}

// writePrivate writes a file that only its owner can read. What was there stays as it is
// until all is written: that happens beside it, but for a device, or a link.
func writePrivate(name string, data []byte) error {
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		f, err := createPrivate(name)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // with mode 0600
	if errors.Is(err, fs.ErrNotExist) {
		return hinted{fmt.Errorf("write %s: %w", name, fs.ErrNotExist), "make the folder first"}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// createPrivate creates a file that only its owner can read, or empties it.
func createPrivate(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hinted{err, "make the folder first"}
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil && !isDevice(f) {
		f.Close()
		return nil, err
	}
	return f, nil
}

// isDevice reports whether a file is none to be changed, as /dev/stdout.
func isDevice(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && !st.Mode().IsRegular()
}

// exchangeID reads CONVERSATION.INDEX.
func exchangeID(c *cli.Context, flag, id string) (conn, index int, err error) {
	a, b, ok := strings.Cut(strings.TrimPrefix(id, "#"), ".")
	conn, err1 := strconv.Atoi(a)
	index, err2 := strconv.Atoi(b)
	if !ok || err1 != nil || err2 != nil {
		return 0, 0, usagef("netlab %s: --%s %s: that is no exchange of a conversation, as 3.0", c.Command.Name, flag, id)
	}
	return conn, index, nil
}

// curlOf prints a recorded request as a command.
func (std stdio) curlOf(p *plan.Plan, id, target string) error {
	a, b, _ := strings.Cut(strings.TrimPrefix(id, "#"), ".")
	for _, c := range p.Conns {
		if strconv.Itoa(c.ID) != a {
			continue
		}
		out := printer.NewCurl(std.out, c.ID)
		out.To = target
		for i := range c.Checks {
			k := &c.Checks[i]
			if strconv.Itoa(k.Index) != b || k.Exchange == nil {
				continue
			}
			if err := out.Exchange(k.Exchange); err != nil {
				return err
			}
		}
		if out.Found > 0 {
			return nil
		}
	}
	return hinted{usagef("netlab replay: --curl %s: there is no such HTTP request in what would be sent", id), "netlab replay FILE --dry-run lists all"}
}

// reporters makes the reports that are asked for.
func (std stdio) reporters(c *cli.Context, recording string) (reporter, error) {
	if err := spares(c, "save-rules", c.String("save-rules"), c.Args().Slice()); err != nil {
		return nil, err
	}
	var all report.Several
	if c.Bool("json") {
		all = append(all, report.NewJSON(std.out))
	} else {
		t := report.NewText(std.out)
		t.All = c.Bool("all")
		all = append(all, t)
	}
	if c.Bool("github") {
		all = append(all, report.NewGitHub(std.out, recording))
	}
	for _, list := range c.StringSlice("report") {
		for item := range strings.SplitSeq(list, ",") {
			form, name, ok := strings.Cut(item, "=")
			known := map[string]func(io.Writer) reporter{
				"json":  func(w io.Writer) reporter { return report.NewJSON(w) },
				"junit": func(w io.Writer) reporter { return report.NewJUnit(w, recording) },
				"html":  func(w io.Writer) reporter { return report.NewHTML(w, recording) },
			}
			if !ok || name == "" || known[form] == nil {
				return nil, usagef("netlab %s: --report wants json=FILE, junit=FILE or html=FILE, not %q", c.Command.Name, item)
			}
			if err := spares(c, "report", name, c.Args().Slice()); err != nil {
				return nil, err
			}
			f, err := createPrivate(name)
			if err != nil {
				return nil, fmt.Errorf("%s: --report: %w", c.Command.Name, err)
			}
			all = append(all, report.Closing(known[form](f), f))
		}
	}
	return all, nil
}
