package adaptertest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// Audit looks for mistakes in the method set of a provider that compile and then fail in silence, since Go can't know what was meant, and fails
// the test for each. provider is an adapter.MetadataProvider or an adapter.DataProvider, as it is given to a server.
//
// Of both kinds: exported methods with almost the name of a callback, or with the name that the official SDKs have for it (GetItems,
// IsSnapshotAvailable), which nobody calls.
//
// Of a Metadata Adapter: methods whose name begins with Notify and whose first parameter is a context, but are no callback; NotifyNewTables or
// NotifyTablesClose without a NotifyUser that could ask for them.
//
// Of a Data Adapter: Initialize, SnapshotAvailable and Unsubscribe with a signature that is not that of the optional interface, or with a
// pointer receiver when the provider is given by value.
//
// It also writes to the test's log which callbacks are the provider's own. Methods named in allow are right as they are. Wrappers with a method
// "Unwrap() adapter.MetadataProvider" (or DataProvider) are looked through.
func Audit(tb testing.TB, provider any, allow ...string) {
	tb.Helper()
	var found []string
	switch p := provider.(type) {
	case nil:
		tb.Fatal("adaptertest: audit: the provider is nil")
	case adapter.MetadataProvider:
		found = auditMetadata(p, allow)
		tb.Logf("adaptertest: callbacks of %T: %s", innermost(p), orNone(Overridden(p)))
	case adapter.DataProvider:
		found = auditData(p, allow)
		tb.Logf("adaptertest: callbacks of %T: %s", innermostData(p), orNone(implemented(p)))
	default:
		tb.Fatalf("adaptertest: audit: a %T is neither a MetadataProvider nor a DataProvider%s", provider, missingMethods(provider))
	}
	for _, f := range found {
		tb.Errorf("adaptertest: audit: %s", f)
	}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none; the defaults answer everything"
	}
	return strings.Join(names, ", ")
}

// missingMethods says which method a would-be provider lacks.
func missingMethods(provider any) string {
	t := reflect.TypeOf(provider)
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(dataProviderType) || reflect.PointerTo(t).Implements(metadataProviderType) {
		return "; a pointer to it is: give &" + t.Name()
	}
	return "; see the methods of the interfaces in package adapter"
}

var (
	metadataProviderType = reflect.TypeFor[adapter.MetadataProvider]()
	dataProviderType     = reflect.TypeFor[adapter.DataProvider]()
	contextType          = reflect.TypeFor[context.Context]()
)

// optional are the interfaces that a DataProvider may implement besides.
var optional = []reflect.Type{
	reflect.TypeFor[adapter.Initializer](), reflect.TypeFor[adapter.SnapshotAnswerer](), reflect.TypeFor[adapter.Unsubscriber](),
}

// Names of the official SDKs, and what does their work here.
var (
	officialMetadata = map[string]string{
		"Init": "Initialize", "GetItems": "Items", "GetSchema": "Schema",
		"GetAllowedMaxBandwidth": "NotifyUser (UserGrant.MaxBandwidth)", "WantsTablesNotification": "NotifyUser (UserGrant.WantsTables)",
		"NotifyUserWithPrincipal": "NotifyUser (User.Principal)", "NotifyUserAuth": "NotifyUser (User.Principal)",
		"IsModeAllowed": "UserItemData (Modes)", "GetAllowedMaxItemFrequency": "UserItemData (MaxItemFrequency)",
		"GetAllowedBufferSize": "UserItemData (BufferSize)", "ModeMayBeAllowed": "ItemData (Modes)",
		"GetDistinctSnapshotLength": "ItemData (DistinctSnapshotLength)", "GetMinSourceFrequency": "ItemData (MinSourceFrequency)",
		"GetSessionTimeToLive":      "NotifyNewSession (SessionGrant.TimeToLive)",
		"EnableTableUnsubscription": "NotifyNewTables (TablesGrant.Unsubscribable)",
		"WantsFinalTableStatistics": "NotifyNewTables (TablesGrant.FinalStatistics)",
		"SetListener":               "Initialize (Init.Control)",
	}
	officialData = map[string]string{
		"Init": "Initialize", "IsSnapshotAvailable": "SnapshotAvailable", "SetListener": "Subscribe (the Subscription it gets)",
	}
)

// auditMetadata returns what is wrong with a MetadataProvider.
func auditMetadata(p adapter.MetadataProvider, allow []string) []string {
	callbacks := methodNames(metadataProviderType)
	var found []string
	for {
		t := reflect.TypeOf(p)
		for m := range methodsOf(t) {
			if slices.Contains(callbacks, m.Name) || slices.Contains(allow, m.Name) || m.Name == "Unwrap" {
				continue
			}
			if meant := meantBy(m.Name, callbacks, officialMetadata); meant != "" {
				found = append(found, fmt.Sprintf("nobody calls %s.%s; the callback is %s", shownType(t), m.Name, meant))
			} else if strings.HasPrefix(m.Name, "Notify") && takesContext(m.Type) {
				found = append(found, fmt.Sprintf("nobody calls %s.%s; it looks like a callback but there is none of that name", shownType(t), m.Name))
			}
		}
		inner := unwrap(p)
		if inner == nil {
			break
		}
		p = inner
	}
	own := Overridden(p)
	for _, name := range []string{"NotifyNewTables", "NotifyTablesClose"} {
		if slices.Contains(own, name) && !slices.Contains(own, "NotifyUser") && !slices.Contains(allow, name) {
			found = append(found, fmt.Sprintf("%s of %T is never called: it takes a NotifyUser whose UserGrant.WantsTables is true", name, p))
		}
	}
	return found
}

// auditData returns what is wrong with a DataProvider.
func auditData(p adapter.DataProvider, allow []string) []string {
	want := map[string]reflect.Type{"Subscribe": dataProviderType}
	for _, i := range optional {
		want[i.Method(0).Name] = i
	}
	callbacks := make([]string, 0, len(want))
	for name := range want {
		callbacks = append(callbacks, name)
	}
	slices.Sort(callbacks)
	var found []string
	for {
		t := reflect.TypeOf(p)
		for m := range methodsOf(t) {
			i := want[m.Name]
			switch {
			case slices.Contains(allow, m.Name) || m.Name == "Unwrap":
			case i != nil && t.Implements(i):
			case i != nil && reflect.PointerTo(t).Implements(i):
				found = append(found, fmt.Sprintf("nobody calls %s.%s: its receiver is a pointer but the provider is given by value; give &%s",
					shownType(t), m.Name, t.Name()))
			case i != nil:
				found = append(found, fmt.Sprintf("nobody calls %s.%s: its signature is\n  %s\nthat of the callback is\n  %s",
					shownType(t), m.Name, signature(m.Type, true), signature(i.Method(0).Type, false)))
			default:
				if meant := meantBy(m.Name, callbacks, officialData); meant != "" {
					found = append(found, fmt.Sprintf("nobody calls %s.%s; the callback is %s", shownType(t), m.Name, meant))
				}
			}
		}
		inner := unwrapData(p)
		if inner == nil {
			return found
		}
		p = inner
	}
}

// signature shows the type of a method; with a receiver as its first parameter, or without one.
func signature(t reflect.Type, receiver bool) string {
	s := t.String()
	if !receiver {
		return s
	}
	var in, out []reflect.Type
	for i := 1; i < t.NumIn(); i++ {
		in = append(in, t.In(i))
	}
	for o := range t.Outs() {
		out = append(out, o)
	}
	return reflect.FuncOf(in, out, t.IsVariadic()).String()
}

// meantBy returns the callback for which name could be meant, or "".
func meantBy(name string, callbacks []string, official map[string]string) string {
	best, least := "", 3
	for _, c := range callbacks {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < least && 4*d <= len(c) {
			best, least = c, d
		}
	}
	if best == "" {
		best = official[name]
	}
	return best
}

// distance is the number of insertions, deletions, replacements and exchanges of neighbours that make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

func takesContext(method reflect.Type) bool {
	return method.NumIn() > 1 && method.In(1) == contextType
}
