package files

import "os"

// Stamp is the state of some files, by their names. Files that are not there are not in it.
//
// Files are asked for their state (stat) rather than watched by the system's notifications: editors
// replace files instead of writing them, folders come and go, and mounts from networks and
// containers notify nobody. All of that looks the same to a question asked now and then, which
// costs microseconds.
type Stamp map[string]os.FileInfo

// StampOf returns the present state.
func StampOf(names ...string) Stamp {
	s := make(Stamp)
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			s[name] = info
		}
	}
	return s
}

// Same reports whether a name led to the same file twice, and nobody had written to it.
func Same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (s Stamp) equal(o Stamp) bool {
	if len(s) != len(o) {
		return false
	}
	for name, info := range s {
		if !Same(info, o[name]) {
			return false
		}
	}
	return true
}

// Watch finds out when files have changed and come to rest: who replaces a file may remove it
// first, and who writes one may take a while. It is for one goroutine at a time.
type Watch struct {
	Done Stamp // what was dealt with
	seen Stamp // what the last look found, if it is something else
}

// Changed is called at each look. It reports each change once, when two looks have found the same.
func (w *Watch) Changed(now Stamp) bool {
	switch {
	case now.equal(w.Done):
		w.seen = nil
		return false
	case w.seen == nil || !now.equal(w.seen):
		w.seen = now
		return false
	}
	w.Done, w.seen = now, nil
	return true
}
