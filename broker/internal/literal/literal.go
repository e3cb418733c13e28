// Package literal is the Metadata Adapter that Lightstreamer Server has ready-made under the class name
// com.lightstreamer.adapters.metadata.LiteralBasedProvider: groups and schemas are lists of names, and a few parameters set the same
// limits for everybody.
package literal

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// Config holds the parameters of the adapter. The zero value is without restrictions, but keeps no history for DISTINCT.
type Config struct {
	AllowedUsers           []string // nil: everybody; names are compared as they are
	MaxBandwidth           float64  // kbit/s for each user; 0: unlimited
	MaxFrequency           float64  // updates/s for each item; 0: unlimited
	BufferSize             int      // for each item; 0: unlimited
	PrefilterFrequency     float64  // updates/s of an item before they are spread to clients; 0: unlimited
	DistinctSnapshotLength int
	// Families decide on the modes of items: the first one that matches counts. With none, every item has every mode; else an
	// item in none of them has no mode.
	Families []Family
}

// Family gives modes to the items whose whole name matches.
type Family struct {
	Pattern     *regexp.Regexp
	Modes       provider.Modes
	DataAdapter string // the only Data Adapter the family is for; empty: any
}

// Metadata implements provider.Metadata. It never blocks, and may be called from any goroutine.
type Metadata struct {
	config Config
	// byAdapter says that the modes of an item depend on the Data Adapter, which is only known when a table is notified.
	byAdapter bool
}

var _ provider.Metadata = (*Metadata)(nil)

// New returns the adapter. It keeps the slice of users and the patterns.
func New(c Config) *Metadata {
	c.Families = slices.Clone(c.Families)
	for i, f := range c.Families {
		// The longest match tells whether the pattern matches the whole name: of two alternatives the first may match a part of it.
		c.Families[i].Pattern = regexp.MustCompile(f.Pattern.String())
		c.Families[i].Pattern.Longest()
	}
	return &Metadata{
		config:    c,
		byAdapter: slices.ContainsFunc(c.Families, func(f Family) bool { return f.DataAdapter != "" }),
	}
}

// NotifyUser refuses who is not in the list of allowed users, if there is one.
func (m *Metadata) NotifyUser(_ context.Context, u provider.User) (provider.UserGrant, error) {
	if m.config.AllowedUsers != nil && (u.Name.Null || !slices.Contains(m.config.AllowedUsers, u.Name.S)) {
		return provider.UserGrant{}, &provider.Error{Kind: provider.Access, Message: "Unauthorized user"}
	}
	return provider.UserGrant{MaxBandwidth: m.config.MaxBandwidth, WantsTables: m.byAdapter}, nil
}

// NotifyNewSession accepts every session, without a time to live.
func (m *Metadata) NotifyNewSession(context.Context, provider.Text, string, provider.SessionContext) (time.Duration, error) {
	return 0, nil
}

// Items splits a group into the names of its items.
func (m *Metadata) Items(_ context.Context, _ provider.Text, group, _ string) ([]string, error) {
	return names(group), nil
}

// Schema splits a schema into the names of its fields.
func (m *Metadata) Schema(_ context.Context, _ provider.Text, _, schema, _ string) ([]string, error) {
	return names(schema), nil
}

// names splits at spaces and drops empty names; a text without a space is one name, even if it is empty.
func names(list string) []string {
	if !strings.Contains(list, " ") {
		return []string{list}
	}
	return slices.DeleteFunc(strings.Split(list, " "), func(s string) bool { return s == "" })
}

// ItemData tells the modes an item has with some Data Adapter; NotifyNewTables looks closer.
func (m *Metadata) ItemData(_ context.Context, items []string) ([]provider.ItemData, error) {
	out := make([]provider.ItemData, len(items))
	for i, item := range items {
		out[i] = provider.ItemData{
			DistinctSnapshotLength: m.config.DistinctSnapshotLength,
			MinSourceFrequency:     m.config.PrefilterFrequency,
			Modes:                  m.modes(item),
		}
	}
	return out, nil
}

// modes is the union over all Data Adapters.
func (m *Metadata) modes(item string) provider.Modes {
	if len(m.config.Families) == 0 {
		return provider.AllModes
	}
	var modes provider.Modes
	for _, f := range m.config.Families {
		if f.matches(item) {
			modes |= f.Modes
			if f.DataAdapter == "" {
				break
			}
		}
	}
	return modes
}

func (f *Family) matches(item string) bool {
	loc := f.Pattern.FindStringIndex(item)
	return loc != nil && loc[0] == 0 && loc[1] == len(item)
}

func (m *Metadata) modesIn(item, dataAdapter string) provider.Modes {
	for _, f := range m.config.Families {
		if (f.DataAdapter == "" || f.DataAdapter == dataAdapter) && f.matches(item) {
			return f.Modes
		}
	}
	return 0
}

// UserItemData sets the same limits for all.
func (m *Metadata) UserItemData(_ context.Context, _ provider.Text, items []string) ([]provider.UserItemData, error) {
	return slices.Repeat([]provider.UserItemData{{
		BufferSize: m.config.BufferSize, MaxFrequency: m.config.MaxFrequency, Modes: provider.AllModes,
	}}, len(items)), nil
}

// NotifyNewTables refuses items in a mode that a family does not give them with the table's Data Adapter. The kernel's own check has
// passed by then, and this one has no code but the application's.
func (m *Metadata) NotifyNewTables(_ context.Context, _ provider.Text, _ string, tables []provider.Table) (provider.TablesGrant, error) {
	if !m.byAdapter {
		return provider.TablesGrant{}, nil
	}
	for _, t := range tables {
		for _, item := range t.Items {
			if !m.modesIn(item, t.DataAdapter).Has(t.Mode) {
				text := fmt.Sprintf("mode %v not allowed for item %s of Data Adapter %s", t.Mode, item, t.DataAdapter)
				return provider.TablesGrant{}, &provider.Error{Kind: provider.Credits, Message: text, ClientMessage: provider.T(text)}
			}
		}
	}
	return provider.TablesGrant{}, nil
}

// NotifyMessage refuses: nobody is there to take a message.
func (m *Metadata) NotifyMessage(context.Context, provider.Text, string, string) (string, error) {
	return "", &provider.Error{Kind: provider.Notification, Message: "LiteralBasedProvider takes no messages"}
}

// NotifyTablesClose has nothing to do.
func (m *Metadata) NotifyTablesClose(string, []provider.Table) {}

// NotifySessionClose has nothing to do.
func (m *Metadata) NotifySessionClose(string) {}
