package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
)

func win(n int) provider.Table {
	t := table
	t.WinIndex = n
	return t
}

func winText(n int) string { return strings.Replace(tableText, "I|3|", fmt.Sprintf("I|%d|", n), 1) }

func ntc(session string, n int) string { return "NTC|S|" + session + "|" + winText(n) + "|I|0" }
func nnt(session string, n int) string { return "NNT|S|#|S|" + session + "|" + winText(n) }

// TestClosingOrder: NSC comes after every NNT and NTC of its session has ended, and after those of its session only.
func TestClosingOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		r := connectMetadata(t, ln)
		opening := background(func() error {
			_, err := m.NotifyNewTables(t.Context(), provider.Null, "A", []provider.Table{win(1)})
			return err
		})
		first := r.request(nnt("A", 1))
		m.NotifyTablesClose("A", []provider.Table{win(2)})
		second := r.request(ntc("A", 2)) // of another table: at once
		m.NotifyTablesClose("A", []provider.Table{win(1)})
		m.NotifySessionClose("A")
		r.silent() // the NTC of a table waits for its NNT
		m.NotifySessionClose("B")
		r.say("%s|NSC|V", r.request("NSC|S|B"))
		r.say("%s|NNT|B|0|B|0", first)
		if err := <-opening; err != nil {
			t.Error(err)
		}
		third := r.request(ntc("A", 1))
		r.say("%s|NTC|EN|wrong", second)
		r.silent()
		r.say("%s|NTC|V", third)
		r.say("%s|NSC|V", r.request("NSC|S|A"))
		r.silent()
	})
}

// TestClosingAfterTimeout: what is not answered does not hold up the rest for ever.
func TestClosingAfterTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		r := connectMetadata(t, ln)
		m.NotifyTablesClose("A", []provider.Table{win(1)})
		m.NotifySessionClose("A")
		r.request(ntc("A", 1))
		r.silent()
		pass(proxy.DefaultTimeout)
		r.request("NSC|S|A")
	})
}

func TestFinalStatistics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		r := connectMetadata(t, ln)
		closed := table
		closed.Stats = []provider.TableStats{{Real: 9223372036854775807, Lost: 0, Filtered: 3}, {Real: 1, Lost: 2, Filtered: 4294967296}}
		m.NotifyTablesClose("S1", []provider.Table{closed})
		r.request("NTC|S|S1|" + tableText + "|I|2|L|9223372036854775807|L|0|L|3|L|1|L|2|L|4294967296")
	})
}

// TestSequentialized: NNT and NTC of a session do not overlap, those of different sessions do.
func TestSequentialized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{SequentializeTableNotifications: true})
		r := connectMetadata(t, ln)
		open := func(session string, n int) <-chan error {
			done := background(func() error {
				_, err := m.NotifyNewTables(t.Context(), provider.Null, session, []provider.Table{win(n)})
				return err
			})
			synctest.Wait()
			return done
		}
		one := open("A", 1)
		first := r.request(nnt("A", 1))
		two := open("A", 2)
		_, err := m.NotifyNewTables(cancelled(t), provider.Null, "A", []provider.Table{win(9)})
		if err == nil {
			t.Error("waited beyond its context")
		}
		m.NotifyTablesClose("A", []provider.Table{win(3)})
		three := open("A", 4)
		m.NotifySessionClose("A")
		r.silent()
		other := open("B", 1)
		r.say("%s|NNT|V", r.request(nnt("B", 1)))
		<-other
		r.say("%s|NNT|V", first)
		<-one
		second := r.request(nnt("A", 2))
		r.silent()
		r.say("%s|NNT|EC|no|0|#", second)
		asError(t, <-two, provider.Credits)
		closing := r.request(ntc("A", 3))
		r.silent()
		r.say("%s|NTC|V", closing)
		fourth := r.request(nnt("A", 4))
		r.silent()
		r.say("%s|NNT|V", fourth)
		<-three
		r.request("NSC|S|A")
	})
}

// TestCloseRecovery has a row for each way of telling a new remote what was closed. Of five NTC the second and the fourth are
// answered before the loss; a sixth comes while there is no remote.
func TestCloseRecovery(t *testing.T) {
	for _, tt := range []struct {
		mode proxy.CloseRecovery
		want []int
	}{
		{proxy.Pessimistic, []int{1, 2, 3, 4, 5, 6}},
		{proxy.Optimistic, []int{5, 6}},
		{proxy.Unneeded, nil},
	} {
		t.Run(fmt.Sprint(tt.mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Robust: true}, CloseNotificationsRecovery: tt.mode})
				r := connectMetadata(t, ln)
				var ids []string
				m.NotifyTablesClose("A", []provider.Table{win(0)})
				r.say("%s|NTC|V", r.request(ntc("A", 0))) // answered before all: nobody asks for it again
				for i := 1; i <= 5; i++ {
					m.NotifyTablesClose("A", []provider.Table{win(i)})
					ids = append(ids, r.request(ntc("A", i)))
				}
				r.say("%s|NTC|V\r\n%s|NTC|EN|no", ids[1], ids[3])
				r.silent()
				r.nc.Close()
				synctest.Wait()
				m.NotifyTablesClose("A", []provider.Table{win(6)})
				m.NotifySessionClose("A")

				for range 2 { // all is uncertain once more when the second remote is lost without an answer
					r = connectMetadata(t, ln)
					for _, n := range tt.want {
						r.request(ntc("A", n))
					}
					r.silent()
					r.nc.Close()
					synctest.Wait()
				}
				r = connectMetadata(t, ln)
				for _, n := range tt.want {
					r.say("%s|NTC|V", r.request(ntc("A", n)))
				}
				if tt.want != nil {
					r.say("%s|NSC|V", r.request("NSC|S|A"))
				}
				r.silent()
				r.nc.Close()
				synctest.Wait()
				connectMetadata(t, ln).silent()
			})
		})
	}
}

// TestTimedOutCountsAsHandled: what was not answered in time is not told again.
func TestTimedOutCountsAsHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Robust: true}})
		r := connectMetadata(t, ln)
		m.NotifySessionClose("A")
		r.request("NSC|S|A")
		pass(proxy.DefaultTimeout)
		m.NotifySessionClose("B")
		r.request("NSC|S|B")
		r.nc.Close()
		synctest.Wait()
		r = connectMetadata(t, ln)
		r.request("NSC|S|B")
		r.silent()
	})
}

func TestStoredBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Robust: true}, MaxStored: 3})
		for i := range 5 {
			m.NotifySessionClose(fmt.Sprint(i))
		}
		r := connectMetadata(t, ln)
		for i := 2; i < 5; i++ {
			r.request(fmt.Sprintf("NSC|S|%d", i))
		}
		r.silent()
		if n := m.Stats().Forgotten; n != 2 {
			t.Errorf("%d forgotten", n)
		}
	})
}

// TestWaitingNewTablesAtLoss: an NNT that waits for its turn fails when the remote is lost.
func TestWaitingNewTablesAtLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Robust: true}, SequentializeTableNotifications: true})
		r := connectMetadata(t, ln)
		open := func(n int) <-chan error {
			return background(func() error {
				_, err := m.NotifyNewTables(t.Context(), provider.Null, "A", []provider.Table{win(n)})
				return err
			})
		}
		one := open(1)
		r.request(nnt("A", 1))
		two := open(2)
		synctest.Wait()
		r.nc.Close()
		asError(t, <-one, provider.Unavailable)
		asError(t, <-two, provider.Unavailable)
		connectMetadata(t, ln).silent()
	})
}

// TestStoredBytes: what a new remote may have to get is bounded in bytes, too; the last ones are
// kept.
func TestStoredBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Robust: true}, MaxStoredBytes: 1 << 20})
		long := table
		long.Items = []string{strings.Repeat("i", 100_000)}
		for range 50 {
			m.NotifyTablesClose("A", []provider.Table{long})
		}
		m.NotifySessionClose("B")
		if n := m.Stats().Forgotten; n != 40 {
			t.Errorf("%d are forgotten", n)
		}
		r := connectMetadata(t, ln)
		for left := 10; left > 0; {
			id, rest, _ := strings.Cut(r.next(), "|")
			if method, _, _ := strings.Cut(rest, "|"); method == "NTC" {
				left--
				r.say("%s|NTC|V", id)
			}
		}
		if got := m.Stats().Requests; got != 11 {
			t.Errorf("%d requests", got)
		}
	})
}
