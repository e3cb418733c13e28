package adaptersxml_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// allocated returns the bytes allocated while f ran, garbage included.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// checkRead reads a file of any kind: a set or mistakes with places, and messages of bounded
// length.
func checkRead(t *testing.T, text string) (set *adaptersxml.Set) {
	t.Helper()
	set, err := adaptersxml.Read(strings.NewReader(text), "f", adaptersxml.WithEnv(testEnv))
	if (set == nil) == (err == nil) {
		t.Fatalf("Read = %v, %v", set, err)
	}
	problems := adaptersxml.Problems(err)
	if set != nil {
		problems = set.Warnings
		checkRanges(t, set)
	} else if len(problems) == 0 {
		t.Fatalf("an error without problems: %v", err)
	}
	if len(problems) > 201 {
		t.Fatalf("%d problems", len(problems))
	}
	lines := strings.Count(text, "\n") + 1
	for _, p := range problems {
		if p.Line < 0 || p.Line > lines || p.Line > 0 && p.Column < 1 || p.Message == "" || len(p.Message) > 1000 {
			t.Fatalf("problem at %d:%d: %.300s", p.Line, p.Column, p.Message)
		}
	}
	return set
}

// checkRanges looks at every number of a set: times that cannot overflow when they are added, rates
// that can be reckoned with.
func checkRanges(t *testing.T, set *adaptersxml.Set) {
	t.Helper()
	const most = (1 << 31) * time.Millisecond
	for _, p := range append([]adaptersxml.Provider{set.Metadata}, set.Data...) {
		times := []time.Duration{p.AuthenticationPool.TaskTimeout, p.MessagesPool.TaskTimeout}
		if x := p.Proxy; x != nil {
			times = append(times, x.ConnectionRetry, x.Timeout, x.KeepaliveTimeout, x.KeepaliveHint, x.FirstConnectionTimeout, x.ConnectionRecoveryTimeout, x.UserDataTimeout)
			if x.Timeout == 0 || x.KeepaliveTimeout == 0 || x.KeepaliveHint == 0 || x.RequestReplyPort < 1 || x.RequestReplyPort > 65535 {
				t.Errorf("proxy: %+v", *x)
			}
		}
		for _, d := range times {
			if d < -most || d > most {
				t.Errorf("a time of %v", d)
			}
		}
		if l := p.Literal; l != nil {
			for _, f := range []float64{l.MaxBandwidth, l.MaxFrequency, l.PrefilterFrequency} {
				if f != 0 && !(f >= 0.001 && f <= 1e9) {
					t.Errorf("a rate of %v", f)
				}
			}
		}
	}
}

// hostile makes files of valid shape with extreme contents.
type hostile struct {
	*rand.Rand
	mild bool // most of the file is good
}

func (h hostile) one(list ...string) string { return list[h.IntN(len(list))] }

func (h hostile) number() string {
	return h.one("0", "1", "-1", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "99999999999999999999999999",
		"1e9", "1e308", "1e-320", "Inf", "-Inf", "NaN", "0x7fffffffffffffff", "1_000", "+5", " 7 ", "", "٣", "6661", strconv.Itoa(1+h.IntN(65535)))
}

func (h hostile) text() string {
	switch h.IntN(14) {
	case 0:
		return strings.Repeat("x", h.IntN(20_000))
	case 1:
		return strings.Repeat("&amp;&#1;&#x10FFFF;", h.IntN(10))
	case 2:
		return h.one("$env.PORT", "$env.$env.PORT", "$env.", "$env.NONE", "$env.KEYSTORE_PASSWORD")
	case 3:
		return h.one("(", "(a*)*b", "x{1000}", "((x{10}){10}){10}", strings.Repeat("x{1000}", 300), strings.Repeat(`\pL`, 1000), "(?=a)", `\1`, strings.Repeat("(", 4000))
	case 4:
		return h.one("&lol;", "\x00", "\xff\xfe", "<![CDATA[ ]]>", "<!-- -->", "<?php ?>", "]]>", "<b/>", strings.Repeat("<b>", 30))
	case 5:
		return h.one("Y", "N", "true", "false", "maybe")
	}
	return h.number()
}

// class returns the first of the classes in a mild file, or one of them.
func (h hostile) class(list ...string) string {
	if h.mild {
		return list[0]
	}
	return h.one(list...)
}

func (h hostile) param() string {
	name := h.one("request_reply_port", "notify_port", "remote_host", "connection_retry_millis", "timeout", "keepalive_timeout_millis", "keepalive_hint_millis",
		"first_connection_timeout_millis", "connection_recovery_timeout_millis", "user_data_timeout", "notify_user_disconnection_code", "tls", "auth",
		"auth.credentials.1.user", "auth.credentials.1.password", "auth.credentials..user", "remote_params_prefix", "remote:x", "tls.remove_protocols.1",
		"tls.allow_cipher_suite."+h.number(), "item_family_1", "item_family_"+h.number(), "modes_for_item_family_1", "max_bandwidth", "max_frequency",
		"buffer_size", "prefilter_frequency", "distinct_snapshot_length", "allowed_users", "remote_address_whitelist", h.text())
	return `<param name="` + strings.NewReplacer(`"`, "", "<", "").Replace(name) + `">` + h.text() + "</param>\n"
}

func (h hostile) provider(element string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<%s", element)
	if element == "data_provider" {
		fmt.Fprintf(&b, ` name="%s"`, h.one("A", "B", "", "DEFAULT", strings.Repeat("n", h.IntN(10_000))))
	}
	for i := range h.IntN(20) * h.IntN(20) {
		fmt.Fprintf(&b, ` a%d="%s"`, i, strings.Repeat("v", h.IntN(50)))
	}
	b.WriteString("><adapter_class>" + h.class("ROBUST_PROXY_FOR_REMOTE_ADAPTER", "PROXY_FOR_REMOTE_ADAPTER",
		"com.lightstreamer.adapters.metadata.LiteralBasedProvider", h.text()) + "</adapter_class><classloader>log-enabled</classloader>")
	if h.mild || h.IntN(10) > 0 {
		b.WriteString(`<param name="request_reply_port">` + strconv.Itoa(1+h.IntN(65535)) + "</param>")
	}
	params := h.IntN(8) * h.IntN(8)
	if h.mild {
		params = h.IntN(3)
	}
	for range params {
		b.WriteString(h.param())
	}
	for range h.IntN(2) {
		pool := h.one("authentication_pool", "messages_pool", "mpn_pool", "data_adapter_pool")
		fmt.Fprintf(&b, "<%s><max_size>%s</max_size><max_free>%s</max_free><task_timeout_millis>%s</task_timeout_millis></%s>", pool, h.number(), h.number(), h.number(), pool)
	}
	return b.String() + "</" + element + ">"
}

func (h hostile) file() string {
	if h.mild {
		return `<adapters_conf id="S">` + h.provider("metadata_provider") + h.provider("data_provider") + "</adapters_conf>"
	}
	var b strings.Builder
	b.WriteString(h.one("", "", "\uFEFF", `<?xml version="1.0" encoding="`+h.one("UTF-8", "ISO-8859-1", "UTF-16", "EBCDIC", strings.Repeat("x", 5000))+`"?>`))
	b.WriteString(h.one("", "", "<!-- File tag: adapters_conf-APV-"+strings.Repeat("7.", h.IntN(1000))+" -->",
		`<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;">]>`, strings.Repeat("<!---->", h.IntN(1000))))
	b.WriteString(`<adapters_conf id="` + h.one("S", "", "&lol2;", "S") + `">`)
	for range 1 + h.IntN(20)/19 {
		b.WriteString(h.provider("metadata_provider"))
	}
	for range 1 + h.IntN(3) {
		b.WriteString(h.provider("data_provider"))
	}
	return b.String() + h.one("</adapters_conf>", "</adapters_conf>", "</adapters_conf>", "", "</adapters_conf><x/>", "</x>")
}

// Files of valid shape with extreme contents give a set or mistakes, without a panic, with memory
// in proportion to their length.
func TestHostileFiles(t *testing.T) {
	h := hostile{Rand: rand.New(rand.NewPCG(3, 4))}
	good := 0
	for n := range 400 {
		h.mild = n%2 == 0
		text := h.file()
		var set *adaptersxml.Set
		if used := allocated(func() { set = checkRead(t, text) }); used > 200*int64(len(text))+16<<20 {
			t.Errorf("%d bytes allocated for %d: %.200s", used, len(text), text)
		}
		if set != nil {
			good++
			_ = adaptersxml.CheckSets(set, set)
		}
	}
	if good == 0 {
		t.Error("not one of the files was good")
	}
	t.Logf("%d files were good", good)
}

// repetitive are files whose length grows with n in one respect.
var repetitive = map[string]func(n int) string{
	"comments on one line": func(n int) string { return file(goodMetadata, goodData) + strings.Repeat("<!---->", n) },
	"text around elements": func(n int) string { return file(goodMetadata, goodData+strings.Repeat("<!--é-->", n)) },
	"unknown parameters": func(n int) string {
		return file(goodMetadata, robust(with(numbered("request_reply_prt%d=1", n/40)...)...))
	},
	"remote parameters": func(n int) string {
		return file(goodMetadata, robust(with(append(numbered("remote:p%d=1", n/40), "remote_params_prefix=remote:")...)...))
	},
	"misplaced parameters": func(n int) string {
		return file(goodMetadata, basic(with(numbered("tls.allow_protocol.%d=1", n/40)...)...))
	},
	"attributes": func(n int) string {
		return file(strings.Replace(goodMetadata, "<metadata_provider", "<metadata_provider "+strings.Join(numbered(`attr%d=""`, n/2), " "), 1), goodData)
	},
	"deep nesting": func(n int) string { return strings.Repeat("<a>", n) },
	"large classes": func(n int) string {
		return file(literal(numbered("item_family_%d="+strings.Repeat(`\pL`, 1000), n/800)...), goodData)
	},
	"large repeats": func(n int) string {
		return file(literal(numbered("item_family_%d="+strings.Repeat("x{1000}", 500), n/800)...), goodData)
	},
	"large value": func(n int) string {
		return file(goodMetadata, robust(with("status_item="+strings.Repeat("x", 4*n))...))
	},
	"large directive": func(n int) string {
		return "<!DOCTYPE a [" + strings.Repeat(`<!ENTITY l "l">`, n/4) + "]>" + file(goodMetadata, goodData)
	},
}

func numbered(format string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i+1)
	}
	return list
}

// The time for a file grows with its length, not with its square, which would be 256 times the time
// for 16 times the length: 100 times may be taken, however slow the machine is.
func TestTimeGrowsWithTheLength(t *testing.T) {
	for name, text := range repetitive {
		t.Run(name, func(t *testing.T) {
			took := func(n int) time.Duration {
				text, best := text(n), time.Duration(1<<62)
				if len(text) > 1<<20 {
					t.Fatalf("%d bytes are beyond the default limit", len(text))
				}
				for range 2 {
					start := time.Now()
					checkRead(t, text)
					best = min(best, time.Since(start))
				}
				return best
			}
			const n = 4_000
			small, large := took(n), took(16*n)
			if large > 100*max(small, time.Millisecond/2) {
				t.Errorf("%v, and %v for 16 times the length", small, large)
			}
		})
	}
}

// Regular expressions are bounded by what they compile to, each and together.
func TestLargePatterns(t *testing.T) {
	for _, params := range [][]string{
		{"item_family_1=" + strings.Repeat("x{1000}", 500)}, {"item_family_1=" + strings.Repeat(`\pL`, 1300)},
		numbered("item_family_%d=x{1000}[a-c]{900}", 100), numbered(`item_family_%d=\pL\pN`, 2000),
	} {
		text := file(literal(append(params, "modes_for_item_family_1=RAW")...), goodData)
		if used := allocated(func() {
			if set := checkRead(t, text); set != nil {
				t.Errorf("%.60s: taken", params[0])
			}
		}); used > 100<<20 {
			t.Errorf("%.60s: %d bytes allocated", params[0], used)
		}
	}
	if checkRead(t, file(literal(`item_family_1=(item|\w+)[0-9]{1,100}\pL.*`, "modes_for_item_family_1=RAW"), goodData)) == nil {
		t.Error("a plain expression is refused")
	}
}

// Entities are not expanded, whatever a document type declares.
func TestEntitiesAreNotExpanded(t *testing.T) {
	text := `<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>` + strings.Replace(file(goodMetadata, goodData), `id="S"`, `id="&lol2;"`, 1)
	_, err := adaptersxml.Read(strings.NewReader(text), "f")
	if err == nil || !strings.Contains(err.Error(), "lol2") {
		t.Errorf("got %v", err)
	}
}

// What is no regular file is refused before it is opened, which could last for ever.
func TestReadFileOfNoFile(t *testing.T) {
	if _, err := adaptersxml.ReadFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("a folder: %v", err)
	}
	name := filepath.Join(t.TempDir(), "adapters.xml")
	if err := os.Symlink("/dev/zero", name); err == nil {
		if _, err := adaptersxml.ReadFile(name); err == nil || !strings.Contains(err.Error(), "regular file") {
			t.Errorf("a link to /dev/zero: %v", err)
		}
	}
	if err := os.WriteFile(name+"2", []byte(file(goodMetadata, goodData)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := adaptersxml.ReadFile(name+"2", adaptersxml.WithMaxBytes(1<<63-1)); err != nil {
		t.Error(err)
	}
}

// Passwords are shown by no verb, no encoding and no log, in whatever they are nested.
func TestSecretsInEveryForm(t *testing.T) {
	text := file(goodMetadata, robust(with("tls=Y", "tls.keystore.keystore_file=k", "tls.keystore.keystore_password=hunter2", "auth=Y",
		"auth.credentials.1.user=ann", "auth.credentials.1.password=hunter2", "remote_params_prefix=r:", "r:api_key=hunter2", "r:Token=hunter2", "r:shown=visible")...))
	set, err := adaptersxml.Read(strings.NewReader(text), "f")
	if err != nil {
		t.Fatal(err)
	}
	data := set.Data[0]
	if p := data.Proxy; string(p.TLS.Keystore.Password) != "hunter2" || string(p.Credentials[0].Password) != "hunter2" || p.RemoteParams[0].Value != "hunter2" {
		t.Fatalf("the passwords are not there: %+v", p)
	}
	var b bytes.Buffer
	for _, v := range []any{set, *set, data, data.Params, data.Proxy, *data.Proxy, data.Proxy.Credentials, *data.Proxy.TLS.Keystore, data.Proxy.RemoteParams, set.Warnings,
		struct{ P []adaptersxml.Param }{data.Params}, data.Proxy.Credentials[0].Password} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
		if j, err := json.Marshal(v); err == nil {
			b.Write(j)
		}
		if x, err := xml.Marshal(v); err == nil {
			b.Write(x)
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("text", "value", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("json", "value", v)
	}
	for _, secret := range []string{"hunter2", fmt.Sprintf("%x", "hunter2")} {
		if i := strings.Index(strings.ToLower(b.String()), secret); i >= 0 {
			t.Errorf("shown: %s", b.String()[max(0, i-100):i+20])
		}
	}
	if !strings.Contains(b.String(), "r:shown=visible") {
		t.Error("a parameter without a secret is not shown")
	}
}
