package cloudformation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
)

// A Bucket is an AWS::S3::Bucket.
type Bucket struct {
	Name string
	ARN  string

	// Lifecycle has the enabled rules by which objects expire.
	Lifecycle []s3.Rule
}

// maxBucketName is how many characters the name of a bucket can have.
const maxBucketName = 63

var notInBucketName = regexp.MustCompile(`[^a-z0-9-]+`)

// bucketName is the name that the property sets, or the one that is made from those of the stack and the resource. Names of
// buckets are in lowercase letters; one that would be too long ends in a hash in the place of its end.
func bucketName(l *loader, r *resource) (any, error) {
	if value, given := r.Properties["BucketName"]; given {
		return l.text(value)
	}
	whole := l.stack.Name + "-" + r.id
	name := notInBucketName.ReplaceAllString(strings.ToLower(whole), "-")
	if len(name) > maxBucketName {
		sum := sha256.Sum256([]byte(whole))
		end := "-" + hex.EncodeToString(sum[:4])
		name = name[:maxBucketName-len(end)] + end
	}
	return name, nil
}

func bucketARN(l *loader, r *resource) (any, error) {
	name, err := bucketName(l, r)
	return "arn:" + Partition + ":s3:::" + fmt.Sprint(name), err
}

func bucketDomainName(l *loader, r *resource) (any, error) {
	name, err := bucketName(l, r)
	return fmt.Sprint(name) + ".s3." + URLSuffix, err
}

func loadBucket(l *loader, r *resource, properties map[string]any) error {
	var p struct {
		BucketName             string
		LifecycleConfiguration struct {
			Rules []struct {
				Id, Prefix, Status             string
				ExpirationInDays               *int
				AbortIncompleteMultipartUpload any // nothing is uploaded in several parts here
			}
		}
	}
	if err := into(properties, &p); err != nil {
		return err
	}
	name, err := bucketName(l, r)
	if err != nil {
		return err
	}
	arn, err := bucketARN(l, r)
	if err != nil {
		return err
	}
	bucket := Bucket{Name: name.(string), ARN: arn.(string)}
	for i, rule := range p.LifecycleConfiguration.Rules {
		switch {
		case rule.Status != "Enabled" && rule.Status != "Disabled":
			return fmt.Errorf("its lifecycle rule %d has the Status %q; CloudFormation takes Enabled or Disabled", i+1, rule.Status)
		case rule.Status == "Enabled" && rule.ExpirationInDays != nil:
			bucket.Lifecycle = append(bucket.Lifecycle, s3.Rule{Prefix: rule.Prefix, Days: *rule.ExpirationInDays})
		}
	}
	if err := (s3.Bucket{Name: bucket.Name, Lifecycle: bucket.Lifecycle}).Validate(); err != nil {
		return err
	}
	l.stack.Buckets = append(l.stack.Buckets, bucket)
	return nil
}
