package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"netlab/decode/where"
)

// completions ask the program itself what can follow, as the flag package has it.
var completions = map[string]string{
	"bash": `_netlab() {
  local cur="${COMP_WORDS[COMP_CWORD]}"
  local words=("${COMP_WORDS[@]:0:$COMP_CWORD}")
  [[ "$cur" == -* ]] && words+=("$cur")
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _netlab netlab
`,
	"zsh": `#compdef netlab
_netlab() {
  local -a opts
  opts=("${(@f)$("${words[@]:0:$((CURRENT-1))}" --generate-bash-completion 2>/dev/null)}")
  _describe 'values' opts
  _files
}
compdef _netlab netlab
`,
}

func completionCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:        "completion",
		Usage:       "print a completion script for a shell",
		ArgsUsage:   "bash|zsh|fish",
		Description: "Example: source <(netlab completion bash)",
		Action: func(c *cli.Context) error {
			shell := c.Args().First()
			if shell == "fish" {
				s, err := c.App.ToFishCompletion()
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(std.out, s)
				return err
			}
			s, ok := completions[shell]
			if !ok {
				return hinted{usagef("netlab completion: for which shell? There are bash, zsh and fish"), "source <(netlab completion bash)"}
			}
			_, err := fmt.Fprint(std.out, s)
			return err
		},
	}
}

// completeValue returns what can follow when a script asks for the value of a flag
// that wants a field; the library knows flags only.
func completeValue(args []string) []string {
	n := len(args)
	if n < 3 || args[n-1] != "--generate-bash-completion" {
		return nil
	}
	switch args[n-2] {
	case "-e", "--e", "--where", "-where":
		return where.Names()
	}
	return nil
}
