package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

const (
	// addressAge is how long a proxy takes its address for the one that it has. Lambda moves a sandbox to no other, and a NAT
	// gateway keeps its own, but neither is promised.
	addressAge = 1 * time.Hour

	// addressPause is how long it is until the address is asked for again where that was in vain.
	addressPause = 1 * time.Minute

	// addressTimeout bounds one such request, and maxAddressBody is the most that is read of its answer, in bytes.
	addressTimeout = 5 * time.Second
	maxAddressBody = 1 << 10
)

// An ownAddress finds out from which address the proxy calls, by asking a URL that answers with it. It is safe for concurrent use.
//
// It asks beside an attempt, and no attempt waits for it: what it finds is told of the attempts that end after that. Lambda freezes
// the sandbox when the invocation has been answered, and a request that is under way then goes on with the next invocation, or
// finds its connection broken, which is as if it had been in vain. Nothing depends on it.
type ownAddress struct {
	url       string // empty asks nobody
	transport http.RoundTripper
	clock     Clock
	log       *slog.Logger

	mu      sync.Mutex
	address string // empty while it is not known
	next    time.Time
	asking  bool
	settled sync.WaitGroup // of requests, for tests
}

func newOwnAddress(s settings, d Dependencies) *ownAddress {
	return &ownAddress{url: s.addressProbe, transport: newTokenTransport(d.Dial, s.authorities), clock: d.Clock, log: d.Log}
}

// known is the address, or empty if it is not known.
func (a *ownAddress) known() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.address
}

// look begins to ask for the address, if it is time to.
func (a *ownAddress) look() {
	if a.url == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asking || a.clock.Now().Before(a.next) {
		return
	}
	a.asking = true
	a.settled.Go(func() {
		// Not that of the invocation, which ends before.
		ctx, cancel := context.WithTimeout(context.Background(), addressTimeout)
		defer cancel()
		found, err := a.ask(ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.asking, a.address, a.next = false, found, a.clock.Now().Add(addressAge)
		if err != nil {
			a.next = a.clock.Now().Add(addressPause)
			a.log.LogAttrs(ctx, slog.LevelWarn, "the address of the proxy could not be found out", slog.String("error", err.Error()))
		}
	})
}

// ask asks once, and follows no redirect.
func (a *ownAddress) ask(ctx context.Context) (string, error) {
	trace := new(retry.Trace)
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace.ClientTrace()), http.MethodGet, a.url, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", "text/plain, application/json")
	request.Header.Set("User-Agent", "retrying-api-proxy")
	answer, err := a.transport.RoundTrip(request)
	if err != nil {
		failure := retry.ClassifyFailure(err, trace) // which quotes nothing of what was received
		return "", fmt.Errorf("%s: %s", failure.Type, failure.Details)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("it is answered with %d, want 200", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAddressBody+1))
	if err != nil {
		return "", errors.New("the answer breaks off")
	}
	return addressIn(body)
}

// errNoAddress is the error of an answer without an address. It quotes nothing of it.
var errNoAddress = errors.New("the answer is no IP address, nor a JSON object with one as its member ip or origin")

// addressIn reads an address, from text or from a JSON object.
func addressIn(body []byte) (string, error) {
	if len(body) > maxAddressBody {
		return "", fmt.Errorf("the answer has more than %d bytes", maxAddressBody)
	}
	text := string(body)
	var told struct{ IP, Origin string }
	if json.Unmarshal(body, &told) == nil {
		if text = told.IP; text == "" {
			text = told.Origin
		}
	}
	address, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil || address.Zone() != "" {
		return "", errNoAddress
	}
	return address.Unmap().String(), nil
}
