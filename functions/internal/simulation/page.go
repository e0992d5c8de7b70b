package simulation

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// WriteReport puts text between the two markers of a page that have a name, lines such as "<!-- simulation: begin -->" and
// "<!-- simulation: end -->".
func WriteReport(page, name, text string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	replaced, err := replace(old, name, text)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, replaced, 0o644)
}

func replace(page []byte, name, text string) ([]byte, error) {
	begin, end := fmt.Appendf(nil, "<!-- %s: begin -->\n", name), fmt.Appendf(nil, "<!-- %s: end -->\n", name)
	before, rest, found := bytes.Cut(page, begin)
	_, after, closed := bytes.Cut(rest, end)
	if !found || !closed {
		return nil, fmt.Errorf("no lines %q and %q to put the tables between", begin, end)
	}
	return bytes.Join([][]byte{before, begin, []byte(text), end, after}, nil), nil
}

// WriteCharts writes the charts of what was played into a folder beside a page that has its name, and returns the folder as
// the page sees it.
func WriteCharts(page string, all []Played, ours string) (folder string, err error) {
	path := strings.TrimSuffix(page, filepath.Ext(page))
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", err
	}
	for _, p := range all {
		if err := os.WriteFile(filepath.Join(path, p.File), []byte(p.Chart(ours)), 0o644); err != nil {
			return "", err
		}
	}
	return filepath.Base(path), nil
}
