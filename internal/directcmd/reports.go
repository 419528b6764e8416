package directcmd

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/directive/clock"
	"github.com/showcause/showcause/directive/report"
)

// Orders are the commands below "order" that are over a case.
func (h Host) Orders() []*cobra.Command { return []*cobra.Command{h.report(), h.submitted()} }

func (h Host) report() *cobra.Command {
	return h.command("report ORDER --format "+strings.Join(report.Formats(), "|"), "Write a report of the case and sign its digest and figures into it; nothing is sent, nothing is invented", "",
		cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
			var format, form, finding, out string
			var fields []string
			f := c.Flags()
			f.StringVar(&format, "format", "bod", strings.Join(report.Formats(), ", "))
			f.StringVar(&form, "form", "", "which report of the order: its id, or plan (default: the first)")
			f.StringVar(&finding, "finding", "", "report of this finding alone")
			f.StringArrayVar(&fields, "field", nil, "FIELD=TEXT: what a person fills in; may be repeated")
			f.StringVarP(&out, "out", "o", "", "file to write, which must not be there (default: standard output)")
			return func(args []string) error {
				o, err := s.order(args[0])
				if err != nil {
					return err
				}
				in := s.input(o, nil)
				if finding != "" {
					if in.Finding, err = s.state.Finding(finding); err != nil {
						return err
					}
				}
				if form != "plan" {
					in.Fields = map[string]string{} // a letter of the plan names something else in another form
				}
				in.Fields = maps.Clone(in.Fields)
				for _, v := range fields {
					id, text, ok := strings.Cut(v, "=")
					if !ok {
						return fmt.Errorf("flag --field: %.80q, want FIELD=TEXT", v)
					}
					in.Fields[id] = text
				}
				switch {
				case form == "plan":
					in.Form = planForm(o)
				case form != "":
					if in.Form = o.Form(form); in.Form == nil {
						return fmt.Errorf("flag --form: %.80q is no report of %s", form, o.ID)
					}
				}
				if err := filled(in, fields); err != nil {
					return err
				}
				var b bytes.Buffer
				if err := report.Write(&b, format, in); err != nil {
					return err
				}
				digest, err := s.file.Attach(b.Bytes())
				if err != nil {
					return err
				}
				e, err := s.append(casefile.Report, &casefile.Body{Order: o.ID, Version: o.Version, Finding: finding, Value: format, Text: digest, Name: out, Figures: s.state.Figures()})
				if err != nil {
					return err
				}
				if out == "" {
					_, err := s.out.Write(b.Bytes())
					return err
				}
				if err := writeOut(out, b.Bytes()); err != nil {
					return err
				}
				s.say("report %s of %d bytes in %s: signed by record %s, sha256 %s", format, b.Len(), out, e.Name, digest)
				s.say("next: send it, then showcause order submitted %s DUTY --report %s --receipt WHAT --by WHO --case %s", o.ID, e.Name[:16], s.path())
				return nil
			}
		})
}

// filled refuses fields that the report does not have: nothing that a person says is dropped in silence.
func filled(in *report.Input, fields []string) error {
	form := in.Form
	if form == nil && len(in.Order.Reports) > 0 {
		form = &in.Order.Reports[0]
	}
	if form == nil {
		return nil
	}
	ids := []string{}
	for _, f := range form.Fields {
		ids = append(ids, f.ID)
	}
	for _, v := range fields {
		if id, _, _ := strings.Cut(v, "="); !slices.Contains(ids, id) {
			return fmt.Errorf("flag --field: %.80q is no field of %q, which has: %s", id, form.Title, strings.Join(ids, ", "))
		}
	}
	return nil
}

func (h Host) submitted() *cobra.Command {
	return h.command("submitted ORDER DUTY", "Record that a report went out, with its receipt: clocks that count from a submission begin",
		"Showcause sends nothing. Whoever sent the report records when, and what proves it.", cobra.ExactArgs(2), true, func(s *session, c *cobra.Command) func([]string) error {
			var reportOf, receipt, finding string
			f := c.Flags()
			f.StringVar(&reportOf, "report", "", "the entry of the report that went out")
			f.StringVar(&receipt, "receipt", "", "what proves that it arrived")
			f.StringVar(&finding, "finding", "", "the finding that it was about")
			return func(args []string) error {
				o, err := s.order(args[0])
				if err == nil {
					err = s.needBy()
				}
				if err != nil {
					return err
				}
				if o.Duty(args[1]) == nil {
					return fmt.Errorf("duty %.80q: none of %s", args[1], o.ID)
				}
				b := &casefile.Body{Order: o.ID, Duty: args[1], Receipt: receipt}
				if reportOf != "" {
					e, err := s.file.Entry(reportOf)
					if err != nil {
						return err
					}
					if e.Act != casefile.Report {
						return errors.New("flag --report: that entry is no report")
					}
					b.About = e.Name
				}
				if finding != "" {
					f, err := s.state.Finding(finding)
					if err != nil {
						return err
					}
					b.Finding = f.ID
				}
				if _, err := s.append(casefile.Submit, b); err != nil {
					return err
				}
				s.say("recorded: %s of %s was submitted", args[1], o.ID)
				for _, t := range s.state.Tasks(clock.DayIn(s.now(), o.Zone()) + 60) {
					if t.Order.ID == o.ID && t.Known && t.Done == nil {
						s.say("next: %s due %s", t.Duty.ID, t.When.Long())
						break
					}
				}
				return nil
			}
		})
}

// zone is that of the order that an entry is about, or of the first of the case; UTC where no
// order can be read.
func (s *session) zone(e *casefile.Entry) *time.Location {
	if e != nil {
		if o := s.state.Order(e.Body.Order); o != nil {
			return o.Zone()
		}
	}
	if len(s.state.Orders) == 0 {
		return time.UTC
	}
	return s.state.Orders[0].Zone()
}

// first is the id of the first order, for what is said to be next.
func (s *session) first() string {
	if len(s.state.Orders) == 0 {
		return "ORDER"
	}
	return s.state.Orders[0].ID
}
