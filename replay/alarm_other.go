//go:build !linux

package replay

import "time"

// spin is how long before the time the clock is looked at again and again, for timers
// are late.
const spin = 200 * time.Microsecond

// timerAlarm waits for a timer of the runtime.
type timerAlarm struct{ bell chan struct{} }

func newAlarm() (alarm, error) { return timerAlarm{make(chan struct{}, 1)}, nil }

func (t timerAlarm) begin() {}

func (t timerAlarm) wait(until time.Time) {
	if until.IsZero() {
		<-t.bell
		return
	}
	timer := time.NewTimer(time.Until(until) - spin)
	defer timer.Stop()
	select {
	case <-t.bell:
		return
	case <-timer.C:
	}
	for time.Now().Before(until) {
		select {
		case <-t.bell:
			return
		default:
		}
	}
}

func (t timerAlarm) ring() {
	select {
	case t.bell <- struct{}{}:
	default:
	}
}

func (t timerAlarm) close() {}
