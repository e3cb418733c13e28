// Package site serves the demo's page, and the official web client beside it.
package site

import (
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
)

// LibraryPath is where the files of the npm package lightstreamer-client-web are served.
const LibraryPath = "/lightstreamer-client-web/"

// policy lets the page load nothing but its own files, connect to its own server, and run the one worker that the client
// library makes from a blob for its timers.
const policy = "default-src 'self'; connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed web
var embedded embed.FS

// Handler serves the page at / and the official library under [LibraryPath]. clientWeb is the folder of the npm package;
// if it is empty the handler looks for the package, as Node.js does, in node_modules of the working directory and of the
// folders above it. It looks at each request, so the package may be installed while the server runs.
func Handler(clientWeb string) http.Handler {
	web, err := fs.Sub(embedded, "web")
	if err != nil {
		panic(err) // the pattern above and this name differ: no build of the program could work
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(web))
	mux.Handle("GET "+LibraryPath, http.StripPrefix(LibraryPath, library(clientWeb)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		// The files change with the binary and have no date: a browser must ask each time.
		h.Set("Cache-Control", "no-cache")
		mux.ServeHTTP(w, r)
	})
}

func library(clientWeb string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dir, err := FindLibrary(clientWeb)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		root, err := os.OpenRoot(dir) // a symbolic link inside cannot lead out of it
		if err != nil {
			http.Error(w, "the folder of lightstreamer-client-web cannot be opened", http.StatusNotFound)
			return
		}
		defer root.Close()
		http.FileServerFS(root.FS()).ServeHTTP(w, r)
	})
}

// ErrNoLibrary tells that the npm package was not found. Its text says what to do.
var ErrNoLibrary = errors.New("the npm package lightstreamer-client-web is not installed; run \"npm ci\" in the repository's folder")

// FindLibrary returns the folder of the npm package lightstreamer-client-web, found as [Handler] says.
func FindLibrary(clientWeb string) (string, error) {
	const file = "lightstreamer-core.esm.js"
	if clientWeb != "" {
		if _, err := os.Stat(filepath.Join(clientWeb, file)); err != nil {
			return "", ErrNoLibrary
		}
		return clientWeb, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", ErrNoLibrary
	}
	for {
		candidate := filepath.Join(dir, "node_modules", "lightstreamer-client-web")
		if _, err := os.Stat(filepath.Join(candidate, file)); err == nil {
			return candidate, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", ErrNoLibrary
		}
		dir = parent
	}
}
