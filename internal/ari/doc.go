// Package ari is the line protocol between a Lightstreamer server and the adapters that run in another process (Adapter
// Remoting Infrastructure), versions 1.8.0 to 1.9.1, for both ends: the Remote Server, which hosts the adapter, and the
// Proxy Adapter, which plays an adapter towards the server.
//
// Everything here is a pure function over bytes: no I/O, no goroutines, no clock. A reader puts what it received into a
// [LineBuffer], takes lines out of it, splits each with [ParseLine] and hands the body to the parser of the method. A
// writer calls the Append function of the message on its own buffer and adds [EOL].
//
// # What callers can rely on
//
// Append functions append one whole line without its end and return the extended slice, as append does. They allocate
// only when dst has to grow. Identifiers (request ids, subscription ids) are written as they are; they must not be empty
// and must not hold '|', CR or LF. Every other string may hold anything.
//
// Parse functions are total: any bytes give a value or a [*MalformedError], and memory stays in proportion to the bytes
// given, whatever counts they announce. Values hold copies; only [Line] and the lines of a [LineBuffer] refer to the
// caller's bytes. A parser skips empty tokens and ignores tokens beyond those it knows; it compares type tags exactly.
//
// Functions are safe for concurrent use; a LineBuffer belongs to one goroutine.
//
// # Strings
//
// Two encodings exist. [Legacy] is that of HTML forms. [Smart] escapes five characters only. Which one applies is a
// matter of method and version, see [Method.Encoding]. The bytes of a string that are not UTF-8 travel as U+FFFD.
package ari
