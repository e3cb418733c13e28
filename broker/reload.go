package broker

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// ErrStopped is in the error of a call that came when the broker was stopping.
var ErrStopped = errors.New("the broker has stopped")

// Changes tells what a reload has done, by the ids of Adapter Sets, each list in alphabetical order.
type Changes struct {
	Added, Replaced, Removed []string
}

// ReloadFiles reads the files of Config.AdaptersDir and Config.AdapterFiles again, and has [Running.Reload] do the rest with them and
// Config.Sets. A mistake in one of them is an error, and nothing has changed then.
func (r *Running) ReloadFiles(ctx context.Context) (Changes, error) {
	sets, err := loadSets(&r.cfg)
	if err != nil {
		return Changes{}, err
	}
	return r.Reload(ctx, sets)
}

// Reload replaces the Adapter Sets by others, while the broker runs. A set that is described as before stays as it is, with its sessions and
// its remote adapters. The sessions of the others end (END 32), their remote adapters are told, and their ports are closed, before what
// is new is started. Sets in this process (Config.Adapters) stay.
//
// What can be found wrong beforehand is, and nothing has changed then. A set that cannot be started
// after all, since its port is taken for instance, is out of service until the next reload; the
// error says so, the other sets are served, and Changes tells what was done. Keystores and
// truststores that are replaced on disk need no reload: they are read again by themselves.
//
// If ctx ends, sessions that end late, because an adapter holds a message, are not waited for. Calls take turns. After the stop of the
// broker the error is [ErrStopped].
func (r *Running) Reload(ctx context.Context, sets []*adaptersxml.Set) (Changes, error) {
	var changes Changes
	if err := checkSets(sets, &r.cfg); err != nil {
		return changes, err
	}
	r.reloading.Lock()
	defer r.reloading.Unlock()
	if r.adapters.ctx.Err() != nil {
		return changes, fmt.Errorf("broker: reload: %w", ErrStopped)
	}
	var start []*adaptersxml.Set
	var end []*service
	old := make(map[string]*service)
	for _, s := range r.adapters.all() {
		if s.x != nil {
			old[s.set.ID] = s
		}
	}
	var errs []error
	for _, x := range sets {
		was := old[x.ID]
		delete(old, x.ID)
		if was != nil && same(reflect.ValueOf(was.x), reflect.ValueOf(x)) {
			continue
		}
		errs = append(errs, rehearse(x))
		start = append(start, x)
		if was != nil {
			end = append(end, was)
			changes.Replaced = append(changes.Replaced, x.ID)
		} else {
			changes.Added = append(changes.Added, x.ID)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Changes{}, err
	}
	warn(r.log, start)
	for id, s := range old {
		end = append(end, s)
		changes.Removed = append(changes.Removed, id)
	}
	for _, ids := range [][]string{changes.Added, changes.Replaced, changes.Removed} {
		slices.Sort(ids)
	}
	r.adapters.await(1) // not ready in between
	defer r.adapters.await(-1)
	var wg sync.WaitGroup
	for _, s := range end {
		wg.Go(func() { r.retire(ctx, s) })
	}
	wg.Wait()
	for _, x := range start {
		if err := r.adapters.open(x, r.sessions.ControlOf(x.ID)); err != nil {
			errs = append(errs, fmt.Errorf("%w; it is out of service until the next reload", err))
		}
	}
	r.log.Info("broker: Adapter Sets reloaded", "added", changes.Added, "replaced", changes.Replaced, "removed", changes.Removed)
	return changes, errors.Join(errs...)
}

// retire takes a set out of service.
func (r *Running) retire(ctx context.Context, s *service) {
	r.adapters.leave(s)
	if err := r.sessions.Release(ctx, s.set); err != nil {
		r.log.Warn("broker: an Adapter Set was taken away from sessions that had not ended", "error", err)
	}
	s.close()
}

// rehearse finds what would keep a set from starting, as far as it can be known.
func rehearse(x *adaptersxml.Set) error {
	var errs []error
	for _, p := range append([]adaptersxml.Provider{x.Metadata}, x.Data...) {
		if p.Proxy == nil {
			continue
		}
		if _, err := adapterTLS(x, p.Name, p.Proxy); err != nil {
			errs = append(errs, fmt.Errorf("broker: Adapter Set %s: %s: %w", x.ID, p.Proxy.Name, err))
		}
	}
	return errors.Join(errs...)
}

// same tells whether two parts of a set mean the same, wherever in their files they are written.
func same(a, b reflect.Value) bool {
	switch a.Type() {
	case reflect.TypeFor[adaptersxml.Pos](), reflect.TypeFor[[]*adaptersxml.Problem]():
		return true
	case reflect.TypeFor[*regexp.Regexp]():
		return a.IsNil() == b.IsNil() && (a.IsNil() || a.Interface().(*regexp.Regexp).String() == b.Interface().(*regexp.Regexp).String())
	}
	switch a.Kind() {
	case reflect.Pointer:
		return a.IsNil() == b.IsNil() && (a.IsNil() || same(a.Elem(), b.Elem()))
	case reflect.Slice:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
