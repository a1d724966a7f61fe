package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/decode/proto"
	"netlab/decode/where"
)

func fieldsCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "fields",
		Usage:     "list what --where can ask and decode -e can print",
		ArgsUsage: "[BEGINNING]",
		Description: "Prints the name of each field, what its values are and what it is about, with its other names behind it.\n" +
			"BEGINNING lists those whose names begin so, as dns.\n\n" +
			"An expression compares fields with values: == != < <= > >=, contains, starts_with, ends_with, in {A B C..D},\n" +
			"~ (a regular expression), &&, ||, !, parentheses; a field alone asks whether it is there.\n\n" +
			"Example: netlab decode bug.pcap --where 'client in 10.0.0.0/8 && http.status in {500..599} && latency > 250ms'",
		Action: func(c *cli.Context) error {
			var b bytes.Buffer
			begin := c.Args().First()
			for _, f := range where.Fields() {
				also := where.Aliases(f.Name)
				if !strings.HasPrefix(f.Name, begin) && !anyPrefix(also, begin) {
					continue
				}
				name := f.Name
				if f.Any != nil {
					name += "NAME"
				}
				about := f.About
				if len(also) > 0 {
					about += " (also " + strings.Join(also, ", ") + ")"
				}
				fmt.Fprintf(&b, "%-26s %-16s %s\n", name, f.Kind, about)
			}
			if b.Len() == 0 {
				return usagef("netlab fields: %s", where.Unknown(begin))
			}
			_, err := std.out.Write(b.Bytes())
			return err
		},
	}
}

func anyPrefix(list []string, prefix string) bool {
	for _, s := range list {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// columns returns the fields that -e names, called as they are in a header.
func columns(names []string) ([]proto.Attribute, error) {
	var list []proto.Attribute
	for _, name := range names {
		f, ok := where.Lookup(name)
		switch {
		case ok:
		case strings.Contains(name, ","):
			return nil, hinted{usagef("netlab decode: -e %s: there is one field for each -e", name), "-e " + strings.ReplaceAll(name, ",", " -e ")}
		default:
			return nil, hinted{usagef("netlab decode: -e %s: %s", name, where.Unknown(name)), "netlab fields"}
		}
		f.Name = name
		if f.Kind == proto.Duration {
			f.Name += "_ms"
		}
		list = append(list, f)
	}
	return list, nil
}

// ledger is what --csv prints when no fields are named, and what these are called.
var ledger = []struct{ field, name string }{
	{"conversation", "conversation"},
	{"index", "index"},
	{"time", "time"},
	{"protocol", "protocol"},
	{"client", "client"},
	{"server", "server"},
	{"request", "request"},
	{"response", "response"},
	{"latency", "latency_ms"},
	{"total", "total_ms"},
	{"request.bytes", "request_bytes"},
	{"response.bytes", "response_bytes"},
	{"state", "state"},
	{"why", "why"},
}

func ledgerColumns() []proto.Attribute {
	var list []proto.Attribute
	for _, l := range ledger {
		f, ok := where.Lookup(l.field)
		if !ok {
			panic("BUG: there is no field " + l.field)
		}
		f.Name = l.name
		list = append(list, f)
	}
	return list
}
