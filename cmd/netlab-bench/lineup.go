package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// command is one way to decode a workload.
type command struct {
	name string
	// line is what is run, in words. {netlab}, {self} and {walk} are our programs,
	// {file} is the workload and {scratch} a directory for what must be written.
	line string
	// pace says which files it is run on; protocols in which of them it finds
	// something to do, empty is all.
	pace     pace
	protocol string
}

// pace says how large a file can be for a command to be run in useful time.
type pace int

const (
	fast pace = iota // full files
	slow             // tenths only
	both             // both: what others are held against, and how it grows
)

// lineup is all that is compared. The first that runs is what the others are held
// against.
var lineup = []command{
	{"walk-c", "{walk} {file}", both, ""},
	{"walk-go", "{self} walk {file}", fast, ""},
	{"netlab decode", "{netlab} decode {file}", both, ""},
	{"netlab --stats", "{netlab} decode --stats {file}", both, ""},
	{"netlab --stats --workers 1", "{netlab} decode --stats --workers 1 {file}", both, ""},
	{"netlab --json", "{netlab} decode --json {file}", both, ""},
	{"netlab --json --workers 1", "{netlab} decode --json --workers 1 {file}", both, ""},
	{"gopacket layers", "{self} gopacket layers {file}", fast, ""},
	{"gopacket tcpassembly", "{self} gopacket tcpassembly {file}", fast, "http"},
	{"gopacket net/http", "{self} gopacket http {file}", slow, "http"},
	{"capinfos", "capinfos {file}", fast, ""},
	{"tcpdump -nn", "tcpdump -nn -r {file}", fast, ""},
	{"httpry", "httpry -q -r {file} -o {scratch}/requests", fast, "http"},
	{"tcptrace", "tcptrace -n {file}", fast, "http"},
	{"tcpflow", "tcpflow -q -r {file} -o {scratch}", slow, "http"},
	{"tshark", "tshark -n -r {file}", slow, ""},
	{"tshark -T fields", "tshark -n -r {file} -Y http -T fields -e frame.number -e http.request.method -e http.request.uri -e http.response.code", both, "http"},
	{"tshark -T fields", "tshark -n -r {file} -Y dns -T fields -e frame.number -e dns.qry.name -e dns.flags.rcode", both, "dns"},
	{"tshark -T ek", "tshark -n -r {file} -Y http -T ek", slow, "http"},
	{"tshark -T ek", "tshark -n -r {file} -Y dns -T ek", slow, "dns"},
	{"tshark -z conv", "tshark -n -r {file} -q -z conv,tcp", slow, "http"},
	{"tshark -z conv", "tshark -n -r {file} -q -z conv,udp", slow, "dns"},
}

// suits reports whether a command is run on a workload.
func (c command) suits(w workload) bool {
	return (c.protocol == "" || c.protocol == w.protocol) && (c.pace == both || (c.pace == slow) == w.tenth)
}

// program is the word that a command begins with.
func (c command) program() string { return strings.Fields(c.line)[0] }

// in returns a command's words, with what stands for something put in its place.
func (c command) in(places map[string]string) []string {
	words := strings.Fields(c.line)
	for i, w := range words {
		for place, is := range places {
			w = strings.ReplaceAll(w, place, is)
		}
		words[i] = w
	}
	return words
}

//go:embed peers/walk.c
var walkC []byte

// tools finds the programs of the lineup: the places in its lines that they take,
// and the names of those that are not here.
func tools(ctx context.Context, std stdio, netlab, scratch string) (places map[string]string, absent []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	places = map[string]string{"{self}": self, "{netlab}": netlab, "{walk}": filepath.Join(scratch, "walk")}
	if err := compile(ctx, places["{walk}"]); err != nil {
		fmt.Fprintf(std.err, "walk-c: %v; CC names another compiler\n", err)
	}
	for _, c := range lineup {
		if _, err := find(c.in(places)[0]); err != nil && !slices.Contains(absent, c.program()) {
			absent = append(absent, c.program())
		}
	}
	return places, absent, nil
}

// compile makes a program of walk.c.
func compile(ctx context.Context, program string) error {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	words := strings.Fields(cc)
	source := program + ".c"
	if err := os.WriteFile(source, walkC, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := child{args: append(words, "-O3", "-march=native", "-o", program, source)}
	if res := c.run(ctx); res.failure != "" {
		return fmt.Errorf("compile walk.c: %s", res.failure)
	}
	return nil
}
