package queue

import (
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/heuristic"
)

// Incomplete says what a door answers where nothing was found, and not everything
// was read.
type Incomplete uint8

// An error is the default: a client that lets nothing through on an error is safe.
const (
	IncompleteError Incomplete = iota
	IncompleteFound            // found, with ClamAV's names for limits and encryption
	IncompleteOK               // nothing found: only where whoever runs the service says so
)

// String returns the word that settings have for it.
func (i Incomplete) String() string { return [...]string{"error", "found", "ok"}[min(i, IncompleteOK)] }

// Policy is how a report becomes a door's answer.
type Policy struct {
	Incomplete Incomplete
	// Accept are codes, or beginnings of some up to a dot, that are no reason for
	// anything but "nothing found".
	Accept []string
	// AlertExceedsMax and AlertEncrypted are ClamAV's options: what is over a limit, or
	// encrypted, is found, whatever Incomplete says.
	AlertExceedsMax, AlertEncrypted bool
	// HeuristicsFirst names what heuristics found before what signatures did: of one name
	// alone, it is the one that is told.
	HeuristicsFirst bool
}

// Said is what a door answers: found if there are names, else an error if Failed is
// not empty, else nothing found.
type Said struct {
	Names  []string // of rules, in the order of the report, each once
	Failed string   // why there is no verdict: words of this program's, no line ends
	// Waived are the codes for which it would have been an error, but for the policy.
	Waived []showcause.Code
	// Act tells whether something may be done because of it, besides saying so: not all
	// names are of rules at the stage "report".
	Act bool
}

// Say works out what is answered.
func (p *Policy) Say(a *Answer) Said {
	var s Said
	seen := map[string]bool{}
	add := func(name string, act bool) {
		s.Act = s.Act || act
		if name != "" && !seen[name] {
			seen[name] = true
			s.Names = append(s.Names, name)
		}
	}
	r := &a.Report
	if len(r.Findings) == 0 && len(r.Gaps) == 0 {
		if r.Verdict == showcause.Error {
			s.Failed = "Not scanned"
		}
		return s
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Alarms() {
			add(f.Rule, f.Acts())
		}
	}
	locked := slices.ContainsFunc(s.Names, func(n string) bool { return strings.HasPrefix(n, heuristic.Encrypted) })
	failed := showcause.Code("")
	for i := range r.Gaps {
		g := &r.Gaps[i]
		if !g.Code.Unread() {
			continue
		}
		name := alertName(g)
		switch limit := within(g.Code, "limit"); {
		case limit && p.AlertExceedsMax:
			add(name, true)
		case g.Code == showcause.Encrypted && p.AlertEncrypted:
			if !locked {
				add(name, true)
			}
		case p.accepts(g.Code), p.Incomplete == IncompleteOK:
			s.Waived = append(s.Waived, g.Code)
		case p.Incomplete == IncompleteFound:
			add(name, true)
		case failed == "":
			failed = g.Code
		}
	}
	heuristic.Order(s.Names, p.HeuristicsFirst)
	if len(s.Names) == 0 && failed != "" {
		s.Failed = "Not read whole: " + string(failed)
	}
	return s
}

func (p *Policy) accepts(c showcause.Code) bool {
	for _, a := range p.Accept {
		if string(c) == a || strings.HasPrefix(string(c), a+".") {
			return true
		}
	}
	return false
}

// alertName is ClamAV's name for what was not read, or one of its kind where it has none.
func alertName(g *showcause.Gap) string {
	switch g.Code {
	case showcause.Encrypted:
		if t := g.Trail; len(t) > 0 && strings.HasPrefix(t[len(t)-1].Op, "zip.") {
			return "Heuristics.Encrypted.Zip"
		}
		return "Heuristics.Encrypted"
	case showcause.LimitDepth:
		return exceeded + "MaxRecursion"
	case showcause.LimitObject:
		return exceeded + "MaxFiles"
	case showcause.LimitWork, showcause.LimitTime:
		return exceeded + "MaxScanTime"
	case showcause.LimitSize:
		if len(g.Trail) == 0 && g.Offset > 0 {
			return exceeded + "MaxFileSize"
		}
		return exceeded + "MaxScanSize"
	}
	if within(g.Code, "limit") { // ClamAV has no word for ratio, memory and scratch space
		return exceeded + "MaxScanSize"
	}
	return "Heuristics.Incomplete." + string(g.Code)
}

const exceeded = "Heuristics.Limits.Exceeded."
