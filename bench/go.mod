module github.com/lightstreamer-go/lightstreamer/bench

go 1.26.0

require github.com/lightstreamer-go/lightstreamer v0.0.0

require github.com/coder/websocket v1.8.15 // indirect
