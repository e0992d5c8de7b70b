package lambda

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// AuthType says who may call a function URL.
type AuthType string

// Auth types of a function URL.
const (
	// AuthNone lets everybody call.
	AuthNone AuthType = "NONE"

	// AuthIAM asks for a request signed with Signature Version 4. The signature has to be there; it is not verified,
	// because no secret is known here.
	AuthIAM AuthType = "AWS_IAM"
)

// URLConfig describes a function URL.
type URLConfig struct {
	// AuthType is AuthNone or AuthIAM. Default: AuthNone.
	AuthType AuthType

	// URLID is the apiId and domainPrefix of events. Default: derived from the function's name.
	URLID string

	// CORS lets pages of other origins call. Nil adds nothing, so that all of it is up to the function.
	CORS *CORS
}

type functionURL struct {
	host     *Host
	function string
	config   URLConfig
}

// FunctionURL returns the handler of the URL of a function: what https://{url-id}.lambda-url.{region}.on.aws is to a
// function at AWS, with invoke mode BUFFERED. function is a name or ARN, with the qualifier that the URL belongs to, if
// any.
//
// A request becomes an event of payload format 2.0. Its path and query are as they were sent; header names are in lower
// case and repeated headers joined by commas; cookies stand apart; a body is text if its Content-Type is text/*,
// application/json, application/xml, application/javascript or ends in +json or +xml and it is valid UTF-8, and base64
// otherwise. domainName is the Host header, as at AWS; the scheme in x-forwarded-proto is that of the connection.
//
// A JSON object with a statusCode is a response with headers, cookies, body and isBase64Encoded; any other JSON is the
// body of a 200 of type application/json. A function error and an answer of another form are 502; a request that does
// not fit into the payload limit is 413; throttling is 429.
//
// As AWS does, it renames some headers of the function, putting "x-amzn-Remapped-" before Connection, Content-Length,
// Date and WWW-Authenticate. The Content-Length of an answer to HEAD stays what it is.
//
// A caller that goes away does not end the function, which runs on to its end. [CORS] says what becomes of requests of
// browsers.
func FunctionURL(host *Host, function string, config URLConfig) http.Handler {
	if config.AuthType == "" {
		config.AuthType = AuthNone
	}
	if config.URLID == "" {
		sum := sha256.Sum256([]byte(function))
		config.URLID = strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
	}
	return &functionURL{host: host, function: function, config: config}
}

func (u *functionURL) ServeHTTP(w http.ResponseWriter, r *http.Request) { u.measured(w, r, u.answer) }

func (u *functionURL) answer(w http.ResponseWriter, r *http.Request) {
	request := Request{Function: u.function, TraceID: r.Header.Get(headerTraceID), id: u.host.requestID()}
	header := w.Header()
	header.Set(headerRequestID, request.id)
	if cors := u.config.CORS; cors != nil {
		cors.addTo(header, r)
		if isPreflight(r) {
			cors.answer(w, r)
			return
		}
	}
	accessKey := signer(r)
	if u.config.AuthType == AuthIAM && accessKey == "" {
		refuseURL(w, http.StatusForbidden, "AccessDeniedException", `{"Message":"Forbidden"}`)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestPayload))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			refuseLargeURL(w)
		} else {
			refuseURL(w, http.StatusBadRequest, "InvalidRequestContentException", `{"Message":"Bad Request"}`)
		}
		return
	}
	active := false
	if fn, _, err := u.host.find(u.function); err == nil {
		active = fn.TracingActive
	}
	request.TraceID = u.host.traceHeader(request.TraceID, active)
	header.Set(headerTraceID, request.TraceID)
	if u.config.AuthType != AuthIAM {
		accessKey = ""
	}
	request.Payload = u.event(r, request, body, accessKey)

	result, err := u.host.InvokeRequest(r.Context(), request)
	var refused *Error
	switch {
	case errors.Is(err, ErrRequestTooLarge):
		refuseLargeURL(w)
		return
	case errors.As(err, &refused):
		body, _ := json.Marshal(struct {
			Reason  string `json:",omitempty"`
			Type    string
			Message string `json:"message"`
		}{refused.Reason, "User", refused.Message})
		refuseURL(w, refused.StatusCode, refused.Code, string(body))
		return
	case err != nil: // the host is closing, or the caller has left
		refuseURL(w, http.StatusServiceUnavailable, "ServiceException", `{"message":"Service Unavailable"}`)
		return
	}
	answer, err := parseURLResponse(result)
	if err != nil {
		refuseURL(w, http.StatusBadGateway, "InternalServerErrorException", `{"message":"Internal Server Error"}`)
		return
	}
	answer.write(w, r.Method)
}

func refuseURL(w http.ResponseWriter, status int, errorType, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set(headerErrorType, errorType)
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func refuseLargeURL(w http.ResponseWriter) {
	refuseURL(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException",
		`{"Message":"Request must be smaller than `+strconv.Itoa(MaxRequestPayload)+` bytes for the InvokeFunction operation"}`)
}
