package broker

import (
	"bytes"
	"log/slog"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// Each limit reaches what it limits, and none can be switched off by mistake.
func TestLimitsAreSettings(t *testing.T) {
	l := Limits{
		Request: 501, Header: 2, Connections: 3, AddressConnections: 30, AddressRate: 31, LoopbackConnections: 32,
		RequestMemory: 33, Sessions: 4, Subscriptions: 5, PendingRequests: 6, PendingMessages: 7, Sequences: 8, Buffer: 9,
		UnfilteredBuffer: 10, QueueBytes: 11, HistoryBytes: 12, HistoryTime: 13, Items: 18, Fields: 19, SessionMemory: 20, Memory: 29,
	}
	l.AddressSessions, l.SessionRate, l.UserSessions, l.PendingCreations = 21, 22, 23, 24
	l.PendingMessageBytes, l.PendingRequestBytes, l.PendingBytes, l.MessageCalls = 25, 26, 27, 28
	cfg := Config{Limits: l, RebindTimeout: 14, RecoveryTimeout: 15, Keepalive: 16, Linger: 17}.withDefaults()
	if cfg.Limits != l {
		t.Errorf("changed to %+v", cfg.Limits)
	}
	s := cfg.sessions(nil, cfg.Limits.memory())
	got := []int{
		s.RequestLimit, s.MaxSessions, s.MaxSubscriptions, s.MaxRequests, s.MaxMessages, s.MaxSequences, s.MaxBuffer, s.MaxUnfiltered,
		s.MaxQueueBytes, s.HistoryBytes, int(s.HistoryTime), int(s.RebindTimeout), int(s.RecoveryTimeout), int(s.Keepalive), int(s.Linger), s.MaxItems, s.MaxFields, s.SessionMemory,
		int(s.Memory.Limit()),
	}
	if want := []int{501, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 29}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = []int{
		s.MaxAddressSessions, s.SessionRate, s.MaxUserSessions, s.MaxCreations, int(s.MaxMessageBytes), int(s.MaxRequestBytes),
		int(s.MaxWaiting), s.MaxMessageCalls,
	}
	if want := []int{21, 22, 23, 24, 25, 26, 27, 28}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := (&Limits{}).memory().Limit(); n != defaultMemory {
		t.Errorf("without a memory limit %d bytes", n)
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(3 << 30))
	if n := (&Limits{}).memory().Limit(); n != 3<<29 {
		t.Errorf("with a memory limit of 3 GiB %d bytes", n)
	}
	fields := reflect.TypeFor[Limits]()
	for i := range fields.NumField() {
		f := fields.Field(i)
		bad := Limits{}
		switch f.Name {
		case "_", "Connections", "AddressConnections", "AddressRate", "AddressSessions", "SessionRate": // which may be unbounded
			continue
		}
		reflect.ValueOf(&bad).Elem().Field(i).SetInt(-1)
		cfg := Config{Limits: bad}.withDefaults()
		if err := cfg.check(); err == nil || !strings.Contains(err.Error(), "Limits."+f.Name) {
			t.Errorf("a negative %s: %v", f.Name, err)
		}
	}
	if err := (&Config{Limits: Limits{Connections: -1}.withDefaults(), Keepalive: time.Second, WriteTimeout: 1}).check(); err != nil {
		t.Errorf("unbounded connections: %v", err)
	}
}

// A process that may have few file descriptors serves fewer clients than configured, and says so.
func TestConnectionsFitDescriptors(t *testing.T) {
	for _, tt := range []struct{ configured, descriptors, want, said int }{
		{10_000, 20_000, 10_000, 0}, {10_000, 10_500, 9476, 1}, {10_000, 1024, 922, 1}, {100, 256, 100, 0}, {10_000, 256, 192, 1},
		{-1, 1000, 900, 1}, {10_000, 20, 10, 1}, {10_000, 0, 10_000, 0}, {-1, 0, -1, 0},
	} {
		var out bytes.Buffer
		cfg := Config{Limits: Limits{Connections: tt.configured}, Logger: slog.New(slog.NewTextHandler(&out, nil))}
		cfg.fitDescriptors(tt.descriptors)
		if got := cfg.Limits.Connections; got != tt.want || strings.Count(out.String(), "\n") != tt.said {
			t.Errorf("%+v: %d connections; said %s", tt, got, &out)
		}
	}
}
