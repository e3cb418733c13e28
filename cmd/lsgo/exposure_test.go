package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// What others than this machine can reach without protection is told, each with what mends it.
func TestExposureIsTold(t *testing.T) {
	set, err := adaptersxml.Read(strings.NewReader(setXML("DEMO", 6661)), "adapters.xml")
	if err != nil {
		t.Fatal(err)
	}
	secured, err := adaptersxml.Read(strings.NewReader(strings.Replace(setXML("DEMO", 6661), `<param name="request_reply_port">`,
		`<param name="auth">Y</param><param name="auth.credentials.1.user">u</param><param name="auth.credentials.1.password">p</param>
    <param name="tls">Y</param><param name="tls.keystore.type">PEM</param><param name="tls.keystore.keystore_file">k.pem</param>
    <param name="tls.keystore.keystore_password">p</param><param name="request_reply_port">`, 1)), "adapters.xml")
	if err != nil {
		t.Fatal(err)
	}
	port := func(ip string) []broker.AdapterAddr {
		return []broker.AdapterAddr{{Set: "DEMO", DataAdapter: "FEED", Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 6661}}}
	}
	for _, tt := range []struct {
		name     string
		args     []string
		set      *adaptersxml.Set
		adapters []broker.AdapterAddr
		want     []string
	}{
		{"the default", nil, set, port("127.0.0.1"), nil},
		{"localhost", []string{"--http", "localhost:80", "--monitor-addr", "[::1]:0"}, set, port("::1"), nil},
		{"clients", []string{"--http", "0.0.0.0:80"}, set, port("127.0.0.1"), []string{"--tls-certificate", "--monitor-addr 127.0.0.1"}},
		{"clients with TLS", []string{"--http", ":443", "--tls-certificate", "c", "--tls-key", "k", "--monitor-addr", "127.0.0.1:0"}, set, nil, nil},
		{
			"everything off", []string{"--http", "[::]:80", "--no-monitoring", "--allowed-origins", "*", "--max-connections", "0",
				"--max-address-connections", "0", "--max-address-sessions", "0", "--max-address-rate", "0", "--max-session-rate", "0"}, set, nil,
			[]string{"--tls-certificate", "--allowed-origins *", "--max-connections 0", "--max-address-connections 0", "--max-address-rate 0",
				"--max-address-sessions 0", "--max-session-rate 0"},
		},
		{"monitor", []string{"--monitor-addr", "10.0.0.1:9"}, set, nil, []string{"--monitor-addr 10.0.0.1:9"}},
		{"adapters", nil, set, port("0.0.0.0"), []string{`adapters.xml:5:3: warning: others`, `adapters.xml:5:3: warning: whoever`}},
		{"secured adapters", nil, secured, port("0.0.0.0"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := serveFlags(t, tt.args...)
			var got []string
			for _, p := range slices.Concat(exposed(s), exposedPorts([]*adaptersxml.Set{tt.set}, tt.adapters, nil)) {
				got = append(got, p.Error())
			}
			text := strings.Join(got, "\n")
			if len(got) != len(tt.want) {
				t.Fatalf("%d warnings, want %d:\n%s", len(got), len(tt.want), text)
			}
			for i, want := range tt.want { // in the same order each time
				if !strings.Contains(got[i], want) {
					t.Errorf("warning %d is %s, want %q", i+1, got[i], want)
				}
			}
		})
	}
}

// A set that comes later is looked at, too, and those that stay are not told of again.
func TestExposureAfterAReload(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "one", "adapters.xml"), setXML("ONE", freePort(t)))
	p, _ := startServe(t, dir, "--adapter-host", "0.0.0.0")
	told := func(file string) func(jsonEvent) bool {
		return isJSON("problem", func(e jsonEvent) bool {
			return e.Severity == "warning" && strings.Contains(e.File, file) && e.Line == 5
		})
	}
	_, at := p.awaitEvent("the warning", 0, told("one"))
	_, at = p.awaitEvent("the other warning", at, told("one"))
	writeFile(t, filepath.Join(dir, "two", "adapters.xml"), setXML("TWO", freePort(t)))
	_, at = p.awaitEvent("the second set", at, isReload([]string{"TWO"}, nil, nil, nil))
	p.awaitEvent("its warning", at, told("two"))
	p.stop()
	for _, e := range p.events(p.stdout.String())[at:] {
		if told("one")(e) {
			t.Errorf("told again: %+v", e)
		}
	}
}

// A robust proxy that Lightstreamer Server would close for good after a port scan is warned of by
// check, with its line; the warning alone is no reason to fail.
func TestCheckWarnsOfPortsThatClose(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "adapters.xml")
	check := func(xml string) string {
		t.Helper()
		if err := os.WriteFile(file, []byte(xml), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if status := run(t.Context(), []string{"check", dir}, &out, &errs); status != 0 {
			t.Fatalf("status %d: %s%s", status, &out, &errs)
		}
		return out.String()
	}
	const pause = `<param name="connection_recovery_timeout_millis">1000</param>`
	xml := setXML("DEMO", 6661)
	if got := check(xml); !strings.Contains(got, "no warnings") {
		t.Errorf("got %s", got)
	}
	xml = strings.Replace(xml, pause, "", 1)
	if got := check(xml); !strings.Contains(got, file+":5:3: ") || !strings.Contains(got, "connection_recovery_timeout_millis") || !strings.Contains(got, "1 warning") {
		t.Errorf("got %s", got)
	}
}
