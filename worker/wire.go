package worker

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// Kinds of messages, and of frames.
const (
	msgRules = 1
	msgJobs  = 2

	frameReady   = 1
	frameRefusal = 2
	frameReport  = 3
)

// Flags of messages.
const (
	flagNames    = 1
	flagExcerpts = 2
	flagScratch  = 4
	flagDigests  = 8
	flagTopOnly  = 16
	flagNoUsual  = 32

	flagAtOnce = 1
)

const (
	maxBatch    = 64                                // jobs in a message: the kernel takes 253 descriptors at most (SCM_MAX_FD)
	rulesSize   = 1 + 1 + 8 + 6*8 + 2*8 + 4 + 8 + 2 // and passwords and external variables
	jobsHead    = 1 + 1 + 2
	jobSize     = 8 + 8 + 2 // and external variables
	maxRefusal  = 1 << 10
	maxDepth    = 1000 // of Limits.Depth: a reader's stack and a report's trails are bounded
	maxMatches  = 1 << 18
	mostMatches = 1 << 22 // where more of a pattern are wanted than usual
	maxFindings = 10_001  // as many as scan keeps
	noAllowance = math.MaxUint32
)

// What a report may weigh. Without quoted data it is a base and so much for
// each match; with it, all that a report of scan may hold.
const (
	baseReport   = 64 << 10
	matchReport  = 32
	quotedReport = 32 << 20
)

// Sizes of the parts of a frame, bytes.
const (
	frameHead   = 4 + 1
	reportHead  = 8 + 1 + 8 + 4*8 + 3*4
	findingHead = 4 + 4 + 2 + 4
	matchSize   = 4 + 8 + 8
	linkSize    = 32 + 8
	countSize   = 4
	gapSize     = 2 + 2 + 8 + 8
	stepSize    = 8 + 2
)

var le = binary.LittleEndian

// settings are what a reader is told first.
type settings struct {
	limits   showcause.Limits
	names    bool
	excerpts bool
	digests  bool // chains and counts
	scratch  bool // descriptor 5 is there
	formats  uint64
	memory   int64 // bytes
	spill    int64 // bytes of scratch

	topOnly   bool
	matches   uint32 // of a pattern; 0: the usual number
	now       int64
	externals string // see encodeExternals
	passwords string // see encodePasswords
	noUsual   bool
}

// long tells whether reports may be as long as those of scan.
func (s *settings) long() bool { return s.names || s.excerpts || s.digests }

// maxFrame is the length in bytes of the longest report.
func (s *settings) maxFrame() int {
	switch {
	case s.matches > showcause.MaxMatches:
		return quotedReport + matchSize*mostMatches
	case s.long():
		return quotedReport
	}
	return baseReport + matchReport*maxMatches
}

func bit(on bool, flag uint8) uint8 {
	if on {
		return flag
	}
	return 0
}

func (s *settings) encode() []byte {
	b := []byte{msgRules, bit(s.names, flagNames) | bit(s.excerpts, flagExcerpts) | bit(s.scratch, flagScratch) | bit(s.digests, flagDigests) | bit(s.topOnly, flagTopOnly) | bit(s.noUsual, flagNoUsual)}
	b = le.AppendUint64(b, s.formats)
	l := s.limits
	for _, v := range []int64{l.FileSize, l.ScanSize, l.Objects, int64(l.Depth), l.Ratio, l.Work, s.memory, s.spill} {
		b = le.AppendUint64(b, uint64(v))
	}
	b = le.AppendUint32(b, s.matches)
	b = le.AppendUint64(b, uint64(s.now))
	b = le.AppendUint16(b, uint16(len(s.passwords)))
	return append(append(b, s.passwords...), s.externals...)
}

var errMessage = errors.New("not a message of this program")

func decodeSettings(b []byte) (settings, error) {
	const flags = flagNames | flagExcerpts | flagScratch | flagDigests | flagTopOnly | flagNoUsual
	if len(b) < rulesSize || len(b) > rulesSize+maxPasswords+maxExternals || b[0] != msgRules || b[1]&^flags != 0 {
		return settings{}, errMessage
	}
	rest := string(b[rulesSize:])
	n := int(le.Uint16(b[rulesSize-2:]))
	if n > maxPasswords || n > len(rest) || len(rest)-n > maxExternals {
		return settings{}, errMessage
	}
	passwords, externals := rest[:n], rest[n:]
	if _, err := decodePasswords(passwords); err != nil {
		return settings{}, err
	}
	if _, err := decodeExternals(externals); err != nil {
		return settings{}, err
	}
	var v [8]int64
	for i := range v {
		v[i] = int64(le.Uint64(b[10+8*i:]))
	}
	return settings{
		names: b[1]&flagNames != 0, excerpts: b[1]&flagExcerpts != 0, scratch: b[1]&flagScratch != 0, digests: b[1]&flagDigests != 0,
		formats: le.Uint64(b[2:]),
		limits:  showcause.Limits{FileSize: v[0], ScanSize: v[1], Objects: v[2], Depth: int(v[3]), Ratio: v[4], Work: v[5]},
		memory:  v[6], spill: v[7],
		topOnly: b[1]&flagTopOnly != 0, matches: le.Uint32(b[74:]), now: int64(le.Uint64(b[78:])),
		externals: externals, passwords: passwords, noUsual: b[1]&flagNoUsual != 0,
	}, nil
}

// order is one job on the wire.
type order struct {
	id        uint64
	size      int64
	externals string // see encodeExternals
}

func appendOrders(b []byte, atOnce bool, orders []order) []byte {
	b = append(b, msgJobs, bit(atOnce, flagAtOnce))
	b = le.AppendUint16(b, uint16(len(orders)))
	for _, o := range orders {
		b = le.AppendUint64(b, o.id)
		b = le.AppendUint64(b, uint64(o.size))
		b = le.AppendUint16(b, uint16(len(o.externals)))
		b = append(b, o.externals...)
	}
	return b
}

func decodeOrders(b []byte, out []order) (orders []order, atOnce bool, err error) {
	if len(b) < jobsHead || b[0] != msgJobs || b[1]&^flagAtOnce != 0 {
		return nil, false, errMessage
	}
	n := int(le.Uint16(b[2:]))
	if n < 1 || n > maxBatch {
		return nil, false, errMessage
	}
	rest := b[jobsHead:]
	for range n {
		if len(rest) < jobSize {
			return nil, false, errMessage
		}
		o := order{id: le.Uint64(rest), size: int64(le.Uint64(rest[8:]))}
		more := int(le.Uint16(rest[16:]))
		if rest = rest[jobSize:]; o.size < 0 || more > maxJobExternals || more > len(rest) {
			return nil, false, errMessage
		}
		if more > 0 {
			o.externals, rest = string(rest[:more]), rest[more:]
			if _, err := decodeExternals(o.externals); err != nil {
				return nil, false, err
			}
		}
		out = append(out, o)
	}
	if len(rest) > 0 {
		return nil, false, errMessage
	}
	return out, b[1]&flagAtOnce != 0, nil
}

// appendFrame appends a frame with a body that is at hand.
func appendFrame(b []byte, kind uint8, body []byte) []byte {
	b = le.AppendUint32(b, uint32(1+len(body)))
	b = append(b, kind)
	return append(b, body...)
}

// encoder writes reports.
type encoder struct {
	*words
	names, excerpts, digests bool
	matches                  uint32 // of a pattern that are wanted; 0: the usual number
}

// mostOf is the number of matches that a report may have, where so many of a
// pattern are wanted.
func mostOf(matches uint32) int {
	if matches > showcause.MaxMatches {
		return mostMatches
	}
	return maxMatches
}

// report appends the frame of a report, and drops what does not fit: findings
// past the first that makes the verdict, and gaps, for which one of each code
// and of unknown length stands.
func (e *encoder) report(b []byte, id uint64, r *showcause.Report) []byte {
	findings, matches, gaps := e.fit(r)
	start := len(b)
	b = append(b, 0, 0, 0, 0, frameReport)
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
	le.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// fit returns what of a report is sent, and the number of its matches.
func (e *encoder) fit(r *showcause.Report) (findings []showcause.Finding, matches int, gaps []showcause.Gap) {
	left, perMatch := baseReport-frameHead-reportHead, matchSize-matchReport
	if e.names || e.excerpts || e.digests {
		left, perMatch = quotedReport-frameHead-reportHead, matchSize
	}
	if e.matches > showcause.MaxMatches {
		left, perMatch = quotedReport+matchSize*mostMatches-frameHead-reportHead, matchSize
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
		if r.Findings[i].Allowed == "" {
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
func (e *encoder) fitGaps(all []showcause.Gap, left int) []showcause.Gap {
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
func (e *encoder) weigh(t showcause.Trail) int {
	n := stepSize * len(t)
	if e.names {
		for i := range t {
			n += 2 + min(len(t[i].Name), unpack.MaxName)
		}
	}
	return n
}

// quote returns the bytes of a match's excerpt.
func (e *encoder) quote(m *showcause.Match) int {
	if !e.excerpts {
		return 0
	}
	return 1 + min(len(m.Excerpt)/2, showcause.MaxExcerpt)
}

// weighChain returns the bytes of a finding's chain and counts.
func (e *encoder) weighChain(f *showcause.Finding) int {
	if !e.digests {
		return 0
	}
	return linkSize*(len(f.Trail)+1) + 4 + countSize*len(f.Counts)
}

// chain appends a finding's chain, which is as long as its trail says, and its counts.
func (e *encoder) chain(b []byte, f *showcause.Finding) []byte {
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

func (e *encoder) trail(b []byte, t showcause.Trail) []byte {
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

func (e *encoder) finding(b []byte, f *showcause.Finding) []byte {
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
// that can be no place in a layer are made one.
func (e *encoder) gap(b []byte, g *showcause.Gap, size int64) []byte {
	off := max(g.Offset, 0)
	if len(g.Trail) == 0 {
		off = min(off, size)
	}
	b = e.trail(b, g.Trail)
	b = le.AppendUint16(b, e.codeOf[g.Code])
	b = le.AppendUint64(b, uint64(off))
	return le.AppendUint64(b, uint64(max(g.Length, -1)))
}

// violation says what was wrong with a frame.
type violation string

func (v violation) Error() string { return "reader: " + string(v) }

func wrong(format string, a ...any) error { return violation(fmt.Sprintf(format, a...)) }
