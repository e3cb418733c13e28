package files_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

func TestRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	for _, n := range []int{0, 1, 511, 512, 1000} {
		want := bytes.Repeat([]byte("x"), n)
		if err := os.WriteFile(name, want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := files.Read(name, 1000); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
	}
	if err := os.WriteFile(name, make([]byte, 1001), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Read(name, 1000); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("a byte too many: %v", err)
	}
}
