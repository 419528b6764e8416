package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// spread is what several runs say of one figure.
type spread struct{ min, median, max float64 }

// spreadOf needs at least one value. The median of an even number of values is
// the mean of the middle two.
func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return spread{v[0], (v[(n-1)/2] + v[n/2]) / 2, v[n-1]}
}

// noisy says that the runs differ too much for their median to say much.
func (s spread) noisy() bool { return s.max > 1.5*s.min }

func (s spread) String() string { return fmt.Sprintf("%.3f / %.3f / %.3f", s.min, s.median, s.max) }

// short is one figure where there was one run.
func (s spread) short() string {
	if s.min == s.max {
		return fmt.Sprintf("%.3f", s.median)
	}
	return s.String()
}

// figures are the spreads of one variant's runs, and what its last run found.
type figures struct {
	wall, cpu spread // seconds
	peak      spread // bytes
	floor     float64
	outcome
}

func figuresOf(samples []sample) figures {
	pick := func(f func(sample) float64) spread {
		var v []float64
		for _, s := range samples {
			v = append(v, f(s))
		}
		return spreadOf(v)
	}
	return figures{
		wall:    pick(func(s sample) float64 { return s.Wall.Seconds() }),
		cpu:     pick(func(s sample) float64 { return s.CPU.Seconds() }),
		peak:    pick(func(s sample) float64 { return float64(s.Peak) }),
		floor:   pick(func(s sample) float64 { return float64(s.Floor) }).max,
		outcome: samples[len(samples)-1].outcome,
	}
}

// outcome is what a scanner says of its work. A number that it does not print is -1.
type outcome struct{ rules, files, found, errors int }

// parseSummary reads the summary that clamscan, clamdscan and showcause --format
// clamscan end with. It says whether there was one: without, nothing was scanned.
func parseSummary(out string) (outcome, bool) {
	_, summary, ok := strings.Cut(out, "- SCAN SUMMARY -")
	o := outcome{rules: -1, files: -1, found: -1} // errors: no line is none
	for line := range strings.Lines(summary) {
		name, value, _ := strings.Cut(line, ":")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			continue
		}
		switch name {
		case "Known viruses":
			o.rules = n
		case "Scanned files":
			o.files = n
		case "Infected files":
			o.found = n
		case "Total errors":
			o.errors = n
		}
	}
	return o, ok && o.found >= 0
}

// less returns the time that is left of a scan when the start is taken off. It
// says no when that is within the noise of the start.
func less(scan, start spread) (float64, bool) {
	d := scan.median - start.median
	return d, d > start.max-start.min && d > 0
}
