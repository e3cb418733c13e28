// Package adaptersxml reads adapters.xml, the file that configures one Adapter Set of a Lightstreamer Server: its Metadata
// Adapter, its Data Adapters and, for the remote ones, the Proxy Adapter that stands in for each.
//
// [Read] gives a typed [Set] with every default filled in, or all mistakes of the file at once, each a [*Problem] with its
// line and column. What the server would ignore (a misspelt parameter, one that has no effect next to another) is a
// warning: it does not fail the reading and is found in Set.Warnings. [Check] reports both, for tools.
//
// The same file is meant to work on Lightstreamer Server, so names, defaults and checks are its own. The differences:
//
//   - both spellings of booleans are taken everywhere: Y and N, true and false;
//   - the keystore and truststore type PEM is taken besides JKS, PKCS12 and PKCS11;
//   - an adapter_class that runs inside the server's JVM is refused, except LiteralBasedProvider, which is described well
//     enough by its parameters;
//   - white space around the text of elements and parameters is dropped.
//
// Everything here is synchronous and free of shared state; a Set is plain data and may be read from any goroutine.
package adaptersxml
