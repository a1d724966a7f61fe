package live

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace is set in the environment of tests that run in a network of their own.
const inNamespace = "NETLAB_TEST_NAMESPACE"

// why says why nothing can be captured here; empty when it can.
var why string

// TestMain runs the tests in a network made for them, where whoever runs them may
// capture and nobody else talks.
func TestMain(m *testing.M) {
	if os.Getenv(inNamespace) != "" {
		if err := ipCommand("link", "set", "lo", "up"); err != nil {
			why = err.Error()
		}
		os.Exit(m.Run())
	}
	signal.Ignore(os.Interrupt) // it is the child's too
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		why = fmt.Sprintf("no network namespace can be made: %v", err)
		os.Exit(m.Run())
	}
	cmd.Wait()
	os.Exit(cmd.ProcessState.ExitCode())
}

// ipCommand runs ip of iproute2.
func ipCommand(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// ip runs ip of iproute2, and undoes it when the test is over.
func ip(t *testing.T, args string, undo ...string) {
	t.Helper()
	if err := ipCommand(strings.Fields(args)...); err != nil {
		t.Skip(err)
	}
	if undo != nil {
		t.Cleanup(func() { ipCommand(strings.Fields(undo[0])...) })
	}
}

// eachEngine runs a test for each engine that was built.
func eachEngine(t *testing.T, test func(t *testing.T, engine Engine)) {
	if why != "" {
		t.Skip(why)
	}
	for _, e := range Engines() {
		t.Run(string(e), func(t *testing.T) { test(t, e) })
	}
}

// open listens, and closes when the test is over.
func open(t *testing.T, opts Options, names ...string) Handle {
	t.Helper()
	if opts.Buffer == 0 {
		opts.Buffer = 4 << 20 // all that a test says
	}
	h, err := OpenAll(names, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// inject sends frames as they are.
func inject(t *testing.T, device string, frames ...[]byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(fd)
	d, err := lookUp(device)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: d.index}); err != nil {
			t.Fatal(err)
		}
	}
}
