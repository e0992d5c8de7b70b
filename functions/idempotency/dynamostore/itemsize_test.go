package dynamostore_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
)

// An updated is a client that counts updates.
type updated struct {
	fake
	updates int
}

func (u *updated) UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	u.updates++
	return &dynamodb.UpdateItemOutput{}, nil
}

func TestTheSizeOfAnItemIsThatOfItsNamesAndItsValues(t *testing.T) {
	// The names id, status, expiration, owner and data take 27 bytes; the values r, COMPLETED, a number of ten digits
	// and me take 19. An item has 409,600 at most.
	for length, fits := range map[int]bool{409_554: true, 409_555: false} {
		client := new(updated)
		err := dynamostore.New(client, "table").Complete(t.Context(), idempotency.Record{
			ID: "r", Owner: "me", Expiration: now, Data: json.RawMessage(`"` + strings.Repeat("x", length-2) + `"`),
		})
		if stored := client.updates == 1; stored != fits || errors.Is(err, idempotency.ErrTooLarge) == fits {
			t.Errorf("data of %d bytes was sent: %v, want %v, and the error is %v", length, stored, fits, err)
		}
	}
}
