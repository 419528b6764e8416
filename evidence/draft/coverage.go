package draft

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/recheck"
)

// What one record of a scan's coverage holds: more is another part.
const (
	maxInputs = 10_000
	maxWeight = 500_000 // values of gaps, about
)

// Coverage gathers what a scan looked at, file by file, for the records that
// say so. It is not safe for concurrent use.
type Coverage struct {
	scan  *Scan
	parts []*evidence.Statement
	open  *evidence.Statement
	gaps  int // their weight
}

// Coverage begins the coverage of the scan.
func (s *Scan) Coverage() *Coverage { return &Coverage{scan: s} }

// part returns the statement to add to.
func (c *Coverage) part() *evidence.Statement {
	if c.open != nil && len(c.open.Coverage.Inputs) < maxInputs && c.gaps < maxWeight {
		return c.open
	}
	policy := c.scan.Policy
	c.open = &evidence.Statement{Kind: evidence.Scan, Subject: evidence.Digests{Scan: c.scan.Context.Scan}, Predicate: evidence.Predicate{
		Verdict: showcause.NothingFound.String(), Engine: c.scan.Engine, Rules: &evidence.Rules{Database: c.scan.Database}, Policy: &policy,
		Coverage: &evidence.Coverage{Complete: true, Verdicts: map[string]int64{}},
	}}
	c.gaps = 0
	c.parts = append(c.parts, c.open)
	return c.open
}

// maxNumber is the greatest number that a record may have.
const maxNumber = 1<<53 - 1

// add adds a number of one file to a sum, which stays one that a record may have:
// what a single file is said to have cost must not take the record of all away.
func add(sum, n int64) int64 {
	n = min(max(n, 0), maxNumber)
	return min(sum, maxNumber-n) + n
}

// File adds a file. A file that could not be opened at all has failed and
// an empty report; subject may be zero.
func (c *Coverage) File(path string, subject evidence.Digests, r *showcause.Report, failed bool) {
	s := c.part()
	v := s.Coverage
	verdict := r.Verdict
	size := r.Size
	if failed {
		verdict, size = showcause.Error, -1
	}
	v.Files++
	v.Verdicts[verdict.String()]++
	v.Objects = add(v.Objects, r.Spent.Objects)
	v.Bytes = add(v.Bytes, r.Spent.Bytes)
	v.Depth = max(v.Depth, int64(r.Spent.Depth))
	v.Work = add(v.Work, r.Spent.Work)
	v.Complete = v.Complete && !failed && complete(r)
	if failed || len(r.Gaps) > 0 {
		gaps := recheck.Gaps(r.Gaps, max(size, 0))
		v.Inputs = append(v.Inputs, evidence.Looked{Digest: subject, Size: size, Verdict: verdict.String(), Gaps: gaps})
		s.Context.Paths = append(s.Context.Paths, Text(path))
		for i := range gaps {
			c.gaps += 8 + 3*len(gaps[i].Trail)
		}
	}
}

// Unrecorded says that findings of the file that was added last have no record of
// their own.
func (c *Coverage) Unrecorded(n int64) {
	v := c.open.Coverage
	v.Unrecorded = add(v.Unrecorded, n)
}

// Interrupted says that the scan ended before all was looked at.
func (c *Coverage) Interrupted() {
	v := c.part().Coverage
	v.Complete = false
	v.Gaps = append(v.Gaps, evidence.Gap{Code: string(showcause.Unreadable) + ".interrupted", Offset: 0, Length: -1})
}

// Statements returns the records to seal: at least one.
func (c *Coverage) Statements() []*evidence.Statement {
	c.part()
	for i, s := range c.parts {
		paths := s.Context.Paths
		s.Context, s.Time = c.scan.Context, Now()
		s.Context.Paths = paths
		v := s.Coverage
		if len(c.parts) > 1 {
			v.Part, v.Parts = int64(i+1), int64(len(c.parts))
		}
		worst := showcause.NothingFound
		for _, k := range []showcause.Verdict{showcause.Incomplete, showcause.Error, showcause.Found} {
			if v.Verdicts[k.String()] > 0 {
				worst = k
			}
		}
		if !v.Complete {
			worst = max(worst, showcause.Incomplete)
		}
		s.Verdict = worst.String()
		if len(v.Verdicts) == 0 {
			v.Verdicts = nil
		}
	}
	return c.parts
}

// Contest makes the statement that a finding is wrong.
func Contest(e evidence.Engine, record *evidence.Record, reason string, context evidence.Context) *evidence.Statement {
	return about(e, evidence.Contest, record.Statement(), context, func(s *evidence.Statement) {
		s.Contest = &evidence.Contention{Record: record.Name(), Reason: Text(reason)}
	})
}

// Decision makes the statement of what became of a contest.
func Decision(e evidence.Engine, contest *evidence.Record, outcome, reason string, context evidence.Context) *evidence.Statement {
	was := contest.Statement()
	return about(e, evidence.Decision, was, context, func(s *evidence.Statement) {
		s.Decision = &evidence.Ruling{Contest: contest.Name(), Outcome: outcome, Reason: Text(reason)}
		if was.Contest != nil {
			s.Decision.Record = was.Contest.Record
		}
	})
}

// about makes a statement of the same subject as another.
func about(e evidence.Engine, kind evidence.Kind, other *evidence.Statement, context evidence.Context, fill func(*evidence.Statement)) *evidence.Statement {
	s := &evidence.Statement{Kind: kind, Subject: other.Subject, Predicate: evidence.Predicate{Engine: e, Context: context, Time: Now()}}
	s.Context.Path = other.Context.Path
	if s.Context.Path.Commitment != "" {
		s.Context.Path = evidence.Private{}
	}
	fill(s)
	if s.Subject.SHA256 == "" { // hidden from who writes this: what it is about is the record then
		if s.Contest != nil {
			s.Subject = evidence.Digests{SHA256: s.Contest.Record}
		} else {
			s.Subject = evidence.Digests{SHA256: s.Decision.Record}
		}
	}
	return s
}
