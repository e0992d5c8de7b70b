package asl_test

import (
	"context"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stepfunctions/asl"
)

func TestAPassStateHandsOnItsInput(t *testing.T) {
	m, err := asl.Parse([]byte(`{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Run(context.Background(), []byte(`{"a": 1.0}`), asl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != asl.Succeeded || r.Output != `{"a":1.0}` {
		t.Fatalf("%+v", r)
	}
}
