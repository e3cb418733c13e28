//go:build interop

package clients

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/lightstreamer-go/lightstreamer/interop/internal/chrome"
)

// webFiles serves the page of the web peer, at the broker's address.
func webFiles() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /web/", http.StripPrefix("/web/", http.FileServer(http.Dir("web"))))
	mux.Handle("GET /js/", http.StripPrefix("/js/", http.FileServer(http.Dir("js"))))
	client := filepath.Join("..", "..", "node_modules", "lightstreamer-client-web")
	mux.Handle("GET /client/", http.StripPrefix("/client/", http.FileServer(http.Dir(client))))
	return mux
}

// startWeb opens the page in a headless Chromium, which runs until the test ends.
func startWeb(t *testing.T) *peer {
	npmPackage(t, "lightstreamer-client-web")
	watched := make(chan struct{})
	t.Cleanup(func() { <-watched }) // after the browser has ended
	ctx := chrome.Open(t)
	p := newPeer(func(command []byte) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf("(window.peer(%s), true)", command)))
		return err
	})
	messages := chromedp.Console(ctx)
	go func() { // ends with the browser
		defer close(watched)
		defer p.end()
		for m, err := range messages {
			if err != nil {
				return
			}
			switch m.Type {
			case "log":
				p.tell(m.Text)
			default: // the browser reports connections that fail, which is what some capabilities are about
				t.Logf("console: %v", m)
			}
		}
	}()
	if err := chromedp.Do(ctx, chromedp.Navigate(remote.URL+"/web/index.html")); err != nil {
		t.Fatal(err)
	}
	return p
}
