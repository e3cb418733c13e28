// Package interop is the interoperability lab: official Lightstreamer software, installed from its registries in pinned
// versions, on both sides of the broker and of the SDK. The lab itself is in the tests with the build tag interop; run it
// with "make interop", or one peer with "make interop PEER=python".
//
// The package holds what is common to all parts of the lab: the [Report], in which each part has a [Table] of peers and
// capabilities.
package interop
