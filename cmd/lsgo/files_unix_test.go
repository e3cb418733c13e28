//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Whatever lsgo is told to read: what never ends, or never begins, is refused under its name, and
// nothing waits for it.
func TestFilesAreRegularAndBounded(t *testing.T) {
	dir := t.TempDir()
	pipe, zero, huge := filepath.Join(dir, "pipe"), filepath.Join(dir, "zero"), filepath.Join(dir, "huge")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", zero); err != nil {
		t.Fatal(err)
	}
	writeFile(t, huge, "")
	if err := os.Truncate(huge, 10<<30); err != nil {
		t.Fatal(err)
	}
	sets := filepath.Join(dir, "sets")
	writeFile(t, filepath.Join(sets, "adapters.xml"), setXML("S", freePort(t)))
	cert, key := newCertificate(t, 1)
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, certFile, cert)
	writeFile(t, keyFile, key)
	for _, path := range []string{pipe, zero, huge} {
		folder := filepath.Join(dir, "folder of "+filepath.Base(path))
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(folder, "adapters.xml")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		serve := []string{"serve", "--adapters", sets, "--http", "127.0.0.1:0"}
		for _, tt := range []struct {
			args []string
			file string // that is to be named
		}{
			{[]string{"check", path}, path},
			{[]string{"check", folder}, link},
			{[]string{"serve", "--adapters", folder, "--http", "127.0.0.1:0"}, link},
			{append(serve, "--config", path), path},
			{append(serve, "--tls-certificate", path, "--tls-key", keyFile), path},
			{append(serve, "--tls-certificate", certFile, "--tls-key", path), path},
		} {
			var out, err bytes.Buffer
			status := run(t.Context(), tt.args, &out, &err)
			said := out.String() + err.String()
			if status == exitOK || !strings.Contains(said, tt.file) || !strings.Contains(said, "regular") && !strings.Contains(said, "bytes") {
				t.Errorf("lsgo %s: status %d, %s", strings.Join(tt.args, " "), status, said)
			}
		}
	}
}
