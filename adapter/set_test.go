package adapter_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// setRunner makes a Runner of a Set and its file.
type setRunner struct {
	set  adapter.Set
	file string
}

func (s setRunner) Run(ctx context.Context) error { return s.set.Run(ctx, s.file) }

func writeFile(t *testing.T, text string) string {
	file := filepath.Join(t.TempDir(), "adapters.xml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func listen(t *testing.T) (net.Listener, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return l, port
}

func acceptPeer(t *testing.T, l net.Listener) *peer {
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, conn)
}

const providerXML = `
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="request_reply_port">%s</param>
    %s
`

func TestSetFromTheServersFile(t *testing.T) {
	metadata, metadataPort := listen(t)
	data, dataPort := listen(t)
	inverted, invertedPort := listen(t)
	_ = inverted.Close() // its port is free for the Set to listen on
	auth := `<param name="auth">Y</param><param name="auth.credentials.1.user">u1</param><param name="auth.credentials.1.password">p1</param>`
	file := writeFile(t, `<adapters_conf id="DEMO"><metadata_provider>`+fmt.Sprintf(providerXML, metadataPort, auth)+
		`</metadata_provider><data_provider name="QUOTES">`+fmt.Sprintf(providerXML, dataPort, "")+
		`</data_provider><data_provider name="NEWS">`+fmt.Sprintf(providerXML, invertedPort, `<param name="remote_host">localhost</param>`)+
		`</data_provider></adapters_conf>`)
	r := start(t, setRunner{adapter.Set{
		Metadata: adapter.DefaultMetadata{},
		Data:     map[string]adapter.DataProvider{"QUOTES": &provider{}, "NEWS": &provider{}},
		Host:     "127.0.0.1", ListenHost: "127.0.0.1", Logger: testLogger(t),
	}, file})
	sdk := "S|enableClosePacket|S|true|S|SDK|S|Go+Adapter+SDK+" + adapter.Version
	m := acceptPeer(t, metadata)
	m.expect("1|RAC|S|user|S|u1|S|password|S|p1|" + sdk)
	acceptPeer(t, data).expect("1|RAC|" + sdk)
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", invertedPort))
	if err != nil {
		t.Fatal(err)
	}
	newPeer(t, conn).expect("1|RAC|" + sdk)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestSetThatDoesNotFitTheFile(t *testing.T) {
	remote := func(name, extra string) string {
		return `<data_provider name="` + name + `">` + fmt.Sprintf(providerXML, "6661", extra) + `</data_provider>`
	}
	metadata := `<metadata_provider>` + fmt.Sprintf(providerXML, "6663", "") + `</metadata_provider>`
	literal := `<metadata_provider><adapter_class>com.lightstreamer.adapters.metadata.LiteralBasedProvider</adapter_class></metadata_provider>`
	tls := `<param name="tls">Y</param><param name="tls.keystore.type">PEM</param><param name="tls.keystore.keystore_file">k.pem</param><param name="tls.keystore.keystore_password">x</param>` +
		`<param name="tls.force_client_auth">Y</param><param name="tls.truststore.type">PEM</param><param name="tls.truststore.truststore_file">t.pem</param><param name="tls.truststore.truststore_password">x</param>`
	d := map[string]adapter.DataProvider{"A": &provider{}}
	for _, tt := range []struct {
		xml  string
		set  adapter.Set
		want []string
	}{
		{metadata + remote("A", ""), adapter.Set{Data: d}, []string{"set DEMO", "the metadata_provider is a proxy: set Metadata", "(line 2)"}},
		{literal + remote("A", ""), adapter.Set{Data: d, Metadata: adapter.DefaultMetadata{}}, []string{"nobody would ask Metadata"}},
		{literal + remote("B", ""), adapter.Set{Data: d}, []string{`no Data for the data_provider "B"`, `no data_provider "A"; it has "B"`}},
		{literal + remote("A", tls), adapter.Set{Data: d}, []string{`data_provider "A"`, "wants a certificate"}},
		{literal + remote("A", `<param name="notify_prot">7</param>`) + remote("A", ""), adapter.Set{Data: d}, []string{"adapters.xml:"}},
	} {
		file := writeFile(t, "<adapters_conf id=\"DEMO\">\n"+tt.xml+"</adapters_conf>")
		err := tt.set.Run(t.Context(), file)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Run returned %v, want an error with %q", err, want)
			}
		}
	}
	err := adapter.Set{}.Run(t.Context(), writeFile(t, "<adapters_conf/>"))
	if len(adaptersxml.Problems(err)) == 0 {
		t.Errorf("Run returned %v, want the problems of the file", err)
	}
	if err := (adapter.Set{}).Run(t.Context(), "nowhere.xml"); err == nil || !strings.Contains(err.Error(), "nowhere.xml") {
		t.Errorf("Run returned %v, want one that names the file", err)
	}
}
