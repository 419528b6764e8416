package wire

import (
	"encoding/hex"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// Encoder writes reports.
type Encoder struct {
	*words
	names, excerpts, digests bool
	logs                     bool
	matches                  uint32 // of a pattern that are wanted; 0: the usual number
}

// NewEncoder returns what writes the reports of a reader that was told s.
func NewEncoder(s *Settings) *Encoder {
	return &Encoder{words: newWords(), names: s.Names, excerpts: s.Excerpts, digests: s.Digests, logs: s.Logs, matches: s.Matches}
}

// mostOf is the number of matches that a report may have, where so many of a
// pattern are wanted.
func mostOf(matches uint32) int {
	if matches > showcause.MaxMatches {
		return mostMatches
	}
	return maxMatches
}

// Report appends the frame of a report, and drops what does not fit: findings
// past the first that makes the verdict, and gaps, for which one of each code
// and of unknown length stands.
func (e *Encoder) Report(b []byte, id uint64, r *showcause.Report) []byte {
	findings, matches, gaps := e.fit(r)
	start := len(b)
	b = append(b, 0, 0, 0, 0, FrameReport)
	b = le.AppendUint64(b, id)
	b = append(b, e.typeOf[r.Type])
	for _, v := range []int64{r.Size, r.Spent.Bytes, r.Spent.Objects, int64(r.Spent.Depth), r.Spent.Work} {
		b = le.AppendUint64(b, uint64(v))
	}
	for _, n := range []int{len(findings), matches, len(gaps)} {
		b = le.AppendUint32(b, uint32(n))
	}
	for i := range findings {
		b = e.finding(b, &findings[i])
	}
	for i := range gaps {
		b = e.gap(b, &gaps[i], r.Size)
	}
	if e.logs {
		b = e.lines(b, r.Logs)
	}
	le.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// fit returns what of a report is sent, and the number of its matches.
func (e *Encoder) fit(r *showcause.Report) (findings []showcause.Finding, matches int, gaps []showcause.Gap) {
	left, perMatch := baseReport-FrameHead-ReportHead, matchSize-matchReport
	if e.names || e.excerpts || e.digests {
		left, perMatch = quotedReport-FrameHead-ReportHead, matchSize
	}
	if e.matches > showcause.MaxMatches {
		left, perMatch = quotedReport+matchSize*mostMatches-FrameHead-ReportHead, matchSize
	}
	last := map[showcause.Code]bool{} // codes, each with room for the gap that stands for all
	for i := range r.Gaps {
		if c := r.Gaps[i].Code; !last[c] {
			last[c] = true
			left -= gapSize
		}
	}
	cost := func(f *showcause.Finding) int {
		n := findingHead + e.weigh(f.Trail) + e.weighChain(f) + len(f.Matches)*perMatch
		for i := range f.Matches {
			n += e.quote(&f.Matches[i])
		}
		return max(n, findingHead)
	}
	firm := -1
	for i := range r.Findings {
		if r.Findings[i].Alarms() {
			firm = i
			left -= cost(&r.Findings[i])
			matches += len(r.Findings[i].Matches)
			break
		}
	}
	whole := true
	for i := range r.Findings {
		f := &r.Findings[i]
		if i != firm {
			c := cost(f)
			if c > left || matches+len(f.Matches) > mostOf(e.matches) || len(findings)+1 >= maxFindings {
				whole = false
				continue
			}
			left -= c
			matches += len(f.Matches)
		}
		if !whole || len(findings) < i { // copied only if one is missing
			findings = append(findings, *f)
			continue
		}
		findings = r.Findings[: i+1 : i+1]
	}
	return findings, matches, e.fitGaps(r.Gaps, left)
}

// fitGaps returns the gaps for which there is room.
func (e *Encoder) fitGaps(all []showcause.Gap, left int) []showcause.Gap {
	total := 0
	for i := range all {
		total += gapSize + e.weigh(all[i].Trail)
	}
	if total <= left {
		return all
	}
	var out []showcause.Gap
	dropped := map[showcause.Code]bool{}
	for i := range all {
		g := &all[i]
		c := gapSize + e.weigh(g.Trail)
		switch {
		case dropped[g.Code]:
		case c > left:
			dropped[g.Code] = true
			out = append(out, showcause.Gap{Code: g.Code, Offset: 0, Length: -1})
		default:
			left -= c
			out = append(out, *g)
		}
	}
	return out
}

// weigh returns the bytes of a trail's steps.
func (e *Encoder) weigh(t showcause.Trail) int {
	n := stepSize * len(t)
	if e.names {
		for i := range t {
			n += 2 + min(len(t[i].Name), unpack.MaxName)
		}
	}
	return n
}

// quote returns the bytes of a match's excerpt.
func (e *Encoder) quote(m *showcause.Match) int {
	if !e.excerpts {
		return 0
	}
	return 1 + min(len(m.Excerpt)/2, showcause.MaxExcerpt)
}

// weighChain returns the bytes of a finding's chain and counts.
func (e *Encoder) weighChain(f *showcause.Finding) int {
	if !e.digests {
		return 0
	}
	return linkSize*(len(f.Trail)+1) + 4 + countSize*len(f.Counts)
}

// chain appends a finding's chain, which is as long as its trail says, and its counts.
func (e *Encoder) chain(b []byte, f *showcause.Finding) []byte {
	for i := range len(f.Trail) + 1 {
		var l showcause.Link
		if i < len(f.Chain) {
			l = f.Chain[i]
		}
		b = append(b, l.Digest[:]...)
		b = le.AppendUint64(b, uint64(l.Size))
	}
	b = le.AppendUint32(b, uint32(len(f.Counts)))
	for _, n := range f.Counts {
		b = le.AppendUint32(b, n)
	}
	return b
}

func (e *Encoder) trail(b []byte, t showcause.Trail) []byte {
	b = le.AppendUint16(b, uint16(len(t)))
	for i := range t {
		s := &t[i]
		b = le.AppendUint64(b, uint64(s.Index))
		b = le.AppendUint16(b, e.opOf[s.Op])
		if e.names {
			name := s.Name[:min(len(s.Name), unpack.MaxName)]
			b = le.AppendUint16(b, uint16(len(name)))
			b = append(b, name...)
		}
	}
	return b
}

func (e *Encoder) finding(b []byte, f *showcause.Finding) []byte {
	b = le.AppendUint32(b, f.Index)
	allow := uint32(noAllowance)
	if f.Allowed != "" {
		allow = f.AllowedIndex
	}
	b = le.AppendUint32(b, allow)
	b = e.trail(b, f.Trail)
	if e.digests {
		b = e.chain(b, f)
	}
	b = le.AppendUint32(b, uint32(len(f.Matches)))
	for i := range f.Matches {
		m := &f.Matches[i]
		b = le.AppendUint32(b, uint32(m.Pattern))
		b = le.AppendUint64(b, uint64(m.Offset))
		b = le.AppendUint64(b, uint64(m.Length))
		if e.excerpts {
			raw, _ := hex.DecodeString(m.Excerpt)
			raw = raw[:min(len(raw), showcause.MaxExcerpt)]
			b = append(b, uint8(len(raw)))
			b = append(b, raw...)
		}
	}
	return b
}

// gap appends a gap. Its numbers may come from a header in the input: those
// that can be no place in a layer are made one, and a length that no layer has is
// not known.
func (e *Encoder) gap(b []byte, g *showcause.Gap, size int64) []byte {
	off, length := min(max(g.Offset, 0), maxNumber), max(g.Length, -1)
	if length > maxNumber {
		length = -1
	}
	if len(g.Trail) == 0 {
		off = min(off, size)
	}
	b = e.trail(b, g.Trail)
	b = le.AppendUint16(b, e.codeOf[g.Code])
	b = le.AppendUint64(b, uint64(off))
	return le.AppendUint64(b, uint64(length))
}
