package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/demo"
)

// openDemoPage starts a demo and opens its page with a connection.
func openDemoPage(t *testing.T) (*demo.Running, *page) {
	t.Helper()
	repository(t)
	d := startDemo(t, demo.Config{})
	p := openPage(t, d.URL)
	p.awaitText("#state", "Connected over")
	return d, p
}

func TestPageShowsPrices(t *testing.T) {
	_, p := openDemoPage(t)
	p.awaitText("#state", "Connected over WS-STREAMING")
	p.await("a name and a price in each of 30 rows", `(() => {
		const rows = [...document.querySelectorAll('#stock-rows tr')];
		return rows.length === 30 && rows.every((row) =>
			!row.querySelector('th').textContent.startsWith('item') && Number(row.querySelector('.price').textContent) > 0);
	})()`)
	if name := eval[string](p, "document.querySelector('#item9 th').textContent"); name != "Isarbrück Motoren" {
		t.Errorf("item9 is called %q", name)
	}
	const prices = "[...document.querySelectorAll('#stock-rows .price')].map((cell) => cell.textContent)"
	eval[bool](p, "(window.before = "+prices+", true)")
	p.await("five prices to change", prices+".filter((price, i) => price !== before[i]).length >= 5")
	p.await("an arrow that tells the direction", "document.querySelectorAll('#stock-rows .arrow.up, #stock-rows .arrow.down').length >= 5")
	p.await("a rate of updates", "Number(document.getElementById('rate').textContent) > 5")
	if session := eval[string](p, "document.getElementById('session').textContent"); len(session) < 5 {
		t.Errorf("the session id on the page is %q", session)
	}
	if eval[bool](p, "!document.getElementById('notice').hidden") {
		t.Error("the page complains although everything works")
	}
	p.checkConsole()
}

func TestPageFlashesChanges(t *testing.T) {
	_, p := openDemoPage(t)
	p.await("a cell that is lit up", "document.getElementById('stock-rows').getAnimations({subtree: true}).length > 0")
}

// TestPageKeepsStill for those who want no motion: prices change without a flash.
func TestPageKeepsStill(t *testing.T) {
	_, p := openDemoPage(t)
	p.emulate("prefers-reduced-motion", "reduce")
	p.await("the flashes of before to end", "document.getAnimations().length === 0")
	const price = "document.querySelector('#item24 .price').textContent"
	eval[bool](p, "(window.before = "+price+", true)")
	p.await("a new price", price+" !== before")
	if n := eval[int](p, "document.getAnimations().length"); n > 0 {
		t.Errorf("%d cells flash", n)
	}
}

func TestPageTransports(t *testing.T) {
	_, p := openDemoPage(t)
	for _, transport := range []string{"HTTP-STREAMING", "WS-POLLING", "HTTP-POLLING", "WS-STREAMING"} {
		eval[bool](p, fmt.Sprintf("((s) => { s.value = %q; return s.dispatchEvent(new Event('change')); })(document.getElementById('transport'))", transport))
		p.awaitText("#state", "Connected over "+transport)
		const price = "document.querySelector('#item24 .price').textContent"
		eval[bool](p, "(window.before = "+price+", true)")
		p.await("a new price over "+transport, price+" !== before")
	}
	p.checkConsole()
}

func TestPageChat(t *testing.T) {
	_, p := openDemoPage(t)
	p.awaitText("#messages", "Welcome")
	const text = "<b>bold</b> & | plain"
	p.must(chromedp.Do(p.ctx, chromedp.SendKeys("#post-text", text+"\r")))
	p.awaitText("#messages", text)
	if eval[bool](p, "document.querySelector('#messages b') !== null") {
		t.Error("what was typed has become markup")
	}
	p.await("an empty input field", "document.getElementById('post-text').value === ''")
	if nick := eval[string](p, "[...document.querySelectorAll('#messages .who')].at(-1).textContent"); nick != "Chrome" {
		t.Errorf("the message is from %q", nick)
	}
}

func TestPagePortfolio(t *testing.T) {
	_, p := openDemoPage(t)
	cell := func(key string, n int) string {
		return fmt.Sprintf("document.querySelector('#positions tr[data-key=%s]')?.children[%d].textContent", key, n)
	}
	p.await("quantity and price of what is held", cell("item3", 1)+" === '1,200' && Number("+cell("item3", 2)+") > 0")
	p.await("the name, from the second level", cell("item3", 0)+" === 'Caravelle Shipping'")
	order := func(item string, quantity int, verb string) {
		t.Helper()
		eval[bool](p, fmt.Sprintf("(document.getElementById('order-stock').value = %q, document.getElementById('order-quantity').value = %d, true)", item, quantity))
		p.must(chromedp.Do(p.ctx, chromedp.Click("#order button[value="+verb+"]")))
	}
	order("item3", 100, "BUY")
	p.await("the larger position", cell("item3", 1)+" === '1,300'")
	p.awaitText("#order-outcome", "Bought 100 Caravelle Shipping.")
	order("item30", 1, "SELL")
	p.awaitText("#order-outcome", "does not hold item30")
	order("item30", 7, "BUY")
	p.await("a new row with its value", cell("item30", 1)+" === '7' && parseFloat("+cell("item30", 3)+") > 0")
	order("item30", 7, "SELL")
	p.await("the row to go", cell("item30", 1)+" === undefined")
	for _, item := range []string{"item3", "item8", "item24"} {
		order(item, 10_000, "SELL")
		p.await("the end of "+item, cell(item, 1)+" === undefined")
	}
	p.awaitText("#positions", "Nothing held")
}

// TestPageWithoutBroker ends the demo under the page, and starts it again.
func TestPageWithoutBroker(t *testing.T) {
	d, p := openDemoPage(t)
	p.screenshotAt("connected", 1280, 800, "light")
	d.Close()
	p.awaitText("#notice-title", "trying again …")
	p.await("the notice to be seen", "!document.getElementById('notice').hidden")
	p.screenshotAt("broker away", 390, 844, "light")
	p.must(chromedp.Do(p.ctx, chromedp.SendKeys("#post-text", "anybody there?\r")))
	p.awaitText("#post-outcome", "Not connected")

	address, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	startDemo(t, demo.Config{HTTP: address.Host})
	p.awaitText("#state", "Connected over")
	p.await("the notice to go", "document.getElementById('notice').hidden")
	const price = "document.querySelector('#item24 .price').textContent"
	eval[bool](p, "(window.before = "+price+", true)")
	p.await("prices to move again", price+" !== before")
}

// TestPageWithoutLibrary opens the page while the npm package is missing, and installs it under the open page.
func TestPageWithoutLibrary(t *testing.T) {
	installed := filepath.Join(repository(t), "node_modules", "lightstreamer-client-web")
	clientWeb := filepath.Join(t.TempDir(), "lightstreamer-client-web")
	d := startDemo(t, demo.Config{ClientWeb: clientWeb})
	p := openPage(t, d.URL)
	p.awaitText("#notice-title", "not installed")
	p.awaitText("#notice-code", "npm ci")
	p.await("empty rows", "document.querySelectorAll('#stock-rows tr').length === 30")
	p.screenshotAt("library missing", 1280, 800, "light")
	if err := os.Symlink(installed, clientWeb); err != nil {
		t.Fatal(err)
	}
	p.awaitText("#state", "Connected over")
}

// TestPageLooks takes pictures for a person to look at, and checks what a program can: nothing sticks out sideways and no
// control is too small for a finger.
func TestPageLooks(t *testing.T) {
	_, p := openDemoPage(t)
	p.awaitText("#item30 th", "Mining")
	p.awaitText("#positions", "Caravelle Shipping")
	p.await("a rate of updates", "Number(document.getElementById('rate').textContent) > 5")
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"phone", 390, 844}, {"tablet", 820, 1180}, {"desktop", 1280, 800}} {
		for _, scheme := range []string{"light", "dark"} {
			p.screenshotAt(size.name+" "+scheme, size.width, size.height, scheme)
			if wide := eval[int](p, "document.documentElement.scrollWidth"); wide > int(size.width) {
				t.Errorf("%s: the page is %d pixels wide", size.name, wide)
			}
			if want, got := scheme == "dark", eval[bool](p, "matchMedia('(prefers-color-scheme: dark)').matches"); want != got {
				t.Errorf("%s is not in force", scheme)
			}
		}
		clipped := eval[[]string](p, `[...document.querySelectorAll('#stock-rows td, #positions td, #total')]
			.filter((cell) => cell.offsetParent && cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)`)
		small := eval[[]string](p, `[...document.querySelectorAll('a, button, input, select')]
			.filter((control) => control.offsetParent && control.getBoundingClientRect().height < 24).map((control) => control.outerHTML)`)
		if len(small) > 0 {
			t.Errorf("%s: controls are too small: %s", size.name, strings.Join(small, ", "))
		}
		if len(clipped) > 0 {
			t.Errorf("%s: numbers are cut off: %s", size.name, strings.Join(clipped, ", "))
		}
	}
}

func (p *page) screenshotAt(name string, width, height int64, scheme string) {
	p.t.Helper()
	p.show(width, height, scheme)
	p.screenshot(name)
}
