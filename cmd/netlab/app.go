package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"netlab/decode/printer"
)

// Exit statuses, as diff has them and one more.
const (
	exitDone     = 0 // done, or all the same
	exitDiffers  = 1 // answers differ
	exitFailed   = 2 // could not do it, or wrong usage
	exitNothing  = 3 // nothing was compared
	exitCanceled = 130
)

// status is an error that carries an exit status and was explained already.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// usageError is an error in the words of a command.
type usageError struct{ reason string }

func (e usageError) Error() string { return e.reason }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// hinted adds what to do next to an error.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// stdio are the streams of a run.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// run runs netlab with these arguments and returns its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if names := completeValue(args); names != nil {
		fmt.Fprintln(stdout, strings.Join(names, "\n"))
		return exitDone
	}
	app := newApp(stdio{stdin, stdout, stderr})
	err := app.RunContext(ctx, reorder(app, bare(app, args)))
	return explain(stderr, err)
}

// explain prints what went wrong and returns the exit status for it.
func explain(w io.Writer, err error) int {
	var s status
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		return exitDone
	case errors.As(err, &s):
		return int(s)
	}
	lines := strings.Split(err.Error(), "\n")
	if !strings.HasPrefix(lines[0], "netlab") { // one about a command's usage names it
		lines[0] = "netlab: " + lines[0]
	}
	for _, line := range lines {
		fmt.Fprintln(w, printer.Clean(line))
	}
	var h hinted
	if errors.As(err, &h) {
		fmt.Fprintf(w, "try: %s\n", h.hint)
	}
	return exitFailed
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func newApp(std stdio) *cli.App {
	app := &cli.App{
		Name:      "netlab",
		Usage:     "record real traffic, show what was said in it, and hold any server to it",
		Version:   version(),
		Reader:    std.in,
		Writer:    std.out,
		ErrWriter: std.err,
		Commands: []*cli.Command{
			captureCommand(std), decodeCommand(std), replayCommand(std), diffCommand(std), serveCommand(std), shareCommand(std), pcapsCommand(std),
			sendCommand(std), listenCommand(std), interfacesCommand(std), samplesCommand(std), fieldsCommand(std), demoCommand(std), completionCommand(std),
		},
		Description: "Exit status: 0 done or same, 1 answers differ, 2 could not do it, 3 nothing was compared.\n" +
			"FILE is a pcap or pcapng file, a bundle of netlab share, - for standard input, or sample:NAME (see netlab samples).",
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		UseShortOptionHandling:    true,
		Suggest:                   true,
		EnableBashCompletion:      true,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              usage,
		Action: func(c *cli.Context) error {
			name := c.Args().First()
			switch {
			case strings.ContainsAny(name, "./"):
				return hinted{usagef("there is no file %s, and no command of that name", name), "netlab --help"}
			case name != "":
				return hinted{usagef("there is no command %q%s", name, nearestCommand(c.App, name)), "netlab --help"}
			}
			return cli.ShowAppHelp(c)
		},
	}
	settle(app.Commands)
	return app
}

// settle gives all commands what the library does not hand down to them.
func settle(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = usage
		c.UseShortOptionHandling = true
		c.HideHelpCommand = true
		settle(c.Subcommands)
	}
}

// usage explains a wrong flag.
func usage(c *cli.Context, err error, _ bool) error {
	name := "netlab"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "netlab" {
		name = commandName(c)
	}
	return hinted{usageError{name + ": " + err.Error()}, name + " --help"}
}

// nearestCommand adds the library's `Did you mean "decode"?`.
func nearestCommand(app *cli.App, name string) string {
	if s := cli.SuggestCommand(app.Commands, name); s != "" {
		return ". " + s
	}
	return ""
}

// version is the module's, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}

// bare puts decode before a FILE that stands where a command should.
func bare(app *cli.App, args []string) []string {
	if len(args) < 2 || strings.HasPrefix(args[1], "-") && args[1] != "-" || app.Command(args[1]) != nil {
		return args
	}
	if st, err := os.Stat(args[1]); !isPath(args[1]) || err == nil && !st.IsDir() {
		return slices.Insert(slices.Clone(args), 1, "decode")
	}
	return args
}

// reorder puts the flags of a command before its positional arguments: the flag
// package stops at the first of these, and would take the flags behind it for
// more of them (urfave/cli issue 976). What stands behind -- stays.
func reorder(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	i := slices.IndexFunc(args[1:], func(a string) bool { return !strings.HasPrefix(a, "-") })
	if i < 0 {
		return args
	}
	i++
	cmd := app.Command(args[i])
	if cmd == nil {
		return args
	}
	for len(cmd.Subcommands) > 0 && i+1 < len(args) {
		k := slices.IndexFunc(cmd.Subcommands, func(c *cli.Command) bool { return c.HasName(args[i+1]) })
		if k < 0 {
			break
		}
		cmd, i = cmd.Subcommands[k], i+1
	}
	takes := make(map[string]bool) // flags that take a value, by each name
	for _, f := range cmd.Flags {
		d, ok := f.(cli.DocGenerationFlag)
		for _, name := range f.Names() {
			takes[name] = ok && d.TakesValue()
		}
	}
	flags, rest := []string{}, []string{}
	for args, k := args[i+1:], 0; k < len(args); k++ {
		a := args[k]
		if a == "--" {
			if cmd.Name == "capture" && len(rest) == 0 {
				rest = append(rest, a) // the flag package takes one away, and a COMMAND stands behind it
			}
			rest = append(rest, args[k:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		flags = append(flags, a)
		name := strings.TrimLeft(a, "-")
		if strings.Contains(name, "=") || k+1 == len(args) {
			continue
		}
		short := !strings.HasPrefix(a, "--") && len(name) > 1 && !has(takes, name)
		if short {
			name = name[len(name)-1:] // the last of several in one word may take a value
		}
		if takes[name] {
			k++
			flags = append(flags, args[k])
		}
	}
	return slices.Concat(args[:i+1], flags, rest)
}

func has(m map[string]bool, key string) bool {
	_, ok := m[key]
	return ok
}

// terminal reports whether the output is one.
func (std stdio) terminal() bool {
	f, ok := std.out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// style looks at what the output may use.
func (std stdio) style() printer.Style {
	if !std.terminal() {
		return printer.Style{}
	}
	width, _, err := term.GetSize(int(std.out.(*os.File).Fd()))
	if err != nil {
		width = 80
	}
	no := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	return printer.Style{Color: !no, Width: width}
}
