package report

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/recheck"
)

// model is the page as the template takes it.
type model struct {
	*Page
	MadeAt   string
	Scans    []scanView
	Findings []findingView
	Refused  []Item
	Verdicts []bar // of files, over all scans
	Files    int64
	Layers   int64
	Bytes    int64
	Codes    []bar // of gaps
	Unread   int64 // gaps that mean unread bytes
	Worst    string
	Loose    []letter // correspondence over findings that are not on the page
}

// bar is one part of a picture: X and W are in thousandths of its width.
type bar struct {
	Label, Class string
	N            int64
	X, W         int64
	Text         string
}

// scanView is one record of a scan.
type scanView struct {
	Item
	Inputs   []inputView
	LeftOut  int
	Verdicts []bar
	Limits   string
}

// inputView is a file that was not read whole.
type inputView struct {
	Path, Verdict string
	Size          int64
	Digest        string
	Gaps          []gapView
	LeftOut       int
	Marks         []bar // the gaps in the file's own bytes
	Elsewhere     int64 // gaps in layers below, or of which the place is not known
}

type gapView struct {
	Code, Where, Stretch string
	Unread               bool
}

// What the page lists at most: a table without end helps nobody.
const (
	maxInputs = 500
	maxGaps   = 20 // of one file
	maxText   = 64 << 10
	maxMarks  = 200 // of one file
)

func newModel(p *Page) *model {
	m := &model{Page: p, MadeAt: p.Made.UTC().Format("2006-01-02 15:04:05 UTC"), Worst: showcause.NothingFound.String()}
	verdicts, codes := map[string]int64{}, map[string]int64{}
	order := []string{"found", "error", "incomplete", "nothing-found"}
	letters := map[string][]letter{}
	for _, it := range p.Items {
		switch {
		case it.Refused != "":
			m.Refused = append(m.Refused, it)
		case it.Statement.Kind == evidence.Scan:
			m.scan(it, verdicts, codes, order)
		case it.Statement.Kind == evidence.Finding:
			m.Findings = append(m.Findings, newFinding(it))
		default:
			if l, of, ok := newLetter(it); ok {
				letters[of] = append(letters[of], l)
			}
		}
	}
	slices.SortStableFunc(m.Findings, func(a, b findingView) int {
		return cmp.Or(-cmp.Compare(a.Statement.Time.Observed, b.Statement.Time.Observed), cmp.Compare(a.Path, b.Path))
	})
	for i := range m.Findings {
		f := &m.Findings[i]
		f.Number = i + 1
		f.Letters = letters[f.Name]
		slices.SortStableFunc(f.Letters, letter.compare)
		f.settle()
		delete(letters, f.Name)
	}
	for _, of := range slices.Sorted(maps.Keys(letters)) {
		m.Loose = append(m.Loose, letters[of]...)
	}
	for _, v := range order {
		if verdicts[v] > 0 {
			m.Worst = v
			break
		}
	}
	if len(m.Findings) > 0 && m.Worst != "found" && m.Files == 0 {
		m.Worst = "found"
	}
	m.Verdicts = bars(order, verdicts, func(v string) string { return v })
	m.Codes = ranked(codes)
	for c, n := range codes {
		if showcause.Code(c).Unread() {
			m.Unread += n
		}
	}
	return m
}

// bars makes one row of parts whose widths are as their numbers; what is there
// at all can be seen.
func bars(order []string, n map[string]int64, class func(string) string) (out []bar) {
	var sum int64
	for _, k := range order {
		sum += n[k]
	}
	x := int64(0)
	for _, k := range order {
		if n[k] == 0 {
			continue
		}
		w := max(n[k]*1000/max(sum, 1), 8)
		out = append(out, bar{Label: k, Class: class(k), N: n[k], X: x, W: w, Text: number(n[k])})
		x += w
	}
	for i := range out { // the least parts were widened
		out[i].X, out[i].W = out[i].X*1000/max(x, 1), max(out[i].W*1000/max(x, 1), 1)
	}
	return out
}

// ranked makes a row for each, the greatest first.
func ranked(n map[string]int64) (out []bar) {
	most := int64(1)
	for _, v := range n {
		most = max(most, v)
	}
	for k, v := range n {
		class := "unread"
		if !showcause.Code(k).Unread() {
			class = "note"
		}
		out = append(out, bar{Label: k, Class: class, N: v, W: max(v*1000/most, 6), Text: number(v)})
	}
	slices.SortFunc(out, func(a, b bar) int { return cmp.Or(-cmp.Compare(a.N, b.N), cmp.Compare(a.Label, b.Label)) })
	return out[:min(len(out), 30)]
}

func (m *model) scan(it Item, verdicts, codes map[string]int64, order []string) {
	s := it.Statement
	v := s.Coverage
	m.Files += v.Files
	m.Layers += v.Objects
	m.Bytes += v.Bytes
	for k, n := range v.Verdicts {
		verdicts[k] += n
	}
	out := scanView{Item: it, Limits: limits(s.Policy), Verdicts: bars(order, v.Verdicts, func(k string) string { return k })}
	for i := range v.Inputs {
		in := &v.Inputs[i]
		for _, g := range in.Gaps {
			codes[g.Code]++
		}
		if len(out.Inputs) >= maxInputs {
			out.LeftOut++
			continue
		}
		x := inputView{Path: "(path not recorded)", Verdict: in.Verdict, Size: in.Size, Digest: in.Digest.SHA256}
		if i < len(s.Context.Paths) {
			x.Path = private(s.Context.Paths[i])
		}
		x.Gaps, x.LeftOut = newGaps(in.Gaps)
		x.Marks, x.Elsewhere = marks(in.Gaps, in.Size)
		out.Inputs = append(out.Inputs, x)
	}
	for _, g := range v.Gaps {
		codes[g.Code]++
	}
	m.Scans = append(m.Scans, out)
}

// marks are the gaps in a file's own bytes as parts of it, where their places are
// known, and the number of the others.
func marks(in []evidence.Gap, size int64) (out []bar, elsewhere int64) {
	for i := range in {
		g := &in[i]
		if len(g.Trail) > 0 || g.Offset < 0 || size <= 0 || g.Offset > size {
			elsewhere++
			continue
		}
		if len(out) >= maxMarks {
			continue
		}
		part := func(n int64) int64 { return int64(float64(n) / float64(size) * 1000) }
		n, class := min(g.Length, size-g.Offset), "unread"
		if !showcause.Code(g.Code).Unread() {
			class = "note"
		}
		if n < 0 { // it may go on to the end
			n, class = size-g.Offset, class+" open"
		}
		w := min(max(part(n), 4), 1000)
		out = append(out, bar{Label: g.Code, Class: class, X: min(part(g.Offset), 1000-w), W: w, Text: stretch(g)})
	}
	return out, elsewhere
}

// limits says how much was looked at, at most.
func limits(p *evidence.Policy) string {
	if p == nil {
		return ""
	}
	l := p.Limits.WithDefaults()
	return fmt.Sprintf("%s a layer, %s in all layers, %s layers, depth %d, expansion %d-fold, %s steps",
		size(l.FileSize), size(l.ScanSize), number(l.Objects), l.Depth, l.Ratio, number(l.Work))
}

func newGaps(in []evidence.Gap) (out []gapView, left int) {
	for i := range in {
		g := &in[i]
		if len(out) >= maxGaps {
			left++
			continue
		}
		where := "the file itself"
		if len(g.Trail) > 0 {
			var steps []string
			for _, s := range g.Trail {
				steps = append(steps, fmt.Sprintf("#%d %s", s.Index, s.Op))
			}
			where = strings.Join(steps, " / ")
		}
		out = append(out, gapView{g.Code, where, stretch(g), showcause.Code(g.Code).Unread()})
	}
	return out, left
}

// stretch says where a gap is in its layer.
func stretch(g *evidence.Gap) string {
	if g.Length < 0 {
		return "from " + number(g.Offset) + ", of unknown length"
	}
	return plural(g.Length, "byte", "bytes") + " from " + number(g.Offset)
}

// private is a private value as it is shown.
func private(p evidence.Private) string {
	if p.Commitment != "" {
		return "(hidden in this copy)"
	}
	return p.Text
}

// findingView is one finding.
type findingView struct {
	Item
	Number   int
	Path     string
	Rule     *evidence.Rule
	Chain    []linkView
	Text     []piece
	TextCut  bool
	NoText   bool
	Matches  []matchView
	LeftOut  int
	Hidden   bool // matches are not disclosed
	Ticks    []bar
	Layer    int64 // bytes of the layer
	Gaps     []gapView
	GapsLeft int
	Marks    []bar // the gaps in the file's own bytes
	Below    int64 // gaps in layers below, or of which the place is not known
	Limits   string
	Dumps    []dump
	Letters  []letter
	State    string // "withdrawn", "upheld", "contested", or ""
	Options  []string
}

// linkView is a layer on the way.
type linkView struct {
	Step, Digest string
	Size         int64
	Last         bool
}

type matchView struct {
	Pattern, Offset, Length int64
	Hex                     string
}

const (
	maxMatches = 64
	maxDumps   = 64
)

func newFinding(it Item) findingView {
	s := it.Statement
	f := findingView{Item: it, Path: private(s.Context.Path), Rule: s.Rules.Rule}
	if f.Path == "" {
		f.Path = "(path not recorded)"
	}
	digest := func(d evidence.Digests) string {
		if d.SHA256 == "" {
			return "(hidden in this copy)"
		}
		return d.SHA256
	}
	f.Layer = s.Input.Size
	f.Chain = []linkView{{"file, " + orUnknown(s.Input.Type), digest(s.Subject), s.Input.Size, false}}
	for _, d := range s.Derivation {
		f.Chain = append(f.Chain, linkView{fmt.Sprintf("#%d %s", d.Index, d.Op), digest(d.Digest), d.Size, false})
		f.Layer = d.Size
	}
	f.Chain[len(f.Chain)-1].Last = true
	fired := map[int64]bool{}
	if s.Matches != nil {
		f.Hidden = s.Matches.Commitment != ""
		for i, m := range s.Matches.List {
			fired[m.Pattern] = true
			x := m.Offset * 1000 / max(f.Layer, 1)
			f.Ticks = append(f.Ticks, bar{X: min(max(x, 0), 996), W: min(max(m.Length*1000/max(f.Layer, 1), 4), 1000), Label: fmt.Sprintf("pattern %d at %d", m.Pattern, m.Offset)})
			if i >= maxMatches {
				f.LeftOut++
				continue
			}
			f.Matches = append(f.Matches, matchView{m.Pattern, m.Offset, m.Length, fmt.Sprintf("%#x", m.Offset)})
		}
	}
	f.rule(fired)
	f.Gaps, f.GapsLeft = newGaps(s.Coverage.Gaps)
	f.Marks, f.Below = marks(s.Coverage.Gaps, s.Input.Size)
	f.Limits = limits(s.Policy)
	for _, k := range slices.Sorted(maps.Keys(s.Policy.Options)) {
		f.Options = append(f.Options, k+" = "+s.Policy.Options[k])
	}
	if it.Again != nil {
		for i := range it.Again.Excerpts {
			if d, ok := newDump(&it.Again.Excerpts[i], f.Layer); ok && len(f.Dumps) < maxDumps {
				f.Dumps = append(f.Dumps, d)
			}
		}
	}
	return f
}

func orUnknown(s string) string {
	if s == "" {
		return "type unknown"
	}
	return s
}

// rule cuts the rule's text into pieces, those that matched marked.
func (f *findingView) rule(fired map[int64]bool) {
	text, show := f.Rule.Text, func(s string) string { return s }
	if f.Rule.Base64 != "" {
		if b, err := base64.StdEncoding.DecodeString(f.Rule.Base64); err == nil {
			text, show = string(b), showcause.Escape
		}
	}
	if text == "" {
		f.NoText = true
		return
	}
	left := maxText
	for _, p := range mark(f.Rule.Language, f.Rule.File, text, fired) {
		if len(p.Text) > left {
			p.Text, f.TextCut = strings.ToValidUTF8(p.Text[:left], ""), true
		}
		left -= len(p.Text)
		p.Text = show(p.Text)
		f.Text = append(f.Text, p)
		if f.TextCut {
			return
		}
	}
}

// settle says what became of the finding: it is withdrawn if the last decision of one
// contest says so, and contested while one is not decided.
func (f *findingView) settle() {
	contests := map[string]*letter{} // decisions that count, by contest; nil where there is none
	for i := range f.Letters {
		switch l := &f.Letters[i]; {
		case l.Outcome != "":
			if was := contests[l.Contest]; was != nil {
				l.What += ", in place of decision " + short(was.Name)
			}
			contests[l.Contest] = l
		case l.Kind == string(evidence.Contest) && contests[l.Name] == nil:
			contests[l.Name] = nil
		}
	}
	for _, l := range contests {
		switch {
		case l != nil && l.Outcome == "withdrawn":
			f.State = "withdrawn"
			return
		case l == nil:
			f.State = "contested"
		case f.State == "":
			f.State = l.Outcome
		}
	}
}

// letter is something that was said of a finding, or done about it.
type letter struct {
	Kind, What, Outcome, Reason, Time, Name, Of string
	Contest                                     string // that a decision answers
	entry                                       int64
}

// compare orders by the log, and where there is none by the time, a decision
// after what it may answer.
func (l letter) compare(o letter) int {
	last := func(l letter) int { return len(l.Outcome) }
	return cmp.Or(cmp.Compare(l.entry, o.entry), cmp.Compare(l.Time, o.Time), cmp.Compare(min(last(l), 1), min(last(o), 1)))
}

func newLetter(it Item) (l letter, of string, ok bool) {
	s := it.Statement
	l = letter{Kind: string(s.Kind), Time: s.Time.Observed, Name: it.Name, entry: it.Entry}
	switch {
	case s.Action != nil:
		of, l.What, l.Reason = s.Action.Record, s.Action.Deed+": "+s.Action.Result, private(s.Action.Reason)
	case s.Contest != nil:
		of, l.What, l.Reason = s.Contest.Record, "contested", private(s.Contest.Reason)
	case s.Decision != nil:
		of, l.What, l.Outcome, l.Reason = s.Decision.Record, "decided: "+s.Decision.Outcome+", of contest "+short(s.Decision.Contest), s.Decision.Outcome, private(s.Decision.Reason)
		l.Contest = s.Decision.Contest
	default:
		return l, "", false
	}
	l.Of = of
	return l, of, true
}

// dump is a hex dump around one match.
type dump struct {
	Title string
	Rows  []row
	More  int64 // bytes of the match that are not shown
}

// row is 16 bytes.
type row struct {
	Offset string
	Cells  []cell
}

type cell struct {
	Hex, Char string
	In        bool // part of the match
}

// newDump draws what a process that read the file says of a layer of so many bytes:
// it may be anything. What lies outside the layer is not drawn.
func newDump(e *recheck.Excerpt, layer int64) (d dump, ok bool) {
	layer = min(layer, 1<<53-1)
	n := int64(len(e.Bytes))
	if n > 4<<10 || e.Offset < 0 || n > layer || e.Offset > layer-n || e.Start < 0 || e.Length < 0 || e.Start > len(e.Bytes) || e.Length > len(e.Bytes)-e.Start ||
		e.Whole < int64(e.Length) || e.Whole > layer-e.Offset-int64(e.Start) {
		return d, false
	}
	d.Title = fmt.Sprintf("pattern %d at offset %s (%#x), %s", e.Pattern, number(e.Offset+int64(e.Start)), e.Offset+int64(e.Start), plural(e.Whole, "byte", "bytes"))
	shown := int(min(e.Whole, int64(len(e.Bytes)-e.Start))) // what stands behind a match that is cut is more of it
	d.More = e.Whole - int64(shown)
	from := e.Offset / 16 * 16
	for at := from; at < e.Offset+int64(len(e.Bytes)); at += 16 {
		r := row{Offset: fmt.Sprintf("%08x", at)}
		for i := at; i < at+16; i++ {
			k := int(i - e.Offset)
			if k < 0 || k >= len(e.Bytes) {
				r.Cells = append(r.Cells, cell{Hex: "  ", Char: " "})
				continue
			}
			b := e.Bytes[k]
			c := cell{Hex: fmt.Sprintf("%02x", b), Char: ".", In: k >= e.Start && k < e.Start+shown}
			if b >= 0x20 && b < 0x7f {
				c.Char = string(rune(b))
			}
			r.Cells = append(r.Cells, c)
		}
		d.Rows = append(d.Rows, r)
	}
	return d, true
}
