package triggers

import (
	"errors"
	"fmt"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// problems is all that is wrong with the props of a trigger.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

// check panics with all problems of a trigger, if there are any.
func (p problems) check(kind string, id *string, proxy *apiproxy.RetryingApiProxy) {
	if proxy == nil {
		p.add("Proxy is nil; give the RetryingApiProxy that the requests go through")
	}
	if err := errors.Join(p...); err != nil {
		panic(fmt.Sprintf("%s %q cannot be built:\n%v", kind, *id, err))
	}
}
