package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

//go:embed site/nginx.conf
var nginxConf []byte

//go:embed site/mix.lua
var mixLua []byte

// largeBodies are the sizes of the large bodies, in KiB.
var largeBodies = [...]int{10, 20, 40, 60, 100}

// writeSite writes what nginx serves into dir/www, and how it and wrk are set up
// beside it.
func writeSite(dir string, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 'H'))
	files := map[string][]byte{"nginx.conf": nginxConf, "mix.lua": mixLua}
	for i := range 64 {
		var tags []string
		for range 16 {
			tags = append(tags, fmt.Sprintf("%08x", r.Uint32()))
		}
		body, err := json.Marshal(map[string]any{"id": i, "name": fmt.Sprintf("user %d", i), "email": fmt.Sprintf("u%d@example.test", i), "tags": tags, "kind": "small"})
		if err != nil {
			return err
		}
		files[fmt.Sprintf("www/small%d.json", i)] = append(body, strings.Repeat(" ", max(0, 300-len(body)))...)
	}
	for i, kib := range largeBodies {
		noise := make([]byte, kib<<10) // does not compress
		for j := range noise {
			noise[j] = byte(r.Uint32())
		}
		files[fmt.Sprintf("www/large%d.bin", i)] = noise
		var page strings.Builder // does
		for page.Len() < kib<<10 {
			fmt.Fprintf(&page, "<p>%06x</p>\n", r.IntN(400))
		}
		files[fmt.Sprintf("www/page%d.html", i)] = []byte(page.String())
	}
	for _, sub := range []string{"www", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			return err
		}
	}
	return nil
}
