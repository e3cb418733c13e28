//go:build !linux

package main

import "time"

// usage is what a process has used: not known here.
type usage struct {
	CPU     time.Duration
	Wall    time.Duration
	PeakRSS int64
}

func ownUsage() usage             { return usage{} }
func (u usage) since(usage) usage { return u }
func (u usage) cores() float64    { return 0 }

func machineTime() time.Duration { return 0 }
