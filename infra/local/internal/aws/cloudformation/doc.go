// Package cloudformation reads a synthesised cloud assembly and says what has to run: functions, tables, state machines,
// secrets, buckets, queues, event sources and function URLs, with every reference between them resolved.
//
// It knows what the stacks of this project are made of. A resource type, a property or an intrinsic function that it
// does not know is named and refused, because a stack that runs with a part left out is not that stack. Permissions are
// accepted and not judged: roles, policies, those of buckets and queues among them, and what functions permit.
package cloudformation
