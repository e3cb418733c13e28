module github.com/lightstreamer-go/lightstreamer/bench

go 1.26

require github.com/lightstreamer-go/lightstreamer v0.0.0
