//go:build linux

package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// mostMemory is what one client may have the broker take, with that of all others here, in MiB.
const mostMemory = 512

// pauseBetween is how long is waited between attempts.
const pauseBetween = 200 * time.Millisecond

// blastRows are the matrix of who misbehaves and what the others notice.
func blastRows(o *options) []row {
	second := time.Second
	return []row{
		{name: "client-names", title: "a client: 25 subscriptions of 8,000 names (V1)", short: true, attack: &attack{
			kind: "names", full: 15 * second, short: 6 * second, newcomer: true, memory: mostMemory,
		}},
		{name: "client-fields", title: "a client: 12,000 items with 12,000 fields (V2)", attack: &attack{
			kind: "fields", full: 10 * second, short: 5 * second, newcomer: true, memory: mostMemory,
		}},
		{name: "client-rows", title: "a client: 1,000 rows, 5,000 times (V2)", attack: &attack{
			kind: "rows", full: 10 * second, short: 5 * second, newcomer: true, memory: mostMemory,
		}},
		{
			name: "client-bodies", title: "a client: 200 bodies that do not come (V3)", short: true,
			cfg: brokerConfig{flags: []string{fmt.Sprint("--max-connections=", o.clientsHere()+o.nodes+200), "--read-timeout=2s"}},
			attack: &attack{
				kind: "bodies", full: 30 * second, short: 8 * second, newcomer: true,
			},
		},
		{
			name: "client-messages", title: "a client: 1,000 messages of 48 KB while the adapter stands still for 4 s (V6)", short: true,
			cfg: brokerConfig{keepalive: 15 * second}, attack: &attack{
				kind: "messages", full: 15 * second, short: 8 * second, newcomer: true, silences: true, memory: mostMemory, begun: standStillAdapter,
			},
		},
		{name: "client-sessions", title: "a client: 10,500 sessions (V8)", attack: &attack{
			kind: "creations", full: 15 * second, short: 5 * second, newcomer: true,
		}},
		{name: "client-log", title: "a client: 48,000 bad lines, 47,500 names refused (V13)", short: true, attack: &attack{
			kind: "log", full: 5 * second, short: 2 * second, newcomer: true, after: fewLines,
		}},
		{name: "client-connections", title: "a client: 600 connections that say little", attack: &attack{
			kind: "connections", full: 15 * second, short: 3 * second, newcomer: true,
		}},
		{name: "adapter-hostile", title: "the adapter of another set: garbage, floods, a line without an end", short: true, cfg: brokerConfig{other: otherXML}, attack: &attack{
			kind: "adapter", full: 10 * second, short: 2 * second, newcomer: true,
		}},
		{name: "clients-stopped", title: "a machine with 50 clients stands still", attack: &attack{
			kind: "none", full: 20 * second, short: 5 * second, newcomer: true, before: standStill,
		}},
	}
}

// otherXML is the Adapter Set of the hostile adapter; its port is put in by the stage.
const otherXML = `<?xml version="1.0"?>
<adapters_conf id="OTHER">
  <metadata_provider>
    <adapter_class>com.lightstreamer.adapters.metadata.LiteralBasedProvider</adapter_class>
  </metadata_provider>
  <data_provider>
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="interface">127.0.0.1</param>
    <param name="request_reply_port">%d</param>
    <param name="first_connection_timeout_millis">0</param>
    <param name="connection_recovery_timeout_millis">0</param>
  </data_provider>
</adapters_conf>
`

// standStillAdapter stops the adapter for 4 s, less than its keepalive.
func standStillAdapter(_ context.Context, s *stage) error {
	feed := s.feed
	time.AfterFunc(4*time.Second, func() { _ = feed.signal(syscall.SIGCONT) }) // it may have ended with the row
	return feed.signal(stopSignal)
}

// mostLines is how many lines a flood of bad requests may add to the log.
const mostLines = 500

// fewLines looks at the size of the log.
func fewLines(_ context.Context, s *stage) error {
	lines, bytes := s.log.size()
	s.note("log: %d lines, %d KiB", lines, bytes>>10)
	if lines > mostLines {
		return fmt.Errorf("the log has %d lines, more than %d", lines, mostLines)
	}
	return nil
}

// standStill starts clients besides, and stops their process.
func standStill(ctx context.Context, s *stage) error {
	crowd, err := s.o.children.start(spec{name: "other clients", args: []string{
		s.o.self, "clients", "-url", s.broker.url, "-count=50", fmt.Sprint("-seed=", s.seed+50),
	}})
	if err != nil {
		return err
	}
	s.others = append(s.others, crowd)
	fresh, cancel := context.WithTimeoutCause(ctx, s.o.patience, fmt.Errorf("not within %v", s.o.patience))
	defer cancel()
	since := time.Now().UnixMicro()
	for {
		var a clientsAnswer
		if err := crowd.order(fresh, order{Do: "fresh", Since: since}, &a); err != nil {
			return err
		}
		if a.Good == a.Clients {
			return crowd.signal(stopSignal)
		}
		if err := wait(fresh, pauseBetween); err != nil {
			return err
		}
	}
}
