package broker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker"
)

// A broker with a page beside the protocol. AdaptersDir would name a folder of adapters.xml files.
func ExampleStart() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	running, err := broker.Start(ctx, broker.Config{
		Addr: "127.0.0.1:0", // any free port; the default is 127.0.0.1:8080
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "a page of the application")
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.HasPrefix(running.URL(), "http://127.0.0.1:"))
	running.Close()
	fmt.Println(running.Err())
	// Output:
	// true
	// <nil>
}

// An audit log, one JSON object a line. A program would open a file, to append to it.
func ExampleConfig_audit() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	file := json.NewEncoder(os.Stdout)
	running, err := broker.Start(ctx, broker.Config{
		Addr: "127.0.0.1:0",
		Audit: func(e broker.AuditEvent) {
			e.Time, e.Address = time.Time{}, "" // so that each run of the example writes the same
			_ = file.Encode(e)                  // what can't be written is nobody's concern here
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	running.Close()
	// Output:
	// {"time":"0001-01-01T00:00:00Z","event":"broker.started"}
	// {"time":"0001-01-01T00:00:00Z","event":"broker.stopped"}
}
