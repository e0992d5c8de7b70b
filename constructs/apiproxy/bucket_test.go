//go:build !race

package apiproxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

const bucketType = "AWS::S3::Bucket"

// largeBodies says whether the functions are told of a bucket.
func (t template) largeBodies() bool {
	return t.gateway().at("Environment", "Variables", "LARGE_BODIES_BUCKET") != nil
}

func TestTheGatewayWritesRequestsAndReadsAnswersAndTheProxiesTheOtherWayRound(t *testing.T) {
	for name, objects := range map[string]string{
		"LargeBodies":     "${OrdersBodiesB89E061F.Arn}/Orders/",
		"EncryptedBodies": "${OrdersBodiesB89E061F.Arn}/Orders/",
		"ExistingBucket":  "arn:${AWS::Partition}:s3:::bodies/Orders/",
		"Everything":      "${OrdersBodiesB89E061F.Arn}/orders/",
	} {
		template := variants()[name]
		may := func(role *resource, read []string, write string) {
			t.Helper()
			for action, kinds := range map[string][]string{"s3:GetObject": read, "s3:PutObject": {write}} {
				var want []string
				for _, kind := range kinds {
					want = append(want, objects+kind+"/*")
				}
				if got := slices.Sorted(slices.Values(template.resourcesOf(role, action))); !slices.Equal(got, want) {
					t.Errorf("%s: %s may %s on %q, want %q", name, role.id, action, got, want)
				}
			}
			keyed := slices.Contains(template.actionsOf(role), "kms:GenerateDataKey") && slices.Contains(template.actionsOf(role), "kms:Decrypt")
			if want := name == "EncryptedBodies" || name == "ExistingBucket"; keyed != want {
				t.Errorf("%s: %s may use the key: %v", name, role.id, keyed)
			}
		}
		reads := []string{"answers"}
		if name == "Everything" { // it has dead letters: what is sent again is read, and written anew
			reads = append(reads, "requests")
		}
		may(template.roleOf(template.gateway()), reads, "requests")
		for _, proxy := range template.proxies() {
			may(template.roleOf(proxy), []string{"requests"}, "answers")
		}
		if actions := template.actionsOf(template.machineRole()); slices.ContainsFunc(actions, func(a string) bool { return strings.HasPrefix(a, "s3:") }) {
			t.Errorf("%s: the state machine may %q", name, actions)
		}
	}
}

func TestOnlyLargeBodiesBringABucketAndTheProxiesThatReachIt(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		buckets := len(template.ofType(bucketType))
		asked := template.largeBodies()
		existing := strings.Contains(string(template.text), `"LARGE_BODIES_BUCKET": "bodies"`)
		if want := asked && !existing; want != (buckets == 1) {
			t.Errorf("there are %d buckets; the functions are told of one: %v, and of an existing one: %v", buckets, asked, existing)
		}
	})
}

func TestTheBucketKeepsEverybodyElseOut(t *testing.T) {
	for _, name := range []string{"LargeBodies", "EncryptedBodies", "Everything", "NoFlagsEverything"} {
		template := variants()[name]
		bucket := template.the(bucketType)
		for _, wall := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
			if bucket.at("PublicAccessBlockConfiguration", wall) != true {
				t.Errorf("%s: %s is not set", name, wall)
			}
		}
		if got := flat(bucket.at("OwnershipControls")); !strings.Contains(got, "BucketOwnerEnforced") {
			t.Errorf("%s: the ownership of objects is %s", name, got)
		}
		algorithm := "AES256"
		if name == "EncryptedBodies" {
			algorithm = "aws:kms"
		}
		if got := flat(bucket.at("BucketEncryption")); !strings.Contains(got, algorithm) || (name == "EncryptedBodies") != strings.Contains(got, `"BucketKeyEnabled":true`) {
			t.Errorf("%s: the encryption is %s, want %s", name, got, algorithm)
		}
		if bucket.at("VersioningConfiguration") != nil {
			t.Errorf("%s: the bucket keeps versions of what has expired", name)
		}
		policy := flat(template.the("AWS::S3::BucketPolicy").at("PolicyDocument"))
		if !strings.Contains(policy, `"aws:SecureTransport":"false"`) || !strings.Contains(policy, `"Effect":"Deny"`) {
			t.Errorf("%s: the policy of the bucket is %s, want one that refuses plain http", name, policy)
		}
	}
}

// S3 deletes objects that have expired after a midnight, UTC. What refers to them lives up to the deadline of a request, or as long
// as the record of an answer.
func TestObjectsOutliveWhatRefersToThem(t *testing.T) {
	app := newApp(nothingBundled)
	cases := map[string]struct {
		change            func(*apiproxy.RetryingApiProxyProps)
		requests, answers int
	}{
		"Defaults":  {func(*apiproxy.RetryingApiProxyProps) {}, 2, 2},
		"ADayMore":  {func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.TTL = 24*time.Hour + time.Second }, 2, 3},
		"AnHour":    {func(p *apiproxy.RetryingApiProxyProps) { p.Idempotency.TTL = time.Hour }, 2, 2},
		"Async":     {func(p *apiproxy.RetryingApiProxyProps) { p.Async = &apiproxy.Async{} }, 2, 3},
		"LongAsync": {func(p *apiproxy.RetryingApiProxyProps) { p.Async = &apiproxy.Async{Deadline: 30 * 24 * time.Hour} }, 31, 32},
		"Letters": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Async, p.DeadLetters = &apiproxy.Async{}, &apiproxy.DeadLetters{}
		}, 17, 17}, // a day, 14 days, two hours
		"ShortLetters": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Async, p.DeadLetters = &apiproxy.Async{Deadline: 12 * time.Hour}, &apiproxy.DeadLetters{Retention: 9 * time.Hour}
		}, 2, 3},
	}
	for name, c := range cases {
		props := minimal()
		props.ProxyCount, props.LargeBodies, props.RecordPrefix = 1, &apiproxy.LargeBodies{}, "orders"
		c.change(props)
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, &name, nil), jsii.String("Orders"), props)
	}
	templates := synthesise(app)
	for name, c := range cases {
		rules := flat(templates[name].the(bucketType).at("LifecycleConfiguration", "Rules"))
		for prefix, days := range map[string]int{"orders/requests/": c.requests, "orders/answers/": c.answers} {
			if want := fmt.Sprintf(`"ExpirationInDays":%d,"Id":%q,"Prefix":%q,"Status":"Enabled"`, days, strings.Split(prefix, "/")[1], prefix); !strings.Contains(rules, want) {
				t.Errorf("%s: the rules are %s, want %s", name, rules, want)
			}
		}
		if !strings.Contains(rules, `"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":1}`) {
			t.Errorf("%s: the rules are %s", name, rules)
		}
	}
}

func TestTheBucketFollowsTheRemovalPolicy(t *testing.T) {
	for name, want := range map[string]string{"LargeBodies": "Retain", "Everything": "Delete"} {
		template := variants()[name]
		if got := template.the(bucketType).DeletionPolicy; got != want {
			t.Errorf("%s: the DeletionPolicy is %q, want %s", name, got, want)
		}
		if len(template.ofType("Custom::S3AutoDeleteObjects")) != 0 {
			t.Errorf("%s: there is a resource that empties the bucket", name)
		}
	}
}
