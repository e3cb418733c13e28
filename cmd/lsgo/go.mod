module github.com/lightstreamer-go/lightstreamer/cmd/lsgo

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/lightstreamer-go/lightstreamer v0.0.0
	github.com/pelletier/go-toml/v2 v2.4.3
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
)
