package apiproxy

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/jsii-runtime-go"
)

// grantLogs lets CloudWatch Logs of the stack's region use a key for log groups of its account. For a key that is imported,
// its policy has to say so.
func grantLogs(r *RetryingApiProxy, key awskms.IKey) {
	stack := awscdk.Stack_Of(r)
	grantUse(key, awsiam.NewServicePrincipal(jsii.String("logs."+*stack.Region()+".amazonaws.com"), &awsiam.ServicePrincipalOpts{
		Conditions: &map[string]any{"ArnLike": map[string]any{
			"kms:EncryptionContext:aws:logs:arn": stack.FormatArn(&awscdk.ArnComponents{Service: jsii.String("logs"), Resource: jsii.String("*")}),
		}},
	}))
}

// grantUse lets a principal encrypt and decrypt with a key. It names the actions that the CDK's grant has wildcards for, but
// for those that make pairs of keys.
func grantUse(key awskms.IKey, grantee awsiam.IGrantable) {
	key.Grant(grantee, jsii.String("kms:Decrypt"), jsii.String("kms:DescribeKey"), jsii.String("kms:Encrypt"),
		jsii.String("kms:GenerateDataKey"), jsii.String("kms:GenerateDataKeyWithoutPlaintext"),
		jsii.String("kms:ReEncryptFrom"), jsii.String("kms:ReEncryptTo"))
}

// machineEncryption encrypts a state machine with a key, or leaves it to Step Functions.
func machineEncryption(key awskms.IKey) awsstepfunctions.EncryptionConfiguration {
	if key == nil {
		return nil
	}
	return awsstepfunctions.NewCustomerManagedEncryptionConfiguration(key, nil)
}
