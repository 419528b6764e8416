package answer

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
)

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

// HiddenNote is what is said of a file in a layer of a container's image that a layer above
// removes or replaces.
const HiddenNote = "hidden in the running container (lower layer)"

// Hidden tells whether something is in such a file.
func Hidden(t showcause.Trail) bool {
	return slices.ContainsFunc(t, func(s showcause.Step) bool { return s.Op == "oci.hidden" })
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
	o    Options
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

func (p *textPrinter) Result(r *Result) error {
	if r.Err != nil {
		_, err := fmt.Fprintf(p.w, "ERROR  %s: %s\n", shown(r.Path), errorText(r.Err))
		return err
	}
	for _, a := range r.Alerts {
		fmt.Fprintf(p.w, "FOUND  %s  %s\n", a, shown(r.Path))
	}
	if p.o.Quiet && r.Verdict() == showcause.Incomplete {
		_, err := fmt.Fprintf(p.w, "INCOMPLETE  %s: %s\n", shown(r.Path), joined(r.Unread()))
		return err
	}
	said := map[string]bool{}
	for i := range r.Report.Findings {
		f := &r.Report.Findings[i]
		word, tail := "FOUND ", ""
		if !f.Alarms() {
			word, tail = "SHADOW", "  (its rule is only tried: recorded, and nothing else)"
			if f.Allowed != "" {
				word, tail = "ALLOWED", "  (overruled by "+showcause.Escape(f.Allowed)+")"
			}
			if !p.o.Explain {
				continue
			}
		}
		line := fmt.Sprintf("%s %s  %s%s\n", word, showcause.Escape(f.Rule), place(r.Path, f.Trail), tail)
		key := line
		if p.o.Explain {
			key += fmt.Sprint(f.Index, f.Matches)
		}
		if said[key] {
			continue // two rules of one name, or the same found by another reading of the container
		}
		said[key] = true
		if Hidden(f.Trail) { // on a line of its own, which no name forges
			line += "    " + HiddenNote + "\n"
		}
		if _, err := io.WriteString(p.w, line); err != nil {
			return err
		}
		if p.o.Explain {
			if err := p.explain(f); err != nil {
				return err
			}
			if i < len(r.Why) && r.Why[i] != "" {
				fmt.Fprintf(p.w, "    because\n%s", r.Why[i])
			}
		}
	}
	seen := map[showcause.Code]bool{}
	for i := range r.Report.Gaps {
		g := &r.Report.Gaps[i]
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
		if p.o.Verbose || len(group.examples) < maxExamples {
			where := place(r.Path, g.Trail) + stretch(g)
			if Hidden(g.Trail) {
				where += "\n          " + HiddenNote
			}
			group.examples = append(group.examples, where)
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
		return fmt.Sprintf(" (%s bytes from offset %d)", Number(g.Length), g.Offset)
	case g.Length > 0:
		return fmt.Sprintf(" (%s bytes)", Number(g.Length))
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
	PrintRule(p.w, "    ", info)
	if len(f.Matches) == 0 {
		fmt.Fprintf(p.w, "    match    none: the condition holds without one\n")
	}
	for _, m := range f.Matches {
		if info.YARA != nil && slices.Contains(info.YARA.Hidden, m.Pattern) {
			continue
		}
		fmt.Fprintf(p.w, "    match    %s: %s at offset %d (%#x)%s\n", patternName(info, m.Pattern), Plural(m.Length, "byte"), m.Offset, m.Offset, excerpt(m))
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

func (p *textPrinter) Finish(t *Totals) error {
	if t.Jail.Mode == JailOff {
		fmt.Fprintln(p.w, "without the jail: this process read the files itself (--jail=off)")
	}
	if p.o.Quiet {
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
	if p.o.NoSummary {
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
		fmt.Fprintf(p.w, "  %-28s %s in %s", c, Plural(g.places, "place"), Plural(g.files, "file"))
		if g.bytes > 0 {
			atLeast := ""
			if g.unknown {
				atLeast = "at least "
			}
			fmt.Fprintf(p.w, ", %s%s", atLeast, Size(g.bytes))
		}
		fmt.Fprintln(p.w)
		for _, e := range g.examples {
			fmt.Fprintf(p.w, "      %s\n", e)
		}
		if more := g.places - int64(len(g.examples)); more > 0 {
			fmt.Fprintf(p.w, "      and %s more (--verbose lists all)\n", Number(more))
		}
		if isVolume(c) {
			fmt.Fprintln(p.w, "      to have a set read as one: cat FIRST SECOND ... | showcause scan -")
		}
	}
}

// isVolume tells the codes of what a reader finds where volumes stand one behind the other.
func isVolume(c showcause.Code) bool {
	switch strings.TrimPrefix(string(c), string(showcause.Unsupported)+".format.") {
	case "rar-volume", "cab-volume", "arj-volume", "zip-split", "split-volume":
		return true
	}
	return false
}

func (p *textPrinter) summary(t *Totals) error {
	if len(t.Skipped) > 0 {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(t.Skipped)) {
			parts = append(parts, Plural(t.Skipped[k], k))
		}
		fmt.Fprintf(p.w, "not followed: %s\n", strings.Join(parts, ", "))
	}
	if t.Interrupted {
		fmt.Fprintln(p.w, "interrupted: the rest was not scanned, and these totals are of a part")
	}
	rate := ""
	if s := t.Elapsed.Seconds(); s > 0 {
		rate = fmt.Sprintf(" (%.0f MB/s)", float64(t.Bytes)/1e6/s)
	}
	leftOut, accepted := "", ""
	if n := t.DB.Meta().Skipped; n > 0 {
		leftOut = fmt.Sprintf(" (%s left out)", Number(int64(n)))
	}
	if t.Accepted > 0 {
		accepted = fmt.Sprintf(" (%s accepted)", Number(t.Accepted))
	}
	if lacks := t.Jail.Lacks(); p.o.Verbose && len(lacks) > 0 {
		fmt.Fprintf(p.w, "jail: sealed, without %s (showcause status says why)\n", strings.Join(lacks, ", "))
	}
	_, err := fmt.Fprintf(p.w, "%s, %s in %s%s, %s%s: %s found, %s error, %s incomplete%s, %s nothing found\n",
		Plural(t.Files, "file"), Size(t.Bytes), seconds(t.Elapsed), rate, Plural(int64(t.DB.Len()), "rule"), leftOut,
		Number(t.Verdicts[showcause.Found]), Number(t.Verdicts[showcause.Error]),
		Number(t.Verdicts[showcause.Incomplete]), accepted, Number(t.Verdicts[showcause.NothingFound]))
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// plural writes "1 file", "2 files".
func Plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	if stem, ok := strings.CutSuffix(word, "y"); ok {
		return Number(n) + " " + stem + "ies"
	}
	return Number(n) + " " + word + "s"
}
