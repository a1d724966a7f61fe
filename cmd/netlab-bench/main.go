// Command netlab-bench measures netlab beside other programs that decode captures.
// It makes the workloads, runs all programs on them in turn, several rounds, and
// prints tables whose ratios are between runs of the same round: on a machine that
// others use too, times change, while ratios stay. It also holds what netlab
// counted against what each workload is known to have.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	exitDone   = 0
	exitWrong  = 1 // a count is wrong
	exitFailed = 2 // could not do it, or wrong usage
)

const usage = `netlab-bench measures netlab beside other programs.

    netlab-bench make  [-size full|quick] [-dir D] [WORKLOAD...]          make the workloads
    netlab-bench peers [-size full|quick] [-dir D] [-rounds N] [flags]    measure, and print tables
    netlab-bench growth [-size N] [-rounds N] [flags]                     how time and memory grow with the capture

    netlab-bench share [-size full|quick] [-dir D] [-rounds N] [flags]    what netlab share takes, beside decoding

    netlab-bench loop  [-netlab BIN] FILE|DIR...                          serve captures and replay them: all the same?
    netlab-bench serve [-rounds N] [flags]                                how many requests a second netlab serve answers
    netlab-bench pace  [-network udp|tcp] [-rounds N] [flags]             how exactly netlab replays in time
    netlab-bench rush  [-connections N] [-rounds N] [flags]               how fast netlab replays

    netlab-bench capture [-rounds N] [-time T] [flags]                    what a capture loses and costs

make bench-peers does the first two, make bench-replay and bench-capture the others. These are peers themselves:

    netlab-bench walk FILE                 headers and 5-tuples, in Go
    netlab-bench gopacket MODE FILE        what gopacket takes: layers, tcpassembly, http
`

// commands are what the first argument can be.
var commands = map[string]func(context.Context, stdio, []string) error{
	"make":     makeCommand,
	"peers":    peersCommand,
	"growth":   growthCommand,
	"grow":     growCommand, // what that runs to make its files
	"walk":     walkCommand,
	"gopacket": gopacketCommand,
	"record":   recordCommand, // what make runs in a network of its own
	"loop":     loopCommand,
	"serve":    serveCommand,
	"share":    shareCommand,
	"pace":     paceCommand,
	"capture":  captureCommand,
	"blast":    blastCommand, // the load of that
	"rush":     rushCommand,
	"rushed":   rushedCommand,  // what rush runs in a network of its own
	"sleeper":  sleeperCommand, // what pace holds netlab against
}

// stdio are the streams of a run.
type stdio struct{ out, err io.Writer }

// usageError is a mistake in the arguments.
type usageError string

func (e usageError) Error() string { return string(e) }

// errWrong means that netlab counted something wrong, which was printed already.
var errWrong = errors.New("a count is wrong")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, stdio{os.Stdout, os.Stderr}, os.Args[1:]))
}

// run runs a command and returns the exit status.
func run(ctx context.Context, std stdio, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(std.out, usage)
		return exitDone
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(std.err, "netlab-bench: there is no command %q\n\n%s", args[0], usage)
		return exitFailed
	}
	switch err := command(ctx, std, args[1:]); {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.Is(err, errWrong), errors.Is(err, errShare), errors.Is(err, errGrowth):
		fmt.Fprintf(std.err, "netlab-bench: %v\n", err)
		return exitWrong
	case errors.As(err, new(usageError)):
		fmt.Fprintf(std.err, "netlab-bench %s: %v\ntry: netlab-bench %s -h\n", args[0], err, args[0])
		return exitFailed
	default:
		fmt.Fprintf(std.err, "netlab-bench: %v\n", err)
		return exitFailed
	}
}

// parse reads the flags of a command, and prints help where that is asked for.
func (std stdio) parse(fs *flag.FlagSet, args []string, form, what string) error {
	fs.SetOutput(io.Discard)
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(std.out)
		fmt.Fprintf(std.out, "netlab-bench %s [flags] %s\n\n%s\n\n", fs.Name(), form, what)
		fs.PrintDefaults()
		return err
	case err != nil:
		return usageError(err.Error())
	}
	return nil
}
