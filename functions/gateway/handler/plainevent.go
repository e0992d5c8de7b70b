package handler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// invokeCaller is the caller of events that do not come by the function URL. Whoever may invoke the function was granted that
// by IAM, so the caller is known, but not by a name. No caller of the URL is called so: those with an identity begin with
// iam and a space, and those without one are nobody.
const invokeCaller = "invoke"

// A plainEvent is a request that comes as an event of its own form:
//
//	{"method": "POST", "path": "/orders", "query": {"dry": "1"}, "headers": {"Accept": "application/json"},
//	 "body": {"tea": 2}, "isBase64Encoded": false, "idempotencyKey": "order-1", "failOn": "no-final-answer"}
type plainEvent struct {
	arrival

	// failOn is the member of this name, or empty if there is none.
	failOn message.FailOn
}

// readPlainEvent reads the members of a plain event. What is wrong with them is a problem that names all of it.
func readPlainEvent(members map[string]json.RawMessage) plainEvent {
	r := plainReader{event: new(events.LambdaFunctionURLRequest), headers: map[string]string{}}
	var failOn message.FailOn
	var key *string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := members[name]
		if isNull(value) && (slices.Contains(plainMembers, name)) {
			continue // as if it were not there
		}
		switch name {
		case "method":
			if r.text(name, value, &r.event.RequestContext.HTTP.Method); !message.IsToken(r.event.RequestContext.HTTP.Method) {
				r.event.RequestContext.HTTP.Method = "" // it goes into the log
				r.problem("The member method must be the name of a method, such as POST.")
			}
		case "path":
			r.readPath(value)
		case "query":
			r.readQuery(value)
		case "headers":
			r.readHeaders(value)
		case "body": // below, when it is known whether it is in base64
		case "isBase64Encoded":
			if json.Unmarshal(value, &r.event.IsBase64Encoded) != nil {
				r.problem("The member isBase64Encoded must be true or false.")
			}
		case "idempotencyKey":
			key = new(string)
			r.text(name, value, key)
		case "failOn":
			if r.text(name, value, (*string)(&failOn)); !slices.Contains(message.FailOns, failOn) {
				failOn = message.FailWithoutFinalAnswer // whoever says something here does not want this to be missed
				r.problem("The member failOn must be one of %q.", message.FailOns)
			}
		default:
			r.problem("The member %+q is not known. The members of a request are %s.", name, strings.Join(plainMembers, ", "))
		}
	}
	for _, name := range []string{"method", "path"} {
		if isNull(members[name]) {
			r.problem("The member %s is missing.", name)
		}
	}
	r.readBody(members["body"])
	refused := r.refused()
	if conflict := r.setKey(key); refused == nil {
		refused = conflict
	}
	r.event.Headers = r.headers
	return plainEvent{arrival{event: r.event, refused: refused, caller: invokeCaller}, failOn}
}

// plainMembers are the members of a plain event.
var plainMembers = []string{"method", "path", "query", "headers", "body", "isBase64Encoded", "idempotencyKey", "failOn"}

// A plainReader reads the members of a plain event into that of a function URL.
type plainReader struct {
	event    *events.LambdaFunctionURLRequest
	headers  map[string]string
	problems []string
}

func (r *plainReader) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// refused is all that is wrong, or nil.
func (r *plainReader) refused() *problem {
	if len(r.problems) == 0 {
		return nil
	}
	return invalidRequest(strings.Join(r.problems, " "))
}

// text reads a member that must be a string.
func (r *plainReader) text(name string, value json.RawMessage, into *string) {
	if json.Unmarshal(value, into) != nil {
		r.problem("The member %s must be a string.", name)
	}
}

// readPath reads the path. A query in it would be escaped, and so become a part of the path that nobody meant.
func (r *plainReader) readPath(value json.RawMessage) {
	r.text("path", value, &r.event.RawPath)
	if strings.ContainsAny(r.event.RawPath, "?#") {
		r.problem("The member path holds a question mark or a number sign. Give the query in the member query, and escape what is part of a segment.")
	}
	if r.event.RawPath == "" {
		r.event.RawPath = "/"
	}
}

// readQuery reads the query: as it stands in a URL, or by names.
func (r *plainReader) readQuery(value json.RawMessage) {
	if json.Unmarshal(value, &r.event.RawQueryString) == nil {
		if strings.HasPrefix(r.event.RawQueryString, "?") {
			r.problem("The member query begins with a question mark, which is not part of it.")
		}
		return
	}
	var pairs []string
	r.lists("query", value, func(name string, values []string) {
		for _, text := range values {
			pairs = append(pairs, escapedQuery(name)+"="+escapedQuery(text))
		}
	})
	r.event.RawQueryString = strings.Join(pairs, "&")
}

// escapedQuery escapes a name or a value. A space becomes %20, which everybody reads, and not the plus of HTML forms.
func escapedQuery(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// readHeaders reads the header fields. Of a list, each value is a field of its own; they are joined as the function URL
// joins them.
func (r *plainReader) readHeaders(value json.RawMessage) {
	given := map[string]bool{}
	r.lists("headers", value, func(name string, values []string) {
		lower := strings.ToLower(name)
		if given[lower] {
			r.problem("The header field %+q is given twice, in different spellings; give its values as a list.", lower)
		}
		given[lower] = true
		if lower == "cookie" {
			r.event.Cookies = values
		} else if len(values) > 0 {
			r.headers[lower] = strings.Join(values, ", ")
		}
	})
}

// lists reads a member that is an object of strings or lists of strings, in the order of its names.
func (r *plainReader) lists(member string, value json.RawMessage, each func(name string, values []string)) {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil {
		r.problem("The member %s must be an object of strings or lists of strings%s.", member, map[string]string{"query": ", or a string"}[member])
		return
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		values, ok := oneOrMany(object[name])
		if !ok {
			r.problem("In the member %s, %+q must be a string or a list of strings.", member, name)
			continue
		}
		each(name, values)
	}
}

// oneOrMany reads a string, or a list of strings.
func oneOrMany(value json.RawMessage) (values []string, ok bool) {
	var one *string
	if json.Unmarshal(value, &one) == nil {
		if one == nil {
			return nil, false
		}
		return []string{*one}, true
	}
	var many []*string
	if json.Unmarshal(value, &many) != nil || slices.Contains(many, nil) {
		return nil, false
	}
	for _, one := range many {
		values = append(values, *one)
	}
	return values, true
}

// readBody reads the body: a string, or any other value of JSON, which is sent as JSON text.
func (r *plainReader) readBody(value json.RawMessage) {
	if isNull(value) || json.Unmarshal(value, &r.event.Body) == nil {
		return
	}
	if r.event.IsBase64Encoded {
		r.problem("The member body must be a string if isBase64Encoded is true.")
	}
	var text bytes.Buffer
	if err := json.Compact(&text, value); err != nil {
		r.problem("The member body is not JSON.")
	}
	r.event.Body = text.String()
	if _, given := r.headers["content-type"]; !given {
		r.headers["content-type"] = "application/json"
	}
}

// setKey puts the key into its field. Two that differ are a key that is given twice.
func (r *plainReader) setKey(key *string) *problem {
	if key == nil {
		return nil
	}
	field, given := r.headers[idempotencyhttp.KeyField]
	if !given {
		r.headers[idempotencyhttp.KeyField] = *key
		return nil
	}
	one, _ := idempotencyhttp.ParseKey(*key)
	if other, _ := idempotencyhttp.ParseKey(field); one != other {
		return malformedKey("it is given twice, as idempotencyKey and in headers, and they are not the same")
	}
	return nil
}

// isNull says whether a member is null, or is not there.
func isNull(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }
