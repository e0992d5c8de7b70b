package cloudformation_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestWhatABucketHasThatIsNotKnownIsNamed(t *testing.T) {
	_, _, err := loadText(t, `{"Resources":{
		"A":{"Type":"AWS::S3::Bucket","Properties":{"VersioningConfiguration":{"Status":"Enabled"},"NotificationConfiguration":{}}},
		"B":{"Type":"AWS::S3::Bucket","Properties":{"BucketName":"Orders"}},
		"C":{"Type":"AWS::S3::Bucket","Properties":{"LifecycleConfiguration":{"Rules":[{"Status":"Enabled","ExpirationInDays":0}]}}},
		"D":{"Type":"AWS::S3::Bucket","Properties":{"LifecycleConfiguration":{"Rules":[{"Status":"Enabled","Transitions":[]}]}}},
		"E":{"Type":"AWS::S3::Bucket","Properties":{"LifecycleConfiguration":{"Rules":[{"Status":"Enabled","ExpirationInDays":1},{"ExpirationInDays":1}]}}},
		"F":{"Type":"AWS::S3::Bucket","Properties":{"LifecycleConfiguration":{"Rules":[{"Status":"Enabled","ExpirationDate":"2026-01-01"}]}}}
	},"Outputs":{"Website":{"Value":{"Fn::GetAtt":["A","WebsiteURL"]}}}}`)
	problems(t, err,
		`resource A (AWS::S3::Bucket) has the property NotificationConfiguration, which is not known here`,
		`resource A (AWS::S3::Bucket) has the property VersioningConfiguration, which is not known here`,
		`resource B (AWS::S3::Bucket): "Orders" is no name of a bucket; give 3 to 63 lowercase letters, digits, hyphens and dots, a letter or digit at both ends`,
		`resource C (AWS::S3::Bucket): the lifecycle rule 1 of the bucket "shop-c" has objects expire after 0 days; give 1 or more`,
		`resource D (AWS::S3::Bucket): json: unknown field "Transitions"`,
		`resource E (AWS::S3::Bucket): its lifecycle rule 2 has the Status ""; CloudFormation takes Enabled or Disabled`,
		`resource F (AWS::S3::Bucket): json: unknown field "ExpirationDate"`,
		`output Website: Fn::GetAtt A.WebsiteURL: that attribute of AWS::S3::Bucket is not known here`,
	)
}

func TestLongNamesOfResourcesGiveNamesOfBuckets(t *testing.T) {
	long := strings.Repeat("Orders", 12)
	stack, _, err := loadText(t, `{"Resources":{"`+long+`A":{"Type":"AWS::S3::Bucket"},"`+long+`B":{"Type":"AWS::S3::Bucket"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	first, second := stack.Buckets[0].Name, stack.Buckets[1].Name
	form := regexp.MustCompile(`^shop-ordersorders[a-z]{37}-[0-9a-f]{8}$`)
	if len(first) != 63 || !form.MatchString(first) || !form.MatchString(second) || first == second {
		t.Errorf("the buckets are %s and %s, want two names of 63 characters", first, second)
	}
}
