package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// page is a tab of a headless Chromium of its own.
type page struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	troubles []string // errors and warnings on its console
}

// openPage starts a browser and opens the address. What the page writes to its console goes to the test's output.
func openPage(t *testing.T, url string) *page {
	t.Helper()
	p := &page{t: t}
	p.startBrowser()
	p.must(chromedp.Do(p.ctx, chromedp.Navigate(url)))
	return p
}

func (p *page) startBrowser() {
	t := p.t
	t.Helper()
	var browser string
	for _, name := range []string{os.Getenv("CHROME"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Fatal("Chromium is missing: run \"apt-get install chromium\", or set CHROME to its path")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser),
		chromedp.NoSandbox, // the tests may run as root, in a container
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocator, freeAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		closeTab()
		freeAllocator() // kills the browser if it is still there, and waits for it
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("%s does not start: %v", browser, err)
	}
	messages := chromedp.Console(ctx)
	logged := make(chan struct{})
	t.Cleanup(func() { // runs before the one above, and so ends the messages itself
		closeTab()
		<-logged
	})
	go func() {
		defer close(logged)
		for message, err := range messages {
			if err != nil {
				return
			}
			t.Logf("console: %v", message)
			if message.Type != "log" && message.Type != "info" && message.Type != "debug" {
				p.mu.Lock()
				p.troubles = append(p.troubles, message.String())
				p.mu.Unlock()
			}
		}
	}()
	p.ctx = ctx
}

// checkConsole fails the test if the browser or the page has complained.
func (p *page) checkConsole() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, trouble := range p.troubles {
		p.t.Errorf("on the console: %s", trouble)
	}
}

func (p *page) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// eval returns the value of a JavaScript expression.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// await waits until a JavaScript condition holds. An error counts as "not yet": the page may be loading.
func (p *page) await(what, condition string) {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		holds, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		if holds {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
			p.t.Fatalf("waiting for %s: not within %v (%v); the page says:\n%s", what, patience, err, text)
		}
	}
}

// awaitText waits until an element contains a text.
func (p *page) awaitText(selector, text string) {
	p.t.Helper()
	p.await(text+" in "+selector, "document.querySelector('"+selector+"')?.textContent.includes('"+text+"')")
}

// show gives the page a width and height, and a colour scheme.
func (p *page) show(width, height int64, scheme string) {
	p.t.Helper()
	var options []chromedp.EmulateViewportOption
	if width < 500 {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2))
	}
	p.must(chromedp.Do(p.ctx, chromedp.EmulateViewport(width, height, options...)))
	p.emulate("prefers-color-scheme", scheme)
}

// emulate has the page believe in a preference of its user, and in no other.
func (p *page) emulate(feature, value string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
	})
	p.must(err)
}

// screenshot writes what is to be seen to the folder $LSGO_SCREENSHOTS, or to the test's artifacts.
func (p *page) screenshot(name string) {
	p.t.Helper()
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	p.must(err)
	dir := os.Getenv("LSGO_SCREENSHOTS")
	if dir == "" {
		dir = p.t.ArtifactDir()
	}
	p.must(os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".png"), picture, 0o644))
}
