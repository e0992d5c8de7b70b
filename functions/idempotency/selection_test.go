package idempotency_test

import (
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestASelectionIsTheCanonicalFormOfAPartOfADocument(t *testing.T) {
	s, err := idempotency.NewSelection("[order.id, amount]")
	if err != nil {
		t.Fatal(err)
	}
	for document, want := range map[string]string{
		`{"amount":12.0,"order":{"id":"é","at":1}}`: `["\u00e9", 12.0]`,
		`{"other":1}`: `[null, null]`,
		`[]`:          `[null, null]`,
	} {
		if got, err := s.Canonical([]byte(document)); string(got) != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", document, got, err, want)
		}
	}
	if got, err := s.Canonical([]byte(`{"order":`)); err == nil || got != nil {
		t.Errorf("half a document: %s, %v", got, err)
	}
	if _, err := idempotency.NewSelection("unknown(@)"); err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("an unknown function: %v", err)
	}
}
