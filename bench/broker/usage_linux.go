package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a process has used.
type usage struct {
	CPU     time.Duration
	Wall    time.Duration
	PeakRSS int64 // bytes, since its start

	at time.Time
}

func ownUsage() usage {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{at: time.Now()} // shown as nothing used
	}
	return usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), PeakRSS: r.Maxrss << 10, at: time.Now()}
}

// since is what was used from another point on.
func (u usage) since(before usage) usage {
	return usage{CPU: u.CPU - before.CPU, Wall: u.at.Sub(before.at), PeakRSS: u.PeakRSS, at: u.at}
}

// cores is the part of the wall clock that was computed.
func (u usage) cores() float64 {
	if u.Wall <= 0 {
		return 0
	}
	return u.CPU.Seconds() / u.Wall.Seconds()
}

// machineTime is the time that all processors have been busy, or taken away by a hypervisor.
func machineTime() (busy time.Duration) {
	b, _ := os.ReadFile("/proc/stat") // without it, nothing is known of the rest
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // the name; idle, waiting for a disk; guests, which are counted already
			continue
		}
		n, _ := strconv.ParseInt(f, 10, 64)
		busy += time.Duration(n) * 10 * time.Millisecond // which is what the kernel counts in for programs
	}
	return busy
}
