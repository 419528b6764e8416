package directcmd

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/directive/clock"
	"github.com/showcause/showcause/directive/report"
	"github.com/showcause/showcause/product"
)

// planText is the file of a plan: what a person fills in, by field.
type planText struct {
	Plan   string            `yaml:"plan"`
	Fields map[string]string `yaml:"fields"`
}

// input is a report's input over the case as it is.
func (s *session) input(o *casefile.Order, f *casefile.Finding) *report.Input {
	return &report.Input{
		State: s.state, Order: o, Finding: f, Fields: s.planned(o), Case: s.file.Name(), Refused: slices.Concat(s.file.Refused, s.state.Problems), Made: s.now(), Version: s.Version, By: s.by, File: s.file.File,
	}
}

// planned are the fields of the last plan of an order.
func (s *session) planned(o *casefile.Order) map[string]string {
	for i := len(s.state.Entries) - 1; i >= 0; i-- {
		e := s.state.Entries[i]
		if e.Act != casefile.Plan || e.Body.Order != o.ID {
			continue
		}
		text, err := s.file.File(e.Body.Text)
		if err != nil {
			break
		}
		p := planText{}
		if yaml.Unmarshal(text, &p) == nil {
			return p.Fields
		}
	}
	return map[string]string{}
}

// planForm is the form of an order's plan; the usual one for orders that have none of their own.
func planForm(o *casefile.Order) *directive.Form {
	if o.Plan != nil {
		return o.Plan
	}
	f := &directive.Form{Title: "Plan of action"}
	for _, id := range []string{"products", "endpoints", "methods", "timeline", "controls", "replacements", "replacement-timeline", "challenges", "costs"} {
		f.Fields = append(f.Fields, directive.Field{ID: id, Title: strings.ReplaceAll(id, "-", " "), From: id})
	}
	return f
}

func (h Host) plan() *cobra.Command {
	return h.command("plan ORDER [-o FILE | --from FILE]", "Write the order's plan to be filled in, and take it in when it is",
		`Write the plan that the order asks for (BOD 17-01: elements a to n), with what the case knows filled
in, and with what a person has to say left "not known": contracts, costs, the security controls lost by
removal and what replaces them. Edit the file, then take it in with --from: it is signed, and reports
are filled from it.`,
		cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
			var out, from string
			c.Flags().StringVarP(&out, "out", "o", "", "file to write, which must not be there (default: standard output)")
			c.Flags().StringVar(&from, "from", "", "file of a plan that was filled in")
			return func(args []string) error {
				o, err := s.order(args[0])
				if err != nil {
					return err
				}
				form := planForm(o)
				if from != "" {
					return s.takePlan(o, form, from)
				}
				text := s.planFile(o, form)
				if out == "" {
					_, err := s.out.Write(text)
					return err
				}
				if err := writeOut(out, text); err != nil {
					return err
				}
				s.say("next: fill in %s, then showcause plan %s --from %[1]s --by WHO --case %[3]s", out, o.ID, s.path())
				return nil
			}
		})
}

// planFile writes the plan for a person to fill in.
func (s *session) planFile(o *casefile.Order, form *directive.Form) []byte {
	in := s.input(o, nil)
	root := &yaml.Node{Kind: yaml.MappingNode}
	fields := &yaml.Node{Kind: yaml.MappingNode}
	for i := range form.Fields {
		f := &form.Fields[i]
		values := in.Fill(f)
		if f.From == "timeline" {
			values = in.Fill(&directive.Field{ID: f.ID, From: "timeline"})
		}
		text := strings.Join(values, "\n")
		if text == "" {
			text = report.NotKnown
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: f.ID, HeadComment: strings.TrimSpace(f.Title + "\n" + f.Note)}
		value := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
		if strings.Contains(text, "\n") {
			value.Style = yaml.LiteralStyle
		}
		fields.Content = append(fields.Content, key, value)
	}
	root.Content = []*yaml.Node{
		{Kind: yaml.ScalarNode, Value: "plan", HeadComment: form.Title + ": " + o.Title + "\nWhat stays \"not known\" is said so in every report. The lists are as of " + s.now().UTC().Format(time.DateOnly) + "."},
		{Kind: yaml.ScalarNode, Value: o.ID},
		{Kind: yaml.ScalarNode, Value: "fields"},
		fields,
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		panic("plan: " + err.Error())
	}
	return text
}

func (s *session) takePlan(o *casefile.Order, form *directive.Form, from string) error {
	if err := s.needBy(); err != nil {
		return err
	}
	text, err := readFile(from)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	p := planText{}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		return fmt.Errorf("plan %s: %s", showcause.Escape(from), showcause.Escape(err.Error()))
	}
	if p.Plan != o.ID {
		return fmt.Errorf("plan %s: of %.80q, want %s", showcause.Escape(from), p.Plan, o.ID)
	}
	open := 0
	for id := range p.Fields {
		if !slices.ContainsFunc(form.Fields, func(f directive.Field) bool { return f.ID == id }) {
			return fmt.Errorf("plan %s: %.80q is no element of the plan", showcause.Escape(from), id)
		}
	}
	for _, f := range form.Fields {
		if v := strings.TrimSpace(p.Fields[f.ID]); v == "" || v == report.NotKnown {
			s.say("not known: %s. %s", f.ID, f.Title)
			open++
		}
	}
	digest, err := s.file.Attach(text)
	if err != nil {
		return err
	}
	e, err := s.append(casefile.Plan, &casefile.Body{Order: o.ID, Version: o.Version, Text: digest, Name: from})
	if err != nil {
		return err
	}
	s.say("plan %s of %s: %d of %d elements are not known", e.Name[:16], o.ID, open, len(form.Fields))
	s.say("next: showcause order report %s --format bod --form plan --case %s", o.ID, s.path())
	return nil
}

func (h Host) waive() *cobra.Command {
	return h.command("waive FINDING --authority WHO --code CODE --reason WHY --control WHAT --expires DATE", "Waive a finding for a time: it stays visible, and opens again when the time ends", "",
		cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
			var w casefile.Waiver
			var reason string
			f := c.Flags()
			f.StringVar(&w.Authority, "authority", "", "who may grant it, and by which right")
			f.StringVar(&w.Code, "code", "", strings.Join(casefile.WaiverCodes(), ", "))
			f.StringVar(&w.Control, "control", "", "what protects in its place")
			f.StringVar(&w.Expires, "expires", "", "last day (YYYY-MM-DD); a waiver without an end is refused")
			f.StringVar(&reason, "reason", "", "why")
			return func(args []string) error {
				if err := errors.Join(s.needBy(), needReason(reason)); err != nil {
					return err
				}
				for _, v := range []struct{ flag, value string }{{"authority", w.Authority}, {"control", w.Control}, {"expires", w.Expires}} {
					if strings.TrimSpace(v.value) == "" {
						return fmt.Errorf("flag --%s: missing: a waiver has an authority, a compensating control and an end", v.flag)
					}
				}
				if !slices.Contains(casefile.WaiverCodes(), w.Code) {
					return fmt.Errorf("flag --code: %.80q, want one of %s", w.Code, strings.Join(casefile.WaiverCodes(), ", "))
				}
				until, err := clock.ParseDay(w.Expires)
				if err != nil {
					return fmt.Errorf("flag --expires: %w", err)
				}
				switch {
				case s.now().After(until.End(time.UTC)):
					return fmt.Errorf("flag --expires: %s is over", until)
				case until > clock.DayIn(s.now(), time.UTC)+casefile.MaxWaiver:
					return fmt.Errorf("flag --expires: %s is more than %d days from now: waive it anew when they are over", until, casefile.MaxWaiver)
				}
				f, err := s.state.Finding(args[0])
				if err != nil {
					return err
				}
				if !f.Active() {
					return fmt.Errorf("finding %s: is %s", f.ID, f.State)
				}
				e, err := s.append(casefile.Waive, &casefile.Body{Finding: f.ID, Reason: reason, Waiver: &w})
				if err != nil {
					return err
				}
				s.say("waiver %s of finding %s until %s; it stays in every total and report", e.Name[:16], f.ID, until.Long())
				return nil
			}
		})
}

func (h Host) attest() *cobra.Command {
	return h.command("attest ORDER", "Sign a nil report: not found by these methods over this coverage at this time; refused over gaps", "",
		cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
			var days int
			c.Flags().IntVar(&days, "days", 30, "after how many days it expires")
			return func(args []string) error {
				o, err := s.order(args[0])
				if err == nil {
					err = s.needBy()
				}
				if err != nil {
					return err
				}
				if days < 1 || days > 366 {
					return errors.New("flag --days: want 1 to 366")
				}
				if why := s.unattestable(o); len(why) > 0 {
					s.say("refused: this cannot be said, since")
					for _, w := range why {
						s.say("  %s", w)
					}
					s.afterRefusal(o)
					return s.Host.Refused
				}
				in := s.input(o, nil)
				text := []string{fmt.Sprintf("Not found: what the order %s, version %d, covers.", o.ID, o.Version)}
				for _, part := range []struct{ title, from string }{{"Methods", "methods"}, {"Coverage", "coverage"}} {
					text = append(text, part.title+":")
					for _, v := range in.Fill(&directive.Field{From: part.from}) {
						text = append(text, "  "+v)
					}
				}
				for _, e := range s.state.Endpoints {
					for _, r := range s.state.Latest(e) {
						c := &r.Inventory.Coverage
						text = append(text, fmt.Sprintf("  %s, %s: %s; search %s of %s", e, r.Inventory.Target, c.Files, r.Entry.Name[:16], r.Entry.Time))
						for _, l := range c.LeftOut() {
							text = append(text, "    left out, so that nothing is said of it: "+l)
						}
					}
				}
				until := s.now().UTC().AddDate(0, 0, days).Format(time.DateOnly)
				text = append(text, fmt.Sprintf("Time: %s; expires %s.", s.now().UTC().Format(time.RFC3339), until), "This is not a statement that nothing is there.")
				digest, err := s.file.Attach([]byte(strings.Join(text, "\n") + "\n"))
				if err != nil {
					return err
				}
				e, err := s.append(casefile.Attest, &casefile.Body{Order: o.ID, Version: o.Version, Text: digest, Expires: until, Figures: s.state.Figures()})
				if err != nil {
					return err
				}
				for _, l := range text {
					s.say("%s", l)
				}
				s.say("attestation %s", e.Name)
				s.say("next: showcause order report %s --format bod --case %s", o.ID, s.path())
				return nil
			}
		})
}

// afterRefusal says what can be done where nil cannot be said.
func (s *session) afterRefusal(o *casefile.Order) {
	t := s.state.Totals(o)
	if t.Present > 0 {
		s.say("next: showcause plan %s -o plan.yaml --case %s; showcause remove FINDING --by WHO --case %[2]s", o.ID, s.path())
	}
	for _, e := range s.state.Endpoints {
		if out, _, _ := s.state.Outcome(o, e); out == product.Unreached && len(s.state.Latest(e)) > 0 {
			s.say("what was not read: search as root, with what is encrypted opened; or leave it out by name, which every report then lists: showcause identify %s TARGET --exclude PATH --case %s", o.ID, s.path())
			break
		}
	}
	s.say("a report says all of this as it is: showcause order report %s --format bod --case %s", o.ID, s.path())
}

// unattestable says why nil cannot be said.
func (s *session) unattestable(o *casefile.Order) (out []string) {
	if len(s.state.Runs) == 0 {
		return []string{"nothing was searched: showcause identify " + o.ID + " TARGET"}
	}
	for _, q := range o.Scope {
		if s.state.Answers(o, "")[q.ID] == "" {
			out = append(out, "not answered: "+q.ID+": "+q.Ask)
		}
	}
	for _, e := range s.state.Endpoints {
		outcome, why, _ := s.state.Outcome(o, e)
		switch outcome {
		case product.Present:
			out = append(out, e+": present: "+why)
		case product.Unreached:
			out = append(out, e+": "+why)
			for _, r := range s.state.Latest(e) {
				gaps := r.Inventory.Coverage.Unread()
				for i, g := range gaps {
					if i == 20 {
						out = append(out, fmt.Sprintf("  and %d more gaps", int64(len(gaps)-i)+r.Inventory.Coverage.More))
						break
					}
					out = append(out, fmt.Sprintf("  gap: %s (%s) %s", g.Place, g.Code, g.Why))
				}
			}
		}
	}
	for _, r := range slices.Concat(s.file.Refused, s.state.Problems) {
		out = append(out, "the case is not whole: "+r)
	}
	return out
}
