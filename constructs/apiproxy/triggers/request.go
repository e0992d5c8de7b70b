package triggers

import (
	"encoding/base64"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// FailOn says after which ends of a request its invocation fails. That matters to whoever does not look at the answer: of a
// schedule and of a rule Lambda repeats an invocation that has failed, twice, and then puts it to the dead letters.
type FailOn string

const (
	// FailNever has every end answered. What could not be done by a schedule or a rule is then lost.
	FailNever = FailOn(message.FailNever)

	// FailWithoutFinalAnswer has the invocation fare as the request: it fails if the upstream gave no final answer. An
	// answer that refuses the request for good, such as 404, is final.
	FailWithoutFinalAnswer = FailOn(message.FailWithoutFinalAnswer)

	// FailOnError has it fail after a final answer with a status from 400, too.
	FailOnError = FailOn(message.FailOnError)
)

// A Request is what a trigger sends. Its strings may hold tokens, which stand for values that are known when the trigger
// fires: EventField_FromPath of package awsevents in a rule, JsonPath_StringAt of package awsstepfunctions in a task,
// ContextAttribute_ScheduledTime of package awsscheduler in a schedule.
type Request struct {
	// Method is the HTTP method, in capitals. Required.
	Method string

	// Path is the path below Upstream.BaseURL, with its leading slash and without a query. What has to be escaped in it is;
	// what is escaped stays so. Required.
	Path string

	// Query is the query, by the names of its parameters. In a task, a list with a token may have no other values. Default:
	// none.
	Query url.Values

	// Headers are the header fields. A secret does not belong here, since it would stand in the template in the clear: give it
	// by Upstream.Auth of the RetryingApiProxy. Default: none.
	Headers map[string]string

	// Body is a string, which is sent as it is; bytes; or else what JSON is made of (map[string]any, []any, numbers, booleans,
	// and tokens), which is sent as JSON with Content-Type application/json unless Headers says something else. Default:
	// none.
	Body any

	// IdempotencyKey is the key under which the request is carried out once, up to 255 characters. Default: of a schedule, its
	// ARN and the time that it was due; of a rule, its own name and the event's id; of a task, none.
	IdempotencyKey string

	// FailOn says when the invocation fails. Default: FailWithoutFinalAnswer.
	FailOn FailOn
}

// maxKeyLength is how many characters a key may have.
const maxKeyLength = 255

// validate lists what is wrong with a request, as far as its values are known.
func (r Request) validate() problems {
	var wrong problems
	if !message.IsToken(r.Method) && !hasToken(r.Method) {
		wrong.add("Request.Method is %q; give a method such as POST", r.Method)
	}
	switch {
	case r.Path == "":
		wrong.add("Request.Path is empty; give the path below Upstream.BaseURL, such as /orders")
	case strings.ContainsAny(r.Path, "?#"):
		wrong.add("Request.Path is %q; give the query by Request.Query, and escape a question mark or a number sign that is part of a segment", r.Path)
	case !strings.HasPrefix(r.Path, "/") && hasToken(r.Path):
	default:
		if reason := message.RefusedPath(message.EscapedPath(r.Path)); reason != "" {
			wrong.add("Request.Path is %q, which %s", r.Path, reason)
		}
	}
	spellings := map[string]bool{}
	for name := range r.Headers {
		if !message.IsToken(name) {
			wrong.add("Request.Headers has %q, which is not the name of a header field", name)
		}
		if lower := strings.ToLower(name); spellings[lower] {
			wrong.add("Request.Headers has %q in two spellings; give one of them", lower)
		} else {
			spellings[lower] = true
		}
	}
	if spellings["idempotency-key"] {
		wrong.add("Request.Headers has Idempotency-Key; give the key as Request.IdempotencyKey")
	}
	if n := utf8.RuneCountInString(r.IdempotencyKey); n > maxKeyLength && !hasToken(r.IdempotencyKey) {
		wrong.add("Request.IdempotencyKey has %d characters; give %d at most", n, maxKeyLength)
	}
	if r.FailOn != "" && !slices.Contains(message.FailOns, message.FailOn(r.FailOn)) {
		wrong.add("Request.FailOn is %q; give one of %q, or leave it out for %q", r.FailOn, message.FailOns, FailWithoutFinalAnswer)
	}
	if kind := reflect.Indirect(reflect.ValueOf(r.Body)).Kind(); kind == reflect.Struct || kind == reflect.Chan || kind == reflect.Func {
		if _, isToken := r.Body.(awscdk.IResolvable); !isToken {
			wrong.add("Request.Body is a %T; give a string, []byte, or maps, lists, numbers and booleans as in JSON", r.Body)
		}
	}
	return wrong
}

// event is the request as the gateway's event. key is that of a request without one of its own.
func (r Request) event(key string) map[string]any {
	event := map[string]any{"method": r.Method, "path": r.Path, "failOn": string(FailWithoutFinalAnswer)}
	if r.FailOn != "" {
		event["failOn"] = string(r.FailOn)
	}
	if len(r.Query) > 0 {
		query := map[string]any{}
		for name, values := range r.Query {
			if query[name] = values; len(values) == 1 {
				query[name] = values[0]
			}
		}
		event["query"] = query
	}
	if len(r.Headers) > 0 {
		event["headers"] = r.Headers
	}
	switch body := r.Body.(type) {
	case nil:
	case []byte:
		event["body"], event["isBase64Encoded"] = base64.StdEncoding.EncodeToString(body), true
	default:
		event["body"] = body
	}
	if r.IdempotencyKey != "" {
		key = r.IdempotencyKey
	}
	if key != "" {
		event["idempotencyKey"] = key
	}
	return event
}

// hasToken says whether a text holds what is known later only: a token of the CDK, or an attribute of EventBridge Scheduler.
func hasToken(text string) bool {
	return strings.Contains(text, "${Token[") || strings.Contains(text, "<aws.")
}
