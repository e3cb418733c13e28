package work

import (
	"syscall"
	"unsafe"
)

// Monotonic reads CLOCK_MONOTONIC in nanoseconds, the clock by which the harness measures.
func Monotonic() int64 {
	var ts syscall.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&ts)), 0) //nolint:gosec // the kernel fills what it points to
	return ts.Nano()
}
