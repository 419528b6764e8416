// Package report writes what a case says as the reports that orders ask for. Nothing is
// sent and nothing is invented: what the case does not say is "not known".
package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/directive/clock"
	"github.com/showcause/showcause/product"
)

// NotKnown is what a report says of what the case does not.
const NotKnown = "not known"

// Input is what is reported.
type Input struct {
	State   *casefile.State
	Order   *casefile.Order
	Form    *directive.Form   // of the text formats; nil: what fits the format
	Finding *casefile.Finding // whose report it is, nil: of all
	Fields  map[string]string // what persons filled in, by field
	Case    string            // the case's name
	Refused []string          // entries that do not count
	Made    time.Time
	Version string
	By      string
	File    func(digest string) ([]byte, error)
}

// formats are the formats, and what writes each.
var formats = map[string]func(io.Writer, *Input) error{
	"bod": writeText, "far": writeText, "csv": writeCSV, "oscal-ar": writeAssessment, "oscal-poam": writePOAM, "html": writeHTML,
}

// Formats returns the names of the formats.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// Write writes a report in a format.
func Write(w io.Writer, format string, in *Input) error {
	f := formats[format]
	if f == nil {
		return fmt.Errorf("format: %.40q, want one of %s", format, strings.Join(Formats(), ", "))
	}
	if err := f(w, in); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// covered are the findings that the order covers and that stand; all others are listed
// elsewhere.
func (in *Input) covered() (out []*casefile.Finding) {
	for _, f := range in.State.Findings {
		if f.Active() && in.State.Verdict(in.Order, f).Verdict == directive.Covered && (in.Finding == nil || in.Finding == f) {
			out = append(out, f)
		}
	}
	return out
}

// ProductName is the name of a product for people.
func ProductName(s *casefile.State, id string) string {
	for _, p := range s.Set.Products {
		if p.ID == id {
			return p.Name
		}
	}
	return id
}

// Fill returns what a case says for a field, nil if it says nothing.
func (in *Input) Fill(f *directive.Field) []string {
	if v := strings.TrimSpace(in.Fields[f.ID]); v != "" {
		return strings.Split(v, "\n")
	}
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	switch f.From {
	case "organisation":
		return one(in.State.Opening.Organisation)
	case "contact":
		return one(in.State.Opening.Contact)
	case "products":
		return in.products()
	case "endpoints":
		return in.endpoints()
	case "methods":
		return in.methods()
	case "coverage":
		return append([]string{in.totals()}, in.leftOut()...)
	case "gaps":
		return in.gaps()
	case "removals":
		return in.removals()
	case "verdicts":
		return in.verdicts()
	case "contests":
		return in.contests()
	case "timeline":
		return in.timeline()
	case "brand", "description":
		return in.article(f.From)
	}
	return nil
}

// products lists covered products; or says that none was found, and over what.
func (in *Input) products() (out []string) {
	seen := map[string]bool{}
	for _, f := range in.covered() {
		if name := ProductName(in.State, f.Product) + " (" + f.Product + ")"; !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	if len(out) > 0 {
		return out
	}
	t := in.State.Totals(in.Order)
	switch {
	case t.Inventory == 0:
		return nil
	case t.Unreached > 0:
		return []string{fmt.Sprintf("no covered product was found on %d of %d endpoints; %d were not reached, not read whole, or are undetermined, and nothing is said of them", t.Absent, t.Inventory, t.Unreached)}
	}
	return []string{fmt.Sprintf("no covered product was found, by the methods and over the coverage below, on %d endpoints", t.Absent)}
}

// endpoints counts endpoints by product.
func (in *Input) endpoints() (out []string) {
	count := map[string]map[string]bool{}
	for _, f := range in.covered() {
		if count[f.Product] == nil {
			count[f.Product] = map[string]bool{}
		}
		count[f.Product][f.Endpoint] = true
	}
	for _, p := range slices.Sorted(maps.Keys(count)) {
		out = append(out, fmt.Sprintf("%s: %d", ProductName(in.State, p), len(count[p])))
	}
	if t := in.State.Totals(in.Order); t.Inventory > 0 {
		out = append(out, in.totals())
	}
	return out
}

func (in *Input) totals() string {
	t := in.State.Totals(in.Order)
	s := fmt.Sprintf("of %d endpoints: %d present, %d not found, %d unreached", t.Inventory, t.Present, t.Absent, t.Unreached)
	if t.Undetermined > 0 {
		s += fmt.Sprintf(" (%d of them undetermined)", t.Undetermined)
	}
	return s + fmt.Sprintf(", %d excluded", t.Excluded)
}

// latest are the last searches of all targets.
func (in *Input) latest() (out []*casefile.Run) {
	for _, e := range in.State.Endpoints {
		out = append(out, in.State.Latest(e)...)
	}
	return out
}

func (in *Input) methods() (out []string) {
	methods, engines, limits, from, to := map[string]bool{}, map[string]bool{}, map[string]bool{}, "", ""
	var files product.Files
	rules := map[string]bool{}
	for _, r := range in.latest() {
		c := &r.Inventory.Coverage
		files.Add(c.Files)
		rules[or(c.Rules)] = true
		for _, m := range c.Methods {
			methods[m] = true
		}
		for _, l := range c.Limits {
			limits[l] = true
		}
		engines[c.Engine] = true
		if at := r.Entry.Time; from == "" || at < from {
			from = at
		}
		to = max(to, r.Entry.Time)
	}
	if len(methods) == 0 {
		return nil
	}
	out = append(out, "readers: "+strings.Join(slices.Sorted(maps.Keys(methods)), ", "), "read: "+files.String())
	if delete(rules, NotKnown); len(rules) > 0 {
		out = append(out, "content rules, by SHA-256: "+strings.Join(slices.Sorted(maps.Keys(rules)), ", "))
	}
	if files.Searched == 0 {
		if n := in.State.Set.Count(product.Rule); n > 0 {
			out = append(out, fmt.Sprintf("not tried: %d identities that are content rules", n))
		}
	}
	var versions []string
	for _, f := range slices.Sorted(maps.Keys(in.State.Set.Versions)) {
		versions = append(versions, f+" "+in.State.Set.Versions[f])
	}
	out = append(out, "product identities: "+strings.Join(versions, ", "), "program: "+strings.Join(slices.Sorted(maps.Keys(engines)), ", "))
	out = append(out, fmt.Sprintf("last searches: %s to %s", from, to))
	for _, l := range append(slices.Sorted(maps.Keys(limits)), in.Order.Unreached...) {
		out = append(out, "cannot be seen by them: "+l)
	}
	return out
}

// leftOut are the places that searches left out on purpose, and of which nothing is said.
func (in *Input) leftOut() (out []string) {
	for _, r := range in.latest() {
		for _, l := range r.Inventory.Coverage.LeftOut() {
			out = append(out, fmt.Sprintf("left out on %s (%s): %s", r.Endpoint, r.Inventory.Target, l))
		}
	}
	return out
}

func (in *Input) gaps() (out []string) {
	for _, e := range in.State.Endpoints {
		o, why, _ := in.State.Outcome(in.Order, e)
		if o == product.Unreached {
			out = append(out, e+": "+why)
		}
		for _, r := range in.State.Latest(e) {
			if c := &r.Inventory.Coverage; o == product.Present && !c.Whole() { // there may be more of it
				out = append(out, fmt.Sprintf("%s, %s: not read whole, beside what was found: %d gaps %s", e, r.Inventory.Target, int64(len(c.Unread()))+c.More, c.Unreached))
			}
		}
	}
	if out == nil && len(in.State.Runs) > 0 {
		out = []string{"none"}
	}
	return out
}

func (in *Input) removals() (out []string) {
	for _, f := range in.State.Findings {
		if in.State.Verdict(in.Order, f).Verdict != directive.Covered {
			continue
		}
		s := fmt.Sprintf("%s on %s: %s", ProductName(in.State, f.Product), f.Endpoint, f.State)
		if f.GoneBy != nil {
			s += ", by the search of " + f.GoneBy.Time
		}
		out = append(out, s)
	}
	if out == nil && len(in.State.Runs) > 0 {
		out = []string{"no covered finding"}
	}
	return out
}

func (in *Input) verdicts() (out []string) {
	for _, f := range in.State.Findings {
		j := in.State.Verdict(in.Order, f)
		out = append(out, fmt.Sprintf("%s %s on %s (%s, %s): %s: %s", f.ID, ProductName(in.State, f.Product), f.Endpoint, f.Class, f.State, j.Verdict, strings.Join(j.Reasons, "; ")))
	}
	return out
}

func (in *Input) contests() (out []string) {
	for _, e := range in.State.Entries {
		switch e.Act {
		case casefile.Contest, casefile.Notice, casefile.Respond, casefile.Extend, casefile.Decide:
			if e.Body.Order != "" && e.Body.Order != in.Order.ID {
				continue
			}
			s := fmt.Sprintf("%s %s", e.At(), e.Act)
			if e.Body.Value != "" {
				s += ": " + e.Body.Value
			}
			if e.Body.By != "" {
				s += ", by " + e.Body.By
			}
			if e.Body.Reason != "" {
				s += ": " + e.Body.Reason
			}
			out = append(out, s)
		}
	}
	return out
}

func (in *Input) tasks() (out []casefile.Task) {
	for _, t := range in.State.Tasks(clock.DayIn(in.Made, in.Order.Zone()) + 60) {
		if t.Order.ID == in.Order.ID {
			out = append(out, t)
		}
	}
	return out
}

func (in *Input) timeline() (out []string) {
	for _, t := range in.tasks() {
		when := NotKnown + ": " + t.Waits
		if t.Known {
			when = t.When.Long()
		}
		out = append(out, fmt.Sprintf("%s: %s (%s)", when, t.Duty.Title, t.Duty.ID))
	}
	return out
}

// article says what the covered article is, where the case knows it.
func (in *Input) article(which string) (out []string) {
	for _, f := range in.covered() {
		if which == "brand" {
			out = append(out, f.Vendor)
			continue
		}
		s := fmt.Sprintf("%s, %s, on %s", ProductName(in.State, f.Product), f.Class, f.Endpoint)
		if len(f.Evidence) > 0 {
			s += ", " + f.Evidence[0].Place
		}
		if f.Within != "" {
			s += ", within a product of " + f.Within
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Corrections are what corrected earlier reports, for people.
func (in *Input) Corrections() (out []string) {
	for _, e := range in.State.Entries {
		if e.Act != casefile.Correct {
			continue
		}
		was, now := e.Body.Was[in.Order.ID], e.Body.Figures[in.Order.ID]
		if was != now {
			out = append(out, fmt.Sprintf("%s: the report %.16s said %d present and %d findings; it is %d and %d: %s", e.Time, e.Body.About, was.Present, was.Findings, now.Present, now.Findings, e.Body.Reason))
		}
	}
	return out
}
