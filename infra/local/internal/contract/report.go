package contract

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Result is what came of one case.
type Result struct {
	Case

	// LeftOut is why the case was not run; empty if it was.
	LeftOut string

	// Wrong is all that was not as it has to be, what was wanted and what was found.
	Wrong []string

	// Took is how long it ran.
	Took time.Duration
}

// Title is the theme and the name of the case.
func (r Result) Title() string { return r.Theme() + "/ " + r.Name }

// A Report is what came of all cases.
type Report struct {
	// Results are in the order of the cases.
	Results []Result

	// Took is how long all of them ran, at the same time as far as they did.
	Took time.Duration

	// Stopped says that somebody ended the run before all cases were run.
	Stopped bool
}

// stopped is why cases were left out that would have come.
const stopped = "the run was stopped before it was over"

// Report runs cases, atOnce of them at the same time, those first that wait longest. told is called with each that was run, one at
// a time, if it is not nil. When the context ends, the cases that run are given up, and the report says so.
func (r *Runner) Report(ctx context.Context, cases []Case, atOnce int, told func(Result)) Report {
	began := time.Now()
	report := Report{Results: make([]Result, len(cases))}
	var fit []int
	for i, c := range cases {
		report.Results[i] = Result{Case: c, LeftOut: r.Unfit(c)}
		if report.Results[i].LeftOut == "" {
			fit = append(fit, i)
		}
	}
	slices.SortStableFunc(fit, func(a, b int) int { return cmp.Compare(cases[b].waits(), cases[a].waits()) })
	next := make(chan int)
	go func() {
		defer close(next)
		for _, i := range fit {
			next <- i
		}
	}()
	var mu sync.Mutex
	var running sync.WaitGroup
	for range atOnce {
		running.Go(func() {
			for i := range next {
				result := r.result(ctx, cases[i])
				mu.Lock()
				report.Results[i] = result
				report.Stopped = report.Stopped || result.LeftOut == stopped
				if told != nil && result.LeftOut == "" {
					told(result)
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	report.Took = time.Since(began)
	return report
}

// result runs one case. It fails at once where the context has ended before.
func (r *Runner) result(ctx context.Context, c Case) Result {
	began := time.Now()
	wrong := r.Run(ctx, c)
	if len(wrong) > 0 && ctx.Err() != nil {
		return Result{Case: c, LeftOut: stopped}
	}
	return Result{Case: c, Wrong: wrong, Took: time.Since(began)}
}

// waits is how long a case waits, roughly: what it says, and a backoff that doubles between attempts.
func (c *Case) waits() time.Duration {
	var sum time.Duration
	for _, request := range c.every() {
		for _, wait := range request.Waits {
			sum += time.Duration(wait)
		}
		if n := len(request.Upstream); n > 1 {
			sum += time.Second << (n - 2) / 2
		}
	}
	return sum
}

// Held, Failed and LeftOut are how many cases held, did not, and were not run.
func (r Report) Held() int {
	return r.count(func(one Result) bool { return one.LeftOut == "" && len(one.Wrong) == 0 })
}
func (r Report) Failed() int  { return r.count(func(one Result) bool { return len(one.Wrong) > 0 }) }
func (r Report) LeftOut() int { return r.count(func(one Result) bool { return one.LeftOut != "" }) }

func (r Report) count(is func(Result) bool) int {
	n := 0
	for _, one := range r.Results {
		if is(one) {
			n++
		}
	}
	return n
}

// Write writes the report as text: the cases that were left out, by the reason; those that failed, with what was wanted and
// what was found; and how many there were of each.
func (r Report) Write(w io.Writer) error {
	var b strings.Builder
	var reasons []string
	of := map[string][]string{}
	for _, one := range r.Results {
		if one.LeftOut == "" {
			continue
		}
		if of[one.LeftOut] == nil {
			reasons = append(reasons, one.LeftOut)
		}
		of[one.LeftOut] = append(of[one.LeftOut], one.Title())
	}
	if len(reasons) > 0 {
		b.WriteString("\nleft out:\n")
	}
	for _, reason := range reasons {
		fmt.Fprintf(&b, "%4d  %s\n", len(of[reason]), reason)
		for _, title := range of[reason] {
			b.WriteString("          " + title + "\n")
		}
	}
	if r.Failed() > 0 {
		b.WriteString("\nfailed:\n")
	}
	for _, one := range r.Results {
		if len(one.Wrong) == 0 {
			continue
		}
		fmt.Fprintf(&b, "FAIL  %s (%s)\n", one.Title(), one.Source)
		for _, text := range one.Wrong {
			b.WriteString("      " + strings.ReplaceAll(text, "\n", "\n      ") + "\n")
		}
	}
	fmt.Fprintf(&b, "\ncases: %d held, %d failed, %d left out, in %.0f s", r.Held(), r.Failed(), r.LeftOut(), r.Took.Seconds())
	if r.Stopped {
		b.WriteString("; the run was stopped")
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}
