// Package rooms holds no code: its test keeps the import rules of the repository's rooms.
package rooms

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lightstreamer-go/lightstreamer"

// The only requirement of the root module, and the one room that may know it.
const websocket = "github.com/coder/websocket"

// allowed says what each room may import of this module besides itself, packages below a named room included. Rooms that are not listed
// may not exist: a new one is a decision, made here.
var allowed = map[string][]string{
	"adapter":                  {"adaptersxml", "internal/ari", "internal/secret", "internal/vanish"},
	"adapter/adaptertest":      {"adapter", "internal/ari"},
	"adaptersxml":              {"internal/files", "internal/secret"},
	"broker":                   {"broker/internal", "adaptersxml", "adapter", "internal/files", "internal/secret", "internal/tlcp", "internal/wsconn"},
	"broker/internal/provider": {},
	"broker/internal/budget":   {},
	"broker/internal/sample":   {},
	"broker/internal/literal":  {"broker/internal/provider"},
	"broker/internal/proxy":    {"broker/internal/budget", "broker/internal/provider", "broker/internal/sample", "internal/ari", "internal/secret", "internal/vanish"},
	"broker/internal/item":     {"broker/internal/budget", "broker/internal/provider"},
	"broker/internal/diff":     {},
	"broker/internal/session":  {"broker/internal/budget", "broker/internal/provider", "broker/internal/item", "broker/internal/diff", "broker/internal/sample", "internal/tlcp"},
	"client":                   {"internal/secret", "internal/tlcp", "internal/wsconn"},
	"internal/ari":             {"internal/secret"},
	"internal/files":           {},
	"internal/secret":          {},
	"internal/tlcp":            {},
	"internal/vanish":          {},
	"internal/wsconn":          {},
	"internal/rooms":           {},
}

// alsoInTests says what the tests outside of a package may import besides: a client is tested against the broker, and the broker shows how a
// program is tested with both. Either requires what the other does, so that nobody's go.sum grows by it.
var alsoInTests = map[string][]string{
	"broker": {"client"},
	"client": {"broker", "adapter"},
}

type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Standard     bool
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports,TestImports,XTestImports,Standard"}, args...)...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	packages := list(t, "./...")
	if len(packages) < 5 {
		t.Fatalf("only %d packages found", len(packages))
	}
	standard := map[string]bool{}
	for _, p := range list(t, "std") {
		standard[p.ImportPath] = true
	}
	for _, p := range packages {
		room := strings.TrimPrefix(p.ImportPath, module+"/")
		rules, known := allowed[room]
		if !known {
			t.Errorf("%s is a room that the rules do not know", room)
			continue
		}
		// Tests follow the same rules: what they need ends up in the go.sum of the users of the package.
		for _, imported := range slices.Concat(p.Imports, p.TestImports) {
			if !mayImport(room, rules, imported, standard) {
				t.Errorf("%s imports %s, which it may not", room, imported)
			}
		}
		for _, imported := range p.XTestImports {
			if !mayImport(room, slices.Concat(rules, alsoInTests[room]), imported, standard) {
				t.Errorf("the tests of %s import %s, which they may not", room, imported)
			}
		}
	}
}

func mayImport(room string, rules []string, imported string, standard map[string]bool) bool {
	own, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return standard[imported] || imported == "C" || room == "internal/wsconn" && strings.HasPrefix(imported, websocket)
	}
	if own == room {
		return true
	}
	return slices.ContainsFunc(rules, func(r string) bool { return own == r || strings.HasPrefix(own, r+"/") })
}

// A program that imports the SDK must not inherit a requirement.
func TestSDKLinksTheStandardLibraryOnly(t *testing.T) {
	for _, p := range list(t, "-deps", "./adapter", "./adaptersxml") {
		if !p.Standard && !strings.HasPrefix(p.ImportPath, module+"/") {
			t.Errorf("the SDK links %s", p.ImportPath)
		}
	}
}
