//go:build !linux

package adapter

import "net"

// defaultDialer returns what dials if the author gives no Dial.
func defaultDialer() *net.Dialer { return new(net.Dialer) }
