package adapter

import "time"

// expires waits until limit has passed, and reports true, or done is closed, and reports false.
//
// A process that was stopped (SIGSTOP, a paused or sleeping machine) finds its timers expired, and
// in its sockets what came meanwhile. So the last part of the limit has to pass on time: then
// whoever had something to read has had the chance. A part that takes much longer is begun again, a
// few times.
func expires(limit time.Duration, done <-chan struct{}) bool {
	grace := min(limit/4, time.Second)
	timer := time.NewTimer(limit - grace)
	defer timer.Stop()
	for part := 0; ; part++ {
		due := time.Now().Add(grace)
		select {
		case <-done:
			return false
		case <-timer.C:
		}
		if part > 0 && (onTime(due, time.Now(), grace) || part == maxParts) {
			return true
		}
		timer.Reset(grace)
	}
}

// maxParts bounds the last parts of a time-out on a machine that is never on time.
const maxParts = 10

// onTime reports whether a part of a time-out that was due has ended without the process having
// been stopped.
func onTime(due, now time.Time, part time.Duration) bool { return now.Sub(due) <= part/2 }
