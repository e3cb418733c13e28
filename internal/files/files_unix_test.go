//go:build unix

package files_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

// Nothing but a regular file within the limit is read, and nothing keeps the reader waiting.
func TestReadTakesRegularFilesOnly(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", in("s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	huge, err := os.Create(in("huge"))
	if err != nil {
		t.Fatal(err)
	}
	defer huge.Close()
	if err := huge.Truncate(10 << 30); err != nil { // takes no room on the disk
		t.Fatal(err)
	}
	for name, target := range map[string]string{"zero": "/dev/zero", "link to pipe": in("pipe"), "link to huge": in("huge"), "loop": in("loop")} {
		if err := os.Symlink(target, in(name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]error{
		"pipe": files.ErrNotRegular, "link to pipe": files.ErrNotRegular, "zero": files.ErrNotRegular, "s": files.ErrNotRegular,
		".": files.ErrNotRegular, "huge": files.ErrTooLarge, "link to huge": files.ErrTooLarge, "none": os.ErrNotExist, "loop": syscall.ELOOP,
	} {
		text, err := files.Read(in(name), 1000)
		if text != nil || !errors.Is(err, want) || !strings.Contains(err.Error(), in(name)) {
			t.Errorf("%s: %d bytes, error %v", name, len(text), err)
		}
		if errors.Is(want, files.ErrTooLarge) && !strings.Contains(err.Error(), "1000 bytes") {
			t.Errorf("%s: the error does not name the limit: %v", name, err)
		}
	}
}

func TestAppend(t *testing.T) {
	dir := t.TempDir()
	name, pipe := filepath.Join(dir, "log"), filepath.Join(dir, "pipe")
	for range 2 {
		f, err := files.Append(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("x"); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	info, err := os.Stat(name)
	if err != nil || info.Size() != 2 || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{pipe, dir, "/dev/null"} {
		if f, err := files.Append(other); !errors.Is(err, files.ErrNotRegular) || !strings.Contains(err.Error(), "append to "+other) {
			t.Errorf("%s: %v, %v", other, f, err)
		}
	}
}
