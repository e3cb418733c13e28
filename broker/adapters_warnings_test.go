package broker

import (
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// What the broker does not honour is named, with its line.
func TestWithoutEffect(t *testing.T) {
	const text = `<adapters_conf id="DEMO">
<metadata_provider>
<adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
<support_TLCP26_subscriptions>Y</support_TLCP26_subscriptions>
<mpn_pool><max_size>1</max_size><max_free>1</max_free></mpn_pool>
<messages_pool><max_queue>5</max_queue></messages_pool>
<param name="request_reply_port">8003</param>
<param name="user_data_timeout">500</param>
<param name="tls">Y</param><param name="tls.keystore.type">PEM</param><param name="tls.keystore.keystore_file">x</param><param name="tls.keystore.keystore_password">x</param>
<param name="tls.enforce_server_cipher_suite_preference">Y</param>
</metadata_provider>
<data_provider name="A">
<adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
<param name="request_reply_port">8001</param>
<param name="first_connection_timeout_millis">-1</param>
</data_provider>
<data_provider name="B">
<adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>
<param name="request_reply_port">8002</param>
<param name="first_connection_timeout_millis">0</param>
<param name="timeout">700</param>
</data_provider></adapters_conf>`
	set, err := adaptersxml.Read(strings.NewReader(text), "adapters.xml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range withoutEffect(set) {
		what, _, _ := strings.Cut(w.Error(), " has no effect in this broker: ")
		got = append(got, what)
	}
	want := []string{
		`adapters.xml:10:1: warning: parameter "tls.enforce_server_cipher_suite_preference"`,
		`adapters.xml:2:1: warning: <support_TLCP26_subscriptions>`,
		`adapters.xml:2:1: warning: <mpn_pool>`,
		`adapters.xml:2:1: warning: <messages_pool/max_queue>`,
		`adapters.xml:8:1: warning: parameter "user_data_timeout"`,
		`adapters.xml:15:1: warning: parameter "first_connection_timeout_millis"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	plain, err := adaptersxml.Read(strings.NewReader(setText("DEMO", robustMeta, robustData)), "adapters.xml")
	if err != nil {
		t.Fatal(err)
	}
	if w := withoutEffect(plain); w != nil {
		t.Errorf("warnings for nothing: %v", w)
	}
}

func TestPoolBounds(t *testing.T) {
	pool := func(n int) *adaptersxml.Pool { return &adaptersxml.Pool{MaxSize: n} }
	for _, tt := range []struct {
		name   string
		set    *adaptersxml.Pool
		data   []*adaptersxml.Pool
		tables int
		first  int // bound of the first Data Adapter
	}{
		{"none", nil, []*adaptersxml.Pool{nil}, 0, 0},
		{"own", nil, []*adaptersxml.Pool{pool(3), pool(4)}, 7, 3},
		{"one without", nil, []*adaptersxml.Pool{pool(3), nil}, 0, 3},
		{"of the set", pool(9), []*adaptersxml.Pool{nil, nil}, 9, 9},
		{"mixed", pool(9), []*adaptersxml.Pool{pool(2), nil, nil}, 11, 2},
	} {
		x := &adaptersxml.Set{Pool: tt.set}
		for _, p := range tt.data {
			x.Data = append(x.Data, adaptersxml.Provider{DataPool: p})
		}
		if tables, first := tablesBound(x), dataBound(x, &x.Data[0]); tables != tt.tables || first != tt.first {
			t.Errorf("%s: tables %d, first Data Adapter %d; want %d, %d", tt.name, tables, first, tt.tables, tt.first)
		}
	}
}
