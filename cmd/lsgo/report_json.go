package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// script tells it in JSON, one object a line. The field event says which kind of object it is.
type script struct {
	mu  sync.Mutex
	out *json.Encoder
	now func() time.Time
}

func newScript(out io.Writer) *script {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return &script{out: encoder, now: time.Now}
}

// jsonHead begins every object.
type jsonHead struct {
	Event string    `json:"event"`
	Time  time.Time `json:"time"`
}

type jsonSet struct {
	ID       string        `json:"id"`
	File     string        `json:"file"`
	Adapters []jsonAdapter `json:"adapters"`
}

type jsonAdapter struct {
	Kind    string `json:"kind"`           // metadata or data
	Name    string `json:"name,omitempty"` // of a Data Adapter
	Address string `json:"address,omitempty"`
	Notify  string `json:"notifyAddress,omitempty"`
	Dials   string `json:"dials,omitempty"`
	BuiltIn bool   `json:"builtIn,omitempty"`
}

// write writes an object. Where the output leads to nobody, there is nobody to tell that it failed.
func (s *script) write(object any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(object)
}

func (s *script) head(event string) jsonHead { return jsonHead{event, s.now()} }

func adapterKind(name string) string {
	if name == "" {
		return "metadata"
	}
	return "data"
}

func jsonSets(s served) []jsonSet {
	sets := []jsonSet{}
	for _, set := range s.sets {
		one := jsonSet{ID: set.ID, File: set.File, Adapters: []jsonAdapter{}}
		if set.Metadata.Literal != nil {
			one.Adapters = append(one.Adapters, jsonAdapter{Kind: "metadata", BuiltIn: true})
		}
		for _, at := range s.adapters {
			if at.Set != set.ID {
				continue
			}
			a := jsonAdapter{Kind: adapterKind(at.DataAdapter), Name: at.DataAdapter, Dials: at.RemoteAddr}
			if at.Addr != nil {
				a.Address = at.Addr.String()
			}
			if at.NotifyAddr != nil {
				a.Notify = at.NotifyAddr.String()
			}
			one.Adapters = append(one.Adapters, a)
		}
		sets = append(sets, one)
	}
	return sets
}

func (s *script) listening(v served) {
	s.write(struct {
		jsonHead
		URL        string    `json:"url"`
		Monitoring bool      `json:"monitoring"`
		Sets       []jsonSet `json:"sets"`
	}{s.head("listening"), v.url, v.monitoring, jsonSets(v)})
}

func (s *script) adapter(a adapterEvent) {
	state := "lost"
	if a.connected {
		state = "connected"
	}
	s.write(struct {
		jsonHead
		Set   string `json:"set"`
		Kind  string `json:"kind"`
		Name  string `json:"name,omitempty"`
		State string `json:"state"`
	}{jsonHead{"adapter", a.at}, a.set, adapterKind(a.name), a.name, state})
}

func (s *script) reloaded(r reload, v served) {
	if r.certificate {
		s.write(struct {
			jsonHead
			What string `json:"what"`
		}{s.head("reload"), "certificate"})
		return
	}
	list := func(ids []string) []string { return append([]string{}, ids...) } // [] rather than null
	s.write(struct {
		jsonHead
		What     string    `json:"what"`
		Added    []string  `json:"added"`
		Replaced []string  `json:"replaced"`
		Removed  []string  `json:"removed"`
		Kept     []string  `json:"kept"`
		LeftOut  []string  `json:"leftOut"`
		Sets     []jsonSet `json:"sets"`
	}{s.head("reload"), "adapters", list(r.Added), list(r.Replaced), list(r.Removed), list(r.kept), list(r.leftOut), jsonSets(v)})
}

func (s *script) problem(p *adaptersxml.Problem) {
	s.write(struct {
		jsonHead
		Severity string `json:"severity"`
		File     string `json:"file,omitempty"`
		Line     int    `json:"line,omitempty"`
		Column   int    `json:"column,omitempty"`
		Message  string `json:"message"`
	}{s.head("problem"), p.Severity.String(), p.File, p.Line, p.Column, p.Message})
}

func (s *script) stopped(took time.Duration, cut bool, err error) {
	object := struct {
		jsonHead
		Seconds float64 `json:"seconds"`
		Cut     bool    `json:"cut"`
		Error   string  `json:"error,omitempty"`
	}{jsonHead: s.head("stopped"), Seconds: took.Seconds(), Cut: cut}
	if err != nil {
		object.Error = err.Error()
	}
	s.write(object)
}
