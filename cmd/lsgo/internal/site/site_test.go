package site

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

// TestPageIsWhole follows every reference of the page and of its modules.
func TestPageIsWhole(t *testing.T) {
	h := Handler("")
	reference := regexp.MustCompile(`(?:href|src)="(/[^"]+)"|from '\./([^']+)'`)
	seen := make(map[string]bool)
	var follow func(path string)
	follow = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		w := get(t, h, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
			return
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'self'") {
			t.Errorf("%s: Content-Security-Policy is %q", path, policy)
		}
		for _, match := range reference.FindAllStringSubmatch(w.Body.String(), -1) {
			if match[1] != "" {
				follow(match[1])
			} else {
				follow("/js/" + match[2])
			}
		}
	}
	follow("/")
	for _, path := range []string{"/style.css", "/favicon.svg", "/js/app.js", "/js/stocks.js", "/js/chat.js", "/js/portfolio.js"} {
		if !seen[path] {
			t.Errorf("the page does not lead to %s", path)
		}
	}
}

// TestPageIsSelfContained fails when the page loads anything from elsewhere or inserts text as markup.
func TestPageIsSelfContained(t *testing.T) {
	err := fs.WalkDir(embedded, "web", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(embedded, path)
		if err != nil {
			return err
		}
		for _, bad := range []string{"//cdn", "https://", "@import", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", " style=\"", " onclick="} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s contains %q", path, bad)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLibrary(t *testing.T) {
	const file = "lightstreamer-core.esm.js"
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, file), "given")

	project := t.TempDir()
	write(t, filepath.Join(project, "secret.txt"), "secret")
	below := filepath.Join(project, "a", "b")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)

	h := Handler("")
	if w := get(t, h, LibraryPath+file); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "npm ci") {
		t.Errorf("without the package: status %d, %q; want 404 and what to do", w.Code, w.Body)
	}
	// Installed while the server runs, in a folder above the working directory.
	write(t, filepath.Join(project, "node_modules", "lightstreamer-client-web", file), "found")
	if w := get(t, h, LibraryPath+file); w.Code != http.StatusOK || w.Body.String() != "found" {
		t.Errorf("with the package: status %d, %q", w.Code, w.Body)
	} else if kind := w.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/javascript") {
		t.Errorf("Content-Type is %q: a browser does not take it for a module", kind)
	}
	if w := get(t, Handler(elsewhere), LibraryPath+file); w.Body.String() != "given" {
		t.Errorf("with a folder given: status %d, %q", w.Code, w.Body)
	}
	if w := get(t, Handler(below), LibraryPath+file); w.Code != http.StatusNotFound {
		t.Errorf("with a wrong folder given: status %d, want 404", w.Code)
	}

	link := filepath.Join(project, "node_modules", "lightstreamer-client-web", "link.txt")
	if err := os.Symlink(filepath.Join(project, "secret.txt"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{LibraryPath + "link.txt", LibraryPath + "../../secret.txt", LibraryPath + "%2e%2e/%2e%2e/secret.txt"} {
		if w := get(t, h, path); strings.Contains(w.Body.String(), "secret") && w.Code == http.StatusOK {
			t.Errorf("%s leads out of the package", path)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
