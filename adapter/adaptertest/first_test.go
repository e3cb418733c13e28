package adaptertest_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adapter/adaptertest"
)

func TestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := adaptertest.NewProxy(t)
		p.Run(&adapter.DataServer{Provider: adapter.DataProviderFunc(func(_ context.Context, sub *adapter.Subscription) error {
			_ = sub.Snapshot(adapter.Fields{"last": "1.09"})
			return sub.Update(adapter.Fields{"last": "1.10"})
		})})
		p.Subscribe("EURUSD").Expect(adaptertest.Snapshot("last", "1.09"), adaptertest.Update("last", "1.10"))
		p.Cut(io.ErrUnexpectedEOF)
		p.AcceptAgain(30 * time.Second)
		p.Subscribe("EURUSD").Expect(adaptertest.Snapshot("last", 1.09), adaptertest.Update("last", "1.10"))
	})
}
