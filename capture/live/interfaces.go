package live

import (
	"fmt"
	"net"
	"strings"
)

// Interface is where can be listened.
type Interface struct {
	Name     string
	Up       bool
	Loopback bool
	Addrs    []string // with the length of the prefix
}

// Interfaces lists the interfaces that there are.
func Interfaces() ([]Interface, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("live: list interfaces: %w", err)
	}
	var out []Interface
	for _, i := range list {
		entry := Interface{Name: i.Name, Up: i.Flags&net.FlagUp != 0, Loopback: i.Flags&net.FlagLoopback != 0}
		addrs, _ := i.Addrs() // an interface without readable addresses is still one
		for _, a := range addrs {
			entry.Addrs = append(entry.Addrs, a.String())
		}
		out = append(out, entry)
	}
	return out, nil
}

// names lists the names of interfaces, for errors.
func names() []string {
	list, err := Interfaces()
	if err != nil {
		return nil
	}
	var out []string
	for _, i := range list {
		out = append(out, i.Name)
	}
	return append(out, Any)
}

func join(names []string) string { return strings.Join(names, ", ") }
