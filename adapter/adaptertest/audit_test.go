package adaptertest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
)

// Metadata Adapters of many shapes.
type (
	byValue     struct{ adapter.DefaultMetadata }
	byPointer   struct{ adapter.DefaultMetadata }
	literal     struct{ adapter.LiteralMetadata }
	deep        struct{ byValue }
	deepPtr     struct{ *byPointer }
	deeper      struct{ deep }
	generic     struct{ kept[string] }
	kept[T any] struct {
		adapter.DefaultMetadata
		_ T
	}
	logged  struct{ adapter.MetadataProvider }
	wrapper struct {
		adapter.DefaultMetadata
		inner adapter.MetadataProvider
	}
	twoMixed struct {
		adapter.DefaultMetadata
		helper
	}
	helper   struct{}
	misspelt struct{ adapter.DefaultMetadata }
	ported   struct{ adapter.DefaultMetadata }
	tables   struct{ adapter.DefaultMetadata }
	nilPtr   struct{ *adapter.LiteralMetadata }
)

func (byValue) NotifyUser(context.Context, adapter.User) (adapter.UserGrant, error) {
	return adapter.UserGrant{}, nil
}
func (byValue) Items(context.Context, adapter.ItemsRequest) ([]string, error) { return nil, nil }
func (*byPointer) NotifySessionClose(context.Context, string) error           { return nil }
func (*literal) NotifyUserMessage(context.Context, adapter.UserMessage) error { return nil }
func (deep) Schema(context.Context, adapter.SchemaRequest) ([]string, error)  { return nil, nil }
func (kept[T]) ItemData(context.Context, string) (adapter.ItemData, error) {
	return adapter.ItemData{}, nil
}
func (w wrapper) Unwrap() adapter.MetadataProvider                           { return w.inner }
func (wrapper) NotifyTablesClose(context.Context, adapter.TablesClose) error { return nil }
func (wrapper) NotifyNewSesion()                                             {}
func (helper) Close() error                                                  { return nil }
func (helper) Lookup(context.Context, string) error                          { return nil }
func (misspelt) NotifyUsr(context.Context, adapter.User) (adapter.UserGrant, error) {
	return adapter.UserGrant{}, nil
}
func (*misspelt) NotifySessionClosed(context.Context, string) error { return nil }
func (misspelt) NotifyMpnDeviceAccess(context.Context) error        { return nil }
func (misspelt) NotifyTables(context.Context) error                 { return nil }
func (misspelt) NotifyListeners()                                   {}
func (misspelt) Item()                                              {}
func (ported) GetItems(string) []string                             { return nil }
func (ported) IsModeAllowed() bool                                  { return true }
func (tables) NotifyNewTables(context.Context, adapter.NewTables) (adapter.TablesGrant, error) {
	return adapter.TablesGrant{}, nil
}

func TestOverridden(t *testing.T) {
	for _, tt := range []struct {
		name     string
		provider adapter.MetadataProvider
		want     string
	}{
		{"default", adapter.DefaultMetadata{}, ""},
		{"literal", &adapter.LiteralMetadata{}, ""},
		{"by value", byValue{}, "Items NotifyUser"},
		{"by value, pointer given", &byValue{}, "Items NotifyUser"},
		{"by pointer", &byPointer{}, "NotifySessionClose"},
		{"literal embedded", &literal{}, "NotifyUserMessage"},
		{"two deep", deep{}, "Items NotifyUser Schema"},
		{"two deep, pointer", &deep{}, "Items NotifyUser Schema"},
		{"pointer embedded", deepPtr{&byPointer{}}, "NotifySessionClose"},
		{"nil pointer embedded", deepPtr{}, "NotifySessionClose"},
		{"nil default embedded", nilPtr{}, ""},
		{"three deep", &deeper{}, "Items NotifyUser Schema"},
		{"generic", generic{}, "ItemData"},
		{"generic itself", &kept[int]{}, "ItemData"},
		{"interface embedded", logged{byValue{}}, "Items NotifyUser"},
		{"wrapper", wrapper{inner: &byPointer{}}, "NotifySessionClose"},
		{"wrapper of a wrapper", wrapper{inner: wrapper{inner: byValue{}}}, "Items NotifyUser"},
		{"wrapper of nothing", wrapper{}, "NotifyTablesClose"},
		{"other methods", twoMixed{}, ""},
		{"all", &club{}, "Initialize ItemData Items NotifyMPNDeviceAccess NotifyMPNDeviceTokenChange NotifyMPNSubscriptionActivation NotifyNewSession " +
			"NotifyNewTables NotifySessionClose NotifyTablesClose NotifyUser NotifyUserMessage Schema UserItemData"},
	} {
		if got := strings.Join(Overridden(tt.provider), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Data Adapters of many shapes.
type (
	plain         struct{}
	pointerInit   struct{ plain }
	wrongInit     struct{ plain }
	wrongNames    struct{ plain }
	oldSignature  struct{ plain }
	dataWrapper   struct{ adapter.DataProvider }
	pointerMethod struct{}
)

func (plain) Subscribe(context.Context, *adapter.Subscription) error    { return nil }
func (*pointerInit) Initialize(context.Context, adapter.Init) error     { return nil }
func (wrongInit) Initialize(adapter.Init) error                         { return nil }
func (wrongNames) Initialise(context.Context, adapter.Init) error       { return nil }
func (wrongNames) IsSnapshotAvailable(string) bool                      { return true }
func (*wrongNames) Unsubscrib(context.Context, *adapter.Subscription)   {}
func (wrongNames) Close() error                                         { return nil }
func (oldSignature) Unsubscribe(ctx context.Context, item string) error { return nil }
func (oldSignature) SnapshotAvailable(item string) bool                 { return true }
func (w dataWrapper) Unwrap() adapter.DataProvider                      { return w.DataProvider }
func (*pointerMethod) Subscribe(context.Context, *adapter.Subscription) error {
	return nil
}

func TestAudit(t *testing.T) {
	for _, tt := range []struct {
		name     string
		provider any
		allow    []string
		want     []string
	}{
		{"default", adapter.DefaultMetadata{}, nil, nil},
		{"good", &club{}, nil, nil},
		{"other methods", twoMixed{}, nil, nil},
		{"misspelt", misspelt{}, nil, []string{
			"nobody calls adaptertest.misspelt.NotifyUsr; the callback is NotifyUser",
			"misspelt.NotifySessionClosed; the callback is NotifySessionClose",
			"misspelt.NotifyMpnDeviceAccess; the callback is NotifyMPNDeviceAccess",
			"misspelt.NotifyTables; it looks like a callback but there is none of that name",
			"misspelt.Item; the callback is Items",
		}},
		{"allowed", &misspelt{}, []string{"NotifyUsr", "NotifySessionClosed", "NotifyTables", "NotifyMpnDeviceAccess", "Item"}, nil},
		{"ported", ported{}, nil, []string{"GetItems; the callback is Items", "IsModeAllowed; the callback is UserItemData (Modes)"}},
		{"tables that nobody asks for", tables{}, nil, []string{"NotifyNewTables of adaptertest.tables is never called"}},
		{"wrapper", wrapper{inner: ported{}}, nil, []string{"NotifyNewSesion; the callback is NotifyNewSession", "GetItems", "IsModeAllowed"}},

		{"plain", plain{}, nil, nil},
		{"function", subscribe(nil), nil, nil},
		{"all of them", &table{}, nil, nil},
		{"pointer receiver", pointerInit{}, nil, []string{"nobody calls adaptertest.pointerInit.Initialize: its receiver is a pointer but the provider is given by value; give &pointerInit"}},
		{"pointer receiver, pointer", &pointerInit{}, nil, nil},
		{"wrong signature", wrongInit{}, nil, []string{"wrongInit.Initialize: its signature is\n  func(adapter.Init) error\nthat of the callback is\n  func(context.Context, adapter.Init) error"}},
		{"wrong names", &wrongNames{}, nil, []string{
			"Initialise; the callback is Initialize", "IsSnapshotAvailable; the callback is SnapshotAvailable", "Unsubscrib; the callback is Unsubscribe",
		}},
		{"old signatures", oldSignature{}, nil, []string{"oldSignature.Unsubscribe: its signature is", "oldSignature.SnapshotAvailable: its signature is"}},
		{"wrapped", dataWrapper{wrongInit{}}, nil, []string{"wrongInit.Initialize"}},

		{"nothing", nil, nil, []string{"the provider is nil"}},
		{"something else", 7, nil, []string{"a int is neither a MetadataProvider nor a DataProvider"}},
		{"value of a pointer", pointerMethod{}, nil, []string{"a pointer to it is: give &pointerMethod"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantFailures(t, record(t, func(tb testing.TB) { Audit(tb, tt.provider, tt.allow...) }), tt.want...)
		})
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xabc", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := distance(tt.a, tt.b); got != tt.want || distance(tt.b, tt.a) != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestImplemented(t *testing.T) {
	if got := implemented(dataWrapper{&table{}}); !slices.Equal(got, []string{"Subscribe", "SnapshotAvailable", "Unsubscribe"}) {
		t.Errorf("implemented: %q", got)
	}
}
