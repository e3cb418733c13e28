//go:build linux && !386 && !s390x

package adapter_test

const acksAreKnown = true
