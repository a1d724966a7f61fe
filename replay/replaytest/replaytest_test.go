package replaytest

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestRefusing has nobody answer at an address, and nobody else listen there.
func TestRefusing(t *testing.T) {
	addr := Refusing(t)
	if c, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("TCP: %v, %v", c, err)
	}
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("?"))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("UDP: %v", err)
	}
	if l, err := net.Listen("tcp", addr); err == nil {
		l.Close()
		t.Error("somebody else may listen there")
	}
}
