package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
)

func (o *scanOptions) printer(w io.Writer) (printer, error) {
	switch o.format {
	case "text":
		return &textPrinter{w: w, o: o, gaps: map[showcause.Code]*gapGroup{}}, nil
	case "json":
		return &jsonPrinter{e: newEncoder(w), o: o}, nil
	case "sarif":
		return newSarifPrinter(w), nil
	case "clamscan":
		return &clamscanPrinter{w: w, o: o}, nil
	}
	return nil, fmt.Errorf("flag --format: %q is not one of text, json, sarif, clamscan", o.format)
}

// shown renders a path for a person: as a step of a trail is, so that no path
// looks like a path and a trail.
func shown(path string) string { return showcause.Step{Name: path}.String() }

// place renders a path and a trail for a person.
func place(path string, t showcause.Trail) string {
	if len(t) == 0 {
		return shown(path)
	}
	return shown(path) + " / " + t.String()
}

// errorText is what is said of an error over a path: the path is printed already.
func errorText(err error) string {
	type unwrapper interface{ Unwrap() error }
	if u, ok := err.(unwrapper); ok && u.Unwrap() != nil {
		return showcause.Escape(u.Unwrap().Error())
	}
	return showcause.Escape(err.Error())
}

// textPrinter writes for a person.
type textPrinter struct {
	w    io.Writer
	o    *scanOptions
	db   *ruledb.DB
	gaps map[showcause.Code]*gapGroup
}

// gapGroup is all that was not read for one reason.
type gapGroup struct {
	places, files int64
	bytes         int64
	unknown       bool // some lengths are not known
	examples      []string
}

// examples of each reason that are shown without --verbose.
const maxExamples = 3

func (p *textPrinter) rules(db *ruledb.DB) { p.db = db }

func (p *textPrinter) result(r *result) error {
	if r.err != nil {
		_, err := fmt.Fprintf(p.w, "ERROR  %s: %s\n", shown(r.path), errorText(r.err))
		return err
	}
	for _, a := range r.alerts {
		fmt.Fprintf(p.w, "FOUND  %s  %s\n", a, shown(r.path))
	}
	if p.o.quiet && r.verdict() == showcause.Incomplete {
		_, err := fmt.Fprintf(p.w, "INCOMPLETE  %s: %s\n", shown(r.path), joined(r.unread()))
		return err
	}
	said := map[string]bool{}
	for i := range r.report.Findings {
		f := &r.report.Findings[i]
		word, tail := "FOUND ", ""
		if f.Allowed != "" {
			word, tail = "ALLOWED", "  (overruled by "+showcause.Escape(f.Allowed)+")"
			if !p.o.explain {
				continue
			}
		}
		line := fmt.Sprintf("%s %s  %s%s\n", word, showcause.Escape(f.Rule), place(r.path, f.Trail), tail)
		if said[line] && !p.o.explain {
			continue // two rules of one name
		}
		said[line] = true
		if _, err := io.WriteString(p.w, line); err != nil {
			return err
		}
		if p.o.explain {
			if err := p.explain(f); err != nil {
				return err
			}
		}
	}
	seen := map[showcause.Code]bool{}
	for i := range r.report.Gaps {
		g := &r.report.Gaps[i]
		group := p.gaps[g.Code]
		if group == nil {
			group = &gapGroup{}
			p.gaps[g.Code] = group
		}
		group.places++
		if !seen[g.Code] {
			seen[g.Code] = true
			group.files++
		}
		if g.Length >= 0 {
			group.bytes += g.Length
		} else {
			group.unknown = true
		}
		if p.o.verbose || len(group.examples) < maxExamples {
			group.examples = append(group.examples, place(r.path, g.Trail)+stretch(g))
		}
	}
	return nil
}

// joined lists codes.
func joined(codes []showcause.Code) string {
	var out []string
	for _, c := range codes {
		out = append(out, string(c))
	}
	return strings.Join(out, ", ")
}

// stretch says which bytes a gap is, where that is known.
func stretch(g *showcause.Gap) string {
	switch {
	case g.Length > 0 && g.Offset > 0:
		return fmt.Sprintf(" (%s bytes from offset %d)", number(g.Length), g.Offset)
	case g.Length > 0:
		return fmt.Sprintf(" (%s bytes)", number(g.Length))
	case g.Offset > 0:
		return fmt.Sprintf(" (from offset %d)", g.Offset)
	}
	return ""
}

func (p *textPrinter) explain(f *showcause.Finding) error {
	info, err := p.db.Info(f.Index)
	if err != nil {
		return err
	}
	printRule(p.w, "    ", info)
	if len(f.Matches) == 0 {
		fmt.Fprintf(p.w, "    match    none: the condition holds without one\n")
	}
	for _, m := range f.Matches {
		fmt.Fprintf(p.w, "    match    %d: %s at offset %d (%#x)%s\n", m.Pattern, plural(m.Length, "byte"), m.Offset, m.Offset, excerpt(m))
	}
	return nil
}

// excerpt shows the first bytes of a match, as numbers and as text.
func excerpt(m showcause.Match) string {
	b, err := hex.DecodeString(m.Excerpt)
	if err != nil || len(b) == 0 {
		return ""
	}
	more := ""
	if int64(len(b)) < m.Length {
		more = " ..."
	}
	text := bytes.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '.'
		}
		return r
	}, b)
	return fmt.Sprintf(": % x%s  |%s|", b, more, text)
}

func (p *textPrinter) finish(t *totals) error {
	if p.o.quiet {
		return nil
	}
	var notes, unread []showcause.Code
	for _, c := range slices.Sorted(maps.Keys(p.gaps)) {
		if c.Unread() {
			unread = append(unread, c)
		} else {
			notes = append(notes, c)
		}
	}
	p.groups("not read:", unread)
	p.groups("read in every way it can be read:", notes)
	if p.o.noSummary {
		return nil
	}
	return p.summary(t)
}

func (p *textPrinter) groups(title string, codes []showcause.Code) {
	if len(codes) == 0 {
		return
	}
	fmt.Fprintln(p.w, title)
	for _, c := range codes {
		g := p.gaps[c]
		fmt.Fprintf(p.w, "  %-28s %s in %s", c, plural(g.places, "place"), plural(g.files, "file"))
		if g.bytes > 0 {
			atLeast := ""
			if g.unknown {
				atLeast = "at least "
			}
			fmt.Fprintf(p.w, ", %s%s", atLeast, size(g.bytes))
		}
		fmt.Fprintln(p.w)
		for _, e := range g.examples {
			fmt.Fprintf(p.w, "      %s\n", e)
		}
		if more := g.places - int64(len(g.examples)); more > 0 {
			fmt.Fprintf(p.w, "      and %s more (--verbose lists all)\n", number(more))
		}
	}
}

func (p *textPrinter) summary(t *totals) error {
	if len(t.skipped) > 0 {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(t.skipped)) {
			parts = append(parts, plural(t.skipped[k], k))
		}
		fmt.Fprintf(p.w, "not followed: %s\n", strings.Join(parts, ", "))
	}
	if t.interrupted {
		fmt.Fprintln(p.w, "interrupted: the rest was not scanned, and these totals are of a part")
	}
	rate := ""
	if s := t.elapsed.Seconds(); s > 0 {
		rate = fmt.Sprintf(" (%.0f MB/s)", float64(t.bytes)/1e6/s)
	}
	leftOut, accepted := "", ""
	if n := t.db.Meta().Skipped; n > 0 {
		leftOut = fmt.Sprintf(" (%s left out)", number(int64(n)))
	}
	if t.accepted > 0 {
		accepted = fmt.Sprintf(" (%s accepted)", number(t.accepted))
	}
	switch lacks := t.jail.lacks(); {
	case t.jail.Jail == jailOff:
		fmt.Fprintln(p.w, "without the jail: this process read the files itself (--jail=off)")
	case p.o.verbose && len(lacks) > 0:
		fmt.Fprintf(p.w, "jail: sealed, without %s (showcause status says why)\n", strings.Join(lacks, ", "))
	}
	_, err := fmt.Fprintf(p.w, "%s, %s in %s%s, %s%s: %s found, %s error, %s incomplete%s, %s nothing found\n",
		plural(t.files, "file"), size(t.bytes), seconds(t.elapsed), rate, plural(int64(t.db.Len()), "rule"), leftOut,
		number(t.verdicts[showcause.Found]), number(t.verdicts[showcause.Error]),
		number(t.verdicts[showcause.Incomplete]), accepted, number(t.verdicts[showcause.NothingFound]))
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// plural writes "1 file", "2 files".
func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	if stem, ok := strings.CutSuffix(word, "y"); ok {
		return number(n) + " " + stem + "ies"
	}
	return number(n) + " " + word + "s"
}

// jsonPrinter writes one JSON object a line: one for each file, then the summary.
type jsonPrinter struct {
	e  *json.Encoder
	o  *scanOptions
	db *ruledb.DB
}

func newEncoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// jsonResult is one line. Path and the names in trails are escaped as in text;
// PathBytes gives the bytes where that changed them.
type jsonResult struct {
	Path      string `json:"path"`
	PathBytes string `json:"path_bytes,omitempty"` // base64
	*showcause.Report
	Verdict showcause.Verdict `json:"verdict"`
	Alerts  []string          `json:"alerts,omitempty"`
	Error   string            `json:"error,omitempty"`
	Jail    string            `json:"jail,omitempty"`  // "off" when it was read without
	Rules   []ruledb.Info     `json:"rules,omitempty"` // with --explain: the rules of the findings
}

func (p *jsonPrinter) rules(db *ruledb.DB) { p.db = db }

func (p *jsonPrinter) result(r *result) error {
	if r.skip != "" {
		return nil
	}
	j := jsonResult{Path: showcause.Escape(r.path), Verdict: r.verdict(), Alerts: r.alerts}
	if j.Path != r.path {
		j.PathBytes = base64.StdEncoding.EncodeToString([]byte(r.path))
	}
	if p.o.quiet && j.Verdict == showcause.NothingFound {
		return nil
	}
	if p.o.jail == jailOff {
		j.Jail = jailOff
	}
	if r.err != nil {
		j.Error = errorText(r.err)
	} else {
		j.Report = &r.report
	}
	if p.o.explain {
		seen := map[uint32]bool{}
		for _, f := range r.report.Findings {
			if seen[f.Index] {
				continue
			}
			seen[f.Index] = true
			info, err := p.db.Info(f.Index)
			if err != nil {
				return err
			}
			j.Rules = append(j.Rules, info)
		}
	}
	return p.e.Encode(j)
}

func (p *jsonPrinter) finish(t *totals) error {
	if p.o.noSummary {
		return nil
	}
	return p.e.Encode(map[string]any{"summary": map[string]any{
		"files": t.files, "bytes": t.bytes, "findings": t.findings, "skipped": t.skipped,
		"found": t.verdicts[showcause.Found], "error": t.verdicts[showcause.Error],
		"incomplete": t.verdicts[showcause.Incomplete], "nothing_found": t.verdicts[showcause.NothingFound],
		"accepted": t.accepted, "rules": t.db.Len(), "rules_left_out": t.db.Meta().Skipped, "seconds": t.elapsed.Seconds(), "interrupted": t.interrupted, "jail": t.jail,
	}})
}

// clamscanPrinter writes clamscan's own lines.
type clamscanPrinter struct {
	w  io.Writer
	o  *scanOptions
	db *ruledb.DB
}

func (p *clamscanPrinter) rules(db *ruledb.DB) { p.db = db }

func (p *clamscanPrinter) result(r *result) error {
	if r.skip != "" {
		what := ""
		switch {
		case bool(p.o.infected) || p.o.quiet:
		case r.skip == "symlink":
			what = "Symbolic link"
		case strings.HasPrefix(r.skip, "excluded"):
			what = "Excluded"
		}
		if what == "" {
			return nil
		}
		_, err := fmt.Fprintf(p.w, "%s: %s\n", showcause.Escape(r.path), what)
		return err
	}
	path := showcause.Escape(r.path)
	line := func(format string, a ...any) error {
		_, err := fmt.Fprintf(p.w, "%s: "+format+"\n", append([]any{path}, a...)...)
		return err
	}
	switch r.verdict() {
	case showcause.Found:
		names := p.names(r)
		if !p.o.allMatch {
			names = names[:1]
		}
		for _, n := range names {
			if err := line("%s FOUND", showcause.Escape(n)); err != nil {
				return err
			}
		}
		return nil
	case showcause.Error:
		return line("%s ERROR", errorText(r.err))
	case showcause.Incomplete:
		for _, g := range r.report.Gaps {
			if g.Code.Unread() {
				return line("Incomplete.%s ERROR", g.Code)
			}
		}
	}
	if bool(p.o.infected) || p.o.quiet {
		return nil
	}
	if r.report.Size == 0 {
		return line("Empty file")
	}
	return line("OK")
}

// names returns the names of a file's findings, the one that clamscan gives first.
func (p *clamscanPrinter) names(r *result) []string {
	var out []string
	for _, f := range clamscanOrder(p.db, r.report.Findings) {
		if f.Allowed == "" && !slices.Contains(out, f.Rule) {
			out = append(out, f.Rule)
		}
	}
	return append(out, r.alerts...)
}

// clamscanOrder sorts findings as clamscan comes upon them: what is inside a
// layer before the layer; within a layer body signatures by place, then
// digests, then logical signatures (docs/clamav-differences.md, "Which name").
func clamscanOrder(db *ruledb.DB, fs []showcause.Finding) []showcause.Finding {
	const body, digest, logical = 0, 1, 2
	class := func(f *showcause.Finding) int {
		info, err := db.Info(f.Index)
		switch {
		case err != nil:
			return logical
		case info.Kind != "patterns":
			return digest
		case strings.Contains(info.File, ".ldb") || strings.Contains(info.File, ".ldu"):
			return logical
		}
		return body
	}
	sum := func(f *showcause.Finding) string {
		info, _ := db.Info(f.Index)
		hash, _, _ := strings.Cut(info.Text, ":")
		return hash
	}
	at := func(f *showcause.Finding) int64 {
		if len(f.Matches) == 0 {
			return 0
		}
		return f.Matches[0].Offset
	}
	out := slices.Clone(fs)
	slices.SortStableFunc(out, func(a, b showcause.Finding) int {
		for i := range min(len(a.Trail), len(b.Trail)) {
			// A view is looked at after the bytes that it is of, members before them.
			if c := cmp.Compare(a.Trail[i].Index, b.Trail[i].Index); c != 0 {
				return c
			}
		}
		if c := cmp.Compare(len(b.Trail), len(a.Trail)); c != 0 {
			if longer := slices.MaxFunc([]showcause.Finding{a, b}, func(x, y showcause.Finding) int { return len(x.Trail) - len(y.Trail) }); strings.HasPrefix(longer.Trail[len(longer.Trail)-1].Op, "view.") {
				return -c
			}
			return c
		}
		ka, kb := class(&a), class(&b)
		if c := cmp.Compare(ka, kb); c != 0 {
			return c
		}
		if ka == digest && sum(&a) == sum(&b) {
			return cmp.Compare(b.Index, a.Index) // the last loaded of equal ones
		}
		if ka == body {
			return cmp.Or(cmp.Compare(at(&a), at(&b)), cmp.Compare(a.Index, b.Index))
		}
		return cmp.Compare(a.Index, b.Index)
	})
	return out
}

func (p *clamscanPrinter) finish(t *totals) error {
	if p.o.noSummary {
		return nil
	}
	jail := ""
	if t.jail.Jail == jailOff {
		jail = "Jail: off\n"
	}
	_, err := fmt.Fprintf(p.w, "\n----------- SCAN SUMMARY -----------\nKnown viruses: %d\nEngine version: %s\nScanned files: %d\nInfected files: %d\nTotal errors: %d\nData scanned: %.2f MB\nTime: %.3f sec\n%s",
		t.db.Len(), version(), t.files, t.verdicts[showcause.Found], t.verdicts[showcause.Error]+t.verdicts[showcause.Incomplete],
		float64(t.bytes)/(1<<20), t.elapsed.Seconds(), jail)
	return err
}
