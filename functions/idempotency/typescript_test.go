package idempotency_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/npmpackages"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
)

// typeScriptStore is a store whose records are like those of Powertools for TypeScript.
type typeScriptStore struct{ *idempotency.MemoryStore }

func (typeScriptStore) Format() recordformat.Format { return recordformat.TypeScript }

func typeScriptManager(t *testing.T, cfg idempotency.Config) *idempotency.Manager {
	t.Helper()
	cfg.Prefix = "test"
	manager, err := idempotency.New(typeScriptStore{idempotency.NewMemoryStore()}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return manager
}

func TestIDsInTheFormatOfTypeScriptAreThoseThatPowertoolsMakes(t *testing.T) {
	// As @aws-lambda-powertools/idempotency 2.35.0 made them.
	manager := typeScriptManager(t, idempotency.Config{})
	for payload, want := range map[string]string{
		`{"user_id":"xyz","product_id":"123456789"}`: "test#xW6ytyx6/HC187aBL+9PaA==",
		`{"name":"Zoë","city":"東京","e":"😀"}`:         "test#obHcQB4D8RCD+8GPjXgi+A==",
		`{"n":1e21,"m":1e-7,"k":0.1}`:                "test#DefXfVAt7FxTaR05zDlrjA==",
		`{"amount":12.0,"2":1,"10":2,"__proto__":3}`: "test#TwsDnHPqs60OOMeunhmZ4w==",
	} {
		if id, _, err := manager.Key(raw(payload)); id != want || err != nil {
			t.Errorf("%s has the ID %s, %v; want %s", payload, id, err, want)
		}
	}
	_, fingerprint, err := typeScriptManager(t, idempotency.Config{Key: "order", Validation: "amount"}).Key(raw(`{"order":"o","amount":1}`))
	if want := "xMpCOKC5I4INzFCab3WEmw=="; fingerprint != want || err != nil {
		t.Errorf("the fingerprint is %s, %v; want %s, which is md5 of 1 in base64", fingerprint, err, want)
	}
}

// casefulNames are names of which the order depends on their case, and on Unicode's rules for it.
func casefulNames(r *rand.Rand) string {
	var b strings.Builder
	letters := []rune("aAbBzZσςΣİIiıéÉ̇'.··1203_ǅǆ𐐀𐐨ａＡΑα-\u00ad")
	for range r.IntN(6) {
		b.WriteRune(letters[r.IntN(len(letters))])
		if r.IntN(10) == 0 {
			fmt.Fprintf(&b, `\u%04x`, 0xD800+r.IntN(0x800)) // a surrogate without a partner
		}
	}
	if r.IntN(6) == 0 {
		return fmt.Sprintf("%q", fmt.Sprint(r.Uint64()>>r.IntN(64))) // perhaps an array index
	}
	return `"` + b.String() + `"`
}

func TestIDsInTheFormatOfTypeScriptAgreeWithPowertoolsOnRandomDocuments(t *testing.T) {
	packages := npmpackages.Installed(t, filepath.Join("comparison", "testdata", "powertools"))
	script, err := os.ReadFile(filepath.Join("testdata", "powertools.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	const documents = 20_000
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var input bytes.Buffer
	var texts []string
	for i := range documents {
		text := randomDocument(random, 4)
		if i%2 == 0 {
			members := make([]string, 1+random.IntN(8))
			for i := range members {
				members[i] = casefulNames(random) + ":" + randomDocument(random, 1)
			}
			text = "{" + strings.Join(members, ",") + "}"
		}
		texts = append(texts, text)
		fmt.Fprintln(&input, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	command := exec.Command("node", "--input-type=module", "--eval", string(script), "ids")
	command.Dir = packages
	command.Stdin = &input
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.Bytes())
	}
	ids := strings.Fields(string(output))
	if len(ids) != documents {
		t.Fatalf("node wrote %d IDs for %d documents", len(ids), documents)
	}
	manager := typeScriptManager(t, idempotency.Config{})
	compared, differences := 0, 0
	for i, text := range texts {
		id, _, err := manager.Key(raw(text))
		if ids[i] == "-" || errors.Is(err, idempotency.ErrKeyMissing) {
			continue
		}
		compared++
		if id != ids[i] || err != nil {
			t.Errorf("seed %d: %s\n got %s, %v\nwant %s", seed, text, id, err, ids[i])
			if differences++; differences == 5 {
				t.FailNow()
			}
		}
	}
	if compared < documents/2 {
		t.Fatalf("only %d of %d documents were compared", compared, documents)
	}
	t.Logf("%d documents agree with Powertools for TypeScript", compared)
}
