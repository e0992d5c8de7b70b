package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// urlEvent is an event of payload format 2.0 with the members that the type of the Lambda library does not have.
type urlEvent struct {
	events.LambdaFunctionURLRequest
	RouteKey       string     `json:"routeKey"`
	RequestContext urlContext `json:"requestContext"`
}

type urlContext struct {
	events.LambdaFunctionURLRequestContext
	RouteKey string `json:"routeKey"`
	Stage    string `json:"stage"`
}

const (
	defaultRoute = "$default"

	// anonymousAccount is the accountId of requests that are not signed.
	anonymousAccount = "anonymous"
)

// event returns the event for a request, as JSON.
func (u *functionURL) event(r *http.Request, request Request, body []byte, accessKey string) []byte {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	now := u.host.config.Now().UTC()
	sourceIP, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		sourceIP = r.RemoteAddr
	}
	e := urlEvent{RouteKey: defaultRoute}
	e.Version = "2.0"
	e.RawPath = path
	e.RawQueryString = r.URL.RawQuery
	e.QueryStringParameters = queryParameters(r.URL.RawQuery)
	e.Headers, e.Cookies = urlHeaders(r, sourceIP, traceRoot(request.TraceID), len(body))
	if len(body) > 0 {
		e.IsBase64Encoded = !textual(r.Header.Get("Content-Type"), body)
		if e.IsBase64Encoded {
			e.Body = base64.StdEncoding.EncodeToString(body)
		} else {
			e.Body = string(body)
		}
	}
	e.RequestContext = urlContext{RouteKey: defaultRoute, Stage: defaultRoute}
	c := &e.RequestContext.LambdaFunctionURLRequestContext
	c.AccountID = anonymousAccount
	c.RequestID = request.id
	c.APIID = u.config.URLID
	c.DomainName = r.Host
	c.DomainPrefix = u.config.URLID
	c.Time = now.Format("02/Jan/2006:15:04:05 -0700")
	c.TimeEpoch = now.UnixMilli()
	c.HTTP = events.LambdaFunctionURLRequestContextHTTPDescription{
		Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: sourceIP, UserAgent: r.UserAgent(),
	}
	if accessKey != "" {
		account := u.host.config.AccountID
		c.AccountID = account
		c.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{
			IAM: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{
				AccessKey: accessKey,
				AccountID: account,
				CallerID:  userID(accessKey),
				UserARN:   "arn:aws:iam::" + account + ":user/" + accessKey,
				UserID:    userID(accessKey),
			},
		}
	}
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	encoder.Encode(e) // strings and numbers only: it cannot fail
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'})
}

// userID makes a stable identity of an access key: who signs with another key is somebody else.
func userID(accessKey string) string { return "AIDA" + accessKey }

// hopHeaders end at the URL and are not part of an event (RFC 9110, 7.6.1).
var hopHeaders = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true, "proxy-authenticate": true,
	"proxy-authorization": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true, "expect": true,
}

// urlHeaders returns headers and cookies of an event.
func urlHeaders(r *http.Request, sourceIP, trace string, length int) (headers map[string]string, cookies []string) {
	headers = make(map[string]string, len(r.Header)+8)
	for name, values := range r.Header {
		if name = strings.ToLower(name); !hopHeaders[name] {
			headers[name] = strings.Join(values, ",")
		}
	}
	for name := range strings.SplitSeq(strings.Join(r.Header["Connection"], ","), ",") {
		delete(headers, strings.ToLower(strings.TrimSpace(name)))
	}
	delete(headers, "cookie")
	for _, line := range r.Header["Cookie"] {
		for cookie := range strings.SplitSeq(line, ";") {
			if cookie = strings.TrimSpace(cookie); cookie != "" {
				cookies = append(cookies, cookie)
			}
		}
	}
	headers["host"] = r.Host
	if length > 0 {
		// A chunked body has a length by now.
		headers["content-length"] = strconv.Itoa(length)
	}
	scheme, port := "http", "80"
	if r.TLS != nil {
		scheme, port = "https", "443"
	}
	if _, given, err := net.SplitHostPort(r.Host); err == nil {
		port = given
	}
	headers["x-forwarded-for"] = strings.TrimPrefix(headers["x-forwarded-for"]+", "+sourceIP, ", ")
	headers["x-forwarded-proto"] = scheme
	headers["x-forwarded-port"] = port
	headers["x-amzn-trace-id"] = trace
	return headers, cookies
}

// queryParameters decodes a query; repeated names are joined by commas.
func queryParameters(query string) map[string]string {
	if query == "" {
		return nil
	}
	parameters := make(map[string]string)
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		if before, repeated := parameters[name]; repeated {
			value = before + "," + value
		}
		parameters[name] = value
	}
	return parameters
}

// unescape decodes a name or value of a query, and leaves it as it is when it is malformed.
func unescape(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil && utf8.ValidString(decoded) {
		return decoded
	}
	return s
}

// textual reports whether a body travels as text.
func textual(contentType string, body []byte) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil && mediaType == "" {
		return false
	}
	switch {
	case strings.HasPrefix(mediaType, "text/"):
	case mediaType == "application/json", mediaType == "application/xml", mediaType == "application/javascript":
	case strings.HasSuffix(mediaType, "+json"), strings.HasSuffix(mediaType, "+xml"):
	default:
		return false
	}
	return utf8.Valid(body)
}

var authorization = regexp.MustCompile(`^AWS4-(?:HMAC-SHA256|ECDSA-P256-SHA256) +Credential=([^/, ]+)/[^, ]+, *SignedHeaders=[^, ]+, *Signature=[0-9a-f]+$`)

// signer returns the access key of a request that carries a Signature Version 4 in its Authorization header or its
// query, and nothing for any other.
func signer(r *http.Request) string {
	if m := authorization.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		return m[1]
	}
	query := r.URL.Query()
	if strings.HasPrefix(query.Get("X-Amz-Algorithm"), "AWS4-") && query.Get("X-Amz-Signature") != "" {
		accessKey, _, _ := strings.Cut(query.Get("X-Amz-Credential"), "/")
		return accessKey
	}
	return ""
}
