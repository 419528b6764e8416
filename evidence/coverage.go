package evidence

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/showcause/showcause"
)

const maxGaps = 1 << 20

// gapCodes are the beginnings of showcause.Code.
var gapCodes = []showcause.Code{
	showcause.LimitSize, showcause.LimitRatio, showcause.LimitDepth, showcause.LimitObject, showcause.LimitWork,
	showcause.LimitTime, showcause.LimitMemory, showcause.LimitSpill, showcause.Encrypted, showcause.Unsupported,
	showcause.Corrupt, showcause.Ambiguous, showcause.Changed, showcause.Unreadable, showcause.Crash,
}

// gaps checks the gaps of one file, whose size is -1 if it is not known, and
// tells whether there is one that went unread.
func (c *checker) gaps(at string, gaps []Gap, size int64) (unread bool) {
	if len(gaps) > maxGaps {
		c.bad(BadCoverage, at, "%d gaps, at most %d", len(gaps), maxGaps)
	}
	for i := range gaps {
		g, at := &gaps[i], fmt.Sprintf("%s/%d", at, i)
		c.least(at+"/offset", g.Offset, 0)
		c.least(at+"/length", g.Length, -1)
		code := showcause.Code(g.Code)
		if !isWord(g.Code) || !slices.ContainsFunc(gapCodes, func(k showcause.Code) bool {
			return code == k || strings.HasPrefix(g.Code, string(k)+".")
		}) && !strings.HasPrefix(g.Code, "limit.") {
			c.bad(BadValue, at+"/code", "%.40q", g.Code)
		}
		if len(g.Trail) == 0 && size >= 0 && g.Offset > size {
			c.bad(BadCoverage, at+"/offset", "%d in a file of %d bytes", g.Offset, size)
		}
		if len(g.Trail) > maxSteps {
			c.bad(BadTrail, at+"/trail", "%d steps, at most %d", len(g.Trail), maxSteps)
		}
		for j, step := range g.Trail {
			if step.Index < 0 || step.Index > maxInteger || !isWord(step.Op) {
				c.bad(BadTrail, fmt.Sprintf("%s/trail/%d", at, j), "no step of a trail")
			}
		}
		unread = unread || code.Unread()
	}
	return unread
}

// layerCoverage checks the coverage of a finding's file.
func (c *checker) layerCoverage() {
	s, v := c.s, c.s.Coverage
	at := "/predicate/coverage"
	unread := c.gaps(at+"/gaps", v.Gaps, s.Input.Size)
	if v.Complete == unread {
		c.bad(BadCoverage, at+"/complete", "%t, and %d gaps", v.Complete, len(v.Gaps))
	}
	steps, bytes := int64(0), s.Input.Size
	for i := range s.Derivation {
		d := &s.Derivation[i]
		if strings.HasPrefix(d.Op, "view.") { // counted for what they cost, not as layers
			continue
		}
		if steps++; d.Size > maxInteger-bytes {
			c.bad(BadCoverage, at+"/bytes", "the sum of the layers is no number")
			return
		}
		bytes += d.Size
	}
	if v.Objects < 1+steps || v.Depth < steps {
		c.bad(BadCoverage, at, "%d objects and depth %d, with %d layers on the way to the finding", v.Objects, v.Depth, 1+steps)
	}
	if v.Complete && v.Bytes < bytes {
		c.bad(BadCoverage, at+"/bytes", "%d, less than the %d of the layers on the way to the finding", v.Bytes, bytes)
	}
	c.sums(at, v)
}

func (c *checker) sums(at string, v *Coverage) {
	c.least(at+"/objects", v.Objects, 0)
	c.least(at+"/bytes", v.Bytes, 0)
	c.least(at+"/depth", v.Depth, 0)
	c.least(at+"/work", v.Work, 0)
}

// findingVerdict holds that the verdict follows from the finding and the gaps.
func (c *checker) findingVerdict() {
	s := c.s
	ok := s.Verdict == "found"
	if !s.Rules.Rule.Alarms() { // another rule may have fired, or none
		rest := "incomplete"
		if s.Coverage.Complete {
			rest = "nothing-found"
		}
		ok = ok || s.Verdict == rest
	}
	if !ok {
		c.bad(BadVerdict, "/predicate/verdict", "%.40q does not follow from the finding and the gaps", s.Verdict)
	}
}

// scanCoverage checks the record of a scan: its sums, and its verdict.
func (c *checker) scanCoverage() {
	v, at := c.s.Coverage, "/predicate/coverage"
	c.sums(at, v)
	c.least(at+"/files", v.Files, 0)
	c.least(at+"/unrecorded", v.Unrecorded, 0)
	if v.Part < 0 || v.Parts < 0 || v.Part > v.Parts || (v.Part == 0) != (v.Parts == 0) {
		c.bad(BadCoverage, at+"/part", "part %d of %d", v.Part, v.Parts)
	}
	worst, sum := 0, int64(0)
	for _, k := range slices.Sorted(maps.Keys(v.Verdicts)) {
		n, i := v.Verdicts[k], slices.Index(verdicts, k)
		if i < 0 || n < 1 || n > maxInteger-sum {
			c.bad(BadCoverage, at+"/verdicts/"+k, "%d files", n)
			return
		}
		worst, sum = max(worst, i), sum+n
	}
	if sum != v.Files {
		c.bad(BadCoverage, at+"/files", "%d, and the verdicts are %d", v.Files, sum)
	}
	if v.Objects < v.Verdicts["found"]+v.Verdicts["incomplete"]+v.Verdicts["nothing-found"] {
		c.bad(BadCoverage, at+"/objects", "%d, less than the files that were read", v.Objects)
	}
	unread := c.gaps(at+"/gaps", v.Gaps, -1)
	listed := map[string]int64{}
	for i := range v.Inputs {
		unread = c.looked(fmt.Sprintf("%s/inputs/%d", at, i), &v.Inputs[i]) || unread
		listed[v.Inputs[i].Verdict]++
	}
	for _, k := range []string{"incomplete", "error"} {
		if listed[k] != v.Verdicts[k] {
			c.bad(BadCoverage, at+"/inputs", "%d files are %s, and %d are listed", v.Verdicts[k], k, listed[k])
		}
	}
	for _, k := range []string{"found", "nothing-found"} {
		if listed[k] > v.Verdicts[k] {
			c.bad(BadCoverage, at+"/inputs", "%d files are %s, and %d are listed", v.Verdicts[k], k, listed[k])
		}
	}
	if v.Complete == unread {
		c.bad(BadCoverage, at+"/complete", "%t, and the gaps say otherwise", v.Complete)
	}
	if unread {
		worst = max(worst, int(showcause.Incomplete))
	}
	if c.s.Verdict != verdicts[worst] {
		c.bad(BadVerdict, "/predicate/verdict", "%.40q, want %s", c.s.Verdict, verdicts[worst])
	}
}

// looked checks one file of a scan, and tells whether some of it went unread.
func (c *checker) looked(at string, l *Looked) bool {
	if l.Digest != (Digests{}) {
		c.digests(at+"/digest", l.Digest)
	}
	c.least(at+"/size", l.Size, -1)
	unread := c.gaps(at+"/gaps", l.Gaps, l.Size)
	switch l.Verdict {
	case "error":
		return true
	case "found":
	case "incomplete", "nothing-found":
		if unread != (l.Verdict == "incomplete") {
			c.bad(BadVerdict, at+"/verdict", "%s, and the gaps say otherwise", l.Verdict)
		}
	default:
		c.bad(BadValue, at+"/verdict", "%.40q", l.Verdict)
	}
	if len(l.Gaps) == 0 {
		c.bad(BadCoverage, at+"/gaps", "a file without a gap or an error")
	}
	return unread
}
