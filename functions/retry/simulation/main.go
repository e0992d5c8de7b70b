// Command simulation plays thousands of requests against limited and failing upstreams in virtual time, once for each
// of several retry strategies, and prints what came of it as Markdown tables. The same seed gives the same tables.
//
//	go run ./functions/retry/simulation
//	go run ./functions/retry/simulation -write docs/retry.md
//
// The second form puts the tables between the two markers in a file, and a chart of each scenario into a folder beside it
// that has its name.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
)

const defaultSeed = 1

func main() {
	seed := flag.Uint64("seed", defaultSeed, "seed of all randomness")
	page := flag.String("write", "", "file to put the tables into, between its markers, instead of printing them")
	flag.Parse()
	if err := run(*seed, *page); err != nil {
		fmt.Fprintln(os.Stderr, "simulation:", err)
		os.Exit(1)
	}
}

func run(seed uint64, page string) error {
	all := playAll(seed)
	if page == "" {
		_, err := fmt.Print(report(all, ""))
		return err
	}
	charts, err := simulation.WriteCharts(page, all, simulation.ThisPolicy.Name)
	if err != nil {
		return err
	}
	return simulation.WriteReport(page, "simulation", report(all, charts))
}
