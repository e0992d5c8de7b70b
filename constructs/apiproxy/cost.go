package apiproxy

import (
	"fmt"
	"math"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// List prices of us-east-1 in dollars, without free tiers and volume discounts, as known in November 2026. Their source
// is https://aws.amazon.com/step-functions/pricing/, https://aws.amazon.com/lambda/pricing/, https://aws.amazon.com/s3/pricing/,
// https://aws.amazon.com/vpc/pricing/, https://aws.amazon.com/privatelink/pricing/,
// https://aws.amazon.com/dynamodb/pricing/on-demand/ and https://aws.amazon.com/cloudwatch/pricing/.
const (
	// priceExpressRequest is the price of starting an Express workflow.
	priceExpressRequest = 1.00 / 1e6

	// priceExpressGBSecond is the price of a second of an Express workflow, per GB of memory.
	priceExpressGBSecond = 0.00001667

	// priceTransition is the price of a state transition of a Standard workflow.
	priceTransition = 25.00 / 1e6

	// priceLambdaRequest is the price of invoking a function.
	priceLambdaRequest = 0.20 / 1e6

	// priceLambdaGBSecond is the price of a second of a function on arm64, per GB of memory.
	priceLambdaGBSecond = 0.0000133334

	// pricePut and priceGet are the prices of writing and of reading an object of S3.
	pricePut = 0.005 / 1e3
	priceGet = 0.0004 / 1e3

	// priceMetric is the price of a custom metric for a month in which it has a value in each hour.
	priceMetric = 0.30

	// priceAlarmMetric is the price of a month of an alarm, for each metric that it looks at.
	priceAlarmMetric = 0.10

	// priceDashboard is the price of a month of a dashboard.
	priceDashboard = 3.00

	// priceQueryGB is the price of a query of CloudWatch Logs Insights, for each GB that it reads.
	priceQueryGB = 0.005

	// priceTableWrite is the price of writing up to 1 KB of an item of DynamoDB, paid by request.
	priceTableWrite = 0.625 / 1e6

	// priceNATHour and priceNATGB are the prices of a NAT gateway, and of what goes through it.
	priceNATHour = 0.045
	priceNATGB   = 0.045

	// priceAddressHour is the price of a public IPv4 address.
	priceAddressHour = 0.005

	// priceEndpointHour is the price of an interface endpoint in an availability zone.
	priceEndpointHour = 0.01

	// monthHours is how long a month is, on average.
	monthHours = 730
)

// What the estimate assumes of a request.
const (
	// costAttemptTime is how long an attempt takes.
	costAttemptTime = 300 * time.Millisecond

	// costExpressMemoryGB is the memory of an Express execution: one chunk of 64 MB.
	costExpressMemoryGB = 0.0625

	// costGateWait is how long a request waits for its turn, where that is about flow control.
	costGateWait = 30 * time.Second

	// costGatewayTime is how long the gateway works, apart from waiting for the execution.
	costGatewayTime = 20 * time.Millisecond

	// slotsRate is how many requests come in a second, where the estimate is about concurrency.
	slotsRate = 10

	// expressBilling is the unit in which the time of an Express workflow is billed.
	expressBilling = 100 * time.Millisecond
)

// costAssumptions says what the estimate assumes, with the memory of the functions.
func costAssumptions(memory costMemory) string {
	return fmt.Sprintf("Step Functions and Lambda at list prices of us-east-1; attempts of %v, "+
		"%v on arm64, waits of\n"+
		"the mean length. Express with the gateway waiting for the answer. One transition more to write\n"+
		"an idempotency record. DynamoDB, logs and data transfer are not in it. The concurrency that %d requests a second\n"+
		"hold: what ReservedConcurrency sets aside should be as much at your peak rate.", costAttemptTime, memory, slotsRate)
}

// costMemory is the memory of the functions in MiB.
type costMemory struct{ gateway, proxy int }

// String names the functions and their memory.
func (m costMemory) String() string {
	if m.gateway == m.proxy {
		return fmt.Sprintf("functions of %d MB", m.proxy)
	}
	return fmt.Sprintf("a gateway of %d MB and proxies of %d MB", m.gateway, m.proxy)
}

// A Cost is what a million requests cost that need the same number of attempts.
type Cost struct {
	Attempts int

	// Transitions is the number of states that one execution goes through at most: a Choice to enter the ring, if it has
	// more than one proxy, a Task and a Choice for each attempt, a Wait before each further one whose delay can reach a
	// second, and the end. Writing an idempotency record is one more.
	Transitions int

	// Waiting is how long one request waits between its attempts, on average.
	Waiting time.Duration

	// Express is dollars per million requests, for Step Functions and Lambda.
	Express float64

	// Standard is dollars per million asynchronous requests with an Idempotency-Key, for Step Functions and Lambda. The answer
	// is fetched once.
	Standard float64

	// GatewaySlots and ProxySlots are the concurrency that slotsRate requests per second hold: of the gateway, and of
	// all proxies together. Another rate holds as much more or less.
	GatewaySlots int
	ProxySlots   int
}

// costs estimates the costs of 1, 2, 3 … attempts that start as a timetable says, in a ring of so many proxies.
func costs(table retry.Timetable, ring int, memory costMemory) []Cost {
	enter := 0
	if ring > 1 {
		enter = 1
	}
	var (
		all     []Cost
		waiting time.Duration
		slept   time.Duration
		waits   int
	)
	for i, start := range table.Starts {
		mean := start.Shortest/2 + start.Longest/2
		waiting += mean
		slept += min(mean, waitUnit/2)
		if start.Longest >= time.Second {
			waits++
		}
		n := i + 1
		working := time.Duration(n) * costAttemptTime
		held := working + waiting

		proxies := float64(n)*priceLambdaRequest + lambda(working+slept, memory.proxy)
		execution := priceExpressRequest + express(roundUp(held, expressBilling))
		gateway := priceLambdaRequest + lambda(costGatewayTime+held, memory.gateway)
		transitions := enter + 2*n + waits + 1
		standard := float64(transitions+1)*priceTransition + 2*(priceLambdaRequest+lambda(costGatewayTime, memory.gateway))
		all = append(all, Cost{
			Attempts:    n,
			Transitions: transitions,
			Waiting:     waiting,
			Express:     cents(proxies + execution + gateway),
			Standard:    cents(proxies + standard),

			GatewaySlots: slots(costGatewayTime + held),
			ProxySlots:   slots(working + slept),
		})
	}
	return all
}

// callbackTransitions is how many states more an execution goes through at most that has a callback: a Choice behind the state that
// writes the idempotency record or sends a letter, and the start of the callback.
const callbackTransitions = 2

// callbackCost is the price of a callback that is delivered at once, in an execution that goes through so many states.
func callbackCost(transitions int, memory costMemory) float64 {
	return float64(transitions+callbackTransitions)*priceTransition + priceLambdaRequest + lambda(costAttemptTime, memory.proxy)
}

// express is the price of an Express execution that takes so long, but for its start.
func express(d time.Duration) float64 {
	return d.Seconds() * costExpressMemoryGB * priceExpressGBSecond
}

// lambda is the price of a function of so many MiB that runs so long, but for its start.
func lambda(d time.Duration, memoryMiB int) float64 {
	return d.Seconds() * float64(memoryMiB) / 1024 * priceLambdaGBSecond
}

// slots returns the concurrency that slotsRate requests per second need of a function that each holds for so long.
func slots(held time.Duration) int { return int(math.Ceil(slotsRate*held.Seconds() - 1e-9)) }

// cents returns the price of a million, rounded to cents.
func cents(price float64) float64 { return math.Round(price*1e6*100) / 100 }
