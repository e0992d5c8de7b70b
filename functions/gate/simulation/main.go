// Command simulation plays thousands of requests whose callers share a gate, against limited and failing upstreams in
// virtual time, beside strategies that share nothing and those of other libraries. The gate is package gate itself. The
// same seed gives the same tables.
//
//	go run ./functions/gate/simulation
//	go run ./functions/gate/simulation -only 07 -strategy "the gate"
//	go run ./functions/gate/simulation -accept 5
//	go run ./functions/gate/simulation -write docs/gate.md
//
// The third form checks what is promised with seeds 1 to 5, and fails if it is not kept. The last one puts that and the tables
// between the two markers in a file, and a chart of each world into a folder beside it that has its name.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Seeds, unless told otherwise: that of the tables, and how many the promises on the page are checked with.
const (
	defaultSeed   = 1
	promisedSeeds = 5
)

func main() {
	seed := flag.Uint64("seed", defaultSeed, "seed of all randomness")
	only := flag.String("only", "", "play the worlds whose name begins so")
	strategies := flag.String("strategy", "", "play the strategies whose name holds this")
	seeds := flag.Int("accept", 0, "check what is promised instead, with so many seeds")
	path := flag.String("write", "", "file to put the tables into, between its markers, instead of printing them")
	flag.Parse()
	if err := run(*seed, *only, *strategies, *seeds, *path); err != nil {
		fmt.Fprintln(os.Stderr, "simulation:", err)
		os.Exit(1)
	}
}

func run(seed uint64, only, strategies string, seeds int, path string) error {
	switch {
	case seeds > 0:
		results := accept(only, seeds)
		fmt.Print(list(results))
		for _, r := range results {
			if r.broken() {
				return fmt.Errorf("%s: what is promised is not kept", r.promise.name())
			}
		}
		return nil
	case path == "":
		fmt.Print(report(playAll(seed, only, strategies), ""))
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	all := playAll(seed, "", "")
	folder := strings.TrimSuffix(path, filepath.Ext(path))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, p := range all {
		if err := os.WriteFile(filepath.Join(folder, p.file()), []byte(chart(p)), 0o644); err != nil {
			return err
		}
	}
	tables := "## What is promised, and what is measured\n\n" + promisesTable(accept("", promisedSeeds)) + "\n## The worlds\n\n" +
		report(all, filepath.Base(folder))
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
