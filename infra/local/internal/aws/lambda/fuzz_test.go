package lambda_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

func FuzzAnAnswerOfAFunctionIsAValidResponseOrAnError(f *testing.F) {
	for _, seed := range []string{
		`{"statusCode":200}`, `{"statusCode":200,"headers":{"a":"b","c":1,"d":true},"cookies":["e=f"],"body":"g"}`,
		`{"statusCode":200,"body":"AAA=","isBase64Encoded":true}`, `[]`, `"text"`, `null`, `{}`, `{"statusCode":1e2}`,
		`{"statusCode":200,"headers":{"a":"\r\n"}}`, `{"statusCode":200,"headers":{"":"a"}}`, `{"statusCode":200} `, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		status, headers, cookies, body, err := lambda.ParseURLResponse(payload)
		if err != nil {
			return
		}
		if status < 200 || status > 599 {
			t.Errorf("status %d", status)
		}
		if !json.Valid(payload) {
			t.Error("taken although it is not JSON")
		}
		values := append([]string{}, cookies...)
		for name, value := range headers {
			values = append(values, value)
			if name == "" || strings.ContainsAny(name, " \r\n:\x00") {
				t.Errorf("header name %q", name)
			}
		}
		for _, value := range values {
			if strings.ContainsAny(value, "\r\n\x00") {
				t.Errorf("header value %q", value)
			}
		}
		recorder := httptest.NewRecorder()
		recorder.WriteHeader(status)
		recorder.Write(body)
	})
}

func FuzzANameOfAFunctionSplitsIntoNameAndQualifier(f *testing.F) {
	for _, seed := range []string{"a", "a:b", "1:function:a:b", "function:a", echoARN, echoARN + ":live", "arn", ":::", "a:function:b:c:d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		parts, qualifier, err := lambda.Split(name)
		if err != nil {
			return
		}
		whole := strings.Join(parts, ":")
		if whole != name && whole+":"+qualifier != name {
			t.Errorf("%q became %q and %q", name, parts, qualifier)
		}
	})
}

func FuzzQueriesAndSignaturesAreReadWithoutHarm(f *testing.F) {
	f.Add("a=1&a=2&b", "AWS4-HMAC-SHA256 Credential=A/b/c, SignedHeaders=d, Signature=0")
	f.Add("%zz=%ff&=&&=a", "AWS4-HMAC-SHA256")
	f.Add("X-Amz-Algorithm=AWS4-X&X-Amz-Signature=1&X-Amz-Credential=/", "")
	f.Fuzz(func(t *testing.T, query, authorization string) {
		for name, value := range lambda.QueryParameters(query) {
			if utf8.ValidString(query) && (!utf8.ValidString(name) || !utf8.ValidString(value)) {
				t.Errorf("%q=%q of the query %q is not text", name, value, query)
			}
		}
		request := &http.Request{Header: http.Header{"Authorization": {authorization}}, URL: httptest.NewRequest("GET", "/", nil).URL}
		request.URL.RawQuery = query
		if key := lambda.Signer(request); strings.Contains(key, "/") {
			t.Errorf("access key %q", key)
		}
	})
}
