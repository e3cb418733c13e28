package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

var _ provider.Metadata = (*proxy.Metadata)(nil)

var table = provider.Table{
	WinIndex: 3, Mode: provider.Merge, Group: "item1 item2", DataAdapter: "QUOTE_ADAPTER", Schema: "f1 f2", Min: 1, Max: 2,
	Selector: provider.Null, Items: []string{"item1", "item2"},
}

const (
	tableText    = "I|3|M|M|S|item1 item2|S|QUOTE_ADAPTER|S|f1 f2|I|1|I|2|S|#|I|2|S|item1|S|item2"
	oldTableText = "I|3|M|M|S|item1+item2|S|f1+f2|I|1|I|2|S|#"
)

// TestRequests has each request as it stands on the wire, with its reply and what that means.
func TestRequests(t *testing.T) {
	user := provider.T("u")
	principal := provider.T("CN=J. O'Neil, O=A+B|CC, C=IT")
	call := map[string]func(ctx context.Context, m *proxy.Metadata) (any, error){
		"NUS": func(ctx context.Context, m *proxy.Metadata) (any, error) {
			return m.NotifyUser(ctx, provider.User{Name: provider.Null, Password: provider.T(""), Headers: map[string]string{"host": "push.example.com", "REQUEST_ID": "R7a1"}})
		},
		"NUA": func(ctx context.Context, m *proxy.Metadata) (any, error) {
			return m.NotifyUser(ctx, provider.User{Name: user, Password: provider.T("p"), Principal: &principal})
		},
		"NNS": func(ctx context.Context, m *proxy.Metadata) (any, error) {
			return m.NotifyNewSession(ctx, user, "S1", provider.SessionContext{{Name: "REMOTE_IP", Value: provider.T("10.0.0.7")}, {Name: "CLIENT_TYPE", Value: provider.Null}})
		},
		"GIS": func(ctx context.Context, m *proxy.Metadata) (any, error) {
			return m.Items(ctx, user, "item1 item2", "S1")
		},
		"GSC": func(ctx context.Context, m *proxy.Metadata) (any, error) {
			return m.Schema(ctx, user, "item1", "f1 f2", "S1")
		},
		"GIT": func(ctx context.Context, m *proxy.Metadata) (any, error) {
			return m.ItemData(ctx, []string{"i1", "i|2", "i+3"})
		},
		"GUI": func(ctx context.Context, m *proxy.Metadata) (any, error) {
			return m.UserItemData(ctx, provider.T("u ser"), []string{"i1", "i|2", "i+3"})
		},
		"NUM": func(ctx context.Context, m *proxy.Metadata) (any, error) {
			return m.NotifyMessage(ctx, user, "S1", "line1\r\nline2")
		},
		"NNT": func(ctx context.Context, m *proxy.Metadata) (any, error) {
			return m.NotifyNewTables(ctx, user, "S1", []provider.Table{table})
		},
	}
	rm := provider.Modes(0).With(provider.Raw).With(provider.Distinct)
	tests := []struct {
		v                    ari.Version
		method, body, answer string
		want                 any
	}{
		{ari.V191, "NUS", "S|#|S|$|S|REQUEST_ID|S|R7a1|S|host|S|push.example.com", "D|40.5|B|1", provider.UserGrant{MaxBandwidth: 40.5, WantsTables: true}},
		{ari.V191, "NUS", "S|#|S|$|S|REQUEST_ID|S|R7a1|S|host|S|push.example.com", "D|NaN|B|0", provider.UserGrant{}},
		{ari.V191, "NUS", "S|#|S|$|S|REQUEST_ID|S|R7a1|S|host|S|push.example.com", "D|-1|B|0", provider.UserGrant{}},
		{ari.V183, "NUS", "S|#|S|$|S|REQUEST_ID|S|R7a1|S|host|S|push.example.com", "D|inf|B|0", provider.UserGrant{}},
		{ari.V191, "NUA", "S|u|S|p|S|CN=J. O'Neil, O=A%2BB%7CC" + "C, C=IT", "D|0|B|0", provider.UserGrant{}},
		{ari.V191, "NNS", "S|u|S|S1|S|REMOTE_IP|S|10.0.0.7|S|CLIENT_TYPE|S|#", "I|30", 30 * time.Second},
		{ari.V191, "NNS", "S|u|S|S1|S|REMOTE_IP|S|10.0.0.7|S|CLIENT_TYPE|S|#", "I|-4", time.Duration(0)},
		{ari.V191, "NNS", "S|u|S|S1|S|REMOTE_IP|S|10.0.0.7|S|CLIENT_TYPE|S|#", "V", time.Duration(0)},
		{ari.V180, "NNS", "S|u|S|S1|S|REMOTE_IP|S|10.0.0.7|S|CLIENT_TYPE|S|#", "V", time.Duration(0)},
		{ari.V191, "GIS", "S|u|S|item1 item2|S|S1", "S|item1|S|item 2", []string{"item1", "item 2"}},
		{ari.V183, "GIS", "S|u|S|item1+item2|S|S1", "S|item1|S|item+2", []string{"item1", "item 2"}},
		{ari.V191, "GIS", "S|u|S|item1 item2|S|S1", "", []string(nil)},
		{ari.V191, "GSC", "S|u|S|item1|S|f1 f2|S|S1", "S|key|S|last price", []string{"key", "last price"}},
		{ari.V191, "GIT", "S|i1|S|i%7C2|S|i%2B3", "I|10|D|0.0|M|$|I|-3|D|1.5|M|RD|I|2147483647|D|0.125|M|RMDC", []provider.ItemData{
			{DistinctSnapshotLength: 10}, {MinSourceFrequency: 1.5, Modes: rm}, {DistinctSnapshotLength: 2147483647, MinSourceFrequency: 0.125, Modes: provider.AllModes}}},
		{ari.V191, "GUI", "S|u ser|S|i1|S|i%7C2|S|i%2B3", "I|0|D|Infinity|M|#|I|30|D|2.25|M|RD|I|1|D|1000000.0|M|RMDC", []provider.UserItemData{
			{}, {BufferSize: 30, MaxFrequency: 2.25, Modes: rm}, {BufferSize: 1, MaxFrequency: 1e6, Modes: provider.AllModes}}},
		{ari.V191, "NUM", "S|u|S|S1|S|line1%0D%0Aline2", "V", ""},
		{ari.V191, "NNT", "S|u|S|S1|" + tableText, "B|1|B|0", provider.TablesGrant{Unsubscribable: true}},
		{ari.V191, "NNT", "S|u|S|S1|" + tableText, "B|0|B|1", provider.TablesGrant{FinalStats: true}},
		{ari.V191, "NNT", "S|u|S|S1|" + tableText, "V", provider.TablesGrant{}},
		{ari.V183, "NNT", "S|u|S|S1|" + oldTableText, "V", provider.TablesGrant{}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s %s", tt.v, tt.method, tt.answer), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, ln := startMetadata(t, proxy.MetadataConfig{})
				r := connect(t, ln).init(ari.Metadata, tt.v)
				<-m.Ready()
				var got any
				done := background(func() (err error) { got, err = call[tt.method](t.Context(), m); return err })
				id := r.request(tt.method + "|" + tt.body)
				r.say("%s|%s|%s", id, tt.method, tt.answer)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, tt.want) {
					t.Errorf("got %+v, want %+v", got, tt.want)
				}
			})
		})
	}
	for method, f := range call {
		// What each call says when the remote refuses, does not answer, answers nonsense, is lost, or there is none.
		t.Run(method+" fails", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Robust: true}})
				fails := func(r *remote, kind provider.ErrorKind, answer func(id string)) *provider.Error {
					t.Helper()
					done := background(func() error { _, err := f(t.Context(), m); return err })
					id, _, _ := strings.Cut(r.next(), "|")
					answer(id)
					return asError(t, <-done, kind)
				}
				_, err := f(t.Context(), m)
				asError(t, err, provider.Unavailable)
				r := connectMetadata(t, ln)
				e := fails(r, provider.Credits, func(id string) { r.say("%s|%s|EC|no credit|-12|%s", id, method, "pay %2B try%7Cagain") })
				if want := (provider.Error{Kind: provider.Credits, Message: method + " refused by the remote adapter: no credit", Code: -12, ClientMessage: provider.T("pay + try|again")}); *e != want {
					t.Errorf("%+v", *e)
				}
				fails(r, provider.Generic, func(id string) { r.say("%s|%s|E|broken", id, method) })
				fails(r, provider.Generic, func(id string) { r.say("%s|%s|X|1", id, method) })
				fails(r, provider.Generic, func(id string) { r.say("%s|MDA|V", id) })
				begin := time.Now()
				fails(r, provider.Unavailable, func(string) {})
				if took := time.Since(begin); took != proxy.DefaultTimeout {
					t.Errorf("timed out after %v", took)
				}
				fails(r, provider.Unavailable, func(string) { r.nc.Close() })
				synctest.Wait()
				r = connectMetadata(t, ln)
				if _, err := f(cancelled(t), m); !errors.Is(err, errStop) {
					t.Errorf("cancelled: %v", err)
				}
				r.next()
				if st := m.Stats(); st.TimedOut != 1 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

func TestErrorKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		r := connectMetadata(t, ln)
		for answer, want := range map[string]provider.Error{
			"EA|m":                {Kind: provider.Access},
			"ER|m":                {Kind: provider.Resource},
			"EC|m|0|#":            {Kind: provider.Credits, ClientMessage: provider.Null},
			"EX|m|-3|one|S%7Cold": {Kind: provider.ConflictingSession, Code: -3, ClientMessage: provider.T("one"), Session: "S|old"},
			"EI|m":                {Kind: provider.Items},
			"ES|m":                {Kind: provider.Schema},
			"EN|m":                {Kind: provider.Notification},
			"EM|m":                {Kind: provider.Generic},
			"EZ|m|1|2":            {Kind: provider.Generic},
			"EU|m":                {Kind: provider.Generic},
		} {
			done := background(func() error { _, err := m.Items(t.Context(), provider.Null, "g", "S"); return err })
			id := r.request("GIS|S|#|S|g|S|S")
			r.say("%s", id+"|GIS|"+answer)
			e := asError(t, <-done, want.Kind)
			want.Message = "GIS refused by the remote adapter: m"
			if *e != want {
				t.Errorf("%s: %+v, want %+v", answer, *e, want)
			}
		}
	})
}

func TestNoItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		r := connectMetadata(t, ln)
		if list, err := m.ItemData(t.Context(), nil); list != nil || err != nil {
			t.Error(list, err)
		}
		if list, err := m.UserItemData(t.Context(), provider.Null, nil); list != nil || err != nil {
			t.Error(list, err)
		}
		r.silent() // a request without a body cannot be read by remotes
		for _, f := range []func() error{
			func() error { _, err := m.ItemData(t.Context(), []string{"a", "b"}); return err },
			func() error { _, err := m.UserItemData(t.Context(), provider.Null, []string{"a", "b"}); return err },
		} {
			done := background(f)
			id, rest, _ := strings.Cut(r.next(), "|")
			r.say("%s|%s|I|1|D|1|M|R", id, rest[:3])
			asError(t, <-done, provider.Generic)
		}
	})
}

// TestOnDisconnection has a row for each answer to new users while there is no remote.
func TestOnDisconnection(t *testing.T) {
	for _, tt := range []struct {
		cfg  proxy.MetadataConfig
		want provider.Error
	}{
		{proxy.MetadataConfig{}, provider.Error{Kind: provider.Unavailable}},
		{proxy.MetadataConfig{NotifyUserOnDisconnection: proxy.ForceRetry}, provider.Error{Kind: provider.Resource}},
		{proxy.MetadataConfig{NotifyUserOnDisconnection: proxy.SendCode, DisconnectionCode: -5, DisconnectionMessage: "later"}, provider.Error{Kind: provider.Credits, Code: -5, ClientMessage: provider.T("later")}},
		{proxy.MetadataConfig{NotifyUserOnDisconnection: proxy.SendCode}, provider.Error{Kind: provider.Credits, ClientMessage: provider.T("The service is not available now.")}},
	} {
		synctest.Test(t, func(t *testing.T) {
			tt.cfg.Robust = true
			m, ln := startMetadata(t, tt.cfg)
			check := func(err error) {
				t.Helper()
				e := *asError(t, err, tt.want.Kind)
				e.Message = ""
				if e != tt.want {
					t.Errorf("%+v, want %+v", e, tt.want)
				}
			}
			ask := func() error { _, err := m.NotifyUser(t.Context(), provider.User{}); return err }
			check(ask())
			_, err := m.Items(t.Context(), provider.Null, "g", "S")
			asError(t, err, provider.Unavailable)
			r := connectMetadata(t, ln)
			done := background(ask)
			r.next()
			r.nc.Close() // while the request waits
			check(<-done)
			r = connectMetadata(t, ln)
			done = background(ask)
			r.next()
			asError(t, <-done, provider.Unavailable) // there is a remote, it is only slow
		})
	}
}

func TestMetadataFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Robust: true}})
		r := connectMetadata(t, ln)
		r.say("2|FAL|E|%s", "100%25 %2B a%7Cb")
		r.expect("0|CLOSE|S|reason|S|the+adapter+has+failed")
		r.gone()
		r = connect(t, ln).init(ari.Metadata, ari.V183)
		r.say("2|FAL|E|x\r\n5|FST|S|S1|V\r\n5|UD3|S|i|S|1|B|0\r\n5|DFD|S|i|S|1") // from 1.9.0 on, or not of this channel
		r.silent()
		if m.Stats().Malformed != 4 {
			t.Errorf("%+v", m.Stats())
		}
	})
}
