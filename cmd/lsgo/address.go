package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// httpAddress is the address for clients: host:port.
type httpAddress string

// Validate refuses what cannot be listened on.
func (a httpAddress) Validate() error {
	_, port, err := net.SplitHostPort(string(a))
	if err != nil {
		return fmt.Errorf("%q is no address: want host:port, 127.0.0.1:8080 for instance", string(a))
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("%q is no address: %q is no port", string(a), port)
	}
	return portNumber(number).Validate()
}

func (a httpAddress) port() portNumber {
	_, port, err := net.SplitHostPort(string(a))
	if err != nil {
		return 0
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return portNumber(number)
}

// portNumber is a TCP port; 0 is any free one.
type portNumber int

// Validate refuses what is no port.
func (p portNumber) Validate() error {
	if p < 0 || p > 65535 {
		return fmt.Errorf("%d is no port: want 0 to 65535", int(p))
	}
	return nil
}

// explain adds to the error of a port in use what can be done about it. flags are those that choose a port.
func explain(err error, flags map[portNumber]string) error {
	refused, isNetwork := errors.AsType[*net.OpError](err)
	if !isNetwork || !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	address, isTCP := refused.Addr.(*net.TCPAddr)
	if !isTCP {
		return err
	}
	flag, chosen := flags[portNumber(address.Port)]
	if !chosen {
		return err
	}
	value := "0"
	if flag == "--http" {
		value = net.JoinHostPort(address.IP.String(), "0")
	}
	return fmt.Errorf("port %d on %s is in use by another program, perhaps another lsgo.\n"+
		"End that program, or choose another port: %s %s takes a free one", address.Port, address.IP, flag, value)
}
