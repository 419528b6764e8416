package directcmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/directive/clock"
)

// Join gives a command of evidence, contest or decide, its form for cases: with --case it
// is about a finding, or an order, of that case.
func (h Host) Join(c *cobra.Command) *cobra.Command {
	s := &session{Host: h}
	var order, to, duty string
	var evidence []string
	flags := map[string]*bool{}
	f := c.Flags()
	f.StringVar(&s.dir, "case", "", "folder of a case: what is contested or decided is there (docs/directives.md)")
	f.StringArrayVar(&s.identities, "identities", nil, "with --case: file of product identities beside those that ship")
	f.StringVar(&s.by, "by", "", "with --case: who says so, name and office")
	f.StringVar(&s.at, "at", "", "with --case: when it happened, if not now")
	contest := c.Name() == "contest"
	if contest {
		f.StringVar(&order, "order", "", "with --case: contest this order instead of a finding")
		f.StringArrayVar(&evidence, "attach", nil, "with --case: file to attach; may be repeated")
	} else {
		for _, o := range outcomes {
			flags[o] = new(bool)
			f.BoolVar(flags[o], o, false, "with --case: of an order that was contested")
		}
		f.StringVar(&duty, "duty", "", "with --case --modify: the duty that is moved")
		f.StringVar(&to, "to", "", "with --case --modify: the day that it is moved to")
	}
	was, args := c.RunE, c.Args
	c.Args = func(c *cobra.Command, a []string) error {
		if s.dir != "" && order != "" && len(a) == 0 {
			return nil
		}
		return args(c, a)
	}
	c.RunE = func(c *cobra.Command, a []string) error {
		if s.dir == "" {
			return was(c, a)
		}
		s.store, _ = f.GetString("store")
		reason, _ := f.GetString("reason")
		defer s.close()
		if err := errors.Join(needReason(reason), s.needBy()); err != nil {
			return err
		}
		if err := s.open(c, true); err != nil {
			return err
		}
		if contest {
			return s.contest(a, order, reason, evidence)
		}
		for _, o := range []string{"upheld", "withdrawn"} {
			v, _ := f.GetBool(o)
			flags[o] = &v
		}
		again, _ := f.GetBool("again")
		return s.decide(a[0], flags, again, casefile.Body{Reason: reason, Duty: duty, To: to})
	}
	return c
}

// outcomes are what can become of an order that was contested.
var outcomes = []string{"maintain", "modify", "suspend", "rescind"}

func (s *session) contest(args []string, order, reason string, evidence []string) error {
	files, err := s.attach(evidence)
	if err != nil {
		return err
	}
	b := &casefile.Body{Reason: reason, Files: files}
	if order != "" {
		o, err := s.order(order)
		if err != nil {
			return err
		}
		b.Order = o.ID
	} else {
		f, err := s.state.Finding(args[0])
		if err != nil {
			return err
		}
		if !f.Active() {
			return fmt.Errorf("finding %s: is %s", f.ID, f.State)
		}
		b.Finding = f.ID
	}
	e, err := s.append(casefile.Contest, b)
	if err != nil {
		return err
	}
	s.say("contest %s of %s", e.Name, first(b.Finding, b.Order))
	s.say("next: showcause decide %s --case %s --upheld|--withdrawn --reason WHY --by WHO", e.Name[:16], s.path())
	return nil
}

// decide answers a contest or a response.
func (s *session) decide(ref string, flags map[string]*bool, again bool, b casefile.Body) error {
	at, err := s.file.Entry(ref)
	if err != nil {
		return err
	}
	if at.Act != casefile.Contest && at.Act != casefile.Respond {
		return fmt.Errorf("entry %s: is %s: want a contest or a response", at.Name[:16], at.Act)
	}
	var chosen []string
	for name, on := range flags {
		if *on {
			chosen = append(chosen, name)
		}
	}
	if len(chosen) != 1 {
		return errors.New("flags --upheld, --withdrawn, --maintain, --modify, --suspend, --rescind: want one of them")
	}
	b.Value = chosen[0]
	b.About, b.Finding, b.Order = at.Name, at.Body.Finding, at.Body.Order
	finding := b.Value == "upheld" || b.Value == "withdrawn"
	switch {
	case finding != (b.Finding != ""):
		return fmt.Errorf("outcome: --upheld and --withdrawn are of a finding, the others of an order; this is of %s", first(b.Finding, "order "+b.Order))
	case b.Value == "modify" && (b.Duty == "" || b.To == ""):
		return errors.New("flag --modify: say what is moved to when (--duty, --to)")
	case b.Value != "modify" && (b.Duty != "" || b.To != ""):
		return errors.New("flags --duty, --to: only with --modify")
	}
	if b.To != "" {
		if err := s.moves(b.Order, b.Duty, b.To); err != nil {
			return err
		}
	}
	for _, e := range s.state.Entries {
		if e.Act == casefile.Decide && e.Body.About == at.Name && !again {
			return fmt.Errorf("contest %s: decided already: %s, by %s of %s; --again replaces that decision", at.Name[:16], e.Body.Value, e.Body.By, e.Time)
		}
	}
	b.Suspended = b.Value == "suspend"
	before := s.verdicts()
	e, err := s.append(casefile.Decide, &b)
	if err != nil {
		return err
	}
	s.say("decision %s: %s\nof contest %s\nof %s", e.Name, b.Value, at.Name, first(b.Finding, b.Order))
	for _, f := range s.state.Findings {
		if f.State == casefile.Withdrawn && f.ID != b.Finding && len(f.Notes) > 0 {
			s.say("withdrawn with it, being of the same bytes: %s on %s", f.ID, f.Endpoint)
		}
	}
	s.compare(before)
	if err := s.judge("a decision"); err != nil {
		return err
	}
	return s.correct("decision " + e.Name[:16] + ": " + b.Reason)
}

// moves refuses a change of a duty that is not there, or to no day.
func (s *session) moves(order, duty, to string) error {
	o, err := s.order(order)
	if err != nil {
		return err
	}
	if o.Duty(duty) == nil {
		return fmt.Errorf("flag --duty: %.80q is no duty of %s", duty, o.ID)
	}
	if _, err := clock.ParseMoment(to, o.Zone()); err != nil {
		return fmt.Errorf("flag --to: %w", err)
	}
	return nil
}

func (h Host) notice() *cobra.Command {
	return h.command("notice [FINDING] --to WHOM --due DATE", "Record a notice: to a vendor about an order, or to an owner about a finding",
		"Nothing is sent: a person sends it and records it, with the receipt.", cobra.MaximumNArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
			var l casefile.Letter
			var order, receipt string
			var files []string
			f := c.Flags()
			f.StringVar(&order, "order", "", "the order that it is about")
			f.StringVar(&l.To, "to", "", "addressee")
			f.StringVar(&l.Due, "due", "", "until when a response is taken (YYYY-MM-DD)")
			f.StringVar(&l.Grounds, "grounds", "", "what it rests on")
			f.StringVar(&receipt, "receipt", "", "proof that it was received")
			f.StringArrayVar(&files, "attach", nil, "file to attach: the letter, evidence that was given; may be repeated")
			return func(args []string) error {
				if err := s.needBy(); err != nil {
					return err
				}
				if l.To == "" || l.Due == "" {
					return errors.New("flags --to, --due: to whom, and until when may they respond?")
				}
				if _, err := clock.ParseDay(l.Due); err != nil {
					return fmt.Errorf("flag --due: %w", err)
				}
				b := &casefile.Body{Letter: &l, Receipt: receipt}
				if err := s.aboutOne(b, args, order); err != nil {
					return err
				}
				var err error
				if b.Files, err = s.attach(files); err != nil {
					return err
				}
				e, err := s.append(casefile.Notice, b)
				if err != nil {
					return err
				}
				s.say("notice %s to %s, response due %s", e.Name, l.To, l.Due)
				s.say("next: showcause respond %s --from WHOM --attach FILE --by WHO", e.Name[:16])
				return nil
			}
		})
}

// aboutOne sets what an entry is about: a finding or an order.
func (s *session) aboutOne(b *casefile.Body, args []string, order string) error {
	if (len(args) == 1) == (order != "") {
		return errors.New("want a finding, or --order, and not both")
	}
	if order != "" {
		o, err := s.order(order)
		if err == nil {
			b.Order = o.ID
		}
		return err
	}
	f, err := s.state.Finding(args[0])
	if err == nil {
		b.Finding = f.ID
	}
	return err
}

func (h Host) respond() *cobra.Command {
	return h.command("respond NOTICE --from WHOM", "Record a response to a notice, with what was handed in", "", cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
		var from, reason, receipt string
		var files []string
		f := c.Flags()
		f.StringVar(&from, "from", "", "who responds")
		f.StringVar(&reason, "reason", "", "what they say, in a sentence")
		f.StringVar(&receipt, "receipt", "", "receipt that was given for it")
		f.StringArrayVar(&files, "attach", nil, "file to attach; may be repeated")
		return func(args []string) error {
			n, err := s.file.Entry(args[0])
			switch {
			case err != nil:
				return err
			case n.Act != casefile.Notice:
				return fmt.Errorf("entry %s: is %s: want a notice", n.Name[:16], n.Act)
			case from == "":
				return errors.New("flag --from: who responds?")
			}
			b := &casefile.Body{About: n.Name, Order: n.Body.Order, Finding: n.Body.Finding, Reason: reason, Letter: &casefile.Letter{From: from}, Receipt: receipt}
			if b.Files, err = s.attach(files); err != nil {
				return err
			}
			e, err := s.append(casefile.Respond, b)
			if err != nil {
				return err
			}
			due := s.dueOf(n)
			got, err := clock.ParseMoment(e.At(), s.zone(n))
			if err != nil {
				return err
			}
			s.say("response %s", e.Name)
			if got.Day > due {
				s.say("received %s, which is after %s: whether it counts is for who decides", got.Day, due)
			}
			s.say("next: showcause decide %s --case %s --maintain|--modify|--suspend|--rescind (of a finding: --upheld|--withdrawn)", e.Name[:16], s.path())
			return nil
		}
	})
}

// dueOf is until when a response is taken, extensions included.
func (s *session) dueOf(n *casefile.Entry) clock.Day {
	due, _ := clock.ParseDay(n.Body.Letter.Due)
	for _, e := range s.state.Entries {
		if e.Act == casefile.Extend && e.Body.About == n.Name {
			if d, err := clock.ParseDay(e.Body.To); err == nil {
				due = d
			}
		}
	}
	return due
}

func (h Host) extend() *cobra.Command {
	return h.command("extend NOTICE|ORDER/DUTY --to DATE --reason WHY", "Extend the time for a response, or move a duty of an order", "", cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
		var to, reason string
		c.Flags().StringVar(&to, "to", "", "until when, from now on")
		c.Flags().StringVar(&reason, "reason", "", "why")
		return func(args []string) error {
			if err := errors.Join(s.needBy(), needReason(reason)); err != nil {
				return err
			}
			b := &casefile.Body{To: to, Reason: reason}
			if order, duty, ok := strings.Cut(args[0], "/"); ok {
				if err := s.moves(order, duty, to); err != nil {
					return err
				}
				b.Order, b.Duty = order, duty
			} else {
				n, err := s.file.Entry(args[0])
				switch {
				case err != nil:
					return err
				case n.Act != casefile.Notice:
					return fmt.Errorf("entry %s: is %s: want a notice", n.Name[:16], n.Act)
				}
				if _, err := clock.ParseDay(to); err != nil {
					return fmt.Errorf("flag --to: %w", err)
				}
				b.About = n.Name
			}
			e, err := s.append(casefile.Extend, b)
			if err != nil {
				return err
			}
			s.say("extension %s: %s until %s", e.Name, args[0], to)
			return nil
		}
	})
}
