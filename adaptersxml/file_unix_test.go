//go:build unix

package adaptersxml_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// What is no file of a person's own is refused at once, under its name: it is neither waited for
// nor read without end.
func TestFilesAreRegularAndBounded(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", in("zero")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("huge"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(in("huge"), 10<<30); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"pipe": "a named pipe", "zero": "a device", ".": "a folder", "huge": "1048576 bytes", "none": "no such file"} {
		if _, err := adaptersxml.ReadFile(in(name)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), in(name)) {
			t.Errorf("ReadFile of %s: %v", name, err)
		}
		set, problems := adaptersxml.CheckFile(in(name))
		if set != nil || len(problems) != 1 || problems[0].File != in(name) || !strings.Contains(problems[0].Message, want) ||
			strings.Contains(problems[0].Message, dir) {
			t.Errorf("CheckFile of %s: %v, %v", name, set, problems)
		}
	}
}

func TestCheckFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "adapters.xml")
	for text, want := range map[string]struct{ mistakes, warnings int }{
		file(goodMetadata, goodData):                                     {0, 0},
		file(goodMetadata, robust(with("nonsense=1")...)):                {0, 1},
		file(goodMetadata, robust("request_reply_port=0", "nonsense=1")): {1, 1},
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		set, problems := adaptersxml.CheckFile(name)
		if len(problems) != want.mistakes+want.warnings || (set == nil) != (want.mistakes > 0) || set != nil && len(set.Warnings) != want.warnings {
			t.Errorf("%+v, %v, want %+v", set, problems, want)
		}
	}
}
