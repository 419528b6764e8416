package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive"
)

// lines writes text for people; what came from outside is escaped.
type lines struct {
	w   io.Writer
	err error
}

func (l *lines) f(format string, a ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintln(l.w, showcause.Escape(fmt.Sprintf(format, a...)))
	}
}

func (l *lines) blank() {
	if l.err == nil {
		_, l.err = fmt.Fprintln(l.w)
	}
}

// writeText writes a report by its form: one part a field.
func writeText(w io.Writer, in *Input) error {
	l := &lines{w: w}
	o := in.Order
	form := in.Form
	if form == nil && len(o.Reports) > 0 {
		form = &o.Reports[0]
	}
	if form == nil {
		return fmt.Errorf("order %s asks for no report", o.ID)
	}
	l.f("%s", form.Title)
	l.f("%s", o.Title)
	l.f("Issuer: %s. Order %s, version %d.", o.Issuer, o.ID, o.Version)
	l.f("Made %s by %s%s. Case %s.", in.Made.UTC().Format("2006-01-02 15:04:05 UTC"), in.Version, by(in.By), in.Case)
	if in.Finding != nil {
		l.f("Of the finding %s.", in.Finding.ID)
	}
	for i := range form.Fields {
		field := &form.Fields[i]
		l.blank()
		l.f("%s. %s", field.ID, field.Title)
		values := in.Fill(field)
		if len(values) == 0 {
			values = []string{NotKnown}
		}
		for _, v := range values {
			l.f("   %s", v)
		}
	}
	in.foot(l)
	return l.err
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " for " + who
}

// foot is what every text report says at its end.
func (in *Input) foot(l *lines) {
	part := func(title string, list []string) {
		if len(list) == 0 {
			return
		}
		l.blank()
		l.f("%s", title)
		for _, s := range list {
			l.f("   %s", s)
		}
	}
	part("Verdict of this order on each finding", in.verdicts())
	part("Not reached, or not read whole", slices.DeleteFunc(in.gaps(), func(s string) bool { return s == "none" }))
	part("Left out on purpose; nothing is said of it", in.leftOut())
	part("Contests and decisions", in.contests())
	part("Corrections of earlier reports", in.Corrections())
	part("Entries of the case that do not count", in.Refused)
	var doubts []string
	for _, d := range in.Order.Doubts {
		doubts = append(doubts, fmt.Sprintf("%s: %s (%s)", d.About, d.Says, d.Why))
	}
	part("Not confirmed about the order (said somewhere; no fact of it)", doubts)
	var weak []string
	for _, f := range in.State.Findings {
		if f.Unconfirmed {
			weak = append(weak, f.ID+" rests on identities that nobody confirmed")
		}
	}
	part("Not confirmed about findings", weak)
	l.blank()
	l.f("\"Not found\" is not found by these methods over this coverage at this time; it is not a statement that nothing is there.")
}

// writeCSV writes one line a finding and one an endpoint without.
func writeCSV(w io.Writer, in *Input) error {
	c := csv.NewWriter(w)
	rows := [][]string{{
		"organisation", "endpoint", "outcome", "product", "product id", "class", "state", "verdict", "reasons", "first seen", "last seen", "place", "sha256", "methods", "finding", "unconfirmed",
	}}
	for _, e := range in.State.Endpoints {
		outcome, why, _ := in.State.Outcome(in.Order, e)
		methods := ""
		if runs := in.State.Latest(e); len(runs) > 0 {
			methods = strings.Join(runs[len(runs)-1].Inventory.Coverage.Methods, " ")
		}
		n := 0
		for _, f := range in.State.Findings {
			if f.Endpoint != e {
				continue
			}
			n++
			j := in.State.Verdict(in.Order, f)
			place, digest := "", ""
			if len(f.Evidence) > 0 {
				place, digest = f.Evidence[0].Place, f.Evidence[0].SHA256
			}
			rows = append(rows, []string{
				in.State.Opening.Organisation, e, string(outcome), ProductName(in.State, f.Product), f.Product, string(f.Class), string(f.State), string(j.Verdict),
				strings.Join(j.Reasons, "; "), f.First.Time, f.Last.Time, place, digest, methods, f.ID, fmt.Sprint(f.Unconfirmed),
			})
		}
		if n == 0 {
			rows = append(rows, []string{in.State.Opening.Organisation, e, string(outcome), "", "", "", "", string(noVerdict), why, "", "", "", "", methods, "", ""})
		}
	}
	for _, r := range rows {
		for i := range r {
			r[i] = cell(r[i])
		}
	}
	return c.WriteAll(rows)
}

const noVerdict = directive.Verdict("")

// cell escapes a value, and keeps a program for tables from taking it for a formula.
func cell(s string) string {
	s = showcause.Escape(s)
	// Some take a semicolon for the end of a cell, and wide signs for narrow ones.
	for part := range strings.SplitSeq(s, ";") {
		if r, _ := utf8.DecodeRuneInString(strings.TrimLeft(part, " '\"")); strings.ContainsRune("=+-@＝＋－＠", r) {
			return "'" + strings.ReplaceAll(s, ";", `\x3b`)
		}
	}
	return s
}
