package adaptersxml_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// worked is a set of robust proxies on both sides, with TLS and credentials on the metadata side and connection inversion
// on one data side.
const worked = `<?xml version="1.0" encoding="UTF-8"?>
<!-- File tag: adapters_conf-APV-7.4.5. -->
<adapters_conf id="DEMO">

  <metadata_adapter_initialised_first>Y</metadata_adapter_initialised_first>

  <metadata_provider>
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <authentication_pool>
      <max_pending_remote_requests>500</max_pending_remote_requests>
    </authentication_pool>
    <sequentialize_table_notifications>Y</sequentialize_table_notifications>

    <param name="request_reply_port">6663</param>
    <param name="timeout">10000</param>
    <param name="keepalive_timeout_millis">10000</param>
    <!-- the hint sent is then 8000 -->
    <param name="tls">Y</param>
    <param name="tls.keystore.type">PKCS12</param>
    <param name="tls.keystore.keystore_file">proxy.p12</param>
    <param name="tls.keystore.keystore_password.type">text</param>
    <param name="tls.keystore.keystore_password">$env.KEYSTORE_PASSWORD</param>
    <param name="auth">Y</param>
    <param name="auth.credentials.1.user">user1</param>
    <param name="auth.credentials.1.password">$env.USER1_PASSWORD</param>
    <param name="remote_params_prefix">remote:</param>
    <param name="remote:region">eu</param>
    <param name="close_notifications_recovery">optimistic</param>
    <param name="notify_user_disconnection_code">-5</param>
    <param name="notify_user_disconnection_msg">please try again later</param>
  </metadata_provider>

  <data_provider name="QUOTES">
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="request_reply_port">6661</param>
    <param name="first_connection_timeout_millis">0</param>
    <param name="events_recovery">enforce_snapshot</param>
    <param name="status_item">quotes_status</param>
  </data_provider>

  <data_provider name="NEWS">
    <adapter_class>PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="request_reply_port">6671</param>
    <param name="remote_host">news.example.com</param>
    <param name="connection_retry_millis">5000</param>
  </data_provider>

</adapters_conf>
`

func ExampleRead() {
	env := func(name string) (string, bool) { return "secret of " + name, true }
	set, err := adaptersxml.Read(strings.NewReader(worked), "adapters.xml", adaptersxml.WithEnv(env))
	if err != nil {
		log.Fatal(err)
	}
	m := set.Metadata.Proxy
	fmt.Println(set.ID, set.Metadata.Kind, m.RequestReplyPort, m.KeepaliveHint, m.Credentials, m.RemoteParams)
	for _, d := range set.Data {
		fmt.Println(d.Name, d.Kind, d.Proxy.Name, d.Proxy.RequestReplyPort, d.Proxy.RemoteHost, d.Proxy.EventsRecovery)
	}
	// Output:
	// DEMO robust 6663 8s [{user1 ***}] [remote:region=eu]
	// QUOTES robust DEMO.QUOTES 6661  enforce_snapshot
	// NEWS basic DEMO.NEWS 6671 news.example.com
}

func ExampleProblems() {
	const file = `<adapters_conf id="DEMO">
  <metadata_provider>
    <adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>common</classloader>
    <param name="request_reply_port">66630</param>
  </metadata_provider>
</adapters_conf>`
	_, err := adaptersxml.Read(strings.NewReader(file), "adapters.xml")
	for _, p := range adaptersxml.Problems(err) {
		fmt.Println(p)
	}
	// Output:
	// adapters.xml:1:1: no data_provider
	// adapters.xml:4:5: classloader common is not allowed for a proxy; use log-enabled
	// adapters.xml:5:5: parameter "request_reply_port" is "66630"; it has to be a whole number from 1 to 65535
}

func ExampleCheck() {
	const file = `<adapters_conf id="DEMO">
  <metadata_provider>
    <adapter_class>com.lightstreamer.adapters.metadata.LiteralBasedProvider</adapter_class>
  </metadata_provider>
  <data_provider>
    <adapter_class>PROXY_FOR_REMOTE_ADAPTER</adapter_class>
    <classloader>log-enabled</classloader>
    <param name="request_replay_port">6661</param>
  </data_provider>
</adapters_conf>`
	for _, p := range adaptersxml.Check(strings.NewReader(file), "adapters.xml") {
		fmt.Println(p)
	}
	// Output:
	// adapters.xml:5:3: data_provider "DEFAULT" has no request_reply_port
	// adapters.xml:8:5: warning: unknown parameter "request_replay_port"; did you mean "request_reply_port"?
}
