//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// usage is what a process has at a moment.
type usage struct {
	RSS         int64 `json:"rss"` // bytes
	Descriptors int   `json:"descriptors"`
	Threads     int   `json:"threads"`
	peak        int64 // bytes, since its start
}

// usageOf reads it from /proc.
func usageOf(pid int) (u usage, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		first, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, _ := strconv.ParseInt(first, 10, 64) // the lines that are wanted have numbers
		switch name {
		case "VmRSS":
			u.RSS = n << 10
		case "VmHWM":
			u.peak = n << 10
		case "Threads":
			u.Threads = int(n)
		}
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	u.Descriptors = len(entries)
	return u, err
}
