package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"netlab/decode/proto"
)

// maxSchema bounds a file of descriptors; those of large companies have some megabytes.
const maxSchema = 64 << 20

// readSchema reads the names for gRPC, if there is a file of them.
func readSchema(c *cli.Context) (*proto.Schema, error) {
	name := c.String("proto-descriptor")
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSchema+1))
	if err == nil && len(data) > maxSchema {
		err = fmt.Errorf("more than %d MiB", maxSchema>>20)
	}
	var s *proto.Schema
	if err == nil {
		s, err = proto.ReadSchema(data)
	}
	if err != nil {
		return nil, fmt.Errorf("decode: %s: %w", name, err)
	}
	return s, nil
}
