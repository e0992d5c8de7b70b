package message_test

import (
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

func TestATokenIsMadeOfLettersDigitsAndFifteenOtherCharacters(t *testing.T) {
	for _, text := range []string{"GET", "x-order", "7", "!#$%&'*+-.^_`|~", "azAZ09"} {
		if !message.IsToken(text) {
			t.Errorf("%q is refused", text)
		}
	}
	for _, text := range []string{"", "X Order", "a:b", "a/b", "a\x00", "a\tb", "a\"b", "(a)", "a@b", "[a]", "{a}", "a,b", "ä", "a\xff", "a\x7f"} {
		if message.IsToken(text) {
			t.Errorf("%q is taken for a token", text)
		}
	}
}
