// Package contract holds what the endpoint promises as cases, and runs them against any endpoint.
//
// A case is data: requests, what the upstream does with each attempt, and what has to come of it. The cases are in
// cases/*.json, a file for each theme, and can be read as the specification; docs/contract.md says how. An [Upstream]
// plays what a case says the upstream does, and a [Runner] sends the requests to an endpoint in front of it and compares.
// It looks at nothing else, so that the endpoint may be a stack on this machine or a deployed one.
package contract
