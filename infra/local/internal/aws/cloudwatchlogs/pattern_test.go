package cloudwatchlogs

import (
	"strings"
	"testing"
)

const line = `{"time":"2026-11-28T10:00:00Z","level":"WARN","msg":"request","requestId":"a1-b2","path":"/orders/7","status":503,"problem":"circuit-open","replayed":false,"caller":null,"attempts":[{"proxy":"proxy-1","status":429},{"proxy":"proxy-2"}],"a b":"x"}`

func TestALineIsFoundByWhatItsPatternSays(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"":                                      true,
		"circuit-open":                          true,
		`"msg":"request"`:                       true,
		`"\"msg\":\"request\""`:                 true,
		"circuit-open proxy-1":                  true,
		"circuit-open proxy-9":                  false,
		"circuit-open -proxy-1":                 false,
		"?proxy-9 ?proxy-1":                     true,
		"?proxy-9 ?proxy-8":                     false,
		"circuit-open ?proxy-9":                 true, // those with a question mark do not count beside others
		`{ $.requestId = "a1-b2" }`:             true,
		`{$.requestId="a1-b2"}`:                 true,
		`{ $.requestId = a1-b2 }`:               true,
		`{ $.requestId != "a1-b2" }`:            false,
		`{ $.requestId = "a1" }`:                false,
		`{ $.requestId = "a1*" }`:               true,
		`{ $.path = "/orders/*" }`:              true,
		`{ $.path = %^/orders/[0-9]+$% }`:       true,
		`{ $.path != %^/orders/[0-9]+$% }`:      false,
		`{ $.status = 503 }`:                    true,
		`{ $.status = "503" }`:                  false,
		`{ $.status >= 500 && $.status < 600 }`: true,
		`{ $.status > 503 }`:                    false,
		`{ $.status <= 503 }`:                   true,
		`{ $.status != 503 }`:                   false,
		`{ $.missing != 503 }`:                  false,
		`{ $.missing = "*" }`:                   false,
		`{ $.attempts[0].status = 429 }`:        true,
		`{ $.attempts[1].status = 429 }`:        false,
		`{ $.attempts[2].proxy = "proxy-3" }`:   false,
		`{ $['a b'] = "x" }`:                    true,
		`{ $.replayed IS FALSE }`:               true,
		`{ $.replayed IS TRUE }`:                false,
		`{ $.caller IS NULL }`:                  true,
		`{ $.missing IS NULL }`:                 false,
		`{ $.missing NOT EXISTS }`:              true,
		`{ $.caller NOT EXISTS }`:               false,
		`{ $.level = "INFO" || $.status = 503 && $.level = "WARN" }`:                        true,
		`{ ($.level = "WARN" || $.level = "ERROR") && ($.status = 500 || $.status = 502) }`: false,
	} {
		matches, err := matcherOf(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
		} else if got := matches(line); got != want {
			t.Errorf("%s matches: %t, want %t", pattern, got, want)
		}
	}
	matches, err := matcherOf(`{ $.requestId = "a1-b2" }`)
	if err != nil || matches("START RequestId: a1-b2") {
		t.Errorf("a pattern for JSON matches a line that is none, or is refused: %v", err)
	}
}

func TestAPatternThatCannotBeReadIsRefusedWithThePlace(t *testing.T) {
	t.Parallel()
	for pattern, says := range map[string]string{
		`[ip, user]`:                  "square brackets",
		`{ status = 1 }`:              "begins with $",
		`{ $.status }`:                "NOT EXISTS",
		`{ $.status = }`:              "a value",
		`{ $.status = 1`:              "and there is its end",
		`{ $.status = 1 } x`:          "the end is expected",
		`{ $.status = "1 }`:           "a quotation mark",
		`{ $.status > "a" }`:          "for numbers",
		`{ $.status = %a% && $ = 1 }`: "a name behind $",
		`{ $.a = %(% }`:               "regular expression",
		`{ $.a = %b }`:                "% behind",
		`{ $.a[x] = 1 }`:              "an index",
		`{ $.a IS NICE }`:             "TRUE, FALSE or NULL",
		`{ ($.a = 1 }`:                "after 11 characters )",
		`"a`:                          "a quotation mark",
	} {
		if _, err := matcherOf(pattern); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: the error is %v, want %q in it", pattern, err, says)
		}
	}
}

func FuzzAPatternIsReadOrRefused(f *testing.F) {
	for _, seed := range []string{"", "a -b ?c", `{ $.a[0]['b'] >= 1 && ($.c IS NULL || $.d = "e*") }`, `{ $.a = %b% }`, "{(((", "[", `"\`} {
		f.Add(seed, line)
	}
	f.Fuzz(func(_ *testing.T, pattern, line string) {
		if matches, err := matcherOf(pattern); err == nil {
			matches(line)
		}
	})
}
