package files_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

// A change is seen once, when it has come to rest: whether a file is written to, replaced, removed
// or added.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(a, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := files.Watch{Done: files.StampOf(a, b)}
	looks := func(n int) (seen []bool) {
		for range n {
			seen = append(seen, w.Changed(files.StampOf(a, b)))
		}
		return seen
	}
	once := []bool{false, true, false}
	for _, step := range []struct {
		name   string
		change func() error
		want   []bool
	}{
		{"nothing", func() error { return nil }, []bool{false, false, false}},
		{"written", func() error { return os.WriteFile(a, []byte("22"), 0o600) }, once},
		{"only the time", func() error { return os.Chtimes(a, time.Time{}, time.Unix(1, 0)) }, once},
		{"added", func() error { return os.WriteFile(b, []byte("33"), 0o600) }, once},
		{"replaced by one of the same size and time", func() error {
			if err := os.Chtimes(b, time.Time{}, time.Unix(1, 0)); err != nil {
				return err
			}
			return os.Rename(b, a)
		}, once},
		{"removed", func() error { return os.Remove(a) }, once},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		if got := looks(3); !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
	// An editor removes the file, and writes it anew after a look.
	if err := os.WriteFile(a, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	looks(3)
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	got := looks(1)
	if err := os.WriteFile(a, []byte("12"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got = append(got, looks(3)...); !slices.Equal(got, []bool{false, false, true, false}) {
		t.Errorf("removed and written anew: %v", got)
	}
}
