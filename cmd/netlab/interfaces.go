package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"netlab/capture/live"
)

func interfacesCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:  "interfaces",
		Usage: "list what can be captured",
		Description: "Lists the interfaces, whether they are up, their addresses, and whether you may capture them.\n\n" +
			"Example: netlab interfaces",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON Lines"}},
		Action: func(c *cli.Context) error { return std.interfaces(c) },
	}
}

// listedInterface is a record of netlab interfaces --json.
type listedInterface struct {
	Type      string   `json:"type"`
	Name      string   `json:"name"`
	Up        bool     `json:"up"`
	Loopback  bool     `json:"loopback"`
	Addresses []string `json:"addresses"`
	Capture   bool     `json:"capture"`
	Why       string   `json:"why,omitempty"`
	Link      string   `json:"link,omitempty"`
}

func (std stdio) interfaces(c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("netlab interfaces: it lists all, and takes no arguments")
	}
	list, err := live.Interfaces()
	if err != nil {
		return err
	}
	list = append(list, live.Interface{Name: live.Any, Up: true})
	var denied error
	var records []listedInterface
	for _, i := range list {
		r := listedInterface{Type: "interface", Name: i.Name, Up: i.Up, Loopback: i.Loopback, Addresses: append([]string{}, i.Addrs...)}
		var why error
		r.Link, why = tryCapture(i.Name)
		if r.Capture = why == nil; why != nil {
			r.Why = reason(why)
			if errors.As(why, new(*live.PermissionError)) {
				denied = why
			}
		}
		records = append(records, r)
	}
	if c.Bool("json") {
		out := json.NewEncoder(std.out)
		for _, r := range records {
			if err := out.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tCAPTURE\tLINK\tADDRESSES")
	for _, r := range records {
		state, may := "up", "yes"
		if !r.Up {
			state = "down"
		}
		if !r.Capture {
			may = "no: " + r.Why
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Name, state, may, r.Link, strings.Join(r.Addresses, " "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var h hinted
	if errors.As(captureHint(denied), &h) {
		fmt.Fprintf(std.err, "try: %s\n", h.hint)
	}
	return nil
}

// tryCapture listens for a moment, and says what packets begin with.
func tryCapture(name string) (link string, err error) {
	const little = 1 << 18 // nothing is read
	h, err := live.Open(live.Options{Interface: name, Buffer: little})
	if err != nil {
		return "", err
	}
	defer h.Close()
	return h.Link().String(), nil
}

// reason is why an interface can't be captured, without what everybody knows.
func reason(err error) string {
	var permission *live.PermissionError
	var no *live.InterfaceError
	switch {
	case errors.As(err, &permission):
		return permission.Err.Error()
	case errors.As(err, &no):
		return no.Err.Error()
	}
	return err.Error()
}
