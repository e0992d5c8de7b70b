package comparison

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
)

var write = flag.String("write", "", "file to put the table into, between its markers")

// play plays each scenario with each client.
func play(t *testing.T) [][]measures {
	t.Helper()
	all := make([][]measures, len(scenarios))
	for i, s := range scenarios {
		for _, c := range clients {
			synctest.Test(t, func(*testing.T) { all[i] = append(all[i], s.play(c)) })
		}
	}
	return all
}

func TestComparison(t *testing.T) {
	measured := play(t)
	table := report(measured)
	if testing.Verbose() {
		fmt.Print(table)
	}
}
