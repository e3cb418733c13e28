package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strconv"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// open begins the life of a connection: the init request leaves at once, or waits for credentials, or for the other
// connection of the pair.
func (c *conn) open() {
	l := c.link
	switch {
	case l.cfg.twoConnections():
		c.setTimer(l.openingTime(), "the connection for notifications, or credentials, did not come in time")
	case l.cfg.Auth:
		c.setTimer(l.openingTime(), "no credentials came in time")
	}
	l.pair(func() {
		if c.ending.Load() {
			return // the place may be another's already
		}
		c.admitted, l.opening = !l.cfg.Auth, c
		if l.cfg.twoConnections() {
			l.waiting = c
		}
	})
}

// setTimer ends the connection after d, unless it is stopped or set again; 0 sets none.
func (c *conn) setTimer(d time.Duration, what string) {
	c.stopTimer()
	if d <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(d, func() { c.fail(fmt.Errorf("%w: %s", ErrInit, what), what) })
}

func (c *conn) stopTimer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// opening handles a line that comes before the init reply.
func (c *conn) opening(l ari.Line, err error) {
	c.lines++
	switch {
	case err != nil:
		c.protocolError("malformed line before the init reply")
	case l.Method == ari.RAC:
		if c.lines > 1 {
			c.protocolError("RAC is not the first line")
			return
		}
		c.credentials(l)
	case c.invitation() == "" && c.link.cfg.Auth:
		c.fail(fmt.Errorf("%w: no credentials were sent", ErrInit), "")
	case l.Method == ari.FAL:
		// Its version, and so its encoding, is not known yet.
		c.failure(l, ari.Latest)
	case l.Method == c.initMethod() && string(l.ID) == c.invitation():
		c.initReply(l)
	default:
		c.protocolError("line before the init reply")
	}
}

func (c *conn) initMethod() ari.Method {
	if c.link.channel == ari.Data {
		return ari.DPI
	}
	return ari.MPI
}

// invitation is the id of the init request, "" before it was sent.
func (c *conn) invitation() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.initID
}

// credentials handles RAC.
func (c *conn) credentials(l ari.Line) {
	params, err := ari.ParseParams(l.Body)
	if err != nil {
		c.protocolError("malformed RAC")
		return
	}
	if v, _ := ari.Lookup(params, ari.ParamEnableClosePacket); v.S == "true" {
		c.mu.Lock()
		c.mayClose = true
		c.mu.Unlock()
	}
	user, ok := c.link.admits(params)
	sdk, _ := ari.Lookup(params, ari.ParamSDK)
	c.user = bounded(user)
	c.log.Info("credentials received", "user", c.user, "sdk", bounded(sdk.S))
	if !ok {
		c.fail(fmt.Errorf("%w: user %q or its password refused", ErrInit, bounded(user)), "wrong user or password")
		return
	}
	c.link.pair(func() { c.admitted = true })
}

// admits says whether the credentials of a RAC are good, and whose they are.
func (l *link) admits(params []ari.Param) (who string, ok bool) {
	user, hasUser := ari.Lookup(params, ari.ParamUser)
	password, hasPassword := ari.Lookup(params, ari.ParamPassword)
	return user.S, !l.cfg.Auth || hasUser && hasPassword && !user.Null && !password.Null && l.known(user.S, password.S)
}

// known compares in a time that does not depend on how much is right.
func (l *link) known(user, password string) bool {
	gotUser, gotPassword := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
	found := 0
	for _, k := range l.cfg.Credentials {
		u, p := sha256.Sum256([]byte(k.User)), sha256.Sum256([]byte(k.Password))
		found |= subtle.ConstantTimeCompare(gotUser[:], u[:]) & subtle.ConstantTimeCompare(gotPassword[:], p[:])
	}
	return found == 1
}

func (c *conn) sendInit() {
	cfg := &c.link.cfg
	params := []ari.Param{{Name: ari.ParamVersion, Value: ari.T(ari.Latest.String())}}
	add := func(name, value string) { params = append(params, ari.Param{Name: name, Value: ari.T(value)}) }
	if ms := cfg.KeepaliveHint.Milliseconds(); ms > 0 {
		add(ari.ParamKeepaliveHint, strconv.FormatInt(ms, 10))
	}
	add(ari.ParamAdaptersConfID, cfg.Set)
	if c.link.channel == ari.Data {
		add(ari.ParamDataProviderName, c.link.dataProvider)
	}
	add(ari.ParamServerInstanceID, cfg.ServerInstanceID)
	if cfg.Robust {
		add(ari.ParamProxyInstanceID, cfg.ProxyInstanceID)
	}
	for _, f := range cfg.RemoteParams {
		params = append(params, ari.Param{Name: f.Name, Value: ari.Text(f.Value)})
	}
	id := c.link.nextID(c.stamp)
	c.mu.Lock()
	c.initID = id
	c.mu.Unlock()
	c.setTimer(cfg.Timeout, "no init reply in time")
	c.send(func(dst []byte) []byte { return ari.AppendInit(dst, id, c.link.channel, params) })
}

// initReply settles the version. From its return on, requests flow.
func (c *conn) initReply(l ari.Line) {
	c.stopTimer()
	f, isError, err := ari.ParseError(l.Method, l.Body, 0)
	if isError {
		c.fail(fmt.Errorf("%w: the remote adapter answers: %s", ErrInit, bounded(f.Message.S)), "initialisation failed")
		return
	}
	var reply ari.InitReply
	if err == nil {
		reply, err = ari.ParseInitReply(l.Body)
	}
	if err != nil {
		c.fail(fmt.Errorf("%w: %w", ErrInit, err), "protocol error: malformed init reply")
		return
	}
	if c.version, err = ari.Accept(reply); err != nil {
		c.fail(fmt.Errorf("%w: %w", ErrInit, err), err.Error())
		return
	}
	c.mu.Lock()
	// Having agreed on an older version, a remote that asked for CLOSE does not expect it any more.
	c.mayClose = c.version.AtLeast(ari.V183)
	over := c.err != nil
	c.mu.Unlock()
	if over {
		return
	}
	c.inited.Store(true)
	c.watchMate()
	c.log.Info("remote adapter initialised", "version", c.version.String())
	c.link.tellPeer(PeerConnected, c.raw, c.user, "")
	c.link.side.attach(c)
	c.link.becameReady()
}

// watchMate begins to limit the silence of the other connection of the pair, whose reader may be waiting already.
func (c *conn) watchMate() {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if k := c.link.cfg.KeepaliveTimeout; k > 0 && c.mate != nil {
		_ = c.mate.nc.SetReadDeadline(time.Now().Add(k))
	}
}
