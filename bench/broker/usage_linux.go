package main

import (
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
