package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// measured keeps the sum and the maximum of metrics, by function and name.
type measured struct {
	mu   sync.Mutex
	sum  map[string]float64
	most map[string]float64
}

func (m *measured) add(value lambda.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sum == nil {
		m.sum, m.most = map[string]float64{}, map[string]float64{}
	}
	key := value.Function + "/" + value.Name
	m.sum[key] += value.Value
	m.most[key] = max(m.most[key], value.Value)
}

func (m *measured) expect(t *testing.T, of string, values map[string]float64, want map[string]float64) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, value := range want {
		if values[key] != value {
			t.Errorf("the %s of %s is %v, want %v", of, key, values[key], value)
		}
	}
}

func TestInvocationsErrorsThrottlesAndConcurrencyAreMeasured(t *testing.T) {
	t.Parallel()
	var logged logs
	var m measured
	host := newHost(t, lambda.Config{Log: logged.add, Metric: m.add, Concurrency: 2}, echo())
	results, release := heldInvocations(t, host, &logged, 2)
	if _, err := host.Invoke(context.Background(), "echo", nil); !errors.Is(err, lambda.ErrTooManyRequests) {
		t.Fatalf("the third at once: %v", err)
	}
	release()
	<-results
	<-results
	if result, err := host.Invoke(context.Background(), "echo", []byte(`{"exit":3}`)); err != nil || result.FunctionError == "" {
		t.Fatalf("a process that exits: %v %s", err, result.Payload)
	}
	m.expect(t, "sum", m.sum, map[string]float64{"echo/Invocations": 3, "echo/Errors": 1, "echo/Throttles": 1})
	m.expect(t, "maximum", m.most, map[string]float64{"echo/ConcurrentExecutions": 2, "/ConcurrentExecutions": 2})
	if m.sum["echo/Duration"] <= 0 {
		t.Errorf("the durations are %v", m.sum["echo/Duration"])
	}
}

func TestRequestsOfAURLAreMeasuredByTheirStatus(t *testing.T) {
	t.Parallel()
	var m measured
	host := newHost(t, lambda.Config{Metric: m.add}, echo())
	url := lambda.FunctionURL(host, "echo", lambda.URLConfig{AuthType: lambda.AuthIAM})
	url.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) // without a signature: 403, and not invoked
	m.expect(t, "sum", m.sum, map[string]float64{"echo/UrlRequestCount": 1, "echo/Url4xxCount": 1, "echo/Url5xxCount": 0, "echo/Invocations": 0})
	if _, measured := m.sum["echo/UrlRequestLatency"]; !measured {
		t.Errorf("measured are %s", fmt.Sprint(m.sum))
	}
}
