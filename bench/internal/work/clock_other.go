//go:build !linux

package work

import "time"

var start = time.Now()

// Monotonic is enough to build the peers elsewhere; the harness itself needs Linux.
func Monotonic() int64 { return int64(time.Since(start)) }
