// Package simulation plays thousands of requests against limited and failing upstreams in virtual time, once for each of
// several strategies. The same seed gives the same measures. The commands functions/retry/simulation and
// functions/gate/simulation have the worlds and print the tables.
//
// A [Scenario] is an upstream and when requests arrive. [Scenario.Play] makes a [World] of it, in which each [Request] is a
// process of its own. A [Strategy] makes the attempts of requests.
package simulation
