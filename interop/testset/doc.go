// Package testset is the Adapter Set TEST: something to try everything on that a Lightstreamer client can do. It is written as any user of package adapter
// would write it, and can be plugged into a broker of ours ([Start], and the command interop/cmd/testset) or, with the adapters.xml of this folder, into
// Lightstreamer Server.
//
//	Data Adapter       item                          mode              what it does
//	COUNT              count                         MERGE             field count: a decimal integer that grows by 1 ten times a second
//	JSON_COUNT         count                         MERGE             the same in a JSON object, declared JSON Patch
//	DIFF_COUNT         count                         MERGE             the same in a sentence, declared diff-match-patch
//	MULT_TABLE         mult_table                    COMMAND           value2 is key × value1; rows change, go and come back
//	TWO_LEVEL_COMMAND  two_level_command_count…      COMMAND           one row, whose key is the item of COUNT
//	STRANGE_NAMES      any other                     all but COMMAND   each field that a client asked for tells its name, the item's, and a number
//	CLEAR_SNAPSHOT     clear_snapshot                all but RAW       three rows, or events, and then nothing is left, again and again
//	END_OF_SNAPSHOT    end_of_snapshot               DISTINCT COMMAND  a snapshot that takes its time, then live events
//	OVERFLOW           overflow                      all but COMMAND   field value: 500 updates a second of about 100 bytes
//
// The Metadata Adapter limits every session to [MaxBandwidth]; the group empty_group has no items; the message [RefusedMessage] is refused with
// [RefusalCode] and [RefusalText], the message [AnsweredMessage] is answered with [Answer], every other one is accepted.
package testset
