package proxy

import (
	"sync"
	"time"
)

const (
	sampleBurst = 10               // lines that are logged at once
	sampleEvery = 10 * time.Second // then one in that time
)

// sampler keeps what peers and clients can cause at will from filling the log: a few lines at once,
// then one now and then, which says how many were left out.
type sampler struct {
	mu      sync.Mutex
	left    int       // lines that may be logged at once, as of last
	last    time.Time // zero: nothing was logged
	omitted int64
}

// log calls write, a method of a slog.Logger, or counts the line.
func (s *sampler) log(write func(msg string, attrs ...any), msg string, attrs ...any) {
	s.mu.Lock()
	now := time.Now()
	if s.last.IsZero() {
		s.left = sampleBurst
		s.last = now
	}
	if earned := int64(now.Sub(s.last) / sampleEvery); earned > 0 {
		s.left = int(min(int64(s.left)+earned, sampleBurst))
		s.last = s.last.Add(time.Duration(earned) * sampleEvery)
	}
	if s.left == 0 {
		s.omitted++
		s.mu.Unlock()
		return
	}
	s.left--
	if s.omitted > 0 {
		attrs = append(attrs, "omitted_before", s.omitted)
		s.omitted = 0
	}
	s.mu.Unlock()
	write(msg, attrs...)
}
