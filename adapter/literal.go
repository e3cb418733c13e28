package adapter

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// LiteralMetadata is the official LiteralBasedProvider: groups and schemas are lists of names separated by spaces, and a few
// initialisation parameters set limits for everybody:
//
//	allowed_users              names separated by commas, not trimmed; others get an AccessError. Absent: everybody
//	max_bandwidth              kbit/s for each session; default 0, no limit
//	max_frequency              updates per second for each item; default 0, no limit
//	buffer_size                events waiting for each item; default 0, no limit
//	distinct_snapshot_length   events kept for DISTINCT; default 10
//
// The parameters are those of [Init.Params]: from the proxy (with remote_params_prefix their names carry the prefix; then set them
// in [MetadataServer.Params]) or from [MetadataServer.Params]. A type that embeds LiteralMetadata and has an Initialize of its own calls
// LiteralMetadata.Initialize from there. The zero value is ready, with the defaults. Use it by pointer.
type LiteralMetadata struct {
	DefaultMetadata
	// Replaced whole at each initialisation, while callbacks of an earlier connection may still be reading it.
	limits atomic.Pointer[literalLimits]
}

type literalLimits struct {
	restrictUsers  bool
	users          []string
	bandwidth      float64
	frequency      float64
	bufferSize     int
	distinctLength int
}

var literalDefaults = literalLimits{distinctLength: 10}

func (l *LiteralMetadata) current() *literalLimits {
	if c := l.limits.Load(); c != nil {
		return c
	}
	return &literalDefaults
}

// Initialize reads the parameters. A value that is not a number, or is negative, is a [*MetadataProviderError] that names it.
func (l *LiteralMetadata) Initialize(_ context.Context, in Init) error {
	c := literalDefaults
	var err error
	if users, ok := in.Params["allowed_users"]; ok {
		c.restrictUsers, c.users = true, strings.Split(users, ",")
	}
	c.bandwidth, err = literalDecimal(in.Params, "max_bandwidth", err)
	c.frequency, err = literalDecimal(in.Params, "max_frequency", err)
	c.bufferSize, err = literalInt(in.Params, "buffer_size", c.bufferSize, err)
	c.distinctLength, err = literalInt(in.Params, "distinct_snapshot_length", c.distinctLength, err)
	if err != nil {
		return err
	}
	l.limits.Store(&c)
	return nil
}

func literalDecimal(params map[string]string, name string, prev error) (float64, error) {
	text, ok := params[name]
	if !ok || prev != nil {
		return 0, prev
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || math.IsNaN(f) {
		return 0, &MetadataProviderError{Message: fmt.Sprintf("parameter %s: %q is not a number of 0 or more", name, text)}
	}
	return f, nil
}

func literalInt(params map[string]string, name string, def int, prev error) (int, error) {
	text, ok := params[name]
	if !ok || prev != nil {
		return def, prev
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, &MetadataProviderError{Message: fmt.Sprintf("parameter %s: %q is not an integer of 0 or more", name, text)}
	}
	return int(n), nil
}

// NotifyUser admits the allowed_users, or everybody if there is no such parameter; a client that gave no name is refused when there is.
func (l *LiteralMetadata) NotifyUser(_ context.Context, u User) (UserGrant, error) {
	c := l.current()
	if c.restrictUsers && (u.Anonymous || !slices.Contains(c.users, u.Name)) {
		return UserGrant{}, &AccessError{Message: "Unauthorized user"}
	}
	return UserGrant{MaxBandwidth: c.bandwidth}, nil
}

// ItemData allows every mode and applies distinct_snapshot_length.
func (l *LiteralMetadata) ItemData(context.Context, string) (ItemData, error) {
	return ItemData{Modes: AllModes, DistinctSnapshotLength: l.current().distinctLength}, nil
}

// UserItemData allows every mode and applies max_frequency and buffer_size.
func (l *LiteralMetadata) UserItemData(context.Context, string, string) (UserItemData, error) {
	c := l.current()
	return UserItemData{Modes: AllModes, BufferSize: c.bufferSize, MaxItemFrequency: c.frequency}, nil
}
