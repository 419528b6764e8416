package heuristic

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack"
)

// What is encrypted.
const (
	Encrypted = "Heuristics.Encrypted." // begins them all

	LockedZip = "Heuristics.Encrypted.Zip"
	LockedRAR = "Heuristics.Encrypted.RAR"
	Locked7z  = "Heuristics.Encrypted.7Zip"
	LockedEGG = "Heuristics.Encrypted.EGG"
	LockedPDF = "Heuristics.Encrypted.PDF"
)

// lockedKinds are the types of the files that each of the names is for.
func lockedKinds(name string) []string {
	return map[string][]string{
		LockedZip: {"zip"}, LockedRAR: {"rar"}, Locked7z: {"7z"}, LockedEGG: {"egg"}, LockedPDF: {"pdf"},
	}[name]
}

// Locked walks a layer by the formats that it may be, without any password, and returns where
// it is encrypted. What that costs is charged to the budget, and nothing of it is kept.
func Locked(probe *unpack.Probe, formats []unpack.Format, budget *unpack.Budget) (gaps []showcause.Gap) {
	limits := budget.Limits
	limits.FileSize, limits.Work = 1, max(limits.Work-budget.Spent.Work, 1)
	fresh := unpack.NewBudget(limits, probe.Source.Size(), nil)
	fresh.NoUsual = true
	out := unpack.NewOut(fresh, probe.Trail, func(showcause.Layer) {}, func(g showcause.Gap) {
		if g.Code == showcause.Encrypted {
			gaps = append(gaps, g)
		}
	})
	for _, f := range formats {
		if f.Match(probe) {
			f.Walk(probe.Source, out)
		}
	}
	budget.Work(fresh.Spent.Work)
	fresh.Release()
	return gaps
}

// lockedCheck reads a rule about what is encrypted. Its matches are what is.
func lockedCheck(name string) func(options) (runner, error) {
	return func(options) (runner, error) {
		return func(l *Layer) ([]showcause.Match, map[int]int, bool) {
			var f found
			if !l.is(lockedKinds(name)) {
				return nil, nil, true
			}
			for _, g := range l.Locked() {
				n := g.Length
				if n < 0 {
					n = 0
				}
				if len(g.Trail) > len(l.Trail) || g.Offset < 0 || g.Offset > l.Source.Size() {
					f.add(0, [2]int64{0, 0}) // in a member: its place is not one of the layer
				} else {
					f.add(0, [2]int64{g.Offset, min(n, l.Source.Size()-g.Offset)})
				}
			}
			return f.matches, f.counts, true
		}, nil
	}
}

// is tells whether a layer is of one of some types.
func (l *Layer) is(names []string) bool {
	for _, name := range names {
		if t, ok := filetype.Parse(name); ok && (t == l.Kind || strings.HasPrefix(l.Kind.String(), name+"-")) {
			return true
		}
	}
	return false
}
