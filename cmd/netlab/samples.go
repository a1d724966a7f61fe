package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"netlab/pcaps/samples"
)

func samplesCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:  "samples",
		Usage: "list the captures that come with netlab",
		Description: "Each shows one trait, and opens as sample:NAME wherever a FILE does.\n\n" +
			"Example: netlab decode sample:tcp-overlap-disagrees",
		Action: func(c *cli.Context) error {
			for _, s := range samples.List() {
				if _, err := fmt.Fprintf(std.out, "%-22s %s\n", s.Name, s.About); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
