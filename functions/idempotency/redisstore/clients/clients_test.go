package clients

import (
	"context"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/valkey-io/valkey-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/redisstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/storetest"
)

func TestTheStoreKeepsTheContractWithGoRedis(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	storetest.Run(t, func(*testing.T) idempotency.Store {
		return redisstore.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
			return client.Eval(ctx, script, keys, args).Result()
		})
	})
}

func TestTheStoreKeepsTheContractWithScriptsThatGoRedisCachesOnTheServer(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	storetest.Run(t, func(*testing.T) idempotency.Store {
		return redisstore.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
			return redis.NewScript(script).Run(ctx, client, keys, args).Result()
		})
	})
}

func TestTheStoreKeepsTheContractWithValkeyGo(t *testing.T) {
	t.Parallel()
	client, err := valkey.NewClient(valkey.ClientOption{
		InitAddress:  []string{miniredis.RunT(t).Addr()},
		DisableCache: true, // miniredis has no CLIENT TRACKING
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	storetest.Run(t, func(*testing.T) idempotency.Store {
		return redisstore.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
			eval := client.B().Eval().Script(script).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
			return client.Do(ctx, eval).ToAny()
		})
	})
}
