package files_test

import (
	"errors"
	"os"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

// A file whose size the system does not tell is read as far as the limit.
func TestReadWithoutASize(t *testing.T) {
	const name = "/proc/self/environ"
	if info, err := os.Stat(name); err != nil || info.Size() != 0 {
		t.Fatalf("the system tells its size: %v, %v", info, err)
	}
	if text, err := files.Read(name, 1<<20); err != nil || len(text) == 0 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if text, err := files.Read(name, 3); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}
