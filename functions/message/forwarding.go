package message

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Forwarding says which requests go upstream, and which of their fields. The gateway asks it about a request that
// comes in, and a proxy about one that goes out, since an envelope may have been written by somebody else. The zero value
// forwards every method but TRACE, and every path.
type Forwarding struct {
	methods []string
	paths   []allowedPath
	aws     bool // requests are signed for AWS
	async   bool // requests can be asynchronous
}

// ForwardingFrom reads what the environment allows. The error lists all that is wrong with it.
func ForwardingFrom(getenv func(string) string) (Forwarding, error) {
	var f Forwarding
	var problems []error
	isSeparator := func(r rune) bool { return r == ',' || r == ' ' }
	for _, method := range strings.FieldsFunc(getenv(AllowedMethodsVariable), isSeparator) {
		if err := CheckAllowedMethod(method); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", AllowedMethodsVariable, err))
		}
		f.methods = append(f.methods, method)
	}
	for path := range strings.FieldsSeq(getenv(AllowedPathsVariable)) { // a comma may stand in a path
		if err := CheckAllowedPath(path); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", AllowedPathsVariable, err))
			continue
		}
		f.paths = append(f.paths, newAllowedPath(path))
	}
	for name, flag := range map[string]*bool{AWSFieldsVariable: &f.aws, AsyncVariable: &f.async} {
		switch text := getenv(name); text {
		case "", "false":
		case "true":
			*flag = true
		default:
			problems = append(problems, fmt.Errorf("%s is %q; it must be true or false", name, text))
		}
	}
	return f, errors.Join(problems...)
}

// AWS says whether fields that are meant for AWS, such as X-Amz-Target, go upstream.
func (f Forwarding) AWS() bool { return f.aws }

// Async says whether requests can be asynchronous, so that the preference respond-async is the gateway's.
func (f Forwarding) Async() bool { return f.async }

// CheckAllowedMethod says what is wrong with a method that is to be allowed.
func CheckAllowedMethod(method string) error {
	switch {
	case !IsToken(method):
		return fmt.Errorf("%q is not a method such as GET", method)
	case strings.EqualFold(method, http.MethodConnect):
		return fmt.Errorf("%q cannot be forwarded", method)
	case method != strings.ToUpper(method):
		return fmt.Errorf("%q is not in capitals, and methods are told apart by them; give %s", method, strings.ToUpper(method))
	}
	return nil
}

// A Refusal says why a request does not go upstream.
type Refusal struct {
	// Status is 400 for a request that cannot be forwarded, 403 for a path and 405 for a method that is not allowed.
	Status int

	// Detail is a sentence for people, in printable ASCII.
	Detail string
}

func refuse(status int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Detail: fmt.Sprintf(format, args...)}
}

// Refuse says why a request does not go upstream, or nothing if it does.
func (f Forwarding) Refuse(r *Request) *Refusal {
	if !IsToken(r.Method) || strings.EqualFold(r.Method, http.MethodConnect) {
		return refuse(http.StatusBadRequest, "The method %+q is not one that can be forwarded.", r.Method)
	}
	if !f.allows(r.Method) {
		return refuse(http.StatusMethodNotAllowed, "The method %s is not forwarded here.", r.Method)
	}
	if reason := RefusedPath(r.Path); reason != "" {
		return refuse(http.StatusBadRequest, "The path %s.", reason)
	}
	if hasControl(r.Query) || strings.ContainsAny(r.Query, " #") {
		return refuse(http.StatusBadRequest, "The query holds control characters, spaces or a number sign, which have to be escaped.")
	}
	for name, value := range r.Headers {
		switch {
		case !IsToken(name):
			return refuse(http.StatusBadRequest, "A header field has the name %+q, which is not a token.", name)
		case hasControl(strings.ReplaceAll(value, "\t", " ")):
			return refuse(http.StatusBadRequest, "The header field %s holds control characters.", name)
		}
	}
	if !f.allowsPath(r.Path) {
		return refuse(http.StatusForbidden, "The path is not below one that is forwarded here.")
	}
	return f.refuseOverrides(r)
}

// usualMethods are what is said to be allowed where no methods are named. Others are as well.
var usualMethods = []string{
	http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost, http.MethodPut,
}

// Allow lists the methods that are forwarded, for the field of that name (RFC 9110 section 10.2.1).
func (f Forwarding) Allow() string {
	if len(f.methods) == 0 {
		return strings.Join(usualMethods, ", ")
	}
	return strings.Join(f.methods, ", ")
}

// allows says whether a method is forwarded. TRACE has to be named: whoever answers it sends the request back, with all that
// was added to it on the way.
func (f Forwarding) allows(method string) bool {
	if len(f.methods) == 0 {
		return !strings.EqualFold(method, http.MethodTrace)
	}
	return slices.Contains(f.methods, method)
}

// allowsPath says whether a path lies below one that is allowed.
func (f Forwarding) allowsPath(path string) bool {
	return len(f.paths) == 0 || slices.ContainsFunc(f.paths, func(allowed allowedPath) bool { return allowed.above(path) })
}

// methodOverrides are the fields by which many frameworks take another method than that of the request.
var methodOverrides = []string{"x-http-method-override", "x-http-method", "x-method-override"}

// pathOverrides are the fields by which some servers take another path than that of the request.
var pathOverrides = []string{"x-original-url", "x-rewrite-url", "x-original-uri", "x-override-url"}

// refuseOverrides refuses a request whose fields ask for another method or path than the one that was looked at. Left out,
// they would make another request of it.
func (f Forwarding) refuseOverrides(r *Request) *Refusal {
	for name, value := range r.Headers {
		name = plainName(name)
		switch {
		case slices.Contains(methodOverrides, name):
			for _, method := range Members(value) {
				if !f.allows(strings.ToUpper(method)) {
					return refuse(http.StatusMethodNotAllowed, "The method %+q, which the header field %s asks for, is not forwarded here.", method, name)
				}
			}
		case len(f.paths) > 0 && slices.Contains(pathOverrides, name):
			return refuse(http.StatusForbidden, "The header field %s asks for another path. Only some paths are forwarded here.", name)
		case len(f.paths) > 0 && name == "destination" && (r.Method == "COPY" || r.Method == "MOVE"):
			return refuse(http.StatusForbidden, "The header field destination names another path. Only some paths are forwarded here.")
		}
	}
	return nil
}

// notForwarded are the fields that do not go upstream: those of one connection (RFC 9110 section 7.6.1), those that are
// written anew for the upstream, and one that says how the request came here.
var notForwarded = []string{
	"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
	"transfer-encoding", "upgrade",
	"host", "content-length", "expect",
	"forwarded",
}

// prefixesNotForwarded start the names of the fields that say how a request came here and who sent it. Only the function
// URL, and what stands before it, may say so, and only to the gateway.
var prefixesNotForwarded = []string{"x-amzn-", "x-forwarded-"}

// signaturePrefix starts the names of the fields that sign a request to the function URL, and of others that are for services
// of AWS.
const signaturePrefix = "x-amz-"

// ofSignature are those that belong to a signature (Signature Version 4). Whoever signs anew writes them anew.
var ofSignature = []string{
	"x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "x-amz-region-set", "x-amz-algorithm", "x-amz-credential", "x-amz-expires",
	"x-amz-signedheaders", "x-amz-signature", "x-amz-decoded-content-length", "x-amz-trailer",
}

// RemoveFields removes the fields that do not go upstream from those of a request.
func (f Forwarding) RemoveFields(headers map[string]string) {
	var options []string
	for name, value := range headers {
		if strings.EqualFold(name, "connection") {
			for _, option := range Members(value) {
				options = append(options, strings.ToLower(option))
			}
		}
	}
	for name := range headers {
		if slices.Contains(options, strings.ToLower(name)) || !f.forwards(plainName(name)) {
			delete(headers, name)
		}
	}
}

// forwards says whether a field goes upstream.
func (f Forwarding) forwards(name string) bool {
	return !slices.Contains(notForwarded, name) &&
		!slices.ContainsFunc(prefixesNotForwarded, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) &&
		(!strings.HasPrefix(name, signaturePrefix) || f.aws && !slices.Contains(ofSignature, name))
}

// plainName is the name of a field as servers may read it. To those that make variables of fields, as RFC 3875 section
// 4.1.18 has it, X_Forwarded_For is the same as X-Forwarded-For.
func plainName(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }
