package retry

import (
	"fmt"
	"math"
	"time"
)

// List prices of us-east-1 in dollars, without free tiers and volume discounts, as known in November 2026. Their source is
// https://aws.amazon.com/step-functions/pricing/ and https://aws.amazon.com/lambda/pricing/.
const (
	// PriceStandardTransition is the price of a state transition of a Standard workflow.
	PriceStandardTransition = 0.025 / 1e3

	// PriceExpressRequest is the price of starting an Express workflow.
	PriceExpressRequest = 1.00 / 1e6

	// PriceExpressGBSecond is the price of a second of an Express workflow, per GB of memory.
	PriceExpressGBSecond = 0.00001667

	// PriceLambdaRequest is the price of invoking a function.
	PriceLambdaRequest = 0.20 / 1e6

	// PriceLambdaGBSecond is the price of a second of a function on arm64, per GB of memory.
	PriceLambdaGBSecond = 0.0000133334
)

// What a request is taken to be when its price is reckoned.
const (
	// CostAttemptTime is how long an attempt takes.
	CostAttemptTime = 300 * time.Millisecond

	// CostMemoryGB is the memory of each function.
	CostMemoryGB = 0.25

	// CostExpressMemoryGB is the memory of an Express execution: one chunk of 64 MB.
	CostExpressMemoryGB = 0.0625

	// CostGatewayTime is how long the gateway works beside waiting for the execution.
	CostGatewayTime = 20 * time.Millisecond

	// expressBilling is the unit in which the time of an Express workflow is billed.
	expressBilling = 100 * time.Millisecond
)

var costAssumptions = fmt.Sprintf("Step Functions and Lambda at list prices of us-east-1; attempts of %v, functions of %.0f MB on arm64, waits of\n"+
	"the mean length. Express with the gateway waiting for the answer, Standard without. One transition more to write\n"+
	"an idempotency record. DynamoDB, logs and data transfer are not in it.", CostAttemptTime, CostMemoryGB*1024)

// A Cost is what a million requests cost that need the same number of attempts.
type Cost struct {
	Attempts int

	// Transitions is the number of states that one execution goes through at most: a Task and a Choice for each
	// attempt, a Wait before each further one whose delay can reach a second, and the end. Writing an idempotency record
	// is one more.
	Transitions int

	// Waiting is how long one request waits between its attempts, on average.
	Waiting time.Duration

	// Express and Standard are dollars per million requests, for Step Functions and Lambda.
	Express  float64
	Standard float64
}

// costs reckons the costs of 1, 2, 3 … attempts that start as in a timetable.
func costs(table Timetable) []Cost {
	var (
		all     []Cost
		waiting time.Duration
		slept   time.Duration
		waits   int
	)
	for i, start := range table.Starts {
		mean := start.Shortest/2 + start.Longest/2
		waiting += mean
		slept += min(mean, MaxSleep/2)
		if start.Longest >= time.Second {
			waits++
		}
		n := i + 1
		working := time.Duration(n) * CostAttemptTime
		c := Cost{Attempts: n, Transitions: 2*n + waits + 1, Waiting: waiting}

		proxies := float64(n)*PriceLambdaRequest + lambda(working+slept)
		held := working + waiting
		express := PriceExpressRequest + ceil(held, expressBilling).Seconds()*CostExpressMemoryGB*PriceExpressGBSecond
		gatewayWaiting := PriceLambdaRequest + lambda(CostGatewayTime+held)
		gatewayReleased := PriceLambdaRequest + lambda(CostGatewayTime)
		c.Express = cents(proxies + express + gatewayWaiting)
		c.Standard = cents(proxies + float64(c.Transitions)*PriceStandardTransition + gatewayReleased)
		all = append(all, c)
	}
	return all
}

func lambda(d time.Duration) float64 { return d.Seconds() * CostMemoryGB * PriceLambdaGBSecond }

// cents returns the price of a million, rounded to cents.
func cents(price float64) float64 { return math.Round(price*1e6*100) / 100 }
