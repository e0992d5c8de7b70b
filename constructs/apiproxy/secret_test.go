//go:build !race

package apiproxy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// withSecrets are stacks whose upstreams ask for a credential, by a name each.
func withSecrets(t *testing.T) map[string]template {
	t.Helper()
	app := newApp(nothingBundled)
	build := func(name string, change func(awscdk.Stack, *apiproxy.RetryingApiProxyProps)) {
		stack := awscdk.NewStack(app, &name, nil)
		props := minimal()
		change(stack, props)
		apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), props)
	}
	build("Bearer", func(stack awscdk.Stack, p *apiproxy.RetryingApiProxyProps) {
		p.Upstream.Auth = apiproxy.BearerToken(awssecretsmanager.NewSecret(stack, jsii.String("Token"), nil)).Field("live")
		p.Upstream.Headers = map[string]string{"Stripe-Version": "2026-05-04"}
		p.Upstream.SecretCacheTime = 90 * time.Second
		p.Upstream.CertificateAuthority = someAuthority
	})
	build("Encrypted", func(stack awscdk.Stack, p *apiproxy.RetryingApiProxyProps) {
		p.Upstream.Auth = apiproxy.SecretHeader("X-Api-Key", awssecretsmanager.NewSecret(stack, jsii.String("Key"), &awssecretsmanager.SecretProps{
			EncryptionKey: awskms.NewKey(stack, jsii.String("KMS"), nil),
		})).With(apiproxy.ClientCertificate(awssecretsmanager.Secret_FromSecretNameV2(stack, jsii.String("TLS"), jsii.String("orders/tls"))))
	})
	build("OAuth2", func(stack awscdk.Stack, p *apiproxy.RetryingApiProxyProps) {
		secret := awssecretsmanager.Secret_FromSecretCompleteArn(stack, jsii.String("Client"), jsii.String("arn:aws:secretsmanager:eu-central-1:123456789012:secret:client-AbCdEf"))
		p.Upstream.Auth = apiproxy.OAuth2ClientCredentials(secret, apiproxy.OAuth2Options{
			TokenURL: "https://login.example.com/token", Scopes: []string{"read", "write"}, Audience: "orders", ClientSecretInBody: true,
		})
		p.Upstream.AllowAuthOverride = true
	})
	build("Query", func(stack awscdk.Stack, p *apiproxy.RetryingApiProxyProps) {
		p.Upstream.Auth = apiproxy.SecretQueryParameter("Api_Key", awssecretsmanager.NewSecret(stack, jsii.String("Key"), nil))
	})
	build("Role", func(stack awscdk.Stack, p *apiproxy.RetryingApiProxyProps) {
		p.Upstream.Auth = apiproxy.SigV4("execute-api", *stack.Region())
	})
	return synthesise(app)
}

// someAuthority is a certificate that nobody has the key of.
const someAuthority = `-----BEGIN CERTIFICATE-----
MIIBfDCCASOgAwIBAgIUXEOE8J6DJsCeya9r6/sJIuOd8QEwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJT3JkZXJzIENBMB4XDTI2MTEyNzIyMTkyMFoXDTM2MTEyNDIy
MTkyMFowFDESMBAGA1UEAwwJT3JkZXJzIENBMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEQPZfaqFKeZzHu5KS6WEuat/WvzgQ3y9QCjGkGTBiqytaCIgDw25AXWNj
5frI2aZa8WZgAiS4rbFbU3Jd6mhVN6NTMFEwHQYDVR0OBBYEFMDX/QR3dY+H3XEU
f1SMjEowQwl1MB8GA1UdIwQYMBaAFMDX/QR3dY+H3XEUf1SMjEowQwl1MA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgNPmafgl7GbaDMZudkAebZysz
eS+BwjxChljlE1vHmQACIDbAzmZs83UbloX6LPx/Rv5K66Q6a85PDksTZG6BIjYO
-----END CERTIFICATE-----
`

func TestOnlyTheProxiesAreToldHowToAuthenticateAndTheGatewayWhatThatReplaces(t *testing.T) {
	templates := withSecrets(t)
	for name, want := range map[string]struct {
		auth     string
		cache    string
		replaces string
	}{
		"Bearer":    {`{"kind":"bearer","secret":"${Token~}#live"}`, "1m30s", "authorization"},
		"Encrypted": {`{"kind":"header","secret":"${Key~}","name":"X-Api-Key","certificate":"arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:orders/tls"}`, "5m0s", "x-api-key"},
		"OAuth2":    {`{"kind":"oauth2","secret":"arn:aws:secretsmanager:eu-central-1:123456789012:secret:client-AbCdEf","tokenUrl":"https://login.example.com/token","scopes":["read","write"],"audience":"orders","secretInBody":true,"callersOverride":true}`, "5m0s", ""},
		"Query":     {`{"kind":"query","secret":"${Key~}","name":"Api_Key"}`, "5m0s", "?Api_Key"},
		"Role":      {`{"kind":"sigv4","service":"execute-api","region":"${AWS::Region}"}`, "5m0s", "authorization"},
	} {
		template := templates[name]
		auth := want.auth
		for id := range maps.Keys(template.Resources) { // the logical id behind the construct's
			for _, construct := range []string{"Token", "Key"} {
				if strings.HasPrefix(id, construct) && template.Resources[id].Type == "AWS::SecretsManager::Secret" {
					auth = strings.ReplaceAll(auth, "${"+construct+"~}", "${"+id+"}")
				}
			}
		}
		for _, proxy := range template.proxies() {
			told := environment(proxy)
			if diff := cmp.Diff(auth, told["UPSTREAM_AUTH"]); diff != "" || told["UPSTREAM_SECRET_CACHE"] != want.cache {
				t.Errorf("%s of %s is told to keep secrets for %s, and (-want +got):\n%s", proxy.name(), name, told["UPSTREAM_SECRET_CACHE"], diff)
			}
			if _, told := told["UPSTREAM_AUTH_REPLACES"]; told {
				t.Errorf("%s of %s is told what is for the gateway", proxy.name(), name)
			}
		}
		gateway := environment(template.gateway())
		for _, function := range template.functions() {
			if got, want := environment(function)["UPSTREAM_AWS_FIELDS"], map[string]string{"Role": "true"}[name]; got != want {
				t.Errorf("%s of %s is told of fields for AWS: %q, want %q", function.name(), name, got, want)
			}
		}
		for _, variable := range []string{"UPSTREAM_AUTH", "UPSTREAM_SECRET_CACHE", "UPSTREAM_HEADERS", "UPSTREAM_CERTIFICATE_AUTHORITY"} {
			if value, told := gateway[variable]; told {
				t.Errorf("the gateway of %s is told that %s is %s", name, variable, value)
			}
		}
		if got := gateway["UPSTREAM_AUTH_REPLACES"]; got != want.replaces {
			t.Errorf("the gateway of %s is told that %q is replaced, want %q", name, got, want.replaces)
		}
	}
	proxy := environment(templates["Bearer"].proxies()[0])
	if proxy["UPSTREAM_HEADERS"] != `{"Stripe-Version":"2026-05-04"}` || proxy["UPSTREAM_CERTIFICATE_AUTHORITY"] != someAuthority {
		t.Errorf("the proxies are told %v", proxy)
	}
}

func TestTheProxiesAloneMayReadTheSecretsAndUseTheirKeys(t *testing.T) {
	logs := []string{"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
	reading := []string{"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}
	for name, template := range withSecrets(t) {
		want := slices.Concat(logs[:2], reading, logs[2:])
		if name == "Role" {
			want = logs
		}
		want = slices.Concat([]string{"dynamodb:GetItem", "dynamodb:UpdateItem"}, want) // of what callers share
		proxies := map[*resource]bool{}
		for _, proxy := range template.proxies() {
			role := template.roleOf(proxy)
			proxies[role] = true
			if diff := cmp.Diff(want, template.actionsOf(role)); diff != "" {
				t.Errorf("%s of %s may do something else (-want +got):\n%s", proxy.name(), name, diff)
			}
			for _, secret := range template.resourcesOf(role, "secretsmanager:GetSecretValue") {
				if strings.Contains(secret, "*") {
					t.Errorf("%s of %s may read %s", proxy.name(), name, secret)
				}
			}
		}
		for _, role := range template.roles() {
			for _, action := range template.actionsOf(role) {
				if !proxies[role] && (strings.HasPrefix(action, "secretsmanager:") || strings.HasPrefix(action, "kms:")) {
					t.Errorf("%s of %s may %s", role.id, name, action)
				}
			}
		}
	}
}

// Secrets Manager decrypts for whoever reads a secret, so the key says who may have it do so.
func TestTheKeyOfASecretIsForTheProxiesAloneAndThroughSecretsManager(t *testing.T) {
	template := withSecrets(t)["Encrypted"]
	var decrypting []*resource
	for _, statement := range template.the("AWS::KMS::Key").at("KeyPolicy", "Statement").([]any) {
		principal := at(statement, "Principal", "AWS")
		if strings.HasSuffix(flat(principal), ":root") {
			continue // those of the account whom their own policies allow it
		}
		role := template.referred(principal)
		decrypting = append(decrypting, role)
		if actions, via := flat(at(statement, "Action")), flat(at(statement, "Condition")); actions != "kms:Decrypt" || !strings.Contains(via, "kms:ViaService") || !strings.Contains(via, "secretsmanager.") {
			t.Errorf("%s may %s if %s", role.id, actions, via)
		}
	}
	var proxies []*resource
	for _, proxy := range template.proxies() {
		proxies = append(proxies, template.roleOf(proxy))
	}
	if len(decrypting) != 3 || !slices.Equal(decrypting, proxies) {
		t.Errorf("%d roles may use the key, want those of the three proxies", len(decrypting))
	}
}
