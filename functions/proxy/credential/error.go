package credential

// An Error says why there is no credential. It holds nothing of a secret's value.
type Error struct {
	// Secret is the ARN or the name of the secret, for those who run this. It can be empty.
	Secret string

	// Details is a short text in printable ASCII that can be shown to callers.
	Details string

	// err is what AWS has said, or how it could not be asked. What a token URL has said is not kept: it may repeat what it was
	// sent.
	err error
}

// unavailable makes an Error.
func unavailable(secret, details string, err error) *Error {
	return &Error{Secret: secret, Details: details, err: err}
}

// Error is for those who run this: it names the secret and says what AWS has said.
func (e *Error) Error() string {
	text := "credential: "
	if e.Secret != "" {
		text += "the secret " + e.Secret + ": "
	}
	text += e.Details
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.err }
