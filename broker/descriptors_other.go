//go:build !unix

package broker

import "net"

// descriptorLimit returns 0: there is no limit on the number of handles to go by.
func descriptorLimit() int { return 0 }

func descriptor(net.Conn) int { return -1 }
