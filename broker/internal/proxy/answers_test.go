package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
)

// ask asks for item data in the background, lets the remote answer the request expected, if any, and compares lengths.
func askItems(t *testing.T, m *proxy.Metadata, r *remote, items []string, request, reply string, want ...int) {
	t.Helper()
	var got []provider.ItemData
	done := background(func() (err error) { got, err = m.ItemData(t.Context(), items); return err })
	if request != "" {
		r.say("%s|%s", r.request(request), reply)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.silent()
	for i := range want {
		if got[i].DistinctSnapshotLength != want[i] {
			t.Fatalf("got %+v, want lengths %v", got, want)
		}
	}
}

func askUserItems(t *testing.T, m *proxy.Metadata, r *remote, user string, items []string, request, reply string, want ...int) {
	t.Helper()
	var got []provider.UserItemData
	done := background(func() (err error) { got, err = m.UserItemData(t.Context(), provider.T(user), items); return err })
	if request != "" {
		r.say("%s|%s", r.request(request), reply)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.silent()
	for i := range want {
		if got[i].BufferSize != want[i] {
			t.Fatalf("got %+v, want buffers %v", got, want)
		}
	}
}

func TestAnswersAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		r := connectMetadata(t, ln)
		askItems(t, m, r, []string{"a", "b"}, "GIT|S|a|S|b", "GIT|I|1|D|0|M|R|I|2|D|0|M|M", 1, 2)
		askItems(t, m, r, []string{"b", "a"}, "", "", 2, 1)
		askItems(t, m, r, []string{"a", "c", "b"}, "GIT|S|c", "GIT|I|3|D|0|M|M", 1, 3, 2)
		pass(proxy.DefaultItemDataAge - time.Second)
		askItems(t, m, r, []string{"a"}, "", "", 1)
		pass(time.Second)
		askItems(t, m, r, []string{"a"}, "GIT|S|a", "GIT|I|7|D|0|M|R", 7)

		askUserItems(t, m, r, "u", []string{"a"}, "GUI|S|u|S|a", "GUI|I|1|D|0|M|R", 1)
		askUserItems(t, m, r, "u", []string{"a"}, "", "", 1)
		askUserItems(t, m, r, "v", []string{"a"}, "GUI|S|v|S|a", "GUI|I|2|D|0|M|R", 2)
		pass(proxy.DefaultUserItemDataAge)
		askUserItems(t, m, r, "u", []string{"a"}, "GUI|S|u|S|a", "GUI|I|4|D|0|M|R", 4)
	})
}

// Errors are not kept, and what is switched off is not either.
func TestAnswersNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{ItemDataAge: -1, UserItemDataAge: -1})
		r := connectMetadata(t, ln)
		for range 2 {
			askItems(t, m, r, []string{"a"}, "GIT|S|a", "GIT|I|1|D|0|M|R", 1)
			askUserItems(t, m, r, "u", []string{"a"}, "GUI|S|u|S|a", "GUI|I|1|D|0|M|R", 1)
		}
		m, ln = startMetadata(t, proxy.MetadataConfig{})
		r = connectMetadata(t, ln)
		for range 2 {
			done := background(func() error { _, err := m.ItemData(t.Context(), []string{"a"}); return err })
			r.say("%s|GIT|E|no", r.request("GIT|S|a"))
			asError(t, <-done, provider.Generic)
		}
	})
}

func TestAnswersOfNewRemote(t *testing.T) {
	for _, clear := range []bool{false, true} {
		t.Run(fmt.Sprint(clear), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Robust: true}, ClearOnNewRemote: clear})
				r := connectMetadata(t, ln)
				askItems(t, m, r, []string{"a"}, "GIT|S|a", "GIT|I|1|D|0|M|R", 1)
				askUserItems(t, m, r, "u", []string{"a"}, "GUI|S|u|S|a", "GUI|I|1|D|0|M|R", 1)
				r.nc.Close()
				synctest.Wait()
				r = connectMetadata(t, ln)
				if clear {
					askItems(t, m, r, []string{"a"}, "GIT|S|a", "GIT|I|2|D|0|M|R", 2)
					askUserItems(t, m, r, "u", []string{"a"}, "GUI|S|u|S|a", "GUI|I|2|D|0|M|R", 2)
				} else {
					askItems(t, m, r, []string{"a"}, "", "", 1)
					askUserItems(t, m, r, "u", []string{"a"}, "", "", 1)
				}
			})
		})
	}
}

// What is kept is bounded, whatever clients ask for.
func TestAnswersBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		r := connectMetadata(t, ln)
		const count = 60_000
		reply := "GIT" + strings.Repeat("|I|5|D|0|M|R", count)
		askMany := func(suffix string) {
			many := make([]string, count)
			for i := range many {
				many[i] = fmt.Sprint(i, suffix)
			}
			askItems(t, m, r, many, "GIT|S|"+strings.Join(many, "|S|"), reply, 5)
		}
		askItems(t, m, r, []string{"a"}, "GIT|S|a", "GIT|I|1|D|0|M|R", 1)
		askMany("")
		askItems(t, m, r, []string{"a"}, "", "", 1)
		askMany("x")
		askItems(t, m, r, []string{"a"}, "GIT|S|a", "GIT|I|2|D|0|M|R", 2)
	})
}
