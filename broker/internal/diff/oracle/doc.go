// Package oracle has no code: its tests have well-known libraries apply what broker/internal/diff makes. It is a module of its own, so that
// users of the broker do not inherit these libraries.
package oracle
