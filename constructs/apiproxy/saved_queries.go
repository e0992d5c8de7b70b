package apiproxy

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// A savedQuery is one of CloudWatch Logs Insights. The fields are those of docs/logs.md.
type savedQuery struct {
	id, name string
	of       logs // whose logs it reads
	query    awslogs.QueryStringProps
}

// logs are those of some of the parts.
type logs int

const (
	ofGateway logs = 1 << iota
	ofProxies
	ofMachines
)

// How many lines queries show.
const (
	queryLines   = 100
	queryHistory = 1000 // of one request or key
)

// savedQueries are the queries, in the order in which they are asked at night. An id never changes.
var savedQueries = []savedQuery{
	{"WhatFailed", "What failed", ofGateway, awslogs.QueryStringProps{
		Fields:           jsii.Strings("@timestamp", "requestId", "method", "path", "status", "problem", "outcome", "upstreamStatus", "attempts", "durationMs", "caller", "execution"),
		FilterStatements: jsii.Strings(`msg = "request"`, "status >= 500"),
		Sort:             jsii.String("@timestamp desc"),
		Limit:            jsii.Number(queryLines),
	}},
	{"Problems", "Problems by type", ofGateway, awslogs.QueryStringProps{
		FilterStatements: jsii.Strings(`msg = "request"`, "ispresent(problem)"),
		StatsStatements:  jsii.Strings("count(*) as requests, min(@timestamp) as since, max(@timestamp) as until by problem, outcome, status, upstreamStatus"),
		Sort:             jsii.String("requests desc"),
	}},
	{"OneRequest", "One request, by its id", ofGateway | ofProxies | ofMachines, awslogs.QueryStringProps{
		Fields:           jsii.Strings("@timestamp", "@log", "msg", "attempt", "proxy", "method", "path", "status", "error", "problem", "outcome", "why", "waitMs", "durationMs", "type", "details.name"),
		FilterStatements: jsii.Strings("requestId = 'REQUEST-ID' or execution_arn like 'REQUEST-ID'"),
		Sort:             jsii.String("@timestamp asc"),
		Limit:            jsii.Number(queryHistory),
	}},
	{"OneKey", "What became of an Idempotency-Key, by its digest", ofGateway, awslogs.QueryStringProps{
		Fields:           jsii.Strings("@timestamp", "requestId", "method", "path", "status", "problem", "outcome", "attempts", "replayOf", "caller", "execution"),
		FilterStatements: jsii.Strings(`msg = "request"`, "keyDigest = 'KEY-DIGEST'"),
		Sort:             jsii.String("@timestamp asc"),
		Limit:            jsii.Number(queryHistory),
	}},
	{"RateLimits", "Rate limits by proxy", ofProxies, awslogs.QueryStringProps{
		FilterStatements: jsii.Strings(`msg = "attempt"`, "status = 429"),
		StatsStatements:  jsii.Strings("count(*) as limited, count_distinct(address) as addresses by proxy, bin(5m) as time"),
		Sort:             jsii.String("time desc"),
	}},
	{"SlowRequests", "Slow requests", ofGateway, awslogs.QueryStringProps{
		Fields:           jsii.Strings("@timestamp", "requestId", "method", "path", "status", "attempts", "durationMs", "problem", "outcome"),
		FilterStatements: jsii.Strings(`msg = "request"`),
		Sort:             jsii.String("durationMs desc"),
		Limit:            jsii.Number(queryLines),
	}},
	{"Replays", "Replays and conflicts", ofGateway, awslogs.QueryStringProps{
		Fields:           jsii.Strings("@timestamp", "requestId", "method", "path", "status", "problem", "outcome", "replayOf", "keyDigest", "caller"),
		FilterStatements: jsii.Strings(`msg = "request"`, `outcome in ["replayed", "conflict"]`),
		Sort:             jsii.String("@timestamp desc"),
		Limit:            jsii.Number(queryLines),
	}},
	{"Crashes", "Errors, crashes and timeouts", ofGateway | ofProxies, awslogs.QueryStringProps{
		Fields:           jsii.Strings("@timestamp", "@log", "type", "record.requestId", "record.status", "record.errorType", "record.metrics.durationMs", "record.metrics.maxMemoryUsedMB", "@message"),
		FilterStatements: jsii.Strings(`(type = "platform.report" and record.status != "success") or level = "ERROR" or @message like /^(panic|fatal error|runtime:)/`),
		Sort:             jsii.String("@timestamp desc"),
		Limit:            jsii.Number(queryLines),
	}},
	{"Callers", "Requests by caller", ofGateway, awslogs.QueryStringProps{
		FilterStatements: jsii.Strings(`msg = "request"`),
		StatsStatements:  jsii.Strings("count(*) as requests, sum(durationMs) as heldMs by caller"),
		Sort:             jsii.String("heldMs desc"),
	}},
}

// newSavedQueries creates the queries, in a folder with the path of the construct.
func newSavedQueries(r *RetryingApiProxy) {
	groups := map[logs][]interfacesawslogs.ILogGroupRef{ofGateway: {r.Gateway.LogGroup()}}
	for _, proxy := range r.Proxies {
		groups[ofProxies] = append(groups[ofProxies], proxy.LogGroup())
	}
	for _, group := range r.machineLogs {
		groups[ofMachines] = append(groups[ofMachines], group)
	}
	scope := constructs.NewConstruct(r, jsii.String("Queries"))
	for _, q := range savedQueries {
		var of []interfacesawslogs.ILogGroupRef
		for _, part := range []logs{ofGateway, ofProxies, ofMachines} {
			if q.of&part != 0 {
				of = append(of, groups[part]...)
			}
		}
		awslogs.NewQueryDefinition(scope, &q.id, &awslogs.QueryDefinitionProps{
			QueryDefinitionName: jsii.String(*r.Node().Path() + "/" + q.name),
			QueryString:         awslogs.NewQueryString(&q.query),
			LogGroups:           &of,
		})
	}
}
