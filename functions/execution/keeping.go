package execution

import "errors"

// MaxPartBytes is the most that a request or an answer may take as JSON in the table, in bytes. An item of DynamoDB holds
// 400 KB, of which attributes' names and keys take little; reading and writing costs by size.
const MaxPartBytes = 300 << 10

// Errors of whoever keeps executions.
var (
	// ErrNotFound is the error of reading what is not there, or not any more.
	ErrNotFound = errors.New("execution: not found")

	// ErrChanged is the error of writing an execution that somebody else has written since it was read.
	ErrChanged = errors.New("execution: it has changed since it was read")

	// ErrTooLarge is the error of a request or an answer of more than MaxPartBytes.
	ErrTooLarge = errors.New("execution: the part is too large for the table")
)

// ItemID is the id of the item of the execution with a name, in a table whose ids begin with prefix.
func ItemID(prefix, name string) string { return prefix + "#execution:" + name }
