//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// follow has the file opened again at each SIGHUP, until ctx ends.
func (a *auditFile) follow(ctx context.Context) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-hangups:
			a.reopen()
		case <-ctx.Done():
			return
		}
	}
}
