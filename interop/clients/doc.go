// Package clients is the part of the interoperability lab about clients: the official, unmodified Lightstreamer clients for Node.js, browsers,
// Python and Java do all they can with the Adapter Set TEST (package testset), behind our broker. Each is driven by a small program of its own, which
// takes commands and tells events (README.md), so that one table of capabilities serves them all.
//
// The lab itself is in the tests with the build tag interop; run it with "make interop", or one client with "make interop PEER=python".
package clients
