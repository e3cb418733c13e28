package adaptersxml_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

func testEnv(name string) (string, bool) {
	v, ok := map[string]string{"KEYSTORE_PASSWORD": "kp", "USER1_PASSWORD": "up", "PORT": "7001"}[name]
	return v, ok
}

func TestWorkedExample(t *testing.T) {
	set, err := adaptersxml.Read(strings.NewReader(worked), "adapters/DEMO/adapters.xml", adaptersxml.WithEnv(testEnv))
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Warnings) != 0 {
		t.Errorf("warnings: %v", set.Warnings)
	}
	if set.ID != "DEMO" || !set.MetadataFirst || set.Pool != nil || set.FileTag != "adapters_conf-APV-7.4.5" {
		t.Errorf("set: %+v", set)
	}
	if got, want := set.Path("proxy.p12"), filepath.Join("adapters", "DEMO", "proxy.p12"); got != want {
		t.Errorf("Path = %q, want %q", got, want)
	}
	m := set.Metadata
	if m.Kind != adaptersxml.Robust || m.ClassLoader != "log-enabled" || !m.SequentializeTableNotifications || m.Pos != (adaptersxml.Pos{Line: 7, Column: 3}) {
		t.Errorf("metadata: %+v", m)
	}
	if want := (adaptersxml.CallPool{MaxSize: 1, MaxFree: 1, MaxPendingRemoteRequests: 500, MaxQueue: -1}); m.AuthenticationPool != want {
		t.Errorf("authentication_pool: %+v", m.AuthenticationPool)
	}
	wantMetadata := &adaptersxml.Proxy{
		Name: "DEMO", RequestReplyPort: 6663, Timeout: 10 * time.Second, KeepaliveTimeout: 10 * time.Second, KeepaliveHint: 8 * time.Second,
		TLS: &adaptersxml.TLS{
			Keystore:                &adaptersxml.Store{Type: "PKCS12", File: "proxy.p12", Password: "kp"},
			EnforceServerPreference: true, PreferenceOrder: "JVM",
		},
		Auth: true, Credentials: []adaptersxml.Credential{{User: "user1", Password: "up"}},
		RemoteParamsPrefix:         "remote:",
		RemoteParams:               []adaptersxml.Param{{Name: "remote:region", Value: "eu", Pos: adaptersxml.Pos{Line: 28, Column: 5}}},
		FirstConnectionTimeout:     -time.Millisecond,
		ConnectionRecoveryTimeout:  -time.Millisecond,
		CloseNotificationsRecovery: adaptersxml.Optimistic,
		NotifyUserOnDisconnection:  adaptersxml.SendCode, NotifyUserDisconnectionCode: -5, NotifyUserDisconnectionMsg: "please try again later",
		ClearOnSessionClose: true, UserDataTimeout: 10 * time.Second,
	}
	if !reflect.DeepEqual(m.Proxy, wantMetadata) {
		t.Errorf("metadata proxy:\n got %+v\nwant %+v", m.Proxy, wantMetadata)
	}
	wantQuotes := &adaptersxml.Proxy{
		Name: "DEMO.QUOTES", RequestReplyPort: 6661, Timeout: 10 * time.Second, KeepaliveTimeout: -time.Millisecond, KeepaliveHint: -time.Millisecond,
		ConnectionRecoveryTimeout: -time.Millisecond, EventsRecovery: adaptersxml.EnforceSnapshot, StatusItem: "quotes_status",
	}
	if !reflect.DeepEqual(set.Data[0].Proxy, wantQuotes) {
		t.Errorf("QUOTES:\n got %+v\nwant %+v", set.Data[0].Proxy, wantQuotes)
	}
	wantNews := &adaptersxml.Proxy{
		Name: "DEMO.NEWS", RequestReplyPort: 6671, RemoteHost: "news.example.com", ConnectionRetry: 5 * time.Second,
		Timeout: 10 * time.Second, KeepaliveTimeout: -time.Millisecond, KeepaliveHint: -time.Millisecond,
	}
	if !reflect.DeepEqual(set.Data[1].Proxy, wantNews) {
		t.Errorf("NEWS:\n got %+v\nwant %+v", set.Data[1].Proxy, wantNews)
	}
}

// file builds a set of one metadata and one data provider out of the inner text of each.
func file(metadata, data string) string {
	return "<adapters_conf id=\"S\">\n<metadata_provider>\n" + metadata + "\n</metadata_provider>\n<data_provider>\n" + data + "\n</data_provider>\n</adapters_conf>"
}

// proxyText is the inner text of a provider with a robust or basic proxy and the parameters given as name=value.
func proxyText(class string, params ...string) string {
	text := "<adapter_class>" + class + "</adapter_class><classloader>log-enabled</classloader>\n"
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		text += fmt.Sprintf("<param name=%q>%s</param>\n", name, value)
	}
	return text
}

func robust(params ...string) string { return proxyText("ROBUST_PROXY_FOR_REMOTE_ADAPTER", params...) }
func basic(params ...string) string  { return proxyText("PROXY_FOR_REMOTE_ADAPTER", params...) }

const literalClass = "com.lightstreamer.adapters.metadata.LiteralBasedProvider"

func literal(params ...string) string { return proxyText(literalClass, params...) }

var (
	goodMetadata = robust("request_reply_port=6663")
	goodData     = robust("request_reply_port=6661")
)

func with(params ...string) []string { return append([]string{"request_reply_port=6661"}, params...) }

// TestProblems has a row for each check of the reference. want holds what each problem, in the order of the file, begins
// with and contains: "e 5:1 text" or "w 5:1 text".
func TestProblems(t *testing.T) {
	withStore := func(more ...string) []string {
		return with(append([]string{"tls=Y", "tls.keystore.keystore_file=a", "tls.keystore.keystore_password=p"}, more...)...)
	}
	meta := func(params ...string) string {
		return file(robust(append([]string{"request_reply_port=6663"}, params...)...), goodData)
	}
	data := func(params ...string) string { return file(goodMetadata, robust(with(params...)...)) }
	tests := []struct {
		name, file string
		want       []string
	}{
		{"good", file(goodMetadata, goodData), nil},
		{"empty", "", []string{"e 1:1 no <adapters_conf> element"}},
		{"not xml", "hello", []string{"e 1:1 no <adapters_conf>"}},
		{"cut short", "<adapters_conf id='x'>\n <metadata_provider>", []string{"e 2:21 not well-formed XML: unexpected EOF"}},
		{"wrong root", "<adapter_conf/>", []string{"e 1:1 the root element is <adapter_conf>"}},
		{"two roots", file(goodMetadata, goodData) + "<x/>", []string{"e 12:17 a second root"}},
		{"entity", "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>\n<adapters_conf id='&x;'/>", []string{"w 1:1 a document type declaration", "e 2:23 not well-formed XML: invalid character entity &x;"}},
		{"encoding", "<?xml version='1.0' encoding='KOI8-R'?><a/>", []string{"e 0:0 the file is in the encoding \"KOI8-R\""}},
		{"utf-16", "\xff\xfe<\x00", []string{"e 0:0 the file is in UTF-16"}},
		{"deep", strings.Repeat("<a>", 20), []string{"e 1:49 more than"}},
		{"wide", "<adapters_conf>" + strings.Repeat("<a/>", 6000), []string{"e 1:20012 more than"}},
		{"no id, nothing", "<adapters_conf/>", []string{"e 1:1 adapters_conf has no id", "e 1:1 no metadata_provider", "e 1:1 no data_provider"}},
		{"column counts characters", "<adapters_conf id='é'><!--éé--><x/></adapters_conf>", []string{"e 1:1 no meta", "e 1:1 no data", "w 1:32 unknown element <x>"}},
		{"file tag", "<!-- File tag: lightstreamer_conf-APV-7.4.5. -->" + file(goodMetadata, goodData), []string{"w 1:1 the file tag is \"lightstreamer_conf-APV-7.4.5\""}},
		{"two metadata", strings.Replace(file(goodMetadata, goodData), "</metadata_provider>", "</metadata_provider>\n<metadata_provider/>", 1), []string{"e 7:1 a second metadata_provider"}},
		{"two of one name", strings.Replace(file(goodMetadata, goodData), "</adapters_conf>", "<data_provider>"+robust("request_reply_port=1")+"</data_provider>\n</adapters_conf>", 1), []string{"e 12:1 a second data_provider of the name \"DEFAULT\"; the first is at line 7"}},
		{"empty name", strings.Replace(file(goodMetadata, goodData), "<data_provider>", "<data_provider name=' '>", 1), []string{"e 7:1 data_provider with an empty name"}},
		{"unknown element", strings.Replace(file(goodMetadata, goodData), "<metadata_provider>", "<metadata_adapter_initialized_first>N</metadata_adapter_initialized_first>\n<metadata_provider>", 1), []string{"w 2:1 unknown element <metadata_adapter_initialized_first>; did you mean \"metadata_adapter_initialised_first\"?"}},
		{"unknown attribute", strings.Replace(file(goodMetadata, goodData), "id=", "ids=", 1), []string{"w 1:1 unknown attribute \"ids\" of <adapters_conf>; did you mean \"id\"?", "e 1:1 adapters_conf has no id"}},
		{"bad boolean element", strings.Replace(file(goodMetadata, goodData), "<metadata_provider>", "<metadata_adapter_initialised_first>yes</metadata_adapter_initialised_first>\n<metadata_provider>", 1), []string{"e 2:1 <metadata_adapter_initialised_first> is \"yes\""}},
		{"pool", strings.Replace(file(goodMetadata, goodData), "<metadata_provider>", "<adapter_set_pool><max_size>0</max_size></adapter_set_pool>\n<metadata_provider>", 1), []string{"e 2:1 <adapter_set_pool> has no max_free", "e 2:19 <max_size> is \"0\""}},
		{"pool of the other side", file(goodMetadata, goodData+"<mpn_pool/>"), []string{"w 10:1 unknown element <mpn_pool>"}},

		{"no class", file("", goodData), []string{"e 2:1 metadata_provider has no adapter_class"}},
		{"JVM class", file(goodMetadata, proxyText("com.example.Feed", "anything=1")), []string{"e 8:1 adapter_class \"com.example.Feed\" runs inside the server's JVM"}},
		{"misspelt class", file(goodMetadata, proxyText("ROBUST_PROXY_FOR_REMOTE_ADAPTOR")), []string{"e 8:1 adapter_class \"ROBUST_PROXY_FOR_REMOTE_ADAPTOR\" runs inside"}},
		{"class of the other side", file(proxyText("com.lightstreamer.adapters.remote.data.NetworkedDataProvider"), goodData), []string{"e 3:1 adapter_class \"com.lightstreamer.adapters.remote.data.NetworkedDataProvider\" is for a data_provider"}},
		{"literal as data", file(goodMetadata, literal()), []string{"e 8:1 adapter_class \"" + literalClass + "\" is for a metadata_provider"}},
		{"classloader common", file(goodMetadata, strings.Replace(goodData, "log-enabled", "common", 1)), []string{"e 8:63 classloader common is not allowed"}},
		{"classloader absent", file(goodMetadata, strings.Replace(goodData, "<classloader>log-enabled</classloader>", "", 1)), []string{"w 7:1 data_provider \"DEFAULT\" has no classloader"}},
		{"classloader wrong", file(goodMetadata, strings.Replace(goodData, "log-enabled", "own", 1)), []string{"e 8:63 <classloader> is \"own\""}},

		{"no port", file(goodMetadata, robust()), []string{"e 7:1 data_provider \"DEFAULT\" has no request_reply_port"}},
		{"port 0", file(goodMetadata, robust("request_reply_port=0")), []string{"e 9:1 parameter \"request_reply_port\" is \"0\""}},
		{"port 65536", file(goodMetadata, robust("request_reply_port=65536")), []string{"e 9:1 parameter \"request_reply_port\" is \"65536\""}},
		{"notify_port on metadata", meta("notify_port=6664"), []string{"e 5:1 notify_port is for data proxies"}},
		{"notify_port with remote_host", data("remote_host=h", "notify_port=6662"), []string{"e 11:1 notify_port does not go together with remote_host"}},
		{"notify_port same", data("notify_port=6661"), []string{"e 10:1 notify_port is the same"}},
		{"one port for two", file(goodMetadata, robust("request_reply_port=6663")), []string{"e 9:1 request_reply_port 6663 of data_provider \"DEFAULT\" is listened on by metadata_provider already (line 4)"}},
		{"one port, two addresses", file(robust("request_reply_port=1", "interface=127.0.0.1"), robust("request_reply_port=1", "interface=10.0.0.1")), nil},
		{"one port, all addresses", file(robust("request_reply_port=1", "interface=0.0.0.0"), robust("request_reply_port=1", "interface=10.0.0.1")), []string{"e 10:1 request_reply_port 1 of"}},
		{"one port, localhost", file(robust("request_reply_port=1", "interface=localhost"), robust("request_reply_port=1", "interface=127.0.0.1")), []string{"e 10:1 request_reply_port 1 of"}},
		{"one port, dialed", file(robust("request_reply_port=1", "remote_host=h"), robust("request_reply_port=1")), nil},
		{"notify_port taken", file(goodMetadata, robust("request_reply_port=6661", "notify_port=6663")), []string{"e 10:1 notify_port 6663 of"}},

		{"tls without keystore", data("tls=Y"), []string{"e 10:1 tls needs tls.keystore.keystore_file"}},
		{"tls with remote_host", data("tls=true", "remote_host=h"), nil},
		{"tls, no password", data("tls=Y", "tls.keystore.keystore_file=a"), []string{"e 11:1 tls.keystore.keystore_file needs tls.keystore.keystore_password"}},
		{"tls, PEM", data("tls=Y", "tls.keystore.type=PEM", "tls.keystore.keystore_file=a"), nil},
		{"tls, PKCS11", data("tls=Y", "tls.keystore.type=PKCS11"), nil},
		{"tls, wrong type", data("tls=Y", "tls.keystore.type=P12", "tls.keystore.keystore_file=a", "tls.keystore.keystore_password=p"), []string{"e 11:1 parameter \"tls.keystore.type\" is \"P12\"; it has to be one of JKS, PKCS12, PKCS11, PEM"}},
		{"tls, client auth", data(withStore("tls.force_client_auth=Y")[1:]...), []string{"e 13:1 tls.force_client_auth needs tls.truststore.truststore_file"}},
		{"tls, suites", data(withStore("tls.allow_cipher_suite.1=A", "tls.remove_cipher_suites.1=B")[1:]...), []string{"e 14:1 \"tls.remove_cipher_suites.1\" does not go together with \"tls.allow_cipher_suite.1\""}},
		{"tls, protocols", data(withStore("tls.allow_protocol.1=A", "tls.remove_protocols.1=B")[1:]...), []string{"e 14:1 \"tls.remove_protocols.1\""}},
		{"tls, order without list", data(withStore("tls.enforce_server_cipher_suite_preference.order=config")[1:]...), []string{"e 13:1 tls.enforce_server_cipher_suite_preference.order config needs"}},
		{"tls, order by words", data(withStore("tls.enforce_server_cipher_suite_preference.order=config", "tls.allow_cipher_suite.one=A", "tls.allow_cipher_suite.2=B")[1:]...), []string{"e 14:1 parameter \"tls.allow_cipher_suite.one\" has to end in a number"}},
		{"tls, no suffix", data(withStore("tls.allow_cipher_suite.=A")[1:]...), []string{"e 13:1 parameter \"tls.allow_cipher_suite.\" lacks the suffix"}},
		{"tls, pattern", data(withStore("tls.remove_protocols.1=(?!x)")[1:]...), []string{"e 13:1 parameter \"tls.remove_protocols.1\" is no regular expression that Go understands"}},
		{"tls off", data("tls=N", "tls.keystore.type=JKS"), []string{"w 11:1 parameter \"tls.keystore.type\" has no effect without tls Y"}},

		{"auth without a pair", data("auth=Y"), []string{"e 10:1 auth is Y but there is no pair"}},
		{"auth, no password", data("auth=Y", "auth.credentials.1.user=u"), []string{"e 11:1 auth.credentials.1.user has no auth.credentials.1.password"}},
		{"auth, no user", data("auth=Y", "auth.credentials.a.b.password=u"), []string{"e 11:1 auth.credentials.a.b.password has no auth.credentials.a.b.user"}},
		{"auth off", data("auth=N", "auth.credentials.1.user=u"), []string{"w 11:1 parameter \"auth.credentials.1.user\" has no effect without auth Y"}},
		{"auth, misspelt", data("auth=Y", "auth.credentials.1.user=u", "auth.credentials.1.password=p", "auth.credential.2.user=v"), []string{"w 13:1 unknown parameter \"auth.credential.2.user\"; did you mean \"auth.credentials.2.user\"?"}},
		{"auth, third word", data("auth=Y", "auth.credentials.1.user=u", "auth.credentials.1.password=p", "auth.credentials.1.pass=p"), []string{"w 13:1 unknown parameter \"auth.credentials.1.pass\""}},

		{"prefix without colon", data("remote_params_prefix=remote"), []string{"e 10:1 remote_params_prefix is \"remote\"; it has to contain a colon"}},
		{"positive code", meta("notify_user_disconnection_code=5"), []string{"e 5:1 notify_user_disconnection_code is 5; it has to be 0 or negative"}},
		{"send_code without code", meta("notify_user_on_disconnection=send_code"), []string{"e 5:1 notify_user_on_disconnection send_code needs"}},
		{"fail with code", meta("notify_user_on_disconnection=fail", "notify_user_disconnection_code=-1"), []string{"e 6:1 notify_user_disconnection_code does not go together with notify_user_on_disconnection fail"}},
		{"force_retry with code", meta("notify_user_on_disconnection=force_retry", "notify_user_disconnection_code=-1"), []string{"e 6:1 notify_user_disconnection_code does not go together"}},
		{"message without code", meta("notify_user_disconnection_msg=x"), []string{"w 5:1 parameter \"notify_user_disconnection_msg\" has no effect without"}},
		{"init_remote", data("init_remote=false"), []string{"e 10:1 init_remote false is not supported"}},
		{"init_remote true", data("init_remote=true"), nil},
		{"value outside of its list", data("events_recovery=none"), []string{"e 10:1 parameter \"events_recovery\" is \"none\"; it has to be one of leave_hole, use_snapshot, enforce_snapshot"}},
		{"number", data("keepalive_timeout_millis=1.5"), []string{"e 10:1 parameter \"keepalive_timeout_millis\" is \"1.5\""}},
		{"too big", data("timeout=99999999999"), []string{"e 10:1 parameter \"timeout\" is \"99999999999\""}},
		{"timeout 0", data("timeout=0"), []string{"w 10:1 timeout 0 would fail"}},
		{"hint too long", data("keepalive_timeout_millis=1000", "keepalive_hint_millis=1000"), []string{"w 11:1 keepalive_hint_millis is not below"}},
		{"empty whitelist", data("remote_address_whitelist= , "), []string{"e 10:1 remote_address_whitelist is empty"}},
		{"bad boolean", meta("clear_on_session_close=no"), []string{"e 5:1 parameter \"clear_on_session_close\" is \"no\"; it has to be Y or N"}},

		{"unknown parameter", data("retries=1"), []string{"w 10:1 unknown parameter \"retries\""}},
		{"unknown with colon", data("my:retries=1"), nil},
		{"given twice", data("timeout=1", "timeout=2"), []string{"w 11:1 parameter \"timeout\" is given again; this one counts, that of line 10 does not"}},
		{"without a name", file(goodMetadata, goodData+"<param>1</param>"), []string{"e 10:1 <param> without a name"}},
		{"element in a parameter", file(goodMetadata, goodData+"<param name='a:b'><x/></param>"), []string{"e 10:19 element <x> inside of parameter \"a:b\""}},
		{"robust only", file(goodMetadata, basic(with("status_item=s", "first_connection_timeout_millis=1")...)), []string{"w 10:1 parameter \"status_item\" has no effect on a basic proxy", "w 11:1 parameter \"first_connection_timeout_millis\" has no effect on a basic proxy"}},
		{"of the other side", meta("status_item=s"), []string{"w 5:1 parameter \"status_item\" has no effect on a metadata_provider"}},
		{"of the other side, data", data("clear_on_new_remote=s"), []string{"w 10:1 parameter \"clear_on_new_remote\" has no effect on a data_provider"}},
		{"void with remote_host", data("remote_host=h", "interface=1", "remote_address_whitelist=,", "tls.force_client_auth=Y"), []string{
			"w 11:1 parameter \"interface\" has no effect with remote_host", "w 12:1 parameter \"remote_address_whitelist\" has no", "w 13:1 parameter \"tls.force_client_auth\" has no effect with"}},
		{"void without remote_host", data("connection_retry_millis=1"), []string{"w 10:1 parameter \"connection_retry_millis\" has no effect without remote_host"}},
		{"void user_data_timeout", meta("clear_on_session_close=false", "user_data_timeout=1"), []string{"w 6:1 parameter \"user_data_timeout\" has no effect with"}},

		{"literal", file(literal("max_bandwidth=-1", "item_family_0=a", "item_family_2=b", "modes_for_item_family_3=RAW", "max_band_width=1"), goodData), []string{
			"e 4:1 parameter \"max_bandwidth\" is \"-1\"", "e 5:1 parameter \"item_family_0\" has to end in a positive number",
			"e 6:1 parameter \"item_family_2\" needs \"modes_for_item_family_2\"", "w 7:1 parameter \"modes_for_item_family_3\" has no effect without",
			"w 8:1 unknown parameter \"max_band_width\"; did you mean \"max_bandwidth\"?"}},
		{"literal, modes", file(literal("item_family_1=a", "modes_for_item_family_1=RAW MERG", "data_adapter_for_item_family_1=X"), goodData), []string{
			"e 5:1 a mode of \"modes_for_item_family_1\" is \"MERG\"", "w 6:1 data_adapter_for_item_family_1 names \"X\", which is not a data_provider"}},
		{"env unknown", data("timeout=$env.NO"), []string{"e 10:1 parameter \"timeout\" needs the environment variable \"NO\"", "e 10:1 parameter \"timeout\" is \"\""}},
		{"env known", data("interface=$env.PORT"), nil},
		{"java synonym", file(proxyText("com.lightstreamer.adapters.remote.metadata.RobustNetworkedMetadataProvider", "request_reply_port=1"),
			proxyText("com.lightstreamer.adapters.remote.data.NetworkedDataProvider", "request_reply_port=2")), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := adaptersxml.Check(strings.NewReader(tt.file), "f", adaptersxml.WithEnv(testEnv))
			for i := range max(len(got), len(tt.want)) {
				if i >= len(got) {
					t.Errorf("missing: %s", tt.want[i])
					continue
				}
				line := fmt.Sprintf("%s %d:%d %s", got[i].Severity.String()[:1], got[i].Line, got[i].Column, got[i].Message)
				if i >= len(tt.want) || !strings.HasPrefix(line, tt.want[i]) {
					t.Errorf("problem %d: %s", i, line)
				}
			}
		})
	}
}

func TestReadAgreesWithCheck(t *testing.T) {
	text := file(goodMetadata, robust("request_reply_port=0", "nonsense=1"))
	set, err := adaptersxml.Read(strings.NewReader(text), "f")
	if set != nil || len(adaptersxml.Problems(err)) != 1 {
		t.Fatalf("Read = %v, %v", set, err)
	}
	if n := len(adaptersxml.Check(strings.NewReader(text), "f")); n != 2 {
		t.Errorf("Check has %d problems, want the mistake and the warning", n)
	}
	if got := adaptersxml.Problems(fmt.Errorf("loading: %w", err)); len(got) != 1 || got[0].Line != 9 {
		t.Errorf("Problems of a wrapped error: %v", got)
	}
	if adaptersxml.Problems(nil) != nil || adaptersxml.Problems(errors.New("x")) != nil {
		t.Error("Problems of an error that has none")
	}
}

func TestBounds(t *testing.T) {
	text := file(goodMetadata, goodData)
	if _, err := adaptersxml.Read(strings.NewReader(text), "f", adaptersxml.WithMaxBytes(int64(len(text)))); err != nil {
		t.Error(err)
	}
	if _, err := adaptersxml.Read(strings.NewReader(text), "f", adaptersxml.WithMaxBytes(int64(len(text)-1))); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("one byte too long: %v", err)
	}
	if _, err := adaptersxml.Read(iotest.ErrReader(errors.New("disk gone")), "f"); err == nil || !strings.Contains(err.Error(), "disk gone") {
		t.Errorf("read error: %v", err)
	}
	many := "<adapters_conf>" + strings.Repeat("<metadata_provider/>", 1000) + "</adapters_conf>"
	if n := len(adaptersxml.Check(strings.NewReader(many), "f")); n > 201 {
		t.Errorf("%d problems told", n)
	}
}

func TestReadFile(t *testing.T) {
	if _, err := adaptersxml.ReadFile(filepath.Join(t.TempDir(), "adapters.xml")); err == nil || !strings.HasPrefix(err.Error(), "adaptersxml: ") {
		t.Errorf("missing file: %v", err)
	}
}

func TestLatin1AndBOM(t *testing.T) {
	text := "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" + strings.Replace(file(goodMetadata, goodData), `id="S"`, "id=\"caf\xe9\"", 1)
	set, err := adaptersxml.Read(strings.NewReader(text), "f")
	if err != nil || set.ID != "café" {
		t.Errorf("latin-1: %v, %v", set, err)
	}
	set, err = adaptersxml.Read(strings.NewReader("\uFEFF"+file(goodMetadata, goodData)), "f")
	if err != nil || set.Pos != (adaptersxml.Pos{Line: 1, Column: 1}) {
		t.Errorf("byte order mark: %v, %v", set, err)
	}
}

func TestEnvNotSwitchedOn(t *testing.T) {
	set, err := adaptersxml.Read(strings.NewReader(file(goodMetadata, robust(with("interface=$env.HOST")...))), "f")
	if err != nil || set.Data[0].Proxy.Interface != "$env.HOST" || len(set.Warnings) != 1 {
		t.Errorf("%+v, %v", set, err)
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	set, err := adaptersxml.Read(strings.NewReader(worked), "f", adaptersxml.WithEnv(func(string) (string, bool) { return "hunter2", true }))
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"%v", "%+v", "%#v"} {
		for _, v := range []any{set.Metadata, set.Metadata.Params, *set.Metadata.Proxy, *set.Metadata.Proxy.TLS.Keystore, set.Metadata.Proxy.Credentials} {
			if s := fmt.Sprintf(form, v); strings.Contains(s, "hunter2") {
				t.Errorf("%s of %T shows a password", form, v)
			}
		}
	}
	_, err = adaptersxml.Read(strings.NewReader(file(goodMetadata, robust(with("auth=hunter", "tls.keystore.keystore_password=hunter2")...))), "f")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestKeepaliveHint(t *testing.T) {
	tests := []struct{ timeout, hint, want string }{
		{"", "", "-1ms"}, {"0", "", "-1ms"}, {"-5", "", "-1ms"}, {"3000", "", "1.5s"}, {"3999", "", "1.9995s"}, {"4000", "", "2s"}, {"10000", "", "8s"},
		{"10000", "500", "500ms"}, {"10000", "0", "-1ms"}, {"", "700", "700ms"},
	}
	for _, tt := range tests {
		params := with()
		if tt.timeout != "" {
			params = append(params, "keepalive_timeout_millis="+tt.timeout)
		}
		if tt.hint != "" {
			params = append(params, "keepalive_hint_millis="+tt.hint)
		}
		set, err := adaptersxml.Read(strings.NewReader(file(goodMetadata, robust(params...))), "f")
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Data[0].Proxy.KeepaliveHint.String(); got != tt.want {
			t.Errorf("timeout %q, hint %q: %s, want %s", tt.timeout, tt.hint, got, tt.want)
		}
	}
}

func TestLiteral(t *testing.T) {
	set, err := adaptersxml.Read(strings.NewReader(file(literal("allowed_users=a, b", "max_bandwidth=40.5", "max_frequency=1", "buffer_size=3", "prefilter_frequency=2.5",
		"item_family_10=item.*|x", "modes_for_item_family_10=MERGE, RAW", "item_family_2=portfolio.*", "modes_for_item_family_2=COMMAND", "data_adapter_for_item_family_2=DEFAULT"), goodData)), "f")
	if err != nil {
		t.Fatal(err)
	}
	l := set.Metadata.Literal
	if set.Metadata.Kind != adaptersxml.Literal || set.Metadata.Proxy != nil || len(set.Warnings) != 0 {
		t.Errorf("%+v", set.Metadata)
	}
	if !reflect.DeepEqual(l.AllowedUsers, []string{"a", " b"}) || l.MaxBandwidth != 40.5 || l.MaxFrequency != 1 || l.BufferSize != 3 || l.PrefilterFrequency != 2.5 || l.DistinctSnapshotLength != 10 {
		t.Errorf("%+v", l)
	}
	if len(l.Families) != 2 || l.Families[0].N != 2 || l.Families[0].DataAdapter != "DEFAULT" || !reflect.DeepEqual(l.Families[1].Modes, []string{"MERGE", "RAW"}) {
		t.Fatalf("%+v", l.Families)
	}
	for name, want := range map[string]bool{"item1": true, "x": true, "xx": false, "my item": false} {
		if l.Families[1].Pattern.MatchString(name) != want {
			t.Errorf("family 10 on %q: %v", name, !want)
		}
	}
}

func TestTLSLists(t *testing.T) {
	set, err := adaptersxml.Read(strings.NewReader(file(goodMetadata, robust(with("tls=Y", "tls.keystore.keystore_file=k", "tls.keystore.keystore_password.type=file", "tls.keystore.keystore_password=pw.txt",
		"tls.enforce_server_cipher_suite_preference.order=config", "tls.allow_cipher_suite.10=C", "tls.allow_cipher_suite.2=B", "tls.allow_cipher_suite.1=A",
		"tls.remove_protocols.x=1[.]0$", "tls.force_client_auth=Y", "tls.truststore.truststore_file=t", "tls.truststore.truststore_password=tp")...))), "f")
	if err != nil {
		t.Fatal(err)
	}
	c := set.Data[0].Proxy.TLS
	if !reflect.DeepEqual(c.AllowCipherSuites, []string{"A", "B", "C"}) || len(c.RemoveProtocols) != 1 || !c.RemoveProtocols[0].MatchString("TLSv1.0") {
		t.Errorf("%+v", c)
	}
	if *c.Keystore != (adaptersxml.Store{Type: "JKS", File: "k", PasswordFile: "pw.txt"}) || *c.Truststore != (adaptersxml.Store{Type: "JKS", File: "t", Password: "tp"}) || !c.ForceClientAuth {
		t.Errorf("%+v %+v", c.Keystore, c.Truststore)
	}
}

func TestCheckSets(t *testing.T) {
	read := func(name, id, metadata, data string) *adaptersxml.Set {
		set, err := adaptersxml.Read(strings.NewReader(strings.Replace(file(metadata, data), `id="S"`, `id="`+id+`"`, 1)), name)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	a := read("a.xml", "A", goodMetadata, goodData)
	b := read("b.xml", "B", robust("request_reply_port=1"), robust("request_reply_port=2"))
	if err := adaptersxml.CheckSets(a, b); err != nil {
		t.Error(err)
	}
	err := adaptersxml.CheckSets(a, b, read("c.xml", "A", literal(), robust("request_reply_port=3")), read("d.xml", "D", literal(), goodData))
	want := []string{
		`c.xml:1:1: adapters_conf id "A" is that of a.xml, too`,
		`d.xml:8:1: request_reply_port 6661 of data_provider "DEFAULT" is listened on by data_provider "DEFAULT" already (a.xml:9)`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("CheckSets:\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(worked))
	f.Add([]byte(file(literal("item_family_1=a(", "allowed_users=,"), goodData)))
	f.Add([]byte("<?xml version='1.0' encoding='iso-8859-1'?><adapters_conf id='\xe9'>"))
	f.Add([]byte(file(literal("max_bandwidth=1e-320", "item_family_1=x{1000}{1000}", "modes_for_item_family_1=RAW"), robust(with("timeout=2147483648")...))))
	h := hostile{Rand: rand.New(rand.NewPCG(5, 6))}
	for n := range 4 {
		h.mild = n%2 == 0
		f.Add([]byte(h.file()))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		set := checkRead(t, string(text))
		problems := adaptersxml.Check(bytes.NewReader(text), "f", adaptersxml.WithEnv(testEnv))
		if set != nil {
			if len(set.Data) == 0 || set.ID == "" || set.Metadata.Kind == 0 || len(problems) != len(set.Warnings) {
				t.Fatalf("an incomplete set without an error: %+v", set)
			}
			_ = adaptersxml.CheckSets(set, set)
		}
	})
}
