package broker

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// writeSet writes an adapters.xml into a folder of its own.
func writeSet(t *testing.T, id, metadata, data string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "adapters.xml")
	if err := os.WriteFile(file, []byte(setText(id, metadata, data)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// freePort is one that nobody listens on at the moment. It is none of those that systems give to outgoing connections: one of these could take it while
// it is free, even that of an adapter that dials it, which is then connected to itself.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		port := 20_000 + rand.IntN(12_000)
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
}

// dataOn is a data side on a port.
func dataOn(port int, more string) string {
	return strings.Replace(strings.Replace(robustData, "8001", fmt.Sprint(port), 1), "</data_provider>", more+"</data_provider>", 1)
}

// A folder of sets changes while the broker runs: sets come, stay, change, and go.
func TestReloadFiles(t *testing.T) {
	dir := t.TempDir()
	ports := map[string]int{"STAYS": freePort(t), "CHANGES": freePort(t), "GOES": freePort(t), "COMES": freePort(t)}
	write := func(id, more, comment string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		text := comment + setText(id, literalXML, dataOn(ports[id], more))
		if err := os.WriteFile(filepath.Join(dir, id, "adapters.xml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"STAYS", "CHANGES", "GOES"} {
		write(id, "", "")
	}
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", AdaptersDir: dir, Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	d := &demo{Running: r}
	initialised := make(chan string, 10)
	for _, id := range []string{"STAYS", "CHANGES", "GOES"} {
		run(t, &adapter.DataServer{
			Provider: quotes{initialised}, Addr: fmt.Sprintf("127.0.0.1:%d", ports[id]), Reconnect: &adapter.Backoff{Min: 1, Max: 1},
		})
		<-initialised
	}
	<-r.Ready()
	clients := make(map[string]*socketClient)
	for _, id := range []string{"STAYS", "CHANGES", "GOES"} {
		c := dial(t, d)
		c.send("create_session", "LS_send_sync=false&LS_adapter_set="+id)
		c.expect("CONOK,*", "SERVNAME,*", "CLIENTIP,*", "CONS,*")
		c.send("control", "LS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_group=item1&LS_snapshot=true&LS_schema=name&LS_data_adapter=QUOTES")
		for line := c.next(); line != "U,1,1,item1"; line = c.next() {
			if strings.HasPrefix(line, "REQERR") {
				t.Fatalf("%s: got %q", id, line)
			}
		}
		clients[id] = c
	}

	write("STAYS", "", "<!-- the same,\n one line below -->\n")
	write("CHANGES", `<param name="timeout">2000</param>`, "")
	write("COMES", "", "")
	if err := os.RemoveAll(filepath.Join(dir, "GOES")); err != nil {
		t.Fatal(err)
	}
	changes, err := r.ReloadFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Changes{Added: []string{"COMES"}, Replaced: []string{"CHANGES"}, Removed: []string{"GOES"}}); !reflect.DeepEqual(changes, want) {
		t.Errorf("got %+v, want %+v", changes, want)
	}
	for _, id := range []string{"CHANGES", "GOES"} {
		for line := clients[id].next(); line != "END,32,"+tlcp.SessionText(tlcp.CodeClosedByServer); line = clients[id].next() {
			if !matches(line, "U,1,1,*") && line != "REQOK,1" {
				t.Fatalf("%s: got %q", id, line)
			}
		}
	}
	for _, at := range r.Adapters() {
		if at.Set == "GOES" {
			t.Errorf("%+v is still there", at)
		}
	}
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports["GOES"])); err == nil {
		conn.Close()
		t.Error("the port of a set that is gone is still open")
	}
	gone := dial(t, d)
	gone.send("create_session", "LS_adapter_set=GOES")
	gone.expect("CONERR,2,*")

	<-initialised // the adapter of CHANGES has connected again
	again := dial(t, d)
	again.send("create_session", "LS_send_sync=false&LS_adapter_set=CHANGES")
	again.expect("CONOK,*")
	stays := clients["STAYS"]
	stays.send("control", "LS_reqId=2&LS_op=delete&LS_subId=1")
	for line := stays.next(); line != "UNSUB,1"; line = stays.next() {
		if !matches(line, "U,1,1,*") && line != "REQOK,1" && line != "REQOK,2" {
			t.Fatalf("STAYS: got %q", line)
		}
	}
	if changes, err = r.ReloadFiles(t.Context()); err != nil || !reflect.DeepEqual(changes, Changes{}) {
		t.Errorf("once more: %+v, %v", changes, err)
	}
}

// What is wrong changes nothing, or is told.
func TestReloadRefuses(t *testing.T) {
	set := xmlSet(t, literalXML, basicData)
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}, Adapters: map[string]adapter.Set{"INSIDE": {}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	at := r.Adapters()
	pkcs, inside, busy := xmlSet(t, literalXML, robustData), xmlSet(t, literalXML, robustData), xmlSet(t, literalXML, robustData)
	pkcs.Data[0].Proxy.TLS = &adaptersxml.TLS{Keystore: &adaptersxml.Store{Type: "PKCS12", File: "x.p12", Password: "secret"}}
	inside.ID = "INSIDE"
	for _, tt := range []struct {
		name string
		sets []*adaptersxml.Set
		want string
	}{
		{"twice", []*adaptersxml.Set{set, set}, "DEMO"},
		{"taken", []*adaptersxml.Set{inside}, "Config.Adapters"},
		{"keystore", []*adaptersxml.Set{pkcs}, "convert it to PEM"},
	} {
		if changes, err := r.Reload(t.Context(), tt.sets); err == nil || !strings.Contains(err.Error(), tt.want) || !reflect.DeepEqual(changes, Changes{}) {
			t.Errorf("%s: %+v, %v", tt.name, changes, err)
		}
	}
	if now := r.Adapters(); !slices.Equal(now, at) {
		t.Errorf("adapters at %v, before at %v", now, at)
	}
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy.ID, busy.Data[0].Proxy.RequestReplyPort = "BUSY", taken.Addr().(*net.TCPAddr).Port
	changes, err := r.Reload(t.Context(), []*adaptersxml.Set{busy, set})
	if err == nil || !strings.Contains(err.Error(), "Adapter Set BUSY: data_provider QUOTES: request_reply_port") || !reflect.DeepEqual(changes.Added, []string{"BUSY"}) {
		t.Errorf("port taken: %+v, %v", changes, err)
	}
	if now := r.Adapters(); !slices.Equal(now, at) {
		t.Errorf("adapters at %v, before at %v", now, at)
	}
	// A basic proxy that goes with its set does not end the broker.
	if changes, err = r.Reload(t.Context(), nil); err != nil || !reflect.DeepEqual(changes.Removed, []string{"DEMO"}) {
		t.Errorf("none: %+v, %v", changes, err)
	}
	select {
	case <-r.Ready():
	default:
		t.Error("not ready, with no proxy left to wait for")
	}
	r.Close()
	if r.Err() != nil {
		t.Errorf("the broker has the error %v", r.Err())
	}
	if _, err := r.Reload(t.Context(), nil); !isStopped(err) {
		t.Errorf("after the end: %v", err)
	}
}

// Every setting that differs makes a difference, whichever it is.
func TestSame(t *testing.T) {
	read := func(metadata, data string) reflect.Value {
		set, err := adaptersxml.Read(strings.NewReader(setText("DEMO", metadata, data)), "adapters.xml")
		if err != nil {
			t.Fatal(err)
		}
		return reflect.ValueOf(set)
	}
	family := func(pattern string) string {
		return strings.Replace(literalXML, "</metadata_provider>", `<param name="item_family_1">`+pattern+`</param><param name="modes_for_item_family_1">MERGE</param></metadata_provider>`, 1)
	}
	base := read(literalXML, robustData)
	if !same(base, read("\n\n"+literalXML+" ", "<!-- x -->"+robustData)) {
		t.Error("other places make a difference")
	}
	if !same(read(family("a.*"), robustData), read(family("a.*"), robustData)) {
		t.Error("equal patterns make a difference")
	}
	for _, other := range []reflect.Value{
		read(literalXML, basicData), read(robustMeta, robustData), read(literalXML, robustData+strings.ReplaceAll(strings.ReplaceAll(robustData, "8001", "8002"), "QUOTES", "B")),
		read(family("a.*"), robustData), read(literalXML, dataOn(8001, `<param name="timeout">1</param>`)),
		read(literalXML, dataOn(8001, `<param name="auth">Y</param><param name="auth.credentials.1.user">u</param><param name="auth.credentials.1.password">p</param>`)),
	} {
		if same(base, other) {
			t.Errorf("no difference seen to %+v", other.Interface())
		}
	}
	if same(read(family("a.*"), robustData), read(family("b.*"), robustData)) {
		t.Error("no difference seen between patterns")
	}
}
