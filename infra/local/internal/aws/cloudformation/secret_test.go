package cloudformation_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// generated loads a secret with the property GenerateSecretString and gives its value.
func generated(t *testing.T, property string) string {
	t.Helper()
	stack, _, err := loadText(t, `{"Resources":{"S":{"Type":"AWS::SecretsManager::Secret","Properties":{"GenerateSecretString":`+property+`}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(stack.Secrets) != 1 || stack.Secrets[0].Name != "S" {
		t.Fatalf("the secrets are %+v", stack.Secrets)
	}
	return stack.Secrets[0].Value
}

func TestAGeneratedValueIsAnotherOneEachTime(t *testing.T) {
	first, second := generated(t, `{}`), generated(t, `{}`)
	if len(first) != 32 || len(second) != 32 || first == second {
		t.Errorf("the values are %q and %q, want two of 32 characters", first, second)
	}
}

func TestAGeneratedValueHasTheCharactersThatItMayHave(t *testing.T) {
	for property, patterns := range map[string][]string{
		`{}`:                   {`^[!-~]{32}$`, `[a-z]`, `[A-Z]`, `[0-9]`, `[^a-zA-Z0-9]`},
		`{"PasswordLength":4}`: {`^[!-~]{4}$`, `[a-z]`, `[A-Z]`, `[0-9]`, `[^a-zA-Z0-9]`},
		`{"PasswordLength":5,"IncludeSpace":true}`:                                                                                  {`^[ -~]{5}$`, ` `},
		`{"PasswordLength":100,"ExcludePunctuation":true}`:                                                                          {`^[a-zA-Z0-9]{100}$`, `[a-z]`, `[A-Z]`, `[0-9]`},
		`{"ExcludeLowercase":true,"ExcludeNumbers":true,"ExcludePunctuation":true}`:                                                 {`^[A-Z]{32}$`},
		`{"ExcludeUppercase":true,"ExcludeNumbers":true,"ExcludePunctuation":true,"ExcludeCharacters":"a-y"}`:                       {`^[b-xz]{32}$`},
		`{"PasswordLength":1,"RequireEachIncludedType":false,"ExcludeNumbers":true}`:                                                {`^[!-/:-~]$`},
		`{"ExcludeNumbers":true,"ExcludePunctuation":true,"ExcludeUppercase":true,"ExcludeCharacters":"abcdefghijklmnopqrstuvwxy"}`: {`^z{32}$`},
	} {
		for range 50 {
			got := generated(t, property)
			for _, pattern := range patterns {
				if !regexp.MustCompile(pattern).MatchString(got) {
					t.Errorf("%s gives %q, which is not of the form %s", property, got, pattern)
				}
			}
		}
	}
}

func TestAGeneratedValueIsPutIntoTheTemplate(t *testing.T) {
	for template, before := range map[string]string{
		`{\"username\": \"shop\", \"a\": [1, 2]}`: `{"username":"shop","a":[1,2],"password":"`,
		`{ }`: `{"password":"`,
	} {
		got := generated(t, `{"SecretStringTemplate":"`+template+`","GenerateStringKey":"password"}`)
		var members struct{ Password string }
		if err := json.Unmarshal([]byte(got), &members); err != nil || len(members.Password) != 32 || !strings.HasPrefix(got, before) {
			t.Errorf("%s gives %s, %v", template, got, err)
		}
	}
	if got := generated(t, `{"SecretStringTemplate":"{}","GenerateStringKey":"<&>"}`); !strings.HasPrefix(got, `{"<&>":"`) {
		t.Errorf("the key <&> gives %s", got)
	}
}

func TestASecretThatCannotBeGeneratedIsNamed(t *testing.T) {
	for properties, want := range map[string]string{
		`"SecretString":"hidden","GenerateSecretString":{}`: `it has a SecretString and a GenerateSecretString; CloudFormation takes one of them`,
		`"GenerateSecretString":{"PasswordLength":0}`:       `its PasswordLength is 0; CloudFormation takes 1 to 4096`,
		`"GenerateSecretString":{"PasswordLength":4097}`:    `its PasswordLength is 4097; CloudFormation takes 1 to 4096`,
		`"GenerateSecretString":{"PasswordLength":3}`:       `its PasswordLength is 3, and there is to be one character of each of 4 kinds`,
		`"GenerateSecretString":{"ExcludeLowercase":true,"ExcludeUppercase":true,"ExcludeNumbers":true,"ExcludePunctuation":true}`: `its GenerateSecretString excludes all characters`,
		`"GenerateSecretString":{"GenerateStringKey":"password"}`:                                                                  `its GenerateSecretString has one of SecretStringTemplate and GenerateStringKey; CloudFormation takes both, or neither`,
		`"GenerateSecretString":{"GenerateStringKey":"password","SecretStringTemplate":"hidden"}`:                                  `its SecretStringTemplate is no JSON object`,
		`"GenerateSecretString":{"GenerateStringKey":"password","SecretStringTemplate":"null"}`:                                    `its SecretStringTemplate is no JSON object`,
		`"GenerateSecretString":{"GenerateStringKey":"p","SecretStringTemplate":"{\"p\":\"hidden\"}"}`:                             `its SecretStringTemplate has the key p already, which is for what is generated`,
		`"GenerateSecretString":{"Length":3}`:                                                                                      `json: unknown field "Length"`,
	} {
		_, _, err := loadText(t, `{"Resources":{"S":{"Type":"AWS::SecretsManager::Secret","Properties":{`+properties+`}}}}`)
		problems(t, err, `resource S (AWS::SecretsManager::Secret): `+want)
	}
}

func TestAPropertyOfASecretThatIsNotKnownIsNamed(t *testing.T) {
	_, _, err := loadText(t, `{"Resources":{"S":{"Type":"AWS::SecretsManager::Secret","Properties":{"SecretBinary":"aGlkZGVu"}}}}`)
	problems(t, err, `resource S (AWS::SecretsManager::Secret) has the property SecretBinary, which is not known here`)
}
