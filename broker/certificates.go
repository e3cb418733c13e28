package broker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

const (
	certificatesEvery = time.Second         // the files are looked at
	expiryNotice      = 14 * 24 * time.Hour // before the end of a certificate
	expiryEvery       = 24 * time.Hour      // the log says so again
)

// CertificateStats is what the broker knows of a certificate in use.
type CertificateStats struct {
	Adapter          bool   // it is of an adapter's port; else of the clients' address
	Set, DataAdapter string // of the port; DataAdapter is empty for the Metadata Adapter
	Trusted          bool   // peers are checked by it; else it is the broker's own
	Subject          string // at most 256 bytes of it
	// NotAfter is when it ends. Of several that are trusted for the same purpose it is the first
	// end.
	NotAfter time.Time
}

func (c *CertificateStats) of() string {
	if c.Adapter {
		return "adapter"
	}
	return "clients"
}

func (c *CertificateStats) use() string {
	if c.Trusted {
		return "trusted"
	}
	return "own"
}

// tlsWatch follows the files of TLS, with one goroutine for all of them.
type tlsWatch struct {
	log *slog.Logger
	ctx context.Context
	wg  sync.WaitGroup

	mu      sync.Mutex
	started bool
	sources []*tlsSource
	warned  map[CertificateStats]time.Time // of an end that is near
}

func newTLSWatch(ctx context.Context, log *slog.Logger) *tlsWatch {
	return &tlsWatch{ctx: ctx, log: log, warned: make(map[CertificateStats]time.Time)}
}

// add follows one more source.
func (c *tlsWatch) add(s *tlsSource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sources = append(c.sources, s)
	if !c.started {
		c.started = true
		c.wg.Go(c.run)
	}
}

// leave gives up those of a set.
func (c *tlsWatch) leave(set *adaptersxml.Set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sources = slices.DeleteFunc(c.sources, func(s *tlsSource) bool { return s.owner == set })
}

func (c *tlsWatch) all() []*tlsSource {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sources)
}

// run is the goroutine; it ends with ctx.
func (c *tlsWatch) run() {
	tick := time.NewTicker(certificatesEvery)
	defer tick.Stop()
	for now := time.Now(); ; {
		c.expiry(now)
		select {
		case <-c.ctx.Done():
			return
		case now = <-tick.C:
			c.look()
		}
	}
}

// look reads what has changed.
func (c *tlsWatch) look() {
	for _, s := range c.all() {
		if !s.watch.Changed(files.StampOf(s.names()...)) {
			continue
		}
		err := s.read()
		if err != nil {
			c.log.Error("broker: changed TLS files can't be used; the former ones stay in use", "of", s.label, "error", err)
		} else {
			c.log.Info("broker: TLS files reloaded; new connections get them", "of", s.label)
		}
		if s.changed != nil {
			s.changed(err)
		}
	}
}

// expiry warns of certificates that end soon, or have ended.
func (c *tlsWatch) expiry(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	near := make(map[CertificateStats]time.Time)
	for _, s := range c.sources {
		for _, one := range s.current.Load().certs {
			if now.Add(expiryNotice).Before(one.NotAfter) {
				continue
			}
			last, told := c.warned[one]
			if !told || now.Sub(last) >= expiryEvery {
				last = now
				text := "broker: a certificate ends soon: replace its file"
				if !now.Before(one.NotAfter) {
					text = "broker: a certificate has ended: replace its file"
				}
				c.log.Warn(text, "of", s.label, "trusted", one.Trusted, "subject", one.Subject, "not_after", one.NotAfter)
			}
			near[one] = last
		}
	}
	c.warned = near
}

func (c *tlsWatch) stats() []CertificateStats {
	var all []CertificateStats
	for _, s := range c.all() {
		all = append(all, s.current.Load().certs...)
	}
	return all
}

// bounded is as much of a text as is told of it.
func bounded(s string) string {
	const most = 256
	if len(s) > most {
		return s[:most-3] + "..."
	}
	return s
}
