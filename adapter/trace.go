package adapter

import (
	"bytes"
	"context"
	"log/slog"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// LogCategories chooses the lines of the wire that are logged, by the names of the official loggers. It is a set: combine with "|".
type LogCategories uint8

// The categories.
const (
	LogRequests      LogCategories = 1 << iota // the proxy's requests
	LogReplies                                 // replies, credentials, and the requests of Control
	LogNotifications                           // updates and the other events
	LogKeepalives
)

// String returns the names of the categories, separated by commas.
func (c LogCategories) String() string {
	var names []string
	for i, name := range categoryNames {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

var categoryNames = [...]string{"requests", "replies", "notifications", "keepalives"}

func (c LogCategories) name() string {
	for i, name := range categoryNames {
		if c == 1<<i {
			return name
		}
	}
	return ""
}

// tracer logs lines of the wire, each in a group named by its category.
type tracer struct {
	log        *slog.Logger
	categories LogCategories
}

// newTracer returns nil if no line would be logged, so that nobody has to look at lines in vain.
func newTracer(log *slog.Logger, c LogCategories) *tracer {
	if c == 0 || !log.Enabled(context.Background(), slog.LevelDebug) { //nolint:forbidigo // only the level is asked for
		return nil
	}
	return &tracer{log, c}
}

func (t *tracer) received(line []byte) { t.line(LogRequests, line) }

// sent takes a buffer of whole lines.
func (t *tracer) sent(buf []byte) {
	for line := range bytes.SplitSeq(bytes.TrimSuffix(buf, []byte(ari.EOL)), []byte(ari.EOL)) {
		category := LogReplies
		if ari.IsKeepalive(line) {
			category = LogKeepalives
		} else if l, err := ari.ParseLine(line); err == nil {
			switch l.Method {
			case ari.UD3, ari.EOS, ari.CLS, ari.DFD, ari.FAL:
				category = LogNotifications
			}
		}
		t.line(category, line)
	}
}

const (
	// maxTraced is the longest part of a line that is logged.
	maxTraced = 1024
	// maxShown is the longest part of a name or id in a log line.
	maxShown = 64
	// maxReason is the longest part of a text of the proxy that is kept.
	maxReason = 1024
)

// cut shortens a text of the proxy.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func (t *tracer) line(c LogCategories, line []byte) {
	if t.categories&c == 0 {
		return
	}
	t.log.LogAttrs(context.Background(), slog.LevelDebug, c.name(), //nolint:forbidigo // a line belongs to no call
		slog.Group(c.name(), slog.String("line", shown(line)), slog.Int("bytes", len(line))))
}

// shown is what of a line may be logged: all of it on the data side; of the rest, which carries passwords, headers, session ids, messages and device tokens, only
// the id and the method.
func shown(line []byte) string {
	if ari.IsKeepalive(line) {
		return string(line)
	}
	l, err := ari.ParseLine(line)
	if err != nil {
		return "…" // a line cut or broken on its way may hold what a whole one would not show
	}
	switch l.Method {
	case ari.SUB, ari.USB, ari.UD3, ari.EOS, ari.CLS, ari.DFD, ari.FAL, ari.CLOSE:
		return string(line[:min(len(line), maxTraced)])
	}
	return string(l.ID[:min(len(l.ID), maxShown)]) + "|" + string(l.Name[:min(len(l.Name), maxShown)]) + "|…"
}
