package faults_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
)

func TestSettingsAreReadInAnyOrder(t *testing.T) {
	for text, want := range map[string]faults.Settings{
		"throttle=0.1,lost=0.2,slow=0.3,delay=250ms,seed=7": {Throttle: 0.1, Lost: 0.2, Slow: 0.3, Delay: 250 * time.Millisecond, Seed: 7},
		"cut=0.25,failed=0.5":                               {Failed: 0.5, Cut: 0.25, Delay: time.Second, Seed: 1},
		"seed=0, lost=1":                                    {Lost: 1, Delay: time.Second},
		"throttle=0.5":                                      {Throttle: 0.5, Delay: time.Second, Seed: 1},
		"dynamodb.throttle=0.5":                             {Services: map[string]faults.Shares{"dynamodb": {Throttle: 0.5}}, Delay: time.Second, Seed: 1},
		"lost=0.1,s3.cut=0.2,stepfunctions.lost=0,s3.slow=0.3": {Lost: 0.1, Delay: time.Second, Seed: 1,
			Services: map[string]faults.Shares{"s3": {Cut: 0.2, Slow: 0.3}, "stepfunctions": {}}},
		"delay=0s,slow=0.7,lost=.2,throttle=0.1": {Throttle: 0.1, Lost: 0.2, Slow: 0.7, Seed: 1},
	} {
		got, err := faults.Parse(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s is read with the error %v (-want +got):\n%s", text, err, diff)
		}
		if again, err := faults.Parse(got.String()); err != nil || !cmp.Equal(again, got) {
			t.Errorf("%s is written as %s, which is read as %+v, %v", text, got, again, err)
		}
	}
}

func TestAllProblemsAreSaidAtOnce(t *testing.T) {
	_, err := faults.Parse("throttle=0.6,lost=NaN,slow=0.5,cut=0.25,delay=1,seed=-1,fast=1,throttle=0.6,dynamodb.throttle=2,sqs.lost=0.6,sqs.cut=0.6,dynamo.lost=0.1,s3.seed=1,lambda.fast=1,s3.cut=0,s3.cut=0")
	if err == nil {
		t.Fatal("there is no error")
	}
	want := []string{
		`lost is "NaN"; give a share of the calls from 0 to 1, such as 0.1`,
		`delay is "1"; give a duration, such as 1s or 250ms`,
		`seed is "-1"; give a whole number from 0, such as 7`,
		`"fast=1" is not known; throttle, lost, slow, failed, cut, delay and seed are, such as in throttle=0.1,lost=0.1,slow=0.1,delay=1s,seed=7`,
		`throttle is given twice; give it once`,
		`dynamodb.throttle is "2"; give a share of the calls from 0 to 1, such as 0.1`,
		`"dynamo.lost=0.1" begins with a service that is not known; lambda, stepfunctions, dynamodb, secretsmanager, s3, sqs are, such as in dynamodb.throttle=0.5`,
		`"s3.seed=1" is not known; throttle, lost, slow, failed and cut are shares of a service, such as in dynamodb.throttle=0.5`,
		`"lambda.fast=1" is not known; throttle, lost, slow, failed and cut are shares of a service, such as in dynamodb.throttle=0.5`,
		`s3.cut is given twice; give it once`,
		`throttle, lost, slow, failed and cut are 1.35 together; give at most 1, since a call meets one fault`,
		`sqs.throttle, sqs.lost, sqs.slow, sqs.failed and sqs.cut are 1.2 together; give at most 1, since a call meets one fault`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("the problems are not those that were expected (-want +got):\n%s", diff)
	}
}

func TestValuesThatOnlyLookRightAreRefused(t *testing.T) {
	for _, text := range []string{"", ",", "lost", "lost=", "lost=-0.1", "lost=1.1", "lost=10%", "delay=-1s", "seed=1.5", "=1", "dynamodb", "dynamodb.", ".throttle=1", "dynamodb.throttle", "DynamoDB.throttle=1"} {
		if s, err := faults.Parse(text); err == nil {
			t.Errorf("%q is read as %+v, want an error", text, s)
		}
	}
}
