//go:build linux

package main

import "os"

// openForWriting opens a file of the harness, or a device, for writing.
func openForWriting(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600) //nolint:gosec // of the harness's own making
}
