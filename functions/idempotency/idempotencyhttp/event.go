package idempotencyhttp

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// FunctionURL wraps a handler of function URL events.
func FunctionURL(
	f *Front, handler func(context.Context, events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error),
) func(context.Context, events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
	return func(ctx context.Context, e events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		answer, err := f.Serve(ctx, FromFunctionURL(e), func(ctx context.Context) (Response, error) {
			r, err := handler(ctx, e)
			return response(r.StatusCode, r.Headers, nil, r.Cookies, r.Body, r.IsBase64Encoded), err
		})
		return events.LambdaFunctionURLResponse{
			StatusCode: answer.StatusCode, Headers: answer.Headers, Cookies: answer.Cookies,
			Body: answer.Body, IsBase64Encoded: answer.IsBase64Encoded,
		}, err
	}
}

// APIGatewayV2 wraps a handler of HTTP API events, payload format 2.0.
func APIGatewayV2(
	f *Front, handler func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error),
) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		answer, err := f.Serve(ctx, FromAPIGatewayV2(e), func(ctx context.Context) (Response, error) {
			r, err := handler(ctx, e)
			return response(r.StatusCode, r.Headers, r.MultiValueHeaders, r.Cookies, r.Body, r.IsBase64Encoded), err
		})
		return events.APIGatewayV2HTTPResponse{
			StatusCode: answer.StatusCode, Headers: answer.Headers, Cookies: answer.Cookies,
			Body: answer.Body, IsBase64Encoded: answer.IsBase64Encoded,
		}, err
	}
}

// APIGatewayV1 wraps a handler of REST API events, and of HTTP API events with payload format 1.0.
func APIGatewayV1(
	f *Front, handler func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error),
) func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	return func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		answer, err := f.Serve(ctx, FromAPIGatewayV1(e), func(ctx context.Context) (Response, error) {
			r, err := handler(ctx, e)
			return response(r.StatusCode, r.Headers, r.MultiValueHeaders, nil, r.Body, r.IsBase64Encoded), err
		})
		out := events.APIGatewayProxyResponse{
			StatusCode: answer.StatusCode, Headers: answer.Headers, Body: answer.Body, IsBase64Encoded: answer.IsBase64Encoded,
		}
		if len(answer.Cookies) > 0 {
			out.MultiValueHeaders = map[string][]string{"set-cookie": answer.Cookies}
		}
		return out, err
	}
}

// ALB wraps a handler of events of an Application Load Balancer. The response has fields with many values if the event does,
// as the target group's attribute lambda.multi_value_headers.enabled says, whichever of the two the handler has set.
//
// Without that attribute the load balancer itself takes the last one of two Idempotency-Key fields, so that a key that was
// given twice is not found out.
func ALB(
	f *Front, handler func(context.Context, events.ALBTargetGroupRequest) (events.ALBTargetGroupResponse, error),
) func(context.Context, events.ALBTargetGroupRequest) (events.ALBTargetGroupResponse, error) {
	return func(ctx context.Context, e events.ALBTargetGroupRequest) (events.ALBTargetGroupResponse, error) {
		answer, err := f.Serve(ctx, FromALB(e), func(ctx context.Context) (Response, error) {
			r, err := handler(ctx, e)
			return response(r.StatusCode, r.Headers, r.MultiValueHeaders, nil, r.Body, r.IsBase64Encoded), err
		})
		if err != nil {
			return events.ALBTargetGroupResponse{}, err
		}
		out := events.ALBTargetGroupResponse{
			StatusCode:        answer.StatusCode,
			StatusDescription: strings.TrimSpace(strconv.Itoa(answer.StatusCode) + " " + http.StatusText(answer.StatusCode)),
			Body:              answer.Body, IsBase64Encoded: answer.IsBase64Encoded,
		}
		if e.MultiValueHeaders == nil {
			out.Headers = answer.withHeaders().Headers
			for i, cookie := range answer.Cookies {
				out.Headers[spelled("set-cookie", i)] = cookie
			}
			return out, nil
		}
		out.MultiValueHeaders = make(map[string][]string, len(answer.Headers)+1)
		for name, value := range answer.Headers {
			out.MultiValueHeaders[name] = []string{value}
		}
		if len(answer.Cookies) > 0 {
			out.MultiValueHeaders["set-cookie"] = answer.Cookies
		}
		return out, nil
	}
}

// spelled is a name with some of its letters in upper case, other ones for each i. It is how several fields with one name
// fit into an object.
func spelled(name string, i int) string {
	letters := []byte(name)
	for at, letter := range letters {
		if letter < 'a' || letter > 'z' {
			continue
		}
		if i&1 != 0 {
			letters[at] = letter - 'a' + 'A'
		}
		i >>= 1
	}
	return string(letters)
}

// FromFunctionURL takes a request from a function URL event. Caller is the IAM identity: of an assumed role its unique
// ID, which is the same in all sessions. What is ignored does not count as a credential; see the function [Credential].
func FromFunctionURL(e events.LambdaFunctionURLRequest, ignored ...string) Request {
	r := Request{
		Method: e.RequestContext.HTTP.Method, Path: e.RawPath, Query: WithoutSignature(e.RawQueryString), Headers: fields(e.Headers, nil),
		Body: e.Body, IsBase64Encoded: e.IsBase64Encoded,
	}
	r.Credential = Credential(withCookies(r.Headers, e.Cookies), r.Query, ignored...)
	if a := e.RequestContext.Authorizer; a != nil && a.IAM != nil {
		r.Caller = iamCaller(a.IAM.AccountID, a.IAM.UserID, a.IAM.CallerID)
	}
	return r
}

// FromAPIGatewayV2 takes a request from an HTTP API event. Caller is the IAM identity, or the issuer and subject of the
// JWT, or the principalId that a Lambda authorizer puts into its context.
func FromAPIGatewayV2(e events.APIGatewayV2HTTPRequest) Request {
	r := Request{
		Method: e.RequestContext.HTTP.Method, Path: e.RawPath, Query: WithoutSignature(e.RawQueryString), Headers: fields(e.Headers, nil),
		Body: e.Body, IsBase64Encoded: e.IsBase64Encoded,
	}
	r.Credential = Credential(withCookies(r.Headers, e.Cookies), r.Query)
	a := e.RequestContext.Authorizer
	switch {
	case a == nil:
	case a.IAM != nil && a.IAM.CognitoIdentity.IdentityID != "":
		r.Caller = "cognito " + a.IAM.CognitoIdentity.IdentityID
	case a.IAM != nil:
		r.Caller = iamCaller(a.IAM.AccountID, a.IAM.UserID, a.IAM.CallerID)
	case a.JWT != nil && a.JWT.Claims["sub"] != "":
		r.Caller = "jwt " + a.JWT.Claims["iss"] + " " + a.JWT.Claims["sub"]
	default:
		if principal, ok := a.Lambda["principalId"].(string); ok && principal != "" {
			r.Caller = "principal " + principal
		}
	}
	return r
}

// FromAPIGatewayV1 takes a request from a REST API event. Caller is the Cognito or IAM identity, or the subject of a
// Cognito user pool, or the principalId of a Lambda authorizer, or the API key.
func FromAPIGatewayV1(e events.APIGatewayProxyRequest) Request {
	query := url.Values(e.MultiValueQueryStringParameters)
	if len(query) == 0 {
		query = url.Values{}
		for name, value := range e.QueryStringParameters {
			query.Set(name, value)
		}
	}
	r := Request{
		Method: e.HTTPMethod, Path: e.Path, Query: WithoutSignature(query.Encode()), Headers: fields(e.Headers, e.MultiValueHeaders),
		Body: e.Body, IsBase64Encoded: e.IsBase64Encoded,
	}
	r.Credential = Credential(r.Headers, r.Query)
	identity := e.RequestContext.Identity
	claims, _ := e.RequestContext.Authorizer["claims"].(map[string]any)
	subject, _ := claims["sub"].(string)
	principal, _ := e.RequestContext.Authorizer["principalId"].(string)
	switch {
	case identity.CognitoIdentityID != "":
		r.Caller = "cognito " + identity.CognitoIdentityID
	case identity.User != "" || identity.Caller != "":
		r.Caller = iamCaller(identity.AccountID, identity.User, identity.Caller)
	case subject != "":
		issuer, _ := claims["iss"].(string)
		r.Caller = "jwt " + issuer + " " + subject
	case principal != "":
		r.Caller = "principal " + principal
	case identity.APIKeyID != "":
		r.Caller = "key " + identity.APIKeyID
	}
	return r
}

// FromALB takes a request from an event of an Application Load Balancer. Caller is empty: a load balancer that authenticates
// says who it is in X-Amzn-Oidc-Identity, but one that does not passes on what a client puts there. If every rule that leads
// to the function authenticates, use that field in [Options.Caller].
func FromALB(e events.ALBTargetGroupRequest) Request {
	// The load balancer leaves names and values as they are written.
	var pairs []string
	for name, values := range e.MultiValueQueryStringParameters {
		for _, value := range values {
			pairs = append(pairs, name+"="+value)
		}
	}
	if e.MultiValueQueryStringParameters == nil {
		for name, value := range e.QueryStringParameters {
			pairs = append(pairs, name+"="+value)
		}
	}
	byName := func(a, b string) int {
		nameA, _, _ := strings.Cut(a, "=")
		nameB, _, _ := strings.Cut(b, "=")
		return strings.Compare(nameA, nameB)
	}
	slices.SortStableFunc(pairs, byName)
	r := Request{
		Method: e.HTTPMethod, Path: e.Path, Query: WithoutSignature(strings.Join(pairs, "&")), Headers: fields(e.Headers, e.MultiValueHeaders),
		Body: e.Body, IsBase64Encoded: e.IsBase64Encoded,
	}
	r.Credential = Credential(r.Headers, r.Query)
	return r
}

// iamCaller is an IAM identity without its session: what stands before the colon in the unique ID of an assumed role is
// the role's own.
func iamCaller(account, user, caller string) string {
	id := user
	if id == "" {
		id = caller
	}
	id, _, _ = strings.Cut(id, ":")
	if id == "" {
		return ""
	}
	return "iam " + account + " " + id
}

// withCookies adds the cookies of a request, which stand apart in an event, to its header fields.
func withCookies(headers map[string]string, cookies []string) map[string]string {
	if len(cookies) == 0 {
		return headers
	}
	all := maps.Clone(headers)
	all["cookie"] = strings.Join(cookies, "; ")
	return all
}

// fields converts the names of header fields to lower case, and joins those with many values.
func fields(single map[string]string, multi map[string][]string) map[string]string {
	joined := make(map[string]string, len(single)+len(multi))
	for name, value := range single {
		joined[strings.ToLower(name)] = value
	}
	for name, values := range multi {
		if len(values) > 0 {
			joined[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return joined
}

// response converts a handler's response to the form of records. Cookies in header fields go where cookies belong.
func response(status int, single map[string]string, multi map[string][]string, cookies []string, body string, isBase64 bool) Response {
	r := Response{StatusCode: status, Headers: fields(single, multi), Cookies: slices.Clip(cookies), Body: body, IsBase64Encoded: isBase64}
	for _, name := range slices.Sorted(maps.Keys(multi)) {
		if strings.EqualFold(name, "set-cookie") && len(multi[name]) > 0 {
			r.Cookies = append(r.Cookies, multi[name]...)
			delete(r.Headers, "set-cookie")
		}
	}
	// Whoever has one value for a name only, spells the name differently for each cookie.
	if _, left := r.Headers["set-cookie"]; left {
		for _, name := range slices.Sorted(maps.Keys(single)) {
			if strings.EqualFold(name, "set-cookie") {
				r.Cookies = append(r.Cookies, single[name])
			}
		}
		delete(r.Headers, "set-cookie")
	}
	return r
}
