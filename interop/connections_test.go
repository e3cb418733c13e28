//go:build interop

package interop

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// watched subscribes to the proxy's status item and to one that counts.
func watched(t *testing.T, s *server) (c *client, status, tick *subscription) {
	t.Helper()
	c = connect(t, s.url, "LAB", "quiet")
	status = c.subscribe(wish{mode: tlcp.ModeMerge, group: "lab_status", schema: "status"})
	c.expect("U connected")
	tick = c.subscribe(wish{mode: tlcp.ModeMerge, group: "tick", schema: "value"})
	return c, status, tick
}

// recovered reads on through a loss: the status changes, the item is cleared, and counts from 0 again. It returns when it does.
func recovered(t *testing.T, c *client, status, tick *subscription) {
	t.Helper()
	var story []string
	for {
		line := c.next()
		switch {
		case line.Tag == tlcp.TagU && line.SubID == status.id:
			story = append(story, c.row(line)[0])
		case line.Tag == tlcp.TagU && line.SubID == tick.id:
			value := c.row(line)[0]
			if value == "NULL" {
				story = append(story, "cleared")
				continue
			}
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatalf("tick is %q", value)
			}
			if slices.Contains(story, "cleared") && slices.Contains(story, "connected") {
				if n > 2 {
					t.Errorf("the count goes on with %d, want it from the start", n)
				}
				if want := []string{"cleared", "connected", "reconnecting"}; !slices.Equal(slices.Sorted(slices.Values(story)), want) {
					t.Errorf("story %q, want in some order %q", story, want)
				}
				return
			}
		default:
			t.Fatalf("got %s", show(line))
		}
	}
}

func failures(t *testing.T, s *server, o *outcome) {
	for _, item := range []string{"failure", "subfailure"} {
		if item == "subfailure" && s.name == "node" {
			o.cell.Note = "This SDK declares failures by notifications only, not in replies."
			continue
		}
		c, status, tick := watched(t, s)
		c.events(3)
		d := connect(t, s.url, "LAB", "quiet")
		sub := d.subscribe(wish{mode: tlcp.ModeMerge, group: item, schema: "value"})
		s.log.await(t, map[string]string{
			"failure": "declared a failure: adapter failed", "subfailure": "declared a failure: SUB refused by the remote adapter: adapter failed",
		}[item], 1)
		// Or it would fail the next remote, too.
		d.unsubscribe(sub)
		s.peer.closed(o)
		s.restart()
		recovered(t, c, status, tick)
		s.peer.await("initMetadata", nil)
	}
}

func killed(t *testing.T, s *server) {
	c, status, tick := watched(t, s)
	c.events(3)
	gone := connect(t, s.url, "LAB", "quiet")
	before := s.log.count("remote adapter lost")
	s.peer.kill()
	// Its end is noticed at once; meanwhile clients are told what the configuration says.
	s.log.await(t, "remote adapter lost", before+2)
	if refused, line := openSession(t, s.url, "LAB", "ann"); refused != nil || line.Code != -99 || line.Text != "come back later" {
		t.Errorf("a user while there is no adapter: got %s", show(line))
	}
	if line := gone.message("hello"); line.Tag != tlcp.TagMSGFAIL {
		t.Errorf("a message while there is no adapter: got %s", show(line))
	}
	closed := gone.session
	gone.destroy()
	s.restart()
	recovered(t, c, status, tick)
	// What could not be told is told to the new remote.
	s.peer.rewind()
	s.peer.await("sessionClose", forSession(closed))
	merge(t, s)
}

func refusedInit(t *testing.T, peer string, o *outcome) {
	s := startServer(t, peer, plan{metadataParams: `<param name="remote:refuse">metadata</param>`, waitNot: true})
	s.log.await(t, "metadata init refused", 1)
	s.peer.closed(o)
	s = startServer(t, peer, plan{dataParams: `<param name="remote:refuse">data</param>`, waitNot: true})
	s.log.await(t, "data init refused", 1)
	s.peer.closed(o)
}

func keepalives(t *testing.T, peer string) {
	s := startServer(t, peer, plan{params: `<param name="keepalive_timeout_millis">6000</param><param name="keepalive_hint_millis">1000</param>`})
	c := connect(t, s.url, "LAB", "ann")
	c.quiet(7 * time.Second)
	if log := s.log.String(); strings.Contains(log, "remote adapter lost") {
		t.Error("the connection was lost although the remote was asked for keepalives")
	}
	c.subscribe(wish{mode: tlcp.ModeMerge, group: "merge", schema: "value"})
	c.expect("U 1", "U 2")
}

func silence(t *testing.T, peer string, o *outcome) {
	none := 0
	s := startServer(t, peer, plan{
		params: `<param name="keepalive_timeout_millis">1200</param><param name="keepalive_hint_millis">-1</param>`,
		peer:   settings{Keepalive: &none}, waitNot: true,
	})
	s.log.await(t, "nothing came for 1.2s", 1)
	if peer != "python" { // they hand the reason over
		if why := s.peer.await("lost", nil).str("reason"); !strings.Contains(why, "keepalive timeout") {
			t.Errorf("the remote knows %q, want the reason of CLOSE", why)
		}
	}
	s.peer.closed(o)
}

const auth = `<param name="auth">Y</param><param name="auth.credentials.1.user">user1</param><param name="auth.credentials.1.password">pass + |%</param>
	<param name="auth.credentials.2.user">user2</param><param name="auth.credentials.2.password">x</param>`

func credentials(t *testing.T, peer string) {
	user, password := "user1", "pass + |%"
	s := startServer(t, peer, plan{params: auth, peer: settings{User: &user, Password: &password}})
	merge(t, s)
	if log := s.log.String(); strings.Contains(log, password) || !strings.Contains(log, "user=user1") {
		t.Error("the log shows the password, or not the user")
	}
}

func wrongCredentials(t *testing.T, peer string, o *outcome) {
	user, password := "user2", "pass + |%"
	s := startServer(t, peer, plan{params: auth, peer: settings{User: &user, Password: &password}, waitNot: true})
	s.log.await(t, "user2", 1)
	s.log.await(t, "or its password refused", 1)
	s.peer.closed(o)
	s = startServer(t, peer, plan{params: auth, waitNot: true})
	s.log.await(t, "or its password refused", 1)
	s.peer.closed(o)
}

func encrypted(t *testing.T, peer string) {
	folder := t.TempDir()
	_, ca := certificate(t, folder)
	s := startServer(t, peer, plan{folder: folder, params: `<param name="tls">Y</param><param name="tls.keystore.type">PEM</param>
		<param name="tls.keystore.keystore_file">proxy.pem</param><param name="tls.keystore.keystore_password">none</param>`, peer: settings{CA: ca}})
	merge(t, s)
}

// principals has a client with a certificate, and one without, come through a port that asks for it.
func principals(t *testing.T, peer string) {
	folder := t.TempDir()
	store, ca := certificate(t, folder)
	pair, err := tls.LoadX509KeyPair(store, store)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trusted)
	s := startServer(t, peer, plan{clients: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}})
	for user, config := range map[string]*tls.Config{
		"certified": {ServerName: "localhost", RootCAs: pool, Certificates: []tls.Certificate{pair}},
		"nobody":    {ServerName: "localhost", RootCAs: pool},
	} {
		c, line := openSessionOver(t, config, s.url, "LAB", user)
		if c == nil {
			t.Fatalf("user %s is refused: %s", user, show(line))
		}
		s.peer.rewind()
		call := s.peer.await("notifyUserAuth", func(c call) bool { return c.str("user") == user })
		var want any // null without a certificate
		if user == "certified" {
			want = "CN=localhost"
		}
		expectArgs(t, call, map[string]any{"password": "secret of " + user, "principal": want})
	}
}
