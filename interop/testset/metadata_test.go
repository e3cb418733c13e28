package testset

import (
	"slices"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adapter/adaptertest"
)

func startMetadata(t *testing.T) (*Set, *adaptertest.Conn) {
	set := New()
	p := adaptertest.NewProxy(t)
	p.Run(&adapter.MetadataServer{Provider: set.Adapters().Metadata})
	return set, p.Accept()
}

func TestMetadata(t *testing.T) {
	set, c := startMetadata(t)
	if grant, refusal := c.NotifyUser(adapter.User{Name: "anybody"}); refusal != nil || grant.MaxBandwidth != 40 {
		t.Errorf("NotifyUser gave %+v, %v", grant, refusal)
	}
	if items, refusal := c.Items(adapter.ItemsRequest{Group: EmptyGroup}); refusal != nil || len(items) != 0 {
		t.Errorf("the empty group has %q, %v", items, refusal)
	}
	if items, refusal := c.Items(adapter.ItemsRequest{Group: "count strange🌐"}); refusal != nil || !slices.Equal(items, []string{"count", "strange🌐"}) {
		t.Errorf("a group of two has %q, %v", items, refusal)
	}
	fields := []string{"value🌐-", "value&+=\r\n%"}
	got, refusal := c.Schema(adapter.SchemaRequest{Group: "strange🌐 count", Schema: fields[0] + " " + fields[1]})
	if refusal != nil || !slices.Equal(got, fields) {
		t.Errorf("the schema has %q, %v", got, refusal)
	}
	if !slices.Equal(set.names.of("strange🌐"), fields) || set.names.of(CountItem) != nil {
		t.Errorf("remembered of the strange item is %q, of the counter %q", set.names.of("strange🌐"), set.names.of(CountItem))
	}
	adaptertest.Audit(t, set.Adapters().Metadata, "RespondToUserMessage")
}

func TestModesAndBuffers(t *testing.T) {
	_, c := startMetadata(t)
	names := []string{CountItem, MultTableItem, TwoLevelPrefix + "5", ClearSnapshotItem, EndOfSnapshotItem, OverflowItem, "strange"}
	want := []adapter.Modes{
		adapter.ModesOf(adapter.Merge), adapter.ModesOf(adapter.Command), adapter.ModesOf(adapter.Command),
		adapter.ModesOf(adapter.Merge, adapter.Distinct, adapter.Command), adapter.ModesOf(adapter.Distinct, adapter.Command),
		adapter.ModesOf(adapter.Raw, adapter.Merge, adapter.Distinct), adapter.ModesOf(adapter.Raw, adapter.Merge, adapter.Distinct),
	}
	data, refusal := c.ItemData(names...)
	if refusal != nil {
		t.Fatal(refusal)
	}
	user, refusal := c.UserItemData("anybody", names...)
	if refusal != nil {
		t.Fatal(refusal)
	}
	for i, name := range names {
		if data[i].Modes != want[i] {
			t.Errorf("%s allows %v, want %v", name, data[i].Modes, want[i])
		}
		if data[i].Modes.Has(adapter.Distinct) && data[i].DistinctSnapshotLength == 0 {
			t.Errorf("%s has no snapshot in DISTINCT mode", name)
		}
		buffer := 0
		if name == OverflowItem {
			buffer = BufferSize
		}
		if user[i].BufferSize != buffer || user[i].MaxItemFrequency != 0 || user[i].Modes != adapter.AllModes {
			t.Errorf("for the user %s is %+v", name, user[i])
		}
	}
}

func TestMessages(t *testing.T) {
	set, c := startMetadata(t)
	for _, text := range []string{"hello", AnsweredMessage, ""} {
		if refusal := c.NotifyUserMessage(adapter.UserMessage{Message: text}); refusal != nil {
			t.Errorf("%q is refused: %v", text, refusal)
		}
	}
	refusal := c.NotifyUserMessage(adapter.UserMessage{Message: RefusedMessage})
	if refusal == nil || refusal.Kind != adaptertest.CreditsError || refusal.Code != -123 || refusal.UserMessage != "test error" {
		t.Errorf("%q gave %v", RefusedMessage, refusal)
	}
	responder, ok := set.Adapters().Metadata.(adapter.MessageResponder)
	if !ok {
		t.Fatal("messages cannot be answered")
	}
	if answer, err := responder.RespondToUserMessage(t.Context(), adapter.UserMessage{Message: AnsweredMessage}); answer != "result:ok" || err != nil {
		t.Errorf("%q gave %q, %v", AnsweredMessage, answer, err)
	}
}

func TestMetadataConformance(t *testing.T) {
	adaptertest.MetadataConformance(t, New().Adapters().Metadata)
}
