//go:build amd64 || arm64

package process

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// talking is set in the environment of a test binary that is to open sockets.
const talking = "NETLAB_TEST_TALK"

func TestMain(m *testing.M) {
	Child()
	if to := os.Getenv(talking); to != "" {
		if err := talk(to); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// talk opens sockets in the ways that there are, and prints which ports they got. The
// last are of a process that this one starts.
func talk(to string) error {
	if os.Getenv(talking+"_AGAIN") == "" {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), talking+"_AGAIN=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 3 {
			return err
		}
	}
	tcp, err := net.Dial("tcp", to)
	if err != nil {
		return err
	}
	defer tcp.Close()
	udp, err := net.Dial("udp", to)
	if err != nil {
		return err
	}
	defer udp.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	waiting, err := net.ListenPacket("udp", "[::1]:0") // of it no packet need ever leave
	if err != nil {
		if waiting, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	defer waiting.Close()
	for _, a := range []net.Addr{tcp.LocalAddr(), udp.LocalAddr(), listener.Addr(), waiting.LocalAddr()} {
		_, port, err := net.SplitHostPort(a.String())
		if err != nil {
			return err
		}
		fmt.Println(a.Network(), port)
	}
	return nil
}

// TestOwns knows the sockets of a command and of what it starts, and no others.
func TestOwns(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	var out, errs bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), talking+"="+l.Addr().String())
	cmd.Stdout, cmd.Stderr = &out, &errs
	c, err := Start(cmd)
	if err != nil {
		t.Skipf("%v: %s", err, &errs)
	}
	err = cmd.Wait()
	c.Close()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("%v: %s", err, &errs)
	}
	lines := strings.Fields(out.String())
	if len(lines) != 16 {
		t.Fatalf("ports: %v", lines)
	}
	for i := 0; i < len(lines); i += 2 {
		var port, transport = 0, map[string]uint8{"tcp": TCP, "udp": UDP}[lines[i]]
		fmt.Sscan(lines[i+1], &port)
		if !c.Owns(transport, uint16(port)) || !c.Owns(transport, 1, uint16(port)) {
			t.Errorf("%s port %d is not known", lines[i], port)
		}
	}
	if port := ours.LocalAddr().(*net.TCPAddr).Port; c.Owns(TCP, uint16(port)) {
		t.Errorf("port %d is ours", port)
	}
	if port := l.Addr().(*net.TCPAddr).Port; c.Owns(TCP, uint16(port)) {
		t.Errorf("port %d is the server's, which is not of the command", port)
	}
}

// TestStartFails says what can't be run.
func TestStartFails(t *testing.T) {
	for _, name := range []string{"/nonexistent/command", "no-such-command", t.TempDir()} {
		if _, err := Start(exec.Command(name)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
