//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// peer is one adapter program under test.
type peer struct {
	Name       string            `json:"name"`
	Cmd        []string          `json:"cmd"`
	Env        []string          `json:"env,omitempty"`
	MaxThreads int               `json:"max_threads,omitempty"` // 0: any
	Notify     bool              `json:"notify,omitempty"`      // has a second connection for data, for notifications
	Wrap       bool              `json:"wrap,omitempty"`        // may restart its sequences (the limit writer)
	Only       []string          `json:"only,omitempty"`        // scenarios it takes part in; empty: all
	Skip       []string          `json:"skip,omitempty"`
	WarmMs     int               `json:"warm_ms,omitempty"` // warm-up it needs (just-in-time compilers)
	Sizes      map[string]string `json:"sizes,omitempty"`   // files whose sizes are told, by the name of the measure
	Version    string            `json:"version,omitempty"` // what the report says about it
}

// does tells whether a peer takes part in a scenario.
func (p *peer) does(s *scenario) bool {
	if slices.Contains(p.Skip, s.name) || p.MaxThreads > 0 && s.threads > p.MaxThreads {
		return false
	}
	if s.name == "drain" { // of the limit writer only
		return slices.Contains(p.Only, s.name)
	}
	return len(p.Only) == 0 || slices.Contains(p.Only, s.name)
}

// loadPeers reads the list, and selects those that are named, or all.
func loadPeers(file, only string) ([]*peer, error) {
	b, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, fmt.Errorf("list of peers: %w", err)
	}
	var all []*peer
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("list of peers %s: %w", file, err)
	}
	return choose(all, only, "peer", func(p *peer) string { return p.Name })
}

// choose returns what a comma separated list names, in the order of all; everything, if it is empty.
func choose[T any](all []T, list, what string, name func(T) string) ([]T, error) {
	if list == "" {
		return all, nil
	}
	names := strings.Split(list, ",")
	var chosen []T
	for _, v := range all {
		if i := slices.Index(names, name(v)); i >= 0 {
			chosen = append(chosen, v)
			names = slices.Delete(names, i, i+1)
		}
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("there is no %s %q", what, names[0])
	}
	return chosen, nil
}
