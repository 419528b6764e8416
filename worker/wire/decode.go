package wire

import (
	"encoding/hex"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/unpack"
)

// Decoder reads the frames of a reader, which is hostile: every number is held
// against the file, the limits and the database.
type Decoder struct {
	*words
	db     *ruledb.DB
	limits showcause.Limits // with their defaults
	names  bool
	quotes bool
	chains bool
	logs   bool
	most   uint32 // matches of a pattern that are wanted; 0: the usual number
}

// NewDecoder returns what reads the reports of readers that were told s and db.
func NewDecoder(s *Settings, db *ruledb.DB) *Decoder {
	return &Decoder{words: newWords(), db: db, limits: s.Limits.WithDefaults(), names: s.Names, quotes: s.Excerpts, chains: s.Digests, logs: s.Logs, most: s.Matches}
}

// maxNumber is the greatest number that a record may have (docs/format/record.md,
// section 1): one that is greater would take the record of the whole scan away.
const maxNumber = 1<<53 - 1

// maxView is the number of bytes of a view that may be longer than what it is
// a view of (scan, HTML): a bound, not what is to be expected.
const maxView = 64 << 20

// cursor takes numbers from the front of a body. It is short once, and then
// gives zeros.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.short, c.b = true, nil
		return nil
	}
	p := c.b[:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) u8() uint8 {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if p := c.take(2); p != nil {
		return le.Uint16(p)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if p := c.take(4); p != nil {
		return le.Uint32(p)
	}
	return 0
}

func (c *cursor) i64() int64 {
	if p := c.take(8); p != nil {
		return int64(le.Uint64(p))
	}
	return 0
}

// count takes the number of things that follow, each of at least size bytes,
// so that no more is allocated than a few times what is there.
func (c *cursor) count(size int) int {
	n := c.u32()
	if uint64(n)*uint64(size) > uint64(len(c.b)) {
		c.short, c.b = true, nil
		return 0
	}
	return int(n)
}

// Report reads the body of a report on the job id of size bytes. Any error is
// a violation. Of a report that takes more than room bytes in memory, which it may
// only if it alarms, or else a part of them, what makes the verdict stays.
func (d *Decoder) Report(body []byte, id uint64, size, room int64) (showcause.Report, error) {
	c := &cursor{b: body}
	var r showcause.Report
	if got := uint64(c.i64()); got != id {
		return r, Wrong("an answer for job %d, where %d is due", got, id)
	}
	kind := int(c.u8())
	if kind >= len(d.types) {
		return r, Wrong("type %d", kind)
	}
	r.Type, r.Size = d.types[kind], c.i64()
	r.Spent = showcause.Spent{Bytes: c.i64(), Objects: c.i64(), Depth: int(c.i64()), Work: c.i64()}
	if r.Size != size {
		return r, Wrong("size %d of a file of %d bytes", r.Size, size)
	}
	if s := r.Spent; !number(s.Bytes) || !number(s.Objects) || s.Objects-1 > d.limits.Objects || s.Depth < 0 || s.Depth > d.depth() || !number(s.Work) {
		return r, Wrong("spent %+v", s)
	}
	findings := c.count(findingHead)
	matches := int(c.u32())
	gaps := c.count(gapSize)
	if c.short || findings > maxFindings || matches > mostOf(d.most) {
		return r, Wrong("counts of %d bytes", len(body))
	}
	most := baseReport + matchReport*matches
	if d.logs {
		most += maxLogs
	}
	if !d.names && !d.quotes && !d.chains && d.most <= showcause.MaxMatches && len(body) > most {
		return r, Wrong("%d bytes for %d matches", len(body), matches)
	}
	names := map[uint32]ruledb.Info{}
	keep := keeper{left: max(room/quietShare, LeastRoom)}
	for range findings {
		f, err := d.finding(c, size, names)
		if err != nil {
			return r, err
		}
		if matches -= len(f.Matches); matches < 0 {
			return r, Wrong("more matches than said")
		}
		if keep.finding(&f, room) {
			r.Findings = append(r.Findings, f)
		}
	}
	for range gaps {
		g, err := d.gap(c, size)
		if err != nil {
			return r, err
		}
		if keep.gap(&g) {
			r.Gaps = append(r.Gaps, g)
		}
	}
	if d.logs {
		var err error
		if r.Logs, err = d.lines(c, &keep); err != nil {
			return r, err
		}
	}
	if keep.cut {
		r.Gaps = append(r.Gaps, showcause.Gap{Code: LimitReport, Offset: 0, Length: -1})
	}
	switch {
	case c.short:
		return r, Wrong("a report that ends early")
	case len(c.b) > 0:
		return r, Wrong("%d bytes behind a report", len(c.b))
	case matches != 0:
		return r, Wrong("fewer matches than said")
	}
	r.Conclude()
	return r, nil
}

// number tells whether a record can hold it.
func number(n int64) bool { return n >= 0 && n <= maxNumber }

// depth is the length of the longest trail: views are a step that is no depth.
func (d *Decoder) depth() int { return d.limits.Depth + 2 }

func (d *Decoder) trail(c *cursor) (showcause.Trail, error) {
	n := int(c.u16())
	if n == 0 {
		return nil, nil
	}
	if n > d.depth() || n*stepSize > len(c.b) {
		return nil, Wrong("a trail of %d steps", n)
	}
	t := make(showcause.Trail, n)
	for i := range t {
		index, op := c.i64(), int(c.u16())
		if !number(index) || op >= len(d.ops) {
			return nil, Wrong("step %d, %d of a trail", index, op)
		}
		t[i] = showcause.Step{Index: int(index), Op: d.ops[op]}
		if d.names {
			n := int(c.u16())
			if n > unpack.MaxName {
				return nil, Wrong("a name of %d bytes", n)
			}
			t[i].Name = string(c.take(n))
		}
	}
	if c.short {
		return nil, Wrong("a trail that ends early")
	}
	return t, nil
}

// finding reads a finding. What a rule is called, and its digest, are said by
// the broker's own database.
func (d *Decoder) finding(c *cursor, size int64, infos map[uint32]ruledb.Info) (f showcause.Finding, err error) {
	index, allow := c.u32(), c.u32()
	if f.Trail, err = d.trail(c); err != nil {
		return f, err
	}
	if int64(index) >= int64(d.db.Len()) {
		return f, Wrong("rule %d of %d", index, d.db.Len())
	}
	patterns, isAllow := d.db.Shape(index)
	if isAllow {
		return f, Wrong("rule %d, which allows", index)
	}
	f.Index = index
	if allow != noAllowance {
		if int64(allow) >= int64(d.db.Len()) {
			return f, Wrong("allow-list rule %d of %d", allow, d.db.Len())
		}
		if _, ok := d.db.Shape(allow); !ok {
			return f, Wrong("allow-list rule %d, which does not allow", allow)
		}
		f.Allowed, f.AllowedIndex = strings.Clone(d.db.Name(allow)), allow
		if f.Allowed == "" {
			return f, Wrong("allow-list rule %d, which has no name", allow)
		}
	}
	if d.chains {
		if err = d.chain(c, &f, patterns, size); err != nil {
			return f, err
		}
	}
	if f.Matches, err = d.matches(c, &f, max(patterns, 1), size); err != nil {
		return f, err
	}
	info, ok := infos[index]
	if !ok {
		if info, err = d.db.Info(index); err != nil { // the text of the rule is damaged: what it found stands
			info = ruledb.Info{Name: d.db.Name(index)}
		}
		infos[index] = info
	}
	f.Rule, f.Digest, f.Stage = info.Name, info.Digest, info.Stage
	return f, nil
}

// last returns the greatest size that a layer with that trail may have.
func (d *Decoder) last(t showcause.Trail, size int64) int64 {
	if len(t) == 0 {
		return size
	}
	return min(max(d.limits.FileSize, size, maxView), maxNumber)
}

// chain reads what the layers down to a finding were, and how often each
// pattern of its rule is there: of a rule for exact bytes, which has none, no count.
func (d *Decoder) chain(c *cursor, f *showcause.Finding, patterns int, size int64) error {
	if (len(f.Trail)+1)*linkSize > len(c.b) {
		return Wrong("a chain that ends early")
	}
	f.Chain = make([]showcause.Link, len(f.Trail)+1)
	for i := range f.Chain {
		l := &f.Chain[i]
		copy(l.Digest[:], c.take(len(l.Digest)))
		if l.Size = c.i64(); l.Size < 0 || l.Size > d.last(f.Trail[:i], size) {
			return Wrong("layer %d of %d bytes in a file of %d", i, l.Size, size)
		}
	}
	n := c.count(countSize)
	if c.short || n != 0 && n != patterns {
		return Wrong("%d counts of %d patterns", n, patterns)
	}
	for range n {
		f.Counts = append(f.Counts, c.u32())
	}
	return nil
}

func (d *Decoder) matches(c *cursor, f *showcause.Finding, patterns int, size int64) ([]showcause.Match, error) {
	n := c.count(matchSize)
	most := showcause.MaxMatches
	if d.most > 0 {
		most = int(d.most)
	}
	if n == 0 || n > patterns*most {
		if n == 0 && !c.short {
			return nil, nil
		}
		return nil, Wrong("%d matches of %d patterns", n, patterns)
	}
	last := d.last(f.Trail, size)
	if d.chains {
		last = f.Chain[len(f.Trail)].Size
	}
	seen := make([]uint32, patterns)
	out := make([]showcause.Match, n)
	for i := range out {
		m := showcause.Match{Pattern: int(c.u32()), Offset: c.i64(), Length: c.i64()}
		if m.Pattern >= patterns || m.Offset < 0 || m.Length < 0 || m.Length > last || m.Offset > last-m.Length {
			return nil, Wrong("match %d, %d, %d of rule %d in %d bytes", m.Pattern, m.Offset, m.Length, f.Index, last)
		}
		if seen[m.Pattern]++; seen[m.Pattern] > uint32(most) {
			return nil, Wrong("too many matches of pattern %d", m.Pattern)
		}
		if d.quotes {
			n := int(c.u8())
			if n > showcause.MaxExcerpt || int64(n) > m.Length {
				return nil, Wrong("an excerpt of %d bytes", n)
			}
			m.Excerpt = hex.EncodeToString(c.take(n))
		}
		out[i] = m
	}
	if c.short {
		return nil, Wrong("matches that end early")
	}
	return out, nil
}

func (d *Decoder) gap(c *cursor, size int64) (g showcause.Gap, err error) {
	if g.Trail, err = d.trail(c); err != nil {
		return g, err
	}
	code := int(c.u16())
	g.Offset, g.Length = c.i64(), c.i64()
	if code >= len(d.codes) {
		return g, Wrong("code %d", code)
	}
	if !number(g.Offset) || len(g.Trail) == 0 && g.Offset > size || g.Length < -1 || g.Length > maxNumber {
		return g, Wrong("gap at %d, %d bytes", g.Offset, g.Length)
	}
	g.Code = d.codes[code]
	return g, nil
}
