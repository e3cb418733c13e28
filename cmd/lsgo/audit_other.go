//go:build !unix

package main

import "context"

// follow has nothing to wait for: this system has no SIGHUP. A file that was renamed is noticed.
func (a *auditFile) follow(context.Context) {}
