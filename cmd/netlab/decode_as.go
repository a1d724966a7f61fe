package main

import (
	"strconv"
	"strings"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/where"
)

// decodeAs reads --decode-as: tcp.port==8000:redis, port==8000:redis or 8000=redis.
// As tshark's users write it, a comma before the protocol does too.
func decodeAs(list []string) ([]decode.As, error) {
	var all []decode.As
	for _, rule := range list {
		i := strings.LastIndexAny(rule, ":,=")
		if i < 0 {
			return nil, badAs(rule)
		}
		left, name := strings.TrimSpace(rule[:i]), strings.TrimSpace(rule[i+1:])
		if rule[i] != '=' {
			var field string
			var ok bool
			if field, left, ok = strings.Cut(left, "=="); !ok {
				return nil, badAs(rule)
			}
			left = strings.TrimSpace(left) + " " + strings.TrimSpace(field)
		}
		number, field, _ := strings.Cut(left, " ")
		transport, ok := map[string]flow.Transport{"": 0, "port": 0, "tcp.port": flow.TCP, "udp.port": flow.UDP}[field]
		port, err := strconv.ParseUint(number, 10, 16)
		if !ok || err != nil || port == 0 {
			return nil, badAs(rule)
		}
		p := proto.Lookup(name)
		if p == nil {
			return nil, usagef("netlab decode: --decode-as %s: there is no protocol %q%s", rule, name, nearProtocol(name))
		}
		if transport == flow.UDP && !p.UDP {
			return nil, usagef("netlab decode: --decode-as %s: %s is not spoken over UDP", rule, name)
		}
		all = append(all, decode.As{Transport: transport, Port: uint16(port), Protocol: p})
	}
	return all, nil
}

func badAs(rule string) error {
	return hinted{usagef("netlab decode: --decode-as %q names no port and protocol", rule), "netlab decode --decode-as tcp.port==8000:http FILE, or --decode-as 8000=http"}
}

// nearProtocol suggests protocols.
func nearProtocol(name string) string {
	var names []string
	for _, p := range proto.Protocols() {
		names = append(names, p.Name)
	}
	if n := where.Nearest(name, names); n != "" {
		return "; do you mean " + n + "?"
	}
	return "; there are " + strings.Join(names, ", ")
}
