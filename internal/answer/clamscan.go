package answer

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/ruledb"
)

// clamscanPrinter writes clamscan's own lines.
type clamscanPrinter struct {
	w  io.Writer
	o  Options
	db *ruledb.DB
}

func (p *clamscanPrinter) Result(r *Result) error {
	if r.Skip != "" {
		what := ""
		switch {
		case p.o.Infected || p.o.Quiet:
		case r.Skip == "symlink":
			what = "Symbolic link"
		case strings.HasPrefix(r.Skip, "excluded"):
			what = "Excluded"
		}
		if what == "" {
			return nil
		}
		_, err := fmt.Fprintf(p.w, "%s: %s\n", showcause.Escape(r.Path), what)
		return err
	}
	path := showcause.Escape(r.Path)
	line := func(format string, a ...any) error {
		_, err := fmt.Fprintf(p.w, "%s: "+format+"\n", append([]any{path}, a...)...)
		return err
	}
	switch r.Verdict() {
	case showcause.Found:
		names := p.names(r)
		if !p.o.AllMatch {
			names = names[:1]
		}
		for _, n := range names {
			if err := line("%s FOUND", showcause.Escape(n)); err != nil {
				return err
			}
		}
		return nil
	case showcause.Error:
		return line("%s ERROR", errorText(r.Err))
	case showcause.Incomplete:
		for _, g := range r.Report.Gaps {
			if g.Code.Unread() {
				return line("Incomplete.%s ERROR", g.Code)
			}
		}
	}
	if p.o.Infected || p.o.Quiet {
		return nil
	}
	if r.Report.Size == 0 {
		return line("Empty file")
	}
	return line("OK")
}

// names returns the names of a file's findings, the one that clamscan gives first.
func (p *clamscanPrinter) names(r *Result) []string {
	var out []string
	for _, f := range clamscanOrder(p.db, r.Report.Findings) {
		if f.Alarms() && !slices.Contains(out, f.Rule) {
			out = append(out, f.Rule)
		}
	}
	out = append(out, r.Alerts...)
	heuristic.Order(out, p.o.HeuristicsFirst)
	return out
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

func (p *clamscanPrinter) Finish(t *Totals) error {
	jail := ""
	if t.Jail.Mode == JailOff {
		jail = "Jail: off\n"
	}
	if p.o.NoSummary {
		_, err := io.WriteString(p.w, jail)
		return err
	}
	const stamp = "2006:01:02 15:04:05"
	whole := int(t.Elapsed.Seconds())
	ended := time.Now()
	_, err := fmt.Fprintf(p.w, "\n----------- SCAN SUMMARY -----------\nKnown viruses: %d\nEngine version: %s\nScanned files: %d\nInfected files: %d\nTotal errors: %d\n"+
		"Data scanned: %.2f MB\nTime: %.3f sec (%d m %d s)\nStart Date: %s\nEnd Date:   %s\n%s",
		t.DB.Len(), p.o.Version, t.Files, t.Verdicts[showcause.Found], t.Verdicts[showcause.Error]+t.Verdicts[showcause.Incomplete],
		float64(t.Bytes)/(1<<20), t.Elapsed.Seconds(), whole/60, whole%60, ended.Add(-t.Elapsed).Format(stamp), ended.Format(stamp), jail)
	return err
}
