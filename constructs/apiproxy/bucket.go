package apiproxy

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/internal/nagrule"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
)

// day is what lifecycle rules count in.
const day = 24 * time.Hour

// newBucket creates the bucket for large bodies. There are no versions: objects are written once, under names that nobody knows
// before.
func newBucket(r *RetryingApiProxy, props RetryingApiProxyProps) awss3.Bucket {
	own := &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		EnforceSSL:        jsii.Bool(true),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
		LifecycleRules: &[]*awss3.LifecycleRule{
			expiring(r, props, largebody.Requests, props.requestLife()),
			expiring(r, props, largebody.Answers, props.answerLife()),
			{Id: jsii.String("unfinished"), AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(1))},
		},
	}
	if props.RemovalPolicy != "" {
		own.RemovalPolicy = props.RemovalPolicy
	}
	if props.EncryptionKey != nil {
		own.Encryption, own.EncryptionKey = awss3.BucketEncryption_KMS, props.EncryptionKey
		own.BucketKeyEnabled = jsii.Bool(true) // one use of the key for many objects
	}
	bucket := awss3.NewBucket(r, jsii.String("Bodies"), own)
	nagrule.Acknowledge(bucket, accessIsNotLogged)
	return bucket
}

// expiring is the lifecycle rule for objects of a kind.
func expiring(r *RetryingApiProxy, props RetryingApiProxyProps, kind largebody.Kind, life time.Duration) *awss3.LifecycleRule {
	return &awss3.LifecycleRule{
		Id:         jsii.String(string(kind)),
		Prefix:     jsii.String(largebody.Prefix(recordPrefix(r, props), kind)),
		Expiration: awscdk.Duration_Days(jsii.Number(float64(life / day))),
	}
}

// requestLife is how long the body of a request is kept, in whole days: as long as it may be sent, also by a redrive, which
// writes it anew. S3 deletes objects some time after the midnight, UTC, at which they are old enough; the day that is added makes
// up for clocks and margins.
func (p RetryingApiProxyProps) requestLife() time.Duration {
	longest := p.longestDeadline()
	if p.Async != nil {
		longest = max(longest, p.Async.Deadline+p.letterLife())
	}
	return roundUp(longest, day) + day
}

// answerLife is how long the body of an answer is kept, in whole days: as long as the idempotency record refers to it, or what is
// known of an asynchronous request, which is kept for as long after its deadline, and no less than its dead letter.
func (p RetryingApiProxyProps) answerLife() time.Duration {
	longest := p.Idempotency.TTL
	if p.Async != nil {
		longest = p.Async.Deadline + max(longest, p.letterLife())
	}
	return roundUp(longest, day) + day
}

// letterLife is how long what a dead letter refers to is kept after the deadline of its request. Zero if there are none.
func (p RetryingApiProxyProps) letterLife() time.Duration {
	if p.DeadLetters == nil {
		return 0
	}
	return p.DeadLetters.Retention + execution.LetterMargin
}

// grantBodies lets a function do something with the objects of a kind, and use the key of the bucket. The CDK's own grants have
// more actions than that.
func grantBodies(r *RetryingApiProxy, function awslambda.Function, props RetryingApiProxyProps, kind largebody.Kind, actions ...string) {
	objects := r.Bucket.ArnForObjects(jsii.String(largebody.Prefix(recordPrefix(r, props), kind) + "*"))
	function.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings(actions...),
		Resources: jsii.Strings(*objects),
	}))
	acknowledgePolicy(function.Role(), nagrule.Acknowledgement{
		Rule:    "AwsSolutions-IAM5",
		Finding: nagrule.Resource(r, objects),
		Reason:  "The name of an object is drawn when it is written. Below this prefix are the bodies of this construct alone.",
	})
	if key := r.Bucket.EncryptionKey(); key != nil {
		grantUse(key, function)
	}
}
