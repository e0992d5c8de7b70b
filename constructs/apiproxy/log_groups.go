package apiproxy

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// LogGroups are log groups that exist. Each is in the stack's own account and region; LogRetention, RemovalPolicy and
// EncryptionKey are not for them. The functions are granted to write to theirs and to no other.
type LogGroups struct {
	// Gateway takes the log of the gateway. Default: one is created.
	Gateway awslogs.ILogGroup

	// Proxies takes the logs of all proxies, whose lines name them. Default: one is created for each.
	Proxies awslogs.ILogGroup

	// StateMachines takes the log of the state machine, and of the other one with Async. It must be that of one RetryingApiProxy alone:
	// [RetryingApiProxy.MetricFailed] counts all that fails in it. Its name should begin with /aws/vendedlogs/: Step Functions adds
	// every other group to one resource policy of the account, whose size is limited. Default: one is created for each.
	StateMachines awslogs.ILogGroup
}

// ofFunction is the log group for a function, if it exists.
func (g LogGroups) ofFunction(name string) awslogs.ILogGroup {
	if name == gatewayName {
		return g.Gateway
	}
	return g.Proxies
}

// newLogGroup creates a log group as the props have it.
func newLogGroup(scope constructs.Construct, id string, props RetryingApiProxyProps, name *string) awslogs.ILogGroup {
	return awslogs.NewLogGroup(scope, &id, &awslogs.LogGroupProps{
		LogGroupName:  name,
		Retention:     props.LogRetention,
		RemovalPolicy: logRemovalPolicy(props),
		EncryptionKey: props.EncryptionKey,
	})
}

// addMetricFilter counts lines of a log group. The filter of one that exists is in the scope, since others may count in it, too.
func addMetricFilter(scope constructs.Construct, logGroup awslogs.ILogGroup, exists bool, name string, options *awslogs.MetricFilterOptions) awslogs.MetricFilter {
	if !exists {
		return logGroup.AddMetricFilter(&name, options)
	}
	return awslogs.NewMetricFilter(scope, jsii.String("Count"+name), &awslogs.MetricFilterProps{
		LogGroup:        logGroup,
		FilterPattern:   options.FilterPattern,
		MetricNamespace: options.MetricNamespace,
		MetricName:      options.MetricName,
		MetricValue:     options.MetricValue,
		Unit:            options.Unit,
	})
}
