package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strconv"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// begin limits the opening phase.
func (c *conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.opened = time.AfterFunc(openingTime, c.silent)
	}
}

// silent ends the connection of a peer that has taken too long to tell what it is.
func (c *conn) silent() {
	what := "neither RAC nor an init reply came in time"
	switch {
	case c.invitation() != "":
	case c.link.cfg.twoConnections():
		what = "the connection for notifications, or credentials, did not come in time"
	default:
		what = "no credentials came in time"
	}
	c.fail(fmt.Errorf("%w: %s", ErrInit, what), what)
}

// open has the init request leave at once, or when credentials, or the other connection of the
// pair, have come.
func (c *conn) open() {
	l := c.link
	l.mu.Lock()
	if old := l.remote; old != nil && !old.ending.Load() {
		c.late = true
	}
	late := c.late
	l.mu.Unlock()
	if late {
		c.beLate()
		return
	}
	l.pair(func() {
		if c.ending.Load() {
			return
		}
		c.admitted = !l.cfg.Auth
		l.waiting = append(l.waiting, c)
	})
	if l.cfg.twoConnections() {
		c.setTimer(&c.again, pairTime, l.matchAgain)
	}
}

// beLate ends a connection for which there is no place: at once if the peer has sent RAC, which
// also says that it understands CLOSE. Else it may still do so for a short time.
func (c *conn) beLate() {
	if c.link.knows(&c.peer) {
		c.fail(errTaken, errTaken.Error())
		return
	}
	c.setTimer(&c.opened, lateTime, func() { c.fail(errTaken, "") })
}

// setTimer sets one of c's timers anew; 0 sets none. It does nothing when c is ending.
func (c *conn) setTimer(timer **time.Timer, d time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *timer != nil {
		(*timer).Stop()
		*timer = nil
	}
	if d > 0 && c.err == nil {
		*timer = time.AfterFunc(d, f)
	}
}

func (c *conn) stopTimers() {
	c.setTimer(&c.opened, 0, nil)
	c.setTimer(&c.timer, 0, nil)
	c.setTimer(&c.again, 0, nil)
}

// identified notes that the peer has said what it is. It has the time of a request then to answer
// init.
func (c *conn) identified() {
	l := c.link
	l.mu.Lock()
	c.known = true
	late := c.late
	l.mu.Unlock()
	if !late && c.invitation() != "" {
		c.setTimer(&c.opened, 0, nil)
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
	case c.isLate():
		c.fail(errTaken, errTaken.Error())
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
	if !ok {
		c.link.mu.Lock()
		c.user = user
		c.link.mu.Unlock()
		c.fail(fmt.Errorf("%w: user %q or its password refused", ErrInit, bounded(user)), "wrong user or password")
		return
	}
	sdk, _ := ari.Lookup(params, ari.ParamSDK)
	c.sdk = bounded(sdk.S)
	c.link.pair(func() { c.admitted, c.rac, c.user = true, true, user })
	if c.isLate() {
		c.fail(errTaken, errTaken.Error())
		return
	}
	c.identified()
}

// isLate reports whether there is a remote already.
func (c *conn) isLate() bool {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	return c.late
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
	c.setTimer(&c.timer, cfg.Timeout, func() {
		const what = "no init reply in time"
		c.fail(fmt.Errorf("%w: %s; see the parameter timeout", errInitReply, what), what)
	})
	c.link.mu.Lock()
	known := c.known
	c.link.mu.Unlock()
	if known {
		c.identified()
	}
	c.w.request(func(dst []byte) []byte { return ari.AppendInit(dst, id, c.link.channel, params) })
}

// initReply settles the version. From its return on, requests flow.
func (c *conn) initReply(l ari.Line) {
	c.stopTimers()
	f, isError, err := ari.ParseError(l.Method, l.Body, 0)
	if isError {
		c.fail(fmt.Errorf("%w: the remote adapter answers: %s", errInitReply, bounded(f.Message.S)), "initialisation failed")
		return
	}
	var reply ari.InitReply
	if err == nil {
		reply, err = ari.ParseInitReply(l.Body)
	}
	if err != nil {
		c.fail(fmt.Errorf("%w: %w", errInitReply, err), "protocol error: malformed init reply")
		return
	}
	if c.version, err = ari.Accept(reply); err != nil {
		c.fail(fmt.Errorf("%w: %w", errInitReply, err), err.Error())
		return
	}
	c.mu.Lock()
	// Having agreed on an older version, a remote that asked for CLOSE does not expect it any more.
	c.mayClose = c.version.AtLeast(ari.V183)
	c.mu.Unlock()
	if !c.link.take(c) {
		c.fail(errTaken, errTaken.Error())
		return
	}
	if c.ending.Load() {
		return
	}
	c.inited.Store(true)
	c.watchMate()
	c.log.Info("remote adapter initialised", "version", c.version.String(), "user", bounded(c.user), "sdk", c.sdk)
	c.link.mu.Lock()
	mate := c.mate
	c.link.mu.Unlock()
	if mate != nil {
		mate.log.Info("the remote adapter's connection for notifications", "adapter_peer", c.raw.RemoteAddr().String())
	}
	c.link.tellPeer(PeerConnected, c.raw, bounded(c.user), "")
	c.link.side.attach(c)
	c.link.becameReady(c)
}

// watchMate wakes the reader of the other connection of the pair, which may be waiting: what holds
// for its lines and its silence has changed.
func (c *conn) watchMate() {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.mate != nil {
		_ = c.mate.nc.SetReadDeadline(time.Now())
	}
}
