// Package cloudformation reads a synthesised cloud assembly and says what has to run: functions, tables, state machines,
// secrets, buckets, queues, event sources and function URLs, with every reference between them resolved.
//
// It knows what the stacks of this project are made of, and what stands around them in those of others. A resource type, a
// property or an intrinsic function that it does not know is named and refused, because a stack that runs with a part left
// out is not that stack; unless the part is one that is to be left out. See [Options.Skip]. Permissions are accepted and not
// judged: roles, policies, those of buckets and queues among them, and what functions permit.
//
// Alarms, networks, topics and their like are left out unasked, since nothing here does what they are for, and so are
// functions in languages that cannot be run here. What refers to one of them is told a name in the place of its own. See
// [LeftOut].
package cloudformation
