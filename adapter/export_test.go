package adapter

// MergeFields is mergeFields, for tests.
var MergeFields = mergeFields
