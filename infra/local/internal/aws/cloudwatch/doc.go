// Package cloudwatch is the part of Amazon CloudWatch that shows metrics, in memory: the operations GetMetricStatistics,
// GetMetricData without expressions, and ListMetrics, in the CBOR and the JSON protocol, which SDKs and the AWS CLI of today
// speak. What is measured comes by [Store.Put].
//
// It answers at once what was measured, which takes CloudWatch a minute or two. Like a metric of standard resolution, values are
// kept by the minute. What is not supported is refused by name: the query protocol of older SDKs, metric math, Metrics Insights,
// and extended statistics but percentiles.
//
// The operations are documented in
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html and beside it. Where that does
// not say how an error is worded, the words are those that users of AWS have quoted.
package cloudwatch
