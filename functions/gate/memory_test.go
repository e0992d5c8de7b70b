package gate_test

import (
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate/gatetest"
)

func TestTheMemoryStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	gatetest.Run(t, func(t *testing.T) gate.Store { return &gate.MemoryStore{} })
}
