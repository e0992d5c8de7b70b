package terminal_test

import (
	"testing"
	"unicode"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/terminal"
)

func TestWhatATerminalWouldObeyIsEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[2J":                        `\x1b[2J`,             // CSI: clears the screen
		"\x1b]0;title\x07":               `\x1b]0;title\x07`,    // OSC, ended by BEL
		"\x1b]52;c;cm0=\x1b\\":           `\x1b]52;c;cm0=\x1b\`, // OSC, ended by ST: writes to the clipboard
		"\a\b\v\f\x00\x7f":               `\x07\x08\x0b\x0c\x00\x7f`,
		"one\r\ntwo\rthree":              `one\r\ntwo\rthree`,
		"\u009b2J\u0080\u009f":           `\u009b2J\u0080\u009f`, // C1 as characters
		"\x9b2J\x85\x90":                 `\x9b2J\x85\x90`,       // and as bytes
		"\u202a\u202b\u202c\u202d\u202e": `\u202a\u202b\u202c\u202d\u202e`,
		"\u2066\u2067\u2068\u2069":       `\u2066\u2067\u2068\u2069`,
		"\u200e\u200f\u061c\ufeff":       `\u200e\u200f\u061c\ufeff`,
		"\u2028\u2029\u200b\u00ad":       `\u2028\u2029\u200b\u00ad`,
		"\U000e0041\U0010fffd":           `\U000e0041\U0010fffd`,
		"cut \xe2\x82":                   `cut \xe2\x82`,
		"GET /a\u00a0b":                  `GET /a\u00a0b`,
	} {
		if got := terminal.Line(text); got != want {
			t.Errorf("%+q becomes %s, want %s", text, got, want)
		}
	}
}

func TestWhatPeopleReadStaysAsItIs(t *testing.T) {
	for _, text := range []string{"", "GET /orders/7 -> 200", `C:\new`, "a\tb", "Grüße, 東京, привет, שלום, 🙂", "e\u0301", "replaced: \ufffd", `already \x1b[2J`} {
		if got := terminal.Line(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestLinesStayLinesWhereTheyMay(t *testing.T) {
	if got, want := terminal.Lines("one\ntwo\x1b[A\r\n"), "one\ntwo\\x1b[A\\r\n"; got != want {
		t.Errorf("it becomes %q, want %q", got, want)
	}
}

func TestNoControlOrFormatCharacterIsLeft(t *testing.T) {
	for c := rune(0); c <= unicode.MaxRune; c++ {
		for _, left := range terminal.Line(string(c)) {
			if unicode.In(left, unicode.C, unicode.Zl, unicode.Zp) && left != '\t' {
				t.Fatalf("%U leaves %U", c, left)
			}
		}
	}
}
