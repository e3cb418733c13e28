package page

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUpdate(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# Page\n" + Begin + "old\n" + End + "after\n")
	if err := os.Chmod(page, 0o640); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once more, over its own
		if err := Update(page, "new\n"); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(page); err != nil || string(b) != "# Page\n"+Begin+"\nnew\n\n"+End+"after\n" {
		t.Errorf("%q, %v", b, err)
	}
	if info, err := os.Stat(page); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v: the permissions have changed", info, err)
	}
	write("# Page\n" + Begin)
	for name, err := range map[string]error{"Check": Check(page), "Update": Update(page, "new\n"), "Check of none": Check(page + "x")} {
		if err == nil || !strings.Contains(err.Error(), page) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := os.ReadDir(filepath.Dir(page)); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}
