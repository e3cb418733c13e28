package broker

import (
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
)

// Each setting of an adapters.xml that concerns the proxy reaches it.
func TestProxySettings(t *testing.T) {
	const common = `<classloader>log-enabled</classloader>
		<param name="request_reply_port">8001</param><param name="timeout">1500</param>
		<param name="keepalive_timeout_millis">9000</param><param name="keepalive_hint_millis">3000</param>
		<param name="remote_address_whitelist">127.0.0.1,localhost</param><param name="name">LABEL</param>
		<param name="auth">Y</param><param name="auth.credentials.1.user">u</param><param name="auth.credentials.1.password">p</param>
		<param name="remote_params_prefix">remote:</param><param name="remote:region">eu</param>
		<param name="connection_recovery_timeout_millis">700</param><param name="first_connection_timeout_millis">5</param>`
	set, err := adaptersxml.Read(strings.NewReader(setText("DEMO",
		`<metadata_provider><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
			<sequentialize_table_notifications>Y</sequentialize_table_notifications>
			<authentication_pool><max_pending_remote_requests>5</max_pending_remote_requests></authentication_pool>
			<messages_pool><max_pending_remote_requests>6</max_pending_remote_requests></messages_pool>`+strings.ReplaceAll(common, "8001", "8003")+`
			<param name="clear_on_new_remote">true</param><param name="close_notifications_recovery">optimistic</param><param name="notify_user_on_disconnection">send_code</param>
			<param name="notify_user_disconnection_code">-5</param><param name="notify_user_disconnection_msg">later</param></metadata_provider>`,
		`<data_provider name="QUOTES"><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
			<data_adapter_pool><max_size>7</max_size><max_free>0</max_free></data_adapter_pool>`+common+`
			<param name="events_recovery">enforce_snapshot</param><param name="status_item">state</param></data_provider>`)), "adapters.xml")
	if err != nil {
		t.Fatal(err)
	}
	set.Metadata.Proxy.RequestReplyPort, set.Data[0].Proxy.RequestReplyPort = 0, 0
	a := newAdapters(t.Context(), Config{}.withDefaults(), nil, nil)
	want := proxy.Config{
		Set: "DEMO", Name: "LABEL", Robust: true, Whitelist: []string{"127.0.0.1", "localhost"}, Timeout: 1500 * time.Millisecond,
		KeepaliveTimeout: 9 * time.Second, KeepaliveHint: 3 * time.Second, Auth: true,
		Credentials:        []proxy.Credential{{User: "u", Password: "p"}},
		ConnectionRecovery: 700 * time.Millisecond,
	}
	check := func(got proxy.Config) {
		t.Helper()
		defer got.Listener.Close()
		if addr, ok := got.Listener.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
			t.Errorf("listening on %v", got.Listener.Addr())
		}
		if rp := got.RemoteParams; len(rp) != 1 || rp[0].Name != "remote:region" || rp[0].Value.S != "eu" || rp[0].Value.Null {
			t.Errorf("remote parameters %v", rp)
		}
		got.Listener, got.Logger, got.RemoteParams = nil, nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	m, err := a.metadataConfig(set, &set.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	check(m.Config)
	if m.CloseNotificationsRecovery != proxy.Optimistic || m.NotifyUserOnDisconnection != proxy.SendCode || m.DisconnectionCode != -5 ||
		m.DisconnectionMessage != "later" || !m.SequentializeTableNotifications || !m.ClearOnNewRemote ||
		m.MaxPendingUsers != 5 || m.MaxPendingMessages != 6 || m.MaxPendingTables != 7 || m.MaxPendingSessions != 0 {
		t.Errorf("metadata side: %+v", m)
	}
	d, err := a.dataConfig(set, &set.Data[0])
	if err != nil {
		t.Fatal(err)
	}
	check(d.Config)
	if d.DataProvider != "QUOTES" || d.EventsRecovery != proxy.EnforceSnapshot || d.StatusItem != "state" || d.MaxPendingRequests != 7 {
		t.Errorf("data side: %+v", d)
	}

	// The values of the enumerations, one by one.
	set.Data[0].Proxy.Interface = "127.0.0.1"
	for value, mode := range map[adaptersxml.EventsRecovery]proxy.EventsRecovery{
		adaptersxml.LeaveHole: proxy.LeaveHole, adaptersxml.UseSnapshot: proxy.UseSnapshot, adaptersxml.EnforceSnapshot: proxy.EnforceSnapshot,
	} {
		set.Data[0].Proxy.EventsRecovery = value
		if d, err := a.dataConfig(set, &set.Data[0]); err != nil || d.EventsRecovery != mode {
			t.Errorf("events_recovery %s: %v, %v", value, d.EventsRecovery, err)
		} else {
			d.Listener.Close()
		}
	}
	for value, mode := range map[adaptersxml.CloseNotificationsRecovery]proxy.CloseRecovery{
		adaptersxml.Pessimistic: proxy.Pessimistic, adaptersxml.Optimistic: proxy.Optimistic, adaptersxml.Unneeded: proxy.Unneeded,
	} {
		set.Metadata.Proxy.CloseNotificationsRecovery = value
		if m, err := a.metadataConfig(set, &set.Metadata); err != nil || m.CloseNotificationsRecovery != mode {
			t.Errorf("close_notifications_recovery %s: %v, %v", value, m.CloseNotificationsRecovery, err)
		} else {
			m.Listener.Close()
		}
	}
	for value, mode := range map[adaptersxml.NotifyUserOnDisconnection]proxy.OnDisconnection{
		adaptersxml.FailUser: proxy.Fail, adaptersxml.ForceRetry: proxy.ForceRetry, adaptersxml.SendCode: proxy.SendCode,
	} {
		set.Metadata.Proxy.NotifyUserOnDisconnection = value
		if m, err := a.metadataConfig(set, &set.Metadata); err != nil || m.NotifyUserOnDisconnection != mode {
			t.Errorf("notify_user_on_disconnection %s: %v, %v", value, m.NotifyUserOnDisconnection, err)
		} else {
			m.Listener.Close()
		}
	}
}

// The parameters of the built-in Metadata Adapter reach it.
func TestLiteralSettings(t *testing.T) {
	set, err := adaptersxml.Read(strings.NewReader(setText("DEMO",
		`<metadata_provider><adapter_class>com.lightstreamer.adapters.metadata.LiteralBasedProvider</adapter_class>
			<param name="allowed_users">ann,bob</param><param name="max_bandwidth">40.5</param><param name="max_frequency">3</param>
			<param name="buffer_size">7</param><param name="prefilter_frequency">5</param><param name="distinct_snapshot_length">12</param>
			<param name="item_family_1">item.*</param><param name="modes_for_item_family_1">MERGE,RAW</param>
			<param name="item_family_2">list.*</param><param name="modes_for_item_family_2">DISTINCT</param>
			<param name="data_adapter_for_item_family_2">QUOTES</param></metadata_provider>`, robustData)), "adapters.xml")
	if err != nil {
		t.Fatal(err)
	}
	m := literalMetadata(set.Metadata.Literal)
	ann, cyd := provider.User{Name: provider.T("ann")}, provider.User{Name: provider.T("cyd")}
	if grant, err := m.NotifyUser(t.Context(), ann); err != nil || grant.MaxBandwidth != 40.5 || !grant.WantsTables {
		t.Errorf("ann: %+v, %v", grant, err)
	}
	if _, err := m.NotifyUser(t.Context(), cyd); err == nil {
		t.Error("cyd is admitted")
	}
	modes := func(ms ...provider.Mode) (set provider.Modes) {
		for _, m := range ms {
			set = set.With(m)
		}
		return set
	}
	data, err := m.ItemData(t.Context(), []string{"item1", "list1", "other"})
	want := []provider.ItemData{{DistinctSnapshotLength: 12, MinSourceFrequency: 5}, {DistinctSnapshotLength: 12, MinSourceFrequency: 5}, {DistinctSnapshotLength: 12, MinSourceFrequency: 5}}
	want[0].Modes, want[1].Modes = modes(provider.Merge, provider.Raw), modes(provider.Distinct)
	if err != nil || !reflect.DeepEqual(data, want) {
		t.Errorf("got %+v, %v; want %+v", data, err, want)
	}
	user, err := m.UserItemData(t.Context(), provider.T("ann"), []string{"item1"})
	if err != nil || user[0].BufferSize != 7 || user[0].MaxFrequency != 3 {
		t.Errorf("got %+v, %v", user, err)
	}
	table := provider.Table{Mode: provider.Distinct, DataAdapter: "OTHER", Items: []string{"list1"}}
	if _, err := m.NotifyNewTables(t.Context(), provider.T("ann"), "S", []provider.Table{table}); err == nil {
		t.Error("a family of one Data Adapter is served by another")
	}
}
