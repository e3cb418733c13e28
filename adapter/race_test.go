//go:build race

package adapter_test

// The race detector allocates in places of its own, and sync.Pool forgets at random under it.
const raceEnabled = true
