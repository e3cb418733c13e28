package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/bench/internal/page"
)

func TestSearch(t *testing.T) {
	for _, limit := range []float64{120, 49_000, 50_000, 123_456, 1e7} {
		got, err := search(50_000, func(rate float64) (bool, error) { return rate <= limit, nil })
		if err != nil || got > limit || got < limit/1.06 {
			t.Errorf("found %v, %v; want %v", got, err, limit)
		}
	}
	if got, err := search(50_000, func(float64) (bool, error) { return false, nil }); err == nil {
		t.Errorf("found %v where nothing holds", got)
	}
}

func TestTable(t *testing.T) {
	r := &result{Rate: 50_000, Delivered: 49_999, Duration: time.Minute, P99: 5 * time.Millisecond}
	r.Kinds[merge] = kindResult{Received: 90, Missing: 10}
	text := new(strings.Builder)
	table(text, r)
	if !strings.Contains(text.String(), "| 50000 for 1m0s | 49999 |") || !strings.Contains(text.String(), "| 10 of 100 |") {
		t.Errorf("got %s", text)
	}
}

// What cannot be written is found out before anything is measured.
func TestPageWithoutPlace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.md")
	l := &load{o: options{page: name}}
	if err := l.writePage(t.Context(), os.Stderr); err == nil {
		t.Error("a page that is not there")
	}
	if err := os.WriteFile(name, []byte("# Page\n"+page.Begin), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.writePage(t.Context(), os.Stderr); err == nil || !strings.Contains(err.Error(), "no lines") {
		t.Errorf("got %v", err)
	}
}
