// Package redisstore keeps idempotency records in Redis or Valkey, such as in Amazon ElastiCache or MemoryDB. It depends on no
// client: [New] takes a function that has the server run a script, which is a line with any client.
//
//	github.com/redis/go-redis/v9
//
//	redisstore.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
//		return client.Eval(ctx, script, keys, args).Result()
//	})
//
//	github.com/valkey-io/valkey-go
//
//	redisstore.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
//		eval := client.B().Eval().Script(script).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
//		return client.Do(ctx, eval).ToAny()
//	})
//
// A record is a string, its key the record's ID. It is JSON with the members that package recordformat names, as
// Powertools for AWS Lambda (Python) writes it to Redis, with owner and reference added. Every operation is one script
// on one key, and therefore atomic, in a cluster too. Scripts use no time of the server but for the expiry of keys, which comes
// a minute after the record's.
//
// Redis can lose what DynamoDB cannot, and a record that is lost lets its operation run again. Have the server keep
// records: maxmemory-policy noeviction, since any other evicts live records when memory is short; and where a run more
// does harm, a server that answers after a write is durable, such as MemoryDB. With replication that is asynchronous, a
// failover forgets the last writes.
package redisstore
