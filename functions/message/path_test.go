package message

import (
	"fmt"
	"strings"
	"testing"
)

func TestAPathIsForwardedAsItWasSent(t *testing.T) {
	for raw, want := range map[string]string{
		"":                       "/",
		"/":                      "/",
		"/orders/42":             "/orders/42",
		"/orders/":               "/orders/",
		"//a///b":                "//a///b",
		"/a%2Fb":                 "/a%2Fb",
		"/a%2fb":                 "/a%2fb",
		"/%7Euser":               "/%7Euser",
		"/a%20b":                 "/a%20b",
		"/a b":                   "/a%20b",
		"/a+b":                   "/a+b",
		"/東京":                    "/%E6%9D%B1%E4%BA%AC",
		"/%E6%9D%B1":             "/%E6%9D%B1",
		"/100%":                  "/100%25",
		"/100%25":                "/100%25",
		"/%zz/%2":                "/%25zz/%252",
		"/a?b#c":                 "/a%3Fb%23c",
		"/{id}|x":                "/%7Bid%7D%7Cx",
		"/a%2Fb|c":               "/a%2Fb%7Cc",
		"/a;v=1,2/(b)!$&'*:@=~_": "/a;v=1,2/(b)!$&'*:@=~_",
		"/[1]":                   "/[1]",
		"/.../..a/a../.a/a.":     "/.../..a/a../.a/a.",
		"/-/local/":              "/-/local/",
		"/%2525":                 "/%2525",
		"/\xff":                  "/%FF",
	} {
		got := EscapedPath(raw)
		if refused := RefusedPath(got); got != want || refused != "" {
			t.Errorf("%q became %q, which %s; want %s", raw, got, refused, want)
		}
		if again := EscapedPath(got); again != got {
			t.Errorf("%q, escaped again, became %q", got, again)
		}
	}
}

func TestAPathThatSomeServerMayTakeForAnotherIsRefused(t *testing.T) {
	for why, paths := range map[string][]string{
		"dot segment": {
			"/.", "/..", "/../", "/a/../b", "/a/..", "/./a", "/a/./b", "/%2e%2e/a", "/%2E%2E/a", "/.%2e/a", "/%2e./a", "/%2e/a",
			"/a%2f..%2fb", "/a/..%2fb", "/..;/a", "/a/..;v=1/b", "/.;/a", "/%2e%2e%3b/a", "/%252e%252e/a", "/%252e%252e%252fa",
			"/%25252e%25252e/a", "/a%252f%252e%252e%252fb", "/%252e%252e/%25zz", "/%2e%2e/%zz", "/..%2f..%2fetc",
			// parts of URLs that are read twice
			"/..%3fx", "/..%23x", "/..%253Fx", "/a/..%3Fx/b",
			// spaces, and what is not seen
			"/..%20/x", "/..%20", "/%20../x", "/.. /x", "/. ./x", "/.%20./x", "/..%2520/x", "/..+/x", "/.+", "/...%20/x", "/.%20/x",
			"/..%c2%a0/x", "/..%C2%A0", "/%c2%a0../x", "/..%e3%80%80/x", "/..%e2%80%8b/x", "/..%e2%80%8b", "/.%e2%80%8d./x",
			"/..%ef%bb%bf/x", "/..%c2%ad/x", "/..%c2%85/x", "/..%e2%80%a8/x", "/..%e1%9a%80/x", "/..%e3%85%a4/x", "/..%e2%a0%80/x",
			"/..%ef%b8%8f/x", "/..%cc%88/x", "/..%f3%a0%80%a0/x", "/..%25c2%25a0/x",
			// bytes that are not UTF-8, and are left out
			"/..%ff", "/..%ff/x", "/%ff../x", "/.%80./x", "/.%fe/x", "/..%c0/x", "/..%e3%80/x", "/..%25ff/x", "/..\xff/x", "/%25%ff2e%25%ff2e/x",
			// the same letters in other shapes
			"/\uff0e\uff0e/x", "/%ef%bc%8e%ef%bc%8e/x", "/..%ef%bc%8fx", "/\ufe52\ufe52/x", "/\u2024\u2024/x", "/\u2025/x", "/\uff0e/x",
			"/..\u2215x", "/..\u2044x", "/..\u29f8x", "/..\u2216x", "/..\uff3cx", "/..\ufe68x", "/..\u00a5x", "/\u2219\u2219/x", "/\u22c5\u22c5/x",
			"/\u3002\u3002/x", "/\uff61\uff61/x", "/\uff05\uff12\uff45\uff05\uff12\uff45/x", "/..%25ef%25bc%258fx", "/a/..\uff1bv=1/x",
			// a decoder that looks at six bits of what follows
			"/%c0%2e%c0%2e/x", "/..%c0%2fx", "/%c0%6e%c0%6e/x", "/%c0%ee%c0%ee/x", "/..%e0%40%afx",
			// other escapes
			"/%u002e%u002e/x", "/..%u002fx", "/%uff0e%uff0e/x", "/..%u2215x", "/..%u2216x", "/%25u002e%25u002e/x", "/%U002E%U002E/x", "/%%32%65%%32%65/x",
			"/..%c1%pcx", "/..%c0%qfx", "/..%c1%8sx",
		},
		"UTF-8": {
			"/%c0%ae%c0%ae/x", "/..%c0%afx", "/%c0%ae/x", "/a%c0%afb", "/a%c0%aeb", "/%e0%80%ae%e0%80%ae/x", "/..%e0%80%afx",
			"/%f0%80%80%ae%f0%80%80%ae/x", "/..%f0%80%80%afx", "/%f8%80%80%80%ae/x", "/%fc%80%80%80%80%ae/x", "/..%c1%9cx", "/..%e0%81%9cx",
			"/..%25c0%25afx", "/%25c0%25ae%25c0%25ae/x", "/%2525c0%2525ae/x", "/..%25c1%259cx", "/\xc0\xae\xc0\xae/x", "/..\xc0\xafx",
			"/a%c0%80b", "/a%c0%8ab", "/a%c1%bfb",
		},
		"backslash":          {`/a\b`, `/..\..\a`, "/a%5cb", "/a%5Cb", "/..%5c..%5ca", "/a%255cb", "/%25255c"},
		"control characters": {"/a\nb", "/a%0ab", "/a%0d%0aX:%20y", "/%00", "/a%7f", "/a%250d%250ab", "/a\tb", "/a%09b", "/..%00/", "/..%01/x"},
		"again and again":    {"/%25252525", "/%252525252e%252525252e/"},
		"with a slash":       {"a", "*", "http://elsewhere.example/", "@elsewhere.example", ".elsewhere.example", ":80", "%2Fa", "?a"},
	} {
		for _, raw := range paths {
			if got := RefusedPath(EscapedPath(raw)); !strings.Contains(got, why) {
				t.Errorf("%q %q, want: %s", raw, got, why)
			}
		}
	}
}

// An overlong percent sign is no dot yet.
func TestEscapesThatComeOfDecodingAreSeen(t *testing.T) {
	for _, raw := range []string{
		"/%c0%a52e%c0%a52e/x", "/%ef%bc%852e%ef%bc%852e/x", "/%c0%a52e%c0%a5%c0%b2e/x", "/..%c0%a52fx", "/..%25%c0%b2fx", "/%u0025%u0032e%u00252e/x",
	} {
		if got := RefusedPath(EscapedPath(raw)); !strings.Contains(got, "dot segment") {
			t.Errorf("%q %q, want a dot segment", raw, got)
		}
	}
}

func TestHarmlessPathsAreForwarded(t *testing.T) {
	for kind, paths := range map[string][]string{
		"dots in names": {
			"/a.b", "/.well-known/openid-configuration", "/.git", "/a.", "/a..", "/..a", "/.a.", "/a..b", "/a...b", "/v1.2.3", "/file.tar.gz", "/compare/main...feature",
			"/...", "/.../x", "/....", "/x/.../y", "/192.0.2.1", "/1.0", "/.5", "/5.", "/.,", "/..,", "/.-", "/._", "/~.", "/a/.b/..c/d..", "/.%2Ea", "/a%2Eb", "/a%252Eb",
			"/.-.", "/.(.)", "/.=.", "/.:.", "/@..@", "/.%26.", "/'..'", "/%22..%22", "/user@example.com", "/a..%2Fb",
		},
		"spaces": {
			"/%20", "/a%20b", "/%20a", "/a%20", "/a%20%20b", "/a+b", "/+", "/+1", "/++", "/c++", "/a.%20b", "/a%20.", "/a.%20", "/Mr.%20X", "/..%20x", "/x%20..", "/%C2%A0",
			"/a%C2%A0b", "/%E3%80%80", "/%E2%80%89x", "/.%20a", "/a+.", "/..+a",
		},
		"other scripts": {
			"/東京", "/東京。大阪", "/質問。", "/こんにちは", "/キャンペーン", "/ﾊﾝｶｸ", "/한국어", "/안녕하세요", "/العربية", "/صفحة/٠", "/صفحه/۰", "/עברית", "/ไทย", "/हिन्दी", "/ελληνικά",
			"/кириллица", "/Ünïcödé", "/naïve", "/e\u0301", "/cafe\u0301s", "/ñ", "/ẞ", "/Gal·la", "/a‥b", "/つづく…", "/…and", "/wait…", "/Ｎｏ．１", "/ＡＣ／ＤＣ", "/½", "/1½.", "/5⁄8", "/a∕b", "/10％",
			"/😀", "/👩\u200d👩\u200d👧", "/✈\ufe0f", "/می\u200cخواهم", "/हिन्\u200dदी", "/¥100", "/₩1000", "/x·y", "/x•y", "/№5", "/℀", "/Ⅷ", "/①", "/ﬁle", "/\u200b", "/\ufeffa", "/\u00ada",
		},
		"text that is not UTF-8": {
			"/caf%E9", "/%FF", "/%FF%FE", "/%E4%F6%FC", "/%80", "/M%FCller.txt", "/%C4%E3%BA%C3", "/%93%8C%8B%9E", "/%BE%C8%B3%E7", "/%EA%EE%F2", "/%C0nfo", "/%C0", "/x%C1", "/%E9..a",
			"/na%EFve.%E9t%E9", "/%C3", "/a%E2%82", "/%F0%9F", "/.%E9t", "/..%E9t",
		},
		"escapes": {
			"/a%2Fb", "/a%252Fb", "/100%", "/100%25", "/50%off", "/50%go", "/%zz", "/%2", "/%u0041bc", "/%u65E5", "/a%3Fb", "/a%23b", "/%3F", "/%23", "/%3B", "/a%3Bb", "/;", "/;v=1", "/a;..", "/a;./b", "/a?..",
			"/a#..", "/%2525", "/%25252", "/%E2%88%95", "/%C2%A5", "/%c3%a9", "/x%3D..%26y", "/%7B.%7D", "/%5B..%5D", "/%7C", "/%22", "/%3C.%3E", "/%60", "/%5E..",
		},
		"slashes": {"//", "///", "/a//b", "//a", "/a/", "/a//", "/%2F", "/%2F%2F", "/a%2F", "/%2Fa"},
		"what names things": {
			"/urn:isbn:0-486-27557-4", "/arn:aws:sns:eu-central-1:123456789012:orders", "/https://example.com/a", "/https%3A%2F%2Fexample.com%2Fa", "/gid%3A%2F%2Fshop%2FOrder%2F1",
			"/@scope/name", "/@scope%2fname", "/a:b", "/(a)", "/a,b", "/a=b", "/a&b", "/$metadata", "/Orders('1.5')", "/Orders(1)/Lines", "/*", "/!", "/a'b", "/-", "/_", "/~user", "/[1]", "/search/.net", "/wiki/C%2B%2B",
			"/wiki/....", "/tags/v1..v2", "/01.02.2026", "/-.-", "/12:30:05.123Z", "/" + strings.Repeat("a/", 2000), "/" + strings.Repeat("%E6%9D%B1", 1000), "/" + strings.Repeat("%E9", 1000),
		},
	} {
		for _, raw := range paths {
			if got := RefusedPath(EscapedPath(raw)); got != "" {
				t.Errorf("%s: %q is refused, since it %s", kind, raw, got)
			}
		}
	}
}

func TestAPathWithMoreReadingsThanAnybodyMeansIsRefused(t *testing.T) {
	// Escaped three times, and each time of bytes that can be read in several ways.
	raw := "/%c1%a1%25c1%25a1%2525c1%2525a1%ff%25ff%2525ff%c1%61%25c1%2561%2525c1%252561\uff41%25ef%25bd%2581%u0041%25u0041%zz"
	if got := RefusedPath(EscapedPath(raw)); !strings.Contains(got, "too many ways") {
		texts, all := readings(EscapedPath(raw))
		t.Errorf("%d readings, all: %v; the path %q", len(texts), all, got)
	}
}

func TestAPathThatIsNotEscapedIsRefused(t *testing.T) {
	for _, path := range []string{"/a b", "/%", "/%2", "/é", "/a?b", "/a#b", `/"`, "/\xff"} {
		if got := RefusedPath(path); !strings.Contains(got, "have to be escaped") {
			t.Errorf("%q %q", path, got)
		}
	}
}

func TestAPathIsAllowedIfItsSegmentsBeginWithThoseOfAnAllowedOne(t *testing.T) {
	for _, c := range []struct {
		allowed   string
		paths     []string
		forwarded bool
	}{
		{"/orders", []string{
			"/orders", "/orders/", "/orders/5", "/orders/5/lines", "/orders//5", "/orders/a%2Fb", "/orders/%E6%9D%B1", "/orders/caf%E9", "/orders/..a", "/orders/;v=1", "/%6Frders", "/%6frders/5",
			"/orders/\uff0fx", "/orders/100%25", "/orders/%C0nfo",
		}, true},
		{"/orders", []string{
			"/", "/ordersX", "/order", "/Orders", "/ORDERS/5", "/orders;v=1", "/orders;v=1/5", "/orders.json", "//orders", "/x/orders", "/orders%2F5", "/orders%2f", "/%256Frders", "/orders%3Fx", "/orders%20",
			"/\uff4frders", "/orders%E2%80%8B", "/orders%FF", "/%FForders", "/orders\uff0f5", "/orders%252F5", "/%u006frders", "/orders%00", "/admin", "/orders+", "/%c1%afrders", "/orders%23x",
		}, false},
		{"/v1/public/", []string{"/v1/public", "/v1/public/", "/v1/public/a"}, true},
		{"/v1/public/", []string{"/v1", "/v1/", "/v1/publicity", "/v1%2Fpublic/a", "/v1/public%2Fa", "/v1//public/a", "/v1/%70ublic%2Fa"}, false},
		{"/", []string{"/", "/a", "//", "/a%2Fb"}, true},
		{"/caf\u00e9 au lait", []string{"/caf%C3%A9%20au%20lait", "/caf%C3%A9%20au%20lait/1", "/caf%C3%A9%20au%20%6cait"}, true},
		{"/caf%C3%A9%20au%20lait", []string{"/caf%C3%A9%20au%20lait/1"}, true},
		{"/caf\u00e9 au lait", []string{"/cafe%CC%81%20au%20lait", "/caf%E9%20au%20lait", "/caf%C3%A9+au+lait", "/caf%C3%A9"}, false},
		{"/a%2Fb", []string{"/a%2Fb", "/a%2Fb/c"}, true},
		{"/a%2Fb", []string{"/a/b", "/a/b/c", "/a%252Fb", "/a"}, false},
		{"/100%25", []string{"/100%25", "/100%25/a"}, true},
		{"/100%25", []string{"/100", "/100%2525", "/100%25a"}, false},
		{"/\u00bd", []string{"/\u00bd/a"}, true},
	} {
		if err := CheckAllowedPath(c.allowed); err != nil {
			t.Errorf("%s: %v", c.allowed, err)
			continue
		}
		allowed := newAllowedPath(c.allowed)
		for _, path := range c.paths {
			if got := allowed.above(EscapedPath(path)); got != c.forwarded {
				t.Errorf("below %s, %s: forwarded is %v", c.allowed, path, got)
			}
		}
	}
}

func TestPathsThatCannotBeAllowedAreRefused(t *testing.T) {
	for path, why := range map[string]string{
		"":             "is empty",
		"orders":       "does not start with a slash",
		"/a/../b":      "dot segment",
		"/%2e%2e":      "dot segment",
		`/a\b`:         "backslash",
		"/a?b":         "question mark",
		"/a#b":         "number sign",
		"/caf%E9":      "UTF-8",
		"/a%0Ab":       "control characters",
		"https://h/v1": "does not start with a slash",
	} {
		if err := CheckAllowedPath(path); err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), fmt.Sprintf("%q", path)) {
			t.Errorf("%q: %v, want: %s", path, err, why)
		}
	}
}
