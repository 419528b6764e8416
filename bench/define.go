package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/showcause/showcause/bench/made"
)

// way is how a definition is measured.
type way int

const (
	scanning  way = iota // whole processes over corpora
	yaraScans            // the same with YARA rules, by "showcause yara"
	filtering            // package literal alone, in a process of its own
	databases            // compile, open, memory, reload
)

// definition is one thing to show: rules, files and rivals. Everything that is
// measured here is a row of definitions.
type definition struct {
	name    string
	shows   string // what the table is there to show
	aim     string // the project's bound, or "" where there is none
	way     way
	rules   []made.RuleSet // a series: the first is what the others are set against
	corpora []string
	rivals  []string
	flat    bool // nothing is unpacked, on either side
	cores   bool // all processors, beside one
	quick   bool // in the quick run too
}

// Kinds of rule sets that are there.
const (
	official = "official" // ClamAV's sample in $SHOWCAUSE_DATA
	builtIn  = "built-in" // the rules that are part of the program
)

func series(kind string, n ...int) (out []made.RuleSet) {
	for _, n := range n {
		out = append(out, made.RuleSet{Kind: kind, N: n})
	}
	return out
}

func corporaNames() (out []string) {
	for _, k := range made.Corpora() {
		out = append(out, k.Name)
	}
	return out
}

// definitions are what is measured, in this order.
func definitions() []definition {
	sample := []made.RuleSet{{Kind: official}}
	documents := []string{"pdf", "ooxml"}
	return []definition{
		{
			name: "body", way: scanning, flat: true, rules: sample, corpora: []string{"programs"}, rivals: []string{"clamscan", "clamd"}, quick: true,
			shows: "Body matching with ClamAV's official sample, unpacking switched off on both sides.",
			aim:   "at least 20 times clamd 1.4.6, 1 GB of programs and libraries",
		},
		{
			name: "whole", way: scanning, rules: sample, corpora: slices.DeleteFunc(corporaNames(), func(c string) bool { return slices.Contains(documents, c) }), rivals: []string{"clamscan", "clamd"}, quick: true,
			shows: "Whole scans with ClamAV's official sample, unpacking on.",
			aim:   "at least 8 times clamd 1.4.6 on programs",
		},
		{
			name: "documents", way: scanning, rules: sample, corpora: documents, rivals: []string{"clamscan", "clamd"},
			shows: "Documents alone, whole scans with ClamAV's official sample, unpacking on: PDF, and Office Open XML.",
			aim:   "at least 5 times clamd 1.4.6 by CPU time, on each",
		},
		{
			name: "prefilter", way: filtering, rules: slices.Concat(series(made.Noise, 1e3, 1e4, 1e5, 1e6), series(made.Drawn, 1e3, 1e4, 1e5, 1e6)), corpora: []string{"programs"}, quick: true,
			shows: "Package literal alone: one core, in memory. Random literals occur nowhere; drawn ones have windows that ordinary programs hold.",
			aim:   "1,000 literals 5 GB/s, 100,000 2 GB/s, 1,000,000 1 GB/s on a core that copies over 10 GB/s",
		},
		{
			name: "database", way: databases, rules: slices.Concat(sample, series(made.Hashes, 1e3, 1e6, 4e6, 1e7)), rivals: []string{"clamd"}, quick: true,
			shows: "What a database costs: compiled once, opened at each start, in memory, exchanged while it serves.",
			aim:   "official: open under 5 ms and 10 MB private; 10 million hashes: under 20 ms and 20 MB; no pause and no doubling at reload",
		},
		{
			name: "hashes", way: scanning, rules: series(made.Hashes, 1e3, 1e6, 4e6, 1e7), corpora: []string{"programs"}, rivals: []string{"clamscan"},
			shows: "Cost of a byte by the number of digests.",
			aim:   "10 million within 10 % of 1,000",
		},
		{
			name: "literals", way: scanning, flat: true, rules: series(made.Mixed, 1e3, 1e4, 1e5, 1e6), corpora: []string{"programs"}, rivals: []string{"clamscan"}, quick: true,
			shows: "Cost of a byte by the number of body patterns, .ndb for both, unpacking off.",
			aim:   "100,000 within 3 times 1,000",
		},
		{
			name: "literals-yara", way: yaraScans, flat: true, rules: series(made.Mixed, 1e3, 1e4, 1e5, 1e6), corpora: []string{"programs"}, rivals: []string{"yara", "yr"}, quick: true,
			shows: "The same patterns as YARA rules, one a rule.",
		},
		{
			name: "prefix", way: scanning, flat: true, rules: slices.Concat(series(made.Prefixed, 5e3), series(made.Common, 5e3)), corpora: []string{"programs", "zeros", "random"}, rivals: []string{"clamscan"}, quick: true,
			shows: "The worst cases of multi-pattern matchers: thousands of rules with one beginning that occurs everywhere, and rules of common bytes.",
			aim:   "no less than 50 MB/s a core",
		},
		{
			name: "prefix-yara", way: yaraScans, flat: true, rules: slices.Concat(series(made.Prefixed, 5e3), series(made.Common, 5e3)), corpora: []string{"programs", "zeros", "random"}, rivals: []string{"yara", "yr"},
			shows: "The same as YARA rules.",
		},
		{
			name: "small", way: scanning, rules: []made.RuleSet{{Kind: builtIn}, {Kind: official}}, corpora: []string{"tiny"}, rivals: []string{"read", "clamd"}, cores: true, quick: true,
			shows: "Many small files, beside reading and SHA-256-ing them.",
			aim:   "15,000 files/s on two cores, or within 2 times of reading and hashing",
		},
	}
}

// capped returns the definition with no rule set larger than most, and what was
// thereby left out. In the quick run sets that whole scanners load are a tenth:
// it is their loading that takes the time.
func (d definition) capped(most int, quick bool) (out definition, left []string) {
	if quick && (d.way == scanning || d.way == yaraScans) {
		most = max(1, most/10)
	}
	out = d
	out.rules = nil
	for _, r := range d.rules {
		if r.N > most {
			left = append(left, d.name+": "+r.String())
			r.N = most
		}
		if !slices.Contains(out.rules, r) {
			out.rules = append(out.rules, r)
		}
	}
	return out, left
}

// choose returns the definitions that are named, or all of the quick or the
// whole run, and what is left out of them.
func choose(only string, quick bool, most int) (out []definition, left []string, err error) {
	names := strings.FieldsFunc(only, func(r rune) bool { return r == ',' })
	known := map[string]bool{}
	for _, d := range definitions() {
		known[d.name] = true
		if len(names) > 0 && !slices.Contains(names, d.name) {
			continue
		}
		if quick && !d.quick && len(names) == 0 {
			left = append(left, d.name)
			continue
		}
		d, l := d.capped(most, quick)
		out, left = append(out, d), append(left, l...)
	}
	for _, n := range names {
		if !known[n] {
			return nil, nil, fmt.Errorf("definition %q: not known; -list names them", n)
		}
	}
	return out, left, nil
}

// list prints the definitions.
func list() string {
	var w strings.Builder
	for _, d := range definitions() {
		var rules []string
		for _, r := range d.rules {
			rules = append(rules, r.String())
		}
		fmt.Fprintf(&w, "%-14s %s\n", d.name, d.shows)
		fmt.Fprintf(&w, "%-14s rules: %s\n", "", strings.Join(rules, "; "))
		if len(d.corpora) > 0 {
			fmt.Fprintf(&w, "%-14s files: %s\n", "", strings.Join(d.corpora, ", "))
		}
		if len(d.rivals) > 0 {
			fmt.Fprintf(&w, "%-14s beside: %s\n", "", strings.Join(d.rivals, ", "))
		}
		if d.aim != "" {
			fmt.Fprintf(&w, "%-14s aim: %s\n", "", d.aim)
		}
		if !d.quick {
			fmt.Fprintf(&w, "%-14s not in the quick run\n", "")
		}
	}
	return w.String()
}
