// Package gatestore keeps the items of package gate in a DynamoDB table.
//
// It can be the table of package idempotency's records: the partition key is `id`, a string, and `expiration` the
// time-to-live attribute. The ids of items begin with [gate.ItemPrefix]. Whoever only needs the gate needs dynamodb:GetItem
// and UpdateItem on the table, with the condition dynamodb:LeadingKeys "gate#*".
//
// Each operation is one request, which is never repeated: an UpdateItem with a condition, or a GetItem that is eventually
// consistent. An item has about 300 bytes, so that an update costs one write unit and a look half a read unit. An update
// whose condition fails costs a write unit, too, and brings the item.
package gatestore
