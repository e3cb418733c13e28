//go:build !linux

package adapter

import "net"

// prepare does nothing: this system has its own patience.
func prepare(*net.TCPConn) error { return nil }
