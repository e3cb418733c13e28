package broker

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// concierge is a Metadata Adapter that answers messages, remembers sessions, and can be made to fail.
type concierge struct {
	adapter.LiteralMetadata
	refuse error

	mu      sync.Mutex
	control *adapter.Control
	open    map[string]bool
	message func(ctx context.Context, m adapter.UserMessage) (string, error)
}

func (c *concierge) Initialize(ctx context.Context, in adapter.Init) error {
	if c.refuse != nil {
		return c.refuse
	}
	c.mu.Lock()
	c.control, c.open = in.Control, make(map[string]bool)
	c.mu.Unlock()
	return c.LiteralMetadata.Initialize(ctx, in)
}

func (c *concierge) NotifyNewSession(_ context.Context, s adapter.Session) (adapter.SessionGrant, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[s.ID] = true
	return adapter.SessionGrant{}, nil
}

func (c *concierge) NotifySessionClose(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, id)
	return nil
}

func (c *concierge) RespondToUserMessage(ctx context.Context, m adapter.UserMessage) (string, error) {
	if c.message != nil {
		return c.message(ctx, m)
	}
	switch m.Message {
	case "deny":
		return "", &adapter.CreditsError{Code: -7, UserMessage: "denied"}
	case "conflict":
		return "", &adapter.ConflictingSessionError{Code: 7, UserMessage: "conflict"}
	case "notice":
		return "", &adapter.NotificationError{Message: "notice"}
	case "panic":
		panic("asked for")
	}
	return m.User + " said: " + m.Message, nil
}

func startInProcess(t *testing.T, set adapter.Set) *demo {
	t.Helper()
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Adapters: map[string]adapter.Set{"DEMO": set}, Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return &demo{Running: r}
}

// Updates, messages with their responses, and the end of sessions go between a client and adapters in this process.
func TestInProcessAdapters(t *testing.T) {
	meta := &concierge{}
	d := startInProcess(t, adapter.Set{Metadata: meta, Data: map[string]adapter.DataProvider{"QUOTES": quotes{}}})
	select {
	case <-d.Ready():
	default:
		t.Error("not ready")
	}
	if at := d.Adapters(); len(at) != 0 {
		t.Errorf("listening at %v", at)
	}
	seeQuote(t, d)
	c := connect(t, d, "WS-STREAMING")
	for i, tt := range []struct{ message, want string }{
		{"hello | ", "MSGDONE,,1, said: hello | "},
		{"deny", "MSGFAIL,,2,-7,denied"},
		{"conflict", "MSGFAIL,,3,0,conflict"},
		{"notice", "MSGFAIL,,4,35," + tlcp.RequestText(tlcp.CodeMessageException)},
		{"panic", "MSGFAIL,,5,35," + tlcp.RequestText(tlcp.CodeMessageException)},
	} {
		c.request("msg", func(id string) []byte {
			return (&tlcp.Message{ReqID: id, Text: tt.message, Prog: i + 1}).Append(nil)
		})
		tag := tlcp.TagMSGFAIL
		if i == 0 {
			tag = tlcp.TagMSGDONE
		}
		expectLines(t, tt.message, c.until(tag), tt.want)
	}
	if st := d.Stats(); len(st.Adapters) != 2 || !st.Adapters[0].InProcess || !st.Adapters[0].Connected || st.Adapters[0].Requests < 5 {
		t.Errorf("stats %+v", st)
	}
	if err := meta.control.ForceSessionTermination(t.Context(), c.session, &adapter.Cause{Code: -3, Message: "enough"}); err != nil {
		t.Error(err)
	}
	expectLines(t, "terminated", c.until(tlcp.TagEND), "END,-3,enough")
	d.Close()
	if err := d.Err(); err != nil {
		t.Errorf("after a stop: %v", err)
	}
	meta.mu.Lock()
	defer meta.mu.Unlock()
	if len(meta.open) != 0 {
		t.Errorf("sessions whose end was not told: %v", meta.open)
	}
}

// Without a Metadata Adapter there is the built-in one.
func TestInProcessDataOnly(t *testing.T) {
	d := startInProcess(t, adapter.Set{Data: map[string]adapter.DataProvider{"QUOTES": quotes{}}})
	seeQuote(t, d)
}

func TestInProcessRefusals(t *testing.T) {
	before := runtime.NumGoroutine()
	refusal := &adapter.MetadataProviderError{Message: "no database"}
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"metadata", Config{Adapters: map[string]adapter.Set{"A": {Metadata: &concierge{refuse: refusal}}}}, "Adapter Set A: metadata adapter: "},
		{"data", Config{Adapters: map[string]adapter.Set{"A": {Data: map[string]adapter.DataProvider{"D": refusing{}}}}}, "Adapter Set A: data adapter D: "},
		{"no id", Config{Adapters: map[string]adapter.Set{"": {}}}, "without an id"},
		{"no provider", Config{Adapters: map[string]adapter.Set{"A": {Data: map[string]adapter.DataProvider{"D": nil}}}}, `Data Adapter "D"`},
		{
			"id taken", Config{Adapters: map[string]adapter.Set{"DEMO": {}}, AdapterFiles: []string{writeSet(t, "DEMO", literalXML, robustData)}},
			"the id DEMO is that of a set in Config.Adapters, too",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Addr = "127.0.0.1:0"
			r, err := Start(t.Context(), tt.cfg)
			if err == nil {
				r.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if tt.name == "metadata" && !strings.Contains(err.Error(), refusal.Message) {
				t.Errorf("%v does not tell the adapter's reason", err)
			}
		})
	}
	awaitGoroutines(t, before)
}

// refusing is a Data Adapter that cannot be initialised.
type refusing struct{ quotes }

func (refusing) Initialize(context.Context, adapter.Init) error { return errors.New("no feed") }

// A start that is called off while an adapter is being initialised leaves nothing.
func TestInProcessStartCalledOff(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	p := &slowStart{entered: make(chan struct{})}
	go func() { <-p.entered; cancel() }()
	if _, err := Start(ctx, Config{Addr: "127.0.0.1:0", Adapters: map[string]adapter.Set{"A": {Data: map[string]adapter.DataProvider{"D": p}}}}); err == nil {
		t.Error("it started")
	}
	awaitGoroutines(t, before)
}

// slowStart is a Data Adapter that takes until its connection ends to initialise.
type slowStart struct {
	quotes
	entered chan struct{}
}

func (p *slowStart) Initialize(ctx context.Context, _ adapter.Init) error {
	close(p.entered)
	<-ctx.Done()
	return ctx.Err()
}

// An adapter that declares its failure ends the broker, as behind a basic proxy.
func TestInProcessFailure(t *testing.T) {
	meta := &concierge{}
	d := startInProcess(t, adapter.Set{Metadata: meta})
	if err := meta.control.Failure("database gone"); err != nil {
		t.Fatal(err)
	}
	<-d.Done()
	if err := d.Err(); err == nil || !strings.Contains(err.Error(), "database gone") {
		t.Errorf("got %v", err)
	}
}

// The end of a session is not held up by a message at work, nor that of the broker for longer than it says.
func TestInProcessMessageAtWork(t *testing.T) {
	entered, left := make(chan struct{}), make(chan error, 1)
	meta := &concierge{message: func(ctx context.Context, _ adapter.UserMessage) (string, error) {
		close(entered)
		<-ctx.Done()
		left <- context.Cause(ctx)
		return "too late", nil
	}}
	d := startInProcess(t, adapter.Set{Metadata: meta})
	c := connect(t, d, "WS-STREAMING")
	c.request("msg", func(id string) []byte { return (&tlcp.Message{ReqID: id, Text: "x", Prog: 1}).Append(nil) })
	<-entered
	c.control(tlcp.Control{Op: tlcp.OpDestroy, Destroy: &tlcp.Destroy{}})
	c.until(tlcp.TagEND)
	for d.Stats().Sessions > 0 {
		runtime.Gosched()
	}
	d.Close()
	if err := <-left; err == nil {
		t.Error("the message's context did not end")
	}
}

func awaitGoroutines(t *testing.T, limit int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for runtime.NumGoroutine() > limit {
		select {
		case <-tick.C:
		case <-deadline:
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines are left:\n%s", runtime.NumGoroutine()-limit, buf[:runtime.Stack(buf, true)])
		}
	}
}
