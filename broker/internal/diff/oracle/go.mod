module github.com/lightstreamer-go/lightstreamer/broker/internal/diff/oracle

go 1.26.0

// broker/internal/diff is taken from the workspace.
require github.com/lightstreamer-go/lightstreamer v0.0.0

require (
	github.com/evanphx/json-patch/v5 v5.9.11
	github.com/sergi/go-diff v1.4.0
)
