// Package cloudwatchlogs keeps log lines in memory and answers for them as Amazon CloudWatch Logs does: DescribeLogGroups and
// FilterLogEvents in its JSON protocol, which filter-log-events of the AWS CLI sends. Filter patterns are those of
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html, but for those in square brackets.
package cloudwatchlogs
