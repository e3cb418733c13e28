//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// monotonic reads CLOCK_MONOTONIC, the clock every adapter stamps with. The system call costs well below a microsecond and is made once for each
// read, so it does not matter here.
func monotonic() int64 { return clockNanos(1) }

// processCPU is the CPU time, user and system, that a process has used so far, by its own clock.
func processCPU(pid int) int64 { return clockNanos(int32(^pid<<3 | 2)) }

func selfCPU() int64 { return clockNanos(2) }

func clockNanos(id int32) int64 {
	var ts syscall.Timespec
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0) //nolint:gosec // the kernel fills what it points to
	if e != 0 {
		return 0
	}
	return ts.Nano()
}

// procSample is what /proc/PID/status says about a process.
type procSample struct {
	rssKB, peakKB, threads int64
}

func sampleProc(pid int) (s procSample) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return s // it has ended
	}
	return procSample{rssKB: statusField(b, "VmRSS:"), peakKB: statusField(b, "VmHWM:"), threads: statusField(b, "Threads:")}
}

func statusField(b []byte, name string) int64 {
	_, after, ok := bytes.Cut(b, []byte(name))
	f := bytes.Fields(after)
	if !ok || len(f) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(f[0]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// calibrate times a fixed piece of single-threaded work, in milliseconds; its spread over a comparison says how noisy the machine was meanwhile.
func calibrate() float64 {
	t := time.Now()
	x := uint64(88172645463325252)
	for range 20_000_000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	runtime.KeepAlive(x)
	return float64(time.Since(t).Microseconds()) / 1000
}

// cpuTimes returns the machine's steal time and its total so far.
func cpuTimes() (steal, total float64) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return math.NaN(), math.NaN()
	}
	l, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(l) {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || i > 8 {
			continue
		}
		total += v
		if i == 8 {
			steal = v
		}
	}
	return steal, total
}

// loadAverage is how many threads of the machine wanted to run, over the last minute.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "not known"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

// machine describes where a comparison was made.
func machine() string {
	model, cores := "", 0
	b, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
			model = strings.TrimSpace(v)
			cores++
		}
	}
	b, _ = os.ReadFile("/proc/sys/kernel/osrelease")
	mem, _ := os.ReadFile("/proc/meminfo")
	return fmt.Sprintf("%d cores of %s, %d GiB of memory, Linux %s", cores, model, statusField(mem, "MemTotal:")>>20, strings.TrimSpace(string(b)))
}
