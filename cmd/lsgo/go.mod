module github.com/lightstreamer-go/lightstreamer/cmd/lsgo

go 1.26
