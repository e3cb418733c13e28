package broker_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

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
