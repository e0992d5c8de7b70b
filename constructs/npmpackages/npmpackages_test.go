package npmpackages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALockFileThatLeadsElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ packages, want string }{
		{`"": {}, "node_modules/got": {"integrity": "sha512-x"}`, ""},
		{`"node_modules/got": {"integrity": "sha512-x", "resolved": "https://registry.npmjs.org/got/-/got-14.6.6.tgz"}`, ""},
		{`"node_modules/got": {"integrity": "sha512-x"}, "node_modules/got/node_modules/ky": {"inBundle": true}`, ""},
		{`"node_modules/got": {"integrity": "sha512-x", "resolved": "https://registry.npmjs.org.example.com/got.tgz"}`,
			"node_modules/got comes from https://registry.npmjs.org.example.com/got.tgz; only https://registry.npmjs.org/ is allowed"},
		{`"node_modules/got": {"integrity": "sha512-x", "resolved": "http://registry.npmjs.org/got.tgz"}`,
			"node_modules/got comes from http://registry.npmjs.org/got.tgz; only https://registry.npmjs.org/ is allowed"},
		{`"node_modules/got": {"resolved": "git+ssh://git@github.com/sindresorhus/got.git"}`,
			"node_modules/got comes from git+ssh://git@github.com/sindresorhus/got.git; only https://registry.npmjs.org/ is allowed"},
		{`"node_modules/got": {"version": "14.6.6"}`, "node_modules/got has no integrity"},
	} {
		lock := `{"packages": {` + test.packages + `}}`
		err := checkOrigins([]byte(lock))
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", lock, err)
			}
			continue
		}
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: the problems are %v; want %s", lock, err, test.want)
		}
		folder := t.TempDir()
		for name, text := range map[string]string{"package.json": `{}`, "package-lock.json": lock} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if dir, err := install(folder); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s is installed in %q, with the error %v", lock, dir, err)
		}
	}
}

func TestTheListsOfTheRepositoryNameTheRegistryOfNpmOnly(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"infra/local/internal/stack/testdata/clients", "constructs/apiproxy/testdata/nag", "."} {
		lock, err := os.ReadFile(filepath.Join("..", "..", folder, "package-lock.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := checkOrigins(lock); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}
