// Package chrome starts the browser for the tests of the lab.
package chrome

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
)

// Path is the browser's: $CHROME, or a Chromium that is installed. Empty: there is none.
func Path() string {
	for _, name := range []string{os.Getenv("CHROME"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Open starts a headless Chromium of its own for a test and returns the context of its tab. The browser ends with the test, before what was
// registered with Cleanup earlier. The test fails if there is none; $CHROME can name it.
func Open(tb testing.TB) context.Context {
	tb.Helper()
	browser := Path()
	if browser == "" {
		tb.Fatal("Chromium is missing: run \"apt-get install chromium\", or set CHROME to its path")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser),
		chromedp.NoSandbox, // the tests may run as root, in a container
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocator, freeAllocator := chromedp.NewExecAllocator(context.WithoutCancel(tb.Context()), options...)
	ctx, closeTab := chromedp.NewContext(allocator)
	tb.Cleanup(func() {
		closeTab()
		freeAllocator() // kills the browser if it is still there, and waits for it
	})
	if err := chromedp.Do(ctx); err != nil {
		tb.Fatalf("%s does not start: %v", browser, err)
	}
	return ctx
}
