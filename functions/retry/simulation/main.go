// Command simulation plays thousands of requests against limited and failing upstreams in virtual time, once for each
// of several retry strategies, and prints what came of it as Markdown tables. The same seed gives the same tables.
//
//	go run ./functions/retry/simulation
//	go run ./functions/retry/simulation -write docs/retry.md
//
// The second form puts the tables between the two markers in a file.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
)

const defaultSeed = 1

func main() {
	seed := flag.Uint64("seed", defaultSeed, "seed of all randomness")
	path := flag.String("write", "", "file to put the tables into, between its markers, instead of printing them")
	flag.Parse()
	if err := run(*seed, *path); err != nil {
		fmt.Fprintln(os.Stderr, "simulation:", err)
		os.Exit(1)
	}
}

func run(seed uint64, path string) error {
	tables := report(seed)
	if path == "" {
		_, err := fmt.Print(tables)
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err = replace(text, tables)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o644)
}

// The markers between which the tables stand.
const (
	beginMarker = "<!-- simulation: begin -->\n"
	endMarker   = "<!-- simulation: end -->\n"
)

// replace puts the tables between the markers in a text.
func replace(text []byte, tables string) ([]byte, error) {
	before, rest, found := bytes.Cut(text, []byte(beginMarker))
	_, after, closed := bytes.Cut(rest, []byte(endMarker))
	if !found || !closed {
		return nil, fmt.Errorf("no lines %q and %q to put the tables between", beginMarker, endMarker)
	}
	return bytes.Join([][]byte{before, []byte(beginMarker), []byte(tables), []byte(endMarker), after}, nil), nil
}
