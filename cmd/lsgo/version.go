package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the release build with -ldflags "-X main.version=…".
var version = ""

type versionCommand struct{}

func (versionCommand) Run(to *console) error {
	_, err := fmt.Fprintf(to.out, "lsgo %s (%s, %s/%s)\n", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// versionText falls back on what the Go command recorded, so that "go install" knows its version too.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
