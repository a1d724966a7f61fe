package bundle

import (
	"fmt"
	"slices"
	"strings"

	"netlab/decode/printer"
)

// Facts are what the README of a bundle says.
type Facts struct {
	Version string // of netlab
	// Conversations, Exchanges and Values count what is in it: the latter are what a server
	// made up and a client says again.
	Conversations, Exchanges int64
	Values                   int
	Servers                  []Server
	// Bare means that nothing was replaced. Else Replaced and Blanked say what was, a line
	// each, and Differences in what it is not the same as the original.
	Bare                           bool
	Replaced, Blanked, Differences []string
	// Differing are the exchanges that a replay answered differently.
	Differing []Finding
	HTTP      bool // is among what was said
	// Listed means that the bundle has a list of pseudonyms.
	Listed bool
	// Opened counts the conversations that were encrypted and are in clear now, Upgraded those of
	// them that were encrypted from some point on.
	Opened, Upgraded int64
}

// Server is a recorded one.
type Server struct {
	Address, Protocol string
	Conversations     int64
}

// maxListed bounds how many servers, and exchanges, are listed.
const maxListed = 50

const readmeHead = `# A recording for a bug report

This is real traffic, recorded with netlab. %s

| file | |
|---|---|
| capture.pcapng | the packets; Wireshark and tcpdump open it too |
| exchanges.txt | what was asked and answered, to be read in any editor |
`

const sanitised = `Addresses, names, cookies,
tokens, passwords and the like in it are pseudonyms: the same one wherever the same thing stood, and of the same
length where that is possible. What could not be understood is blanked. So it can be replayed, and tells no secrets.`

const bare = `Nothing in it was replaced:
it has all secrets that were said. Do not pass it on.`

const commands = `
## With netlab

This file is called bug.zip here. Nothing has to be unpacked:

    netlab decode bug.zip                           what was said
    netlab replay bug.zip --to localhost:8080       send the client's side to your server, and compare every answer
    netlab serve bug.zip --listen localhost:8080    stand in for the recorded server

`

// ReadmeText is the README of a bundle.
func ReadmeText(f Facts) string {
	var b strings.Builder
	kind := sanitised
	if f.Bare {
		kind = bare
	}
	fmt.Fprintf(&b, readmeHead, kind)
	if f.HTTP {
		fmt.Fprintf(&b, "| %s | HTTP of it, for the network panel of a browser |\n", HAR)
	}
	if len(f.Differing) > 0 {
		fmt.Fprintf(&b, "| %s | what a replay of it found, without what was said |\n", Report)
	}
	if f.Listed {
		fmt.Fprintf(&b, "| %s | what stands for something else, which replay does not hold against a server |\n", PseudonymList)
	}
	b.WriteString(commands)
	b.WriteString(encrypted(&f))
	fmt.Fprintf(&b, "It was made by netlab %s, of %s with %s", printer.Clean(f.Version), printer.Count(f.Conversations, "conversation"), printer.Count(f.Exchanges, "exchange"))
	if f.Values > 0 {
		fmt.Fprintf(&b, ",\nand %s that a server makes up anew each time, which replay takes from the live answers", printer.Count(int64(f.Values), "value"))
	}
	b.WriteString(".\n")
	if len(f.Servers) > 1 {
		b.WriteString("There are several servers, of which `--server ADDRESS` picks one, or `--map ADDRESS=TARGET` replays several:\n\n")
	} else {
		b.WriteString("The recorded server:\n\n")
	}
	for i, s := range f.Servers {
		if i == maxListed {
			fmt.Fprintf(&b, "- and %d more\n", len(f.Servers)-i)
			break
		}
		fmt.Fprintf(&b, "- %s: %s, %s\n", s.Address, s.Protocol, printer.Count(s.Conversations, "conversation"))
	}
	if len(f.Differing) > 0 {
		b.WriteString("\n## What a replay found different\n\nThe packets of these answers have comments in the capture (in Wireshark: `frame.comment`).\n\n")
		for i, d := range f.Differing {
			if i == maxListed {
				fmt.Fprintf(&b, "- and %d more\n", len(f.Differing)-i)
				break
			}
			fmt.Fprintf(&b, "- `%s`\n", strings.ReplaceAll(printer.Clean(d.String()), "`", "'"))
		}
	}
	section(&b, "What was replaced", f.Replaced)
	section(&b, "What was blanked", f.Blanked)
	section(&b, "In what it differs from the original", f.Differences)
	return b.String()
}

// encrypted says how to replay what was opened.
func encrypted(f *Facts) string {
	if f.Opened == 0 {
		return ""
	}
	text := "Of it, " + printer.Count(f.Opened, "conversation") + " went through TLS, and what was inside is in clear here.\n"
	if f.Opened > f.Upgraded {
		text += "To a server that wants TLS, it is replayed with `--tls` (and `--insecure`, where nobody vouches for its certificate):\n\n" +
			"    netlab replay bug.zip --to localhost:8443 --tls\n\n"
		if slices.ContainsFunc(f.Servers, func(s Server) bool { return s.Protocol == "http2" }) {
			text += "HTTP/2 is spoken there only by who offers it, `--alpn h2`, and then on all connections.\n\n"
		}
	}
	if f.Upgraded > 0 {
		text += "What went over to TLS later, as by STARTTLS or through a proxy, is here as if it never had.\n\n"
	}
	return text
}

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	for _, line := range lines {
		fmt.Fprintf(b, "- %s\n", printer.Clean(line))
	}
}
