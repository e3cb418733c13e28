package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

// findSets lists the files as Lightstreamer Server lays them out: one in the folder of each set. dir may be such a folder.
func findSets(dir string) ([]string, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("the folder for adapters.xml: %w", err)
	}
	var files []string
	for _, pattern := range []string{"adapters.xml", "*/adapters.xml"} {
		// Rooted in the folder, so that its own name is not taken for a pattern.
		found, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			files = append(files, filepath.Join(dir, filepath.FromSlash(name)))
		}
	}
	return files, nil
}

func noSets(dir string) error {
	return fmt.Errorf("there is no adapters.xml in the folder %s, nor in a folder right below it", dir)
}

// problemsOf returns what is wrong according to an error, in one problem at least.
func problemsOf(err error) []*adaptersxml.Problem {
	if problems := adaptersxml.Problems(err); len(problems) > 0 {
		return problems
	}
	return []*adaptersxml.Problem{{Message: err.Error()}}
}

// reloadable is a broker of which the sets can be replaced.
type reloadable interface {
	Reload(ctx context.Context, sets []*adaptersxml.Set) (broker.Changes, error)
}

// folder is a folder of Adapter Sets, and what the broker has of it. It is for one goroutine at a time.
type folder struct {
	dir  string
	tell func(*adaptersxml.Problem)

	files   files.Stamp
	read    map[string]*adaptersxml.Set // what stands in each file; nil where there are mistakes
	running map[string]*adaptersxml.Set // what the broker has from each file
	watch   files.Watch

	// A set that could not be started, as its port is taken, is tried again from time to time.
	failed string // the error
	tried  time.Time
}

// load reads what has changed since the last time, tells of all that is wrong with it, and returns how many mistakes there are.
func (f *folder) load(now files.Stamp) (mistakes int) {
	read := make(map[string]*adaptersxml.Set)
	for _, file := range slices.Sorted(maps.Keys(now)) {
		if set, known := f.read[file]; known && files.Same(f.files[file], now[file]) {
			read[file] = set
			continue
		}
		set, problems := readSet(file)
		for _, p := range problems {
			f.tell(p)
			if p.Severity == adaptersxml.SeverityError {
				mistakes++
			}
		}
		read[file] = set
	}
	f.files, f.read = now, read
	return mistakes
}

// readSet reads a file and returns all that is wrong with it. The set is nil if there are mistakes.
func readSet(file string) (*adaptersxml.Set, []*adaptersxml.Problem) {
	return adaptersxml.CheckFile(file, adaptersxml.WithEnv(os.LookupEnv))
}

// look finds out the state of the files.
func (f *folder) look() (files.Stamp, error) {
	names, err := findSets(f.dir)
	if err != nil {
		return nil, err
	}
	return files.StampOf(names...), nil
}

// start reads the folder for the first time. It tells of every mistake and every warning, not only of the first.
func (f *folder) start() ([]*adaptersxml.Set, error) {
	now, err := f.look()
	if err != nil {
		return nil, err
	}
	if len(now) == 0 {
		return nil, noSets(f.dir)
	}
	mistakes := f.load(now)
	if mistakes == 0 {
		for _, p := range adaptersxml.Problems(adaptersxml.CheckSets(inOrder(f.read)...)) {
			f.tell(p)
			mistakes++
		}
	}
	switch mistakes {
	case 0:
		f.running, f.watch.Done = f.read, now
		return inOrder(f.running), nil
	case 1:
		return nil, errors.New("nothing was started; correct the mistake above")
	default:
		return nil, fmt.Errorf("nothing was started; correct the %d mistakes above", mistakes)
	}
}

// inOrder returns sets in the order of their files' names.
func inOrder(sets map[string]*adaptersxml.Set) []*adaptersxml.Set {
	var all []*adaptersxml.Set
	for _, file := range slices.Sorted(maps.Keys(sets)) {
		if set := sets[file]; set != nil {
			all = append(all, set)
		}
	}
	return all
}

// retryEvery is the pause before a set that could not be started is tried again.
const retryEvery = 2 * time.Second

// step looks at the folder once, and has the broker take over what has changed and come to rest. It tells whether there is something to
// report.
func (f *folder) step(ctx context.Context, to reloadable) (reload, bool) {
	now, err := f.look()
	if err != nil {
		return reload{}, false // the folder is away, which is no reason to end what runs
	}
	if !f.watch.Changed(now) {
		if f.failed == "" || time.Since(f.tried) < retryEvery {
			return reload{}, false
		}
		return f.retry(ctx, to)
	}
	f.load(now)
	return f.apply(ctx, to), true
}

// wanted is what the broker should have: what the files say, and where a file has mistakes, what is running.
func (f *folder) wanted() (sets map[string]*adaptersxml.Set, done reload) {
	sets = make(map[string]*adaptersxml.Set)
	for _, file := range slices.Sorted(maps.Keys(f.read)) {
		set := f.read[file]
		if set == nil {
			f.refused(file, &done)
			set = f.running[file]
		}
		if set != nil {
			sets[file] = set
		}
	}
	return sets, done
}

// refused notes that a file is not taken over.
func (f *folder) refused(file string, done *reload) {
	if was := f.running[file]; was != nil {
		done.kept = append(done.kept, was.ID)
	} else {
		done.leftOut = append(done.leftOut, file)
	}
}

// apply has the broker take over what the files say.
func (f *folder) apply(ctx context.Context, to reloadable) reload {
	sets, done := f.wanted()
	changes, taken, err := f.try(ctx, to, sets)
	if err != nil {
		for _, p := range problemsOf(err) {
			f.tell(p)
		}
	}
	if taken {
		done.Changes = changes
		return done
	}
	// The sets do not go together. What goes together with those that run is taken over, file by file.
	for _, file := range changed(f.running, sets) {
		one := maps.Clone(f.running)
		if one[file] = sets[file]; one[file] == nil {
			delete(one, file)
		}
		if changes, taken, _ := f.try(ctx, to, one); taken {
			done.Added = append(done.Added, changes.Added...)
			done.Replaced = append(done.Replaced, changes.Replaced...)
			done.Removed = append(done.Removed, changes.Removed...)
		} else {
			f.refused(file, &done)
		}
	}
	return done
}

// try asks the broker for sets. It is not taken if the broker has refused them and everything is as before.
func (f *folder) try(ctx context.Context, to reloadable, sets map[string]*adaptersxml.Set) (changes broker.Changes, taken bool, err error) {
	changes, err = to.Reload(ctx, inOrder(sets))
	if err != nil && len(changes.Added)+len(changes.Replaced)+len(changes.Removed) == 0 {
		return changes, false, err
	}
	f.running, f.failed, f.tried = sets, "", time.Now()
	if err != nil {
		f.failed = err.Error()
	}
	return changes, true, err
}

// retry has the broker try once more what could not be started. Only news is told.
func (f *folder) retry(ctx context.Context, to reloadable) (reload, bool) {
	before := f.failed
	f.tried = time.Now()
	changes, taken, err := f.try(ctx, to, f.running)
	if err != nil {
		f.failed = err.Error()
		if f.failed != before {
			for _, p := range problemsOf(err) {
				f.tell(p)
			}
		}
		return reload{}, false
	}
	return reload{Changes: changes}, taken
}

// changed lists the files that differ between two maps.
func changed(a, b map[string]*adaptersxml.Set) []string {
	files := make(map[string]bool)
	for file, set := range a {
		files[file] = b[file] != set
	}
	for file, set := range b {
		files[file] = a[file] != set
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(file string) bool { return !files[file] })
}
