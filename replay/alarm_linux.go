package replay

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// kernelAlarm waits in ppoll, which wakes by the same high-resolution timers as
// clock_nanosleep, and for a file that can be written to as well: what is due earlier
// may come while it waits.
type kernelAlarm struct{ bell int }

func newAlarm() (alarm, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return kernelAlarm{fd}, nil
}

// begin asks for timers to the nanosecond: a thread's may be 50 µs late else, so that
// several can go off at once. Without it, all that is lost is that.
func (k kernelAlarm) begin() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

func (k kernelAlarm) wait(until time.Time) {
	var timeout *unix.Timespec
	if !until.IsZero() {
		left := time.Until(until)
		if left <= 0 {
			return
		}
		ts := unix.NsecToTimespec(left.Nanoseconds())
		timeout = &ts
	}
	fds := []unix.PollFd{{Fd: int32(k.bell), Events: unix.POLLIN}}
	if n, err := unix.Ppoll(fds, timeout, nil); n > 0 && err == nil {
		var count [8]byte
		_, _ = unix.Read(k.bell, count[:]) // only to empty it
	}
}

func (k kernelAlarm) ring() {
	one := [8]byte{1, 1, 1, 1} // whatever the order of bytes, more than nothing
	_, _ = unix.Write(k.bell, one[:])
}

func (k kernelAlarm) close() { unix.Close(k.bell) }
