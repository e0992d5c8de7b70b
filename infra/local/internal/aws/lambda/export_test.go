package lambda

// What parses input from elsewhere, for fuzzing.
var (
	Split           = split
	QueryParameters = queryParameters
	Signer          = signer
)

// ParseURLResponse parses an answer and returns what would be sent.
func ParseURLResponse(payload []byte) (status int, headers map[string]string, cookies []string, body []byte, err error) {
	answer, err := parseURLResponse(Result{Payload: payload})
	if err != nil {
		return 0, nil, nil, nil, err
	}
	return answer.status, answer.headers, answer.cookies, answer.body, nil
}
