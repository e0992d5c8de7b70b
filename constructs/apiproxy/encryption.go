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
	key.GrantEncryptDecrypt(awsiam.NewServicePrincipal(jsii.String("logs."+*stack.Region()+".amazonaws.com"), &awsiam.ServicePrincipalOpts{
		Conditions: &map[string]any{"ArnLike": map[string]any{
			"kms:EncryptionContext:aws:logs:arn": stack.FormatArn(&awscdk.ArnComponents{Service: jsii.String("logs"), Resource: jsii.String("*")}),
		}},
	}))
}

// machineEncryption encrypts a state machine with a key, or leaves it to Step Functions.
func machineEncryption(key awskms.IKey) awsstepfunctions.EncryptionConfiguration {
	if key == nil {
		return nil
	}
	return awsstepfunctions.NewCustomerManagedEncryptionConfiguration(key, nil)
}
