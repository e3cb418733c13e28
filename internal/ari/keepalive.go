package ari

import (
	"math"
	"strconv"
	"time"
)

const (
	// DefaultKeepalive is the interval of a remote's keepalives when nothing is configured, also before init.
	DefaultKeepalive = 10 * time.Second
	// MinKeepalive bounds what a proxy's hint can ask for; it does not bound what the application configures.
	MinKeepalive = time.Second
)

// KeepaliveInterval returns how long a remote may write nothing before it sends a keepalive, from init on; 0 means that
// it sends none. configured is the application's setting: 0 is not set, negative is none. hint is the proxy's wish.
// A hint acts only when it asks for less than the configured interval, or when keepalives are configured off; a wish for
// less than [MinKeepalive] gives that minimum, even if the configured interval is shorter.
func KeepaliveInterval(configured, hint time.Duration, hasHint bool) time.Duration {
	c := configured
	if c == 0 {
		c = DefaultKeepalive
	}
	if !hasHint || hint <= 0 {
		return max(c, 0)
	}
	if c > 0 && hint >= c {
		return c
	}
	return max(hint, MinKeepalive)
}

// DefaultKeepaliveHint returns the wish a proxy sends when none is configured, made from its keepalive timeout: 0, which
// means to send none, when there is no timeout.
func DefaultKeepaliveHint(timeout time.Duration) time.Duration {
	switch {
	case timeout <= 0:
		return 0
	case timeout < 4*time.Second:
		return timeout / 2
	}
	return timeout - 2*time.Second
}

// ParseKeepaliveHint reads the value of [ParamKeepaliveHint], decimal milliseconds. ok is false when it is no integer: a
// remote then goes on as if there were no hint, and logs it. The result may be zero or negative, which is no wish.
func ParseKeepaliveHint(value Text) (hint time.Duration, ok bool) {
	n, err := strconv.ParseInt(value.S, 10, 64)
	if err != nil || value.Null {
		return 0, false
	}
	const most = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(min(max(n, -most), most)) * time.Millisecond, true
}
