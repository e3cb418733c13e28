package broker

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// xmlSet reads an adapters.xml with one metadata and one data side. The ports in it are replaced by free ones.
func xmlSet(t *testing.T, metadata, data string) *adaptersxml.Set {
	t.Helper()
	set, err := adaptersxml.Read(strings.NewReader(setText("DEMO", metadata, data)), "adapters.xml")
	if err != nil {
		t.Fatal(err)
	}
	if set.Metadata.Proxy != nil {
		set.Metadata.Proxy.RequestReplyPort = 0
	}
	set.Data[0].Proxy.RequestReplyPort = 0
	return set
}

func setText(id, metadata, data string) string {
	return `<?xml version="1.0"?><adapters_conf id="` + id + `">` + metadata + data + `</adapters_conf>`
}

const (
	literalXML = `<metadata_provider><adapter_class>com.lightstreamer.adapters.metadata.LiteralBasedProvider</adapter_class></metadata_provider>`
	robustMeta = `<metadata_provider><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
		<param name="request_reply_port">8003</param></metadata_provider>`
	robustData = `<data_provider name="QUOTES"><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
		<param name="request_reply_port">8001</param></data_provider>`
	basicData = `<data_provider name="QUOTES"><adapter_class>PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
		<param name="request_reply_port">8001</param></data_provider>`
)

// quotes is a Data Adapter: every item has one row, and changes once.
type quotes struct{ initialised chan<- string }

func (q quotes) Initialize(context.Context, adapter.Init) error {
	if q.initialised != nil {
		q.initialised <- "data"
	}
	return nil
}

func (quotes) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if err := sub.Snapshot(adapter.Fields{"last": "1.0", "name": sub.Item()}); err != nil {
		return err
	}
	return sub.Update(adapter.Fields{"last": "1.1"})
}

// hall is a Metadata Adapter.
type hall struct {
	adapter.LiteralMetadata
	initialised chan<- string
}

func (h *hall) Initialize(ctx context.Context, in adapter.Init) error {
	if h.initialised != nil {
		h.initialised <- "metadata"
	}
	return h.LiteralMetadata.Initialize(ctx, in)
}

// run runs an adapter server until the test ends, and returns its end.
func run(t *testing.T, server interface{ Run(context.Context) error }) (stop context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Run(ctx) // what a lost connection makes of it is not tested here
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// seeQuote subscribes to an item, and fails unless the adapter's snapshot and update arrive.
func seeQuote(t *testing.T, d *demo) {
	t.Helper()
	c := connect(t, d, "WS-STREAMING")
	subscribe(c, tlcp.Add{SubID: 1, Mode: tlcp.ModeMerge, Group: "item1", Schema: "name last", DataAdapter: "QUOTES", Snapshot: tlcp.Snapshot{Requested: true}})
	c.until(tlcp.TagCONF)
	got := c.until(tlcp.TagU)
	if slices.Equal(got, []string{"U,1,1,item1|1.0"}) {
		got = append(got, c.until(tlcp.TagU)...)
		expectLines(t, "quote", got, "U,1,1,item1|1.0", "U,1,1,|1.1")
		return
	}
	expectLines(t, "quote, merged", got, "U,1,1,item1|1.1")
}

// remotes are the proxies that have been started.
func remotes(r *Running) []remote {
	r.adapters.mu.Lock()
	defer r.adapters.mu.Unlock()
	var all []remote
	for _, s := range r.adapters.services {
		for _, side := range s.sides {
			if side.remote != nil {
				all = append(all, side.remote)
			}
		}
	}
	return all
}

func TestRemoteAdapters(t *testing.T) {
	for _, tt := range []struct {
		name, metadata, data string
	}{
		{"robust", robustMeta, robustData},
		{"literal and basic", literalXML, basicData},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := xmlSet(t, tt.metadata, tt.data)
			r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.Close)
			for _, at := range r.Adapters() {
				if at.Set != "DEMO" || at.RemoteAddr != "" || !at.Addr.(*net.TCPAddr).IP.IsLoopback() {
					t.Errorf("adapter at %+v", at)
				}
				if at.DataAdapter == "" {
					run(t, &adapter.MetadataServer{Provider: &hall{}, Addr: at.Addr.String()})
				} else {
					run(t, &adapter.DataServer{Provider: quotes{}, Addr: at.Addr.String()})
				}
			}
			<-r.Ready()
			seeQuote(t, &demo{Running: r})
			r.Close()
			if err := r.Err(); err != nil {
				t.Errorf("a broker that was told to stop has the error %v", err)
			}
			for _, p := range remotes(r) {
				select {
				case <-p.Done():
				default:
					t.Error("a proxy is still there after Close")
				}
			}
		})
	}
}

// The data side waits for the metadata side, unless the configuration says otherwise; its port is open all the same.
func TestMetadataFirst(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			set := xmlSet(t, robustMeta, robustData)
			set.MetadataFirst = first
			r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.Close)
			at := r.Adapters()
			started := len(remotes(r))
			if want := map[bool]int{true: 1, false: 2}[first]; started != want {
				t.Errorf("%d proxies have started, want %d", started, want)
			}
			initialised := make(chan string, 10)
			run(t, &adapter.DataServer{Provider: quotes{initialised}, Addr: at[1].Addr.String()})
			var order []string
			if !first {
				order = append(order, <-initialised)
			}
			run(t, &adapter.MetadataServer{Provider: &hall{initialised: initialised}, Addr: at[0].Addr.String()})
			for len(order) < 2 {
				order = append(order, <-initialised)
			}
			want := []string{"data", "metadata"}
			if first {
				want = []string{"metadata", "data"}
			}
			if !slices.Equal(order, want) {
				t.Errorf("initialised %v, want %v", order, want)
			}
			<-r.Ready()
			seeQuote(t, &demo{Running: r})
		})
	}
}

// A broker can be stopped while it waits for adapters.
func TestCloseWithoutAdapters(t *testing.T) {
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{xmlSet(t, robustMeta, robustData)}})
	if err != nil {
		t.Fatal(err)
	}
	// Meanwhile clients are told to come back later, or what the proxy says.
	if got := post(t, &demo{Running: r}, "create_session", "", "LS_adapter_set=DEMO"); !strings.HasPrefix(got, "CONERR,") {
		t.Errorf("got %q", got)
	}
	select {
	case <-r.Ready():
		t.Error("ready without adapters")
	default:
	}
	r.Close()
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// The loss of the remote of a basic proxy ends the broker, as it ends the server.
func TestBasicAdapterLost(t *testing.T) {
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{xmlSet(t, literalXML, basicData)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	stop := run(t, &adapter.DataServer{Provider: quotes{}, Addr: r.Adapters()[0].Addr.String()})
	<-r.Ready()
	stop()
	<-r.Done()
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "DEMO.QUOTES") {
		t.Errorf("got %v, want an error that names the adapter", err)
	}
}

// A folder of Adapter Sets; here the proxies dial the adapters.
func TestAdaptersDir(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run(t, &adapter.DataServer{Provider: quotes{}, Listener: listener})
	port := listener.Addr().(*net.TCPAddr).Port
	data := `<data_provider name="QUOTES"><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
		<param name="request_reply_port">$env.QUOTES_PORT</param><param name="remote_host">127.0.0.1</param></data_provider>`
	t.Setenv("QUOTES_PORT", fmt.Sprint(port))
	dir := filepath.Join(t.TempDir(), "sets[1]") // a name that a pattern would not match
	for _, id := range []string{"DEMO", "OTHER"} {
		if err := os.MkdirAll(filepath.Join(dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		if id == "OTHER" { // its adapter never comes
			data = robustDial(port)
		}
		if err := os.WriteFile(filepath.Join(dir, id, "adapters.xml"), []byte(setText(id, literalXML, data)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", AdaptersDir: dir, ExpandEnv: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	at := r.Adapters()
	if len(at) != 2 || at[0].Set != "DEMO" || at[0].RemoteAddr != listener.Addr().String() || at[0].Addr != nil || at[1].Set != "OTHER" {
		t.Errorf("adapters at %+v", at)
	}
	<-remotes(r)[0].Ready() // without its remote the proxy serves empty snapshots
	seeQuote(t, &demo{Running: r})
}

// robustDial is a data side whose proxy dials where nothing of its kind answers: the port is taken by another proxy's adapter.
func robustDial(port int) string {
	return fmt.Sprintf(`<data_provider name="NONE"><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
		<param name="request_reply_port">%d</param><param name="remote_host">127.0.0.2</param></data_provider>`, port)
}

func TestStartRefuses(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	empty := t.TempDir()
	broken := filepath.Join(t.TempDir(), "adapters.xml")
	if err := os.WriteFile(broken, []byte("<adapters_conf>\n<oops/></adapters_conf>"), 0o600); err != nil {
		t.Fatal(err)
	}
	busy := xmlSet(t, literalXML, robustData)
	busy.Data[0].Proxy.RequestReplyPort = port
	notify := xmlSet(t, literalXML, robustData)
	notify.Data[0].Proxy.NotifyPort = port
	pkcs := xmlSet(t, literalXML, robustData)
	pkcs.Data[0].Proxy.TLS = &adaptersxml.TLS{Keystore: &adaptersxml.Store{Type: "PKCS12", File: "x.p12", Password: "secret"}}
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"address taken", Config{Addr: taken.Addr().String()}, "clients' address"},
		{"no folder", Config{AdaptersDir: filepath.Join(empty, "none")}, "AdaptersDir"},
		{"empty folder", Config{AdaptersDir: empty}, "no adapters.xml"},
		{"broken file", Config{AdapterFiles: []string{broken}}, broken + ":1:1: adapters_conf has no id"},
		{"same id twice", Config{Sets: []*adaptersxml.Set{xmlSet(t, literalXML, robustData), xmlSet(t, literalXML, robustData)}}, "DEMO"},
		{"adapter's port taken", Config{Sets: []*adaptersxml.Set{busy}}, "data_provider QUOTES: request_reply_port"},
		{"notify port", Config{Sets: []*adaptersxml.Set{notify}}, "data_provider QUOTES: notify_port: "},
		{"unknown keystore", Config{Sets: []*adaptersxml.Set{pkcs}}, "convert it to PEM"},
		{"request limit", Config{Limits: Limits{Request: 10}}, "Limits.Request 10"},
		{"timeouts", Config{WriteTimeout: -1, IdleTimeout: -1}, "IdleTimeout"},
		{"no certificate", Config{TLSConfig: &tls.Config{}}, "no certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.cfg.Addr == "" {
				tt.cfg.Addr = "127.0.0.1:0"
			}
			r, err := Start(t.Context(), tt.cfg)
			if err == nil {
				r.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "broker: ") || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %q, want one with %q", err, tt.want)
			}
			if tt.name == "broken file" && len(adaptersxml.Problems(err)) == 0 {
				t.Error("the problems are not to be had from the error")
			}
		})
	}
}

func TestLateData(t *testing.T) {
	var late lateData
	data := &demoData{sinks: make(map[string]provider.Sink), gone: make(chan string, 10)}
	late.Subscribe("raw1", "", nil)
	late.Subscribe("raw2", "", nil)
	late.Unsubscribe("raw1")
	if len(data.sinks) != 0 {
		t.Error("called before the start")
	}
	late.start(data)
	if _, ok := data.sinks["raw2"]; !ok || len(data.sinks) != 1 {
		t.Errorf("at the start: %v, want raw2 alone", data.sinks)
	}
	late.Subscribe("raw3", "", nil)
	late.Unsubscribe("raw2")
	if _, ok := data.sinks["raw3"]; !ok || len(data.sinks) != 1 {
		t.Errorf("subscribed: %v, want raw3 alone", data.sinks)
	}
}

func TestTLSChoices(t *testing.T) {
	re := func(s string) []*regexp.Regexp { return []*regexp.Regexp{regexp.MustCompile(s)} }
	const suite = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
	for _, tt := range []struct {
		name     string
		tls      adaptersxml.TLS
		min, max uint16
		suites   int // -1: Go's choice
		err      string
	}{
		{"default", adaptersxml.TLS{}, tls.VersionTLS12, tls.VersionTLS13, -1, ""},
		{"one allowed", adaptersxml.TLS{AllowProtocols: []string{"TLSv1.2", "TLSv1.1"}, AllowCipherSuites: []string{suite}}, tls.VersionTLS12, tls.VersionTLS12, 1, ""},
		{"one removed", adaptersxml.TLS{RemoveProtocols: re(`1\.2`)}, tls.VersionTLS13, tls.VersionTLS13, -1, ""},
		{"none left", adaptersxml.TLS{RemoveProtocols: re("TLS")}, 0, 0, 0, "no protocol version"},
		{"unknown suite", adaptersxml.TLS{AllowCipherSuites: []string{"TLS_FUNNY"}}, 0, 0, 0, "TLS_FUNNY"},
		{"no suite left", adaptersxml.TLS{RemoveCipherSuites: re("TLS")}, 0, 0, 0, "no cipher suite"},
		{"only suites of 1.3", adaptersxml.TLS{AllowCipherSuites: []string{"TLS_AES_128_GCM_SHA256"}}, tls.VersionTLS13, tls.VersionTLS13, -1, ""},
		{"only suites of 1.3 for 1.2", adaptersxml.TLS{AllowProtocols: []string{"TLSv1.2"}, AllowCipherSuites: []string{"TLS_AES_128_GCM_SHA256"}}, 0, 0, 0, "TLSv1.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source, err := adapterTLS(&adaptersxml.Set{}, "", &adaptersxml.Proxy{TLS: &tt.tls})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := source.server().GetConfigForClient(nil)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.MinVersion != tt.min || cfg.MaxVersion != tt.max || tt.suites < 0 && cfg.CipherSuites != nil || tt.suites >= 0 && len(cfg.CipherSuites) != tt.suites {
				t.Errorf("versions %x to %x, %d suites", cfg.MinVersion, cfg.MaxVersion, len(cfg.CipherSuites))
			}
		})
	}
	source, err := adapterTLS(&adaptersxml.Set{}, "", &adaptersxml.Proxy{RemoteHost: "feed.example", TLS: &adaptersxml.TLS{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, skip := range []bool{false, true} {
		cfg := source.client("feed.example", skip)
		if cfg.ServerName != "feed.example" || cfg.VerifyConnection == nil || cfg.VerifyConnection(tls.ConnectionState{}) == nil {
			t.Errorf("dialing: %+v; a remote without a certificate is trusted", cfg)
		}
	}
	if cfg, err := adapterTLS(&adaptersxml.Set{}, "", &adaptersxml.Proxy{}); cfg != nil || err != nil {
		t.Errorf("plain TCP: %v, %v", cfg, err)
	}
}
