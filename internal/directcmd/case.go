package directcmd

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/directive/clock"
	"github.com/showcause/showcause/directive/report"
)

func (h Host) caseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "case",
		Short: "The case of an order: one folder of signed entries, to be carried, merged and read by the next officer",
		Long: `A case is a folder of signed entries: what was received, found, said, decided and done. It
can be carried on a stick and merged from many hosts (docs/directives.md, docs/format/case.md).`,
	}
	c.AddCommand(h.caseOpen(), h.caseReceive(), h.caseScope(), h.caseEndpoints(), h.caseShow(), h.caseMerge(), h.caseAccept(), h.caseConfirm())
	return c
}

func (h Host) caseOpen() *cobra.Command {
	s := &session{Host: h}
	var opening casefile.Opening
	var received string
	var take, calendars []string
	c := &cobra.Command{
		Use: "open [DIR] --order ORDER --received DATE --by WHO", Short: "Begin a case with the orders that were received", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			defer s.close()
			if len(args) == 1 {
				s.dir = args[0]
			}
			s.c, s.out = c, c.OutOrStdout()
			if err := s.needBy(); err != nil {
				return err
			}
			if len(take) == 0 {
				return errors.New("flag --order: which order? (showcause order list)")
			}
			for _, ref := range take { // nothing is begun that cannot be gone on with
				probe := session{Host: h, file: nil}
				if err := probe.tryOrder(ref, received, calendars); err != nil {
					return err
				}
			}
			if err := s.openStore(true); err != nil {
				return err
			}
			opening.Title = first(opening.Title, strings.Join(take, ", "))
			var err error
			if s.file, err = casefile.Create(s.path(), casefile.Options{Store: s.held, FS: s.FS}, opening, s.by); err != nil {
				return err
			}
			for _, ref := range take {
				if _, err := s.receive(ref, received, calendars); err != nil {
					return err
				}
			}
			s.say("case %s in %s, opened by key %s", s.file.Name()[:16], s.path(), s.held.Keys()[0].Public().ID()[:16])
			s.questions()
			s.say("next: showcause identify %s / --case %s", s.first(), s.path())
			return nil
		},
	}
	f := c.Flags()
	f.StringArrayVar(&take, "order", nil, "order that was received; may be repeated")
	f.StringVar(&received, "received", "", "when (YYYY-MM-DD, or with time and zone)")
	f.StringVar(&opening.Organisation, "organisation", "", "agency or company")
	f.StringVar(&opening.Contact, "contact", "", "point of contact: name, telephone, e-mail")
	f.StringVar(&opening.Title, "title", "", "what the case is called")
	f.StringArrayVar(&calendars, "calendar", nil, "file of a calendar (YAML); may be repeated")
	s.flags(c)
	f.StringVar(&s.by, "by", "", "who opens it: name and office")
	return c
}

// questions lists what is not answered about scope.
func (s *session) questions() {
	for _, o := range s.state.Orders {
		given := s.state.Answers(o, "")
		for _, q := range o.Scope {
			if given[q.ID] == "" {
				s.say("to be answered: %s: %s", q.ID, q.Ask)
			}
		}
	}
}

func (h Host) caseReceive() *cobra.Command {
	return h.command("receive ORDER --received DATE", "Take another order into the case, or an amended one: what was found is judged anew, without a search", "",
		cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
			var received string
			var calendars []string
			c.Flags().StringVar(&received, "received", "", "when (YYYY-MM-DD, or with time and zone)")
			c.Flags().StringArrayVar(&calendars, "calendar", nil, "file of a calendar (YAML); may be repeated")
			return func(args []string) error {
				before := s.verdicts()
				o, err := s.receive(args[0], received, calendars)
				if err != nil {
					return err
				}
				s.say("order %s, version %d, received %s", o.ID, o.Version, received)
				s.compare(before)
				return s.judge("the order was received")
			}
		})
}

// verdicts are all verdicts now, by order and finding.
func (s *session) verdicts() map[string]string {
	out := map[string]string{}
	for _, o := range s.state.Orders {
		for _, f := range s.state.Findings {
			j := s.state.Verdict(o, f)
			out[o.ID+" "+f.ID] = string(j.Verdict) + ": " + strings.Join(j.Reasons, "; ")
		}
	}
	return out
}

// compare says what became of verdicts.
func (s *session) compare(before map[string]string) {
	now := s.verdicts()
	for _, k := range slices.Sorted(maps.Keys(now)) {
		switch was, had := before[k]; {
		case !had:
			s.say("%s: %s", k, now[k])
		case was != now[k]:
			s.say("%s: %s (was %s)", k, now[k], was)
		}
	}
}

// judge seals what the orders make of every finding now, and corrects reports whose
// figures are others now.
func (s *session) judge(why string) error {
	b := &casefile.Body{Reason: why, Figures: s.state.Figures()}
	for _, o := range s.state.Orders {
		for _, f := range s.state.Findings {
			j := s.state.Verdict(o, f)
			b.Verdicts = append(b.Verdicts, casefile.FindingVerdict{Order: o.ID, Version: o.Version, Finding: f.ID, Verdict: string(j.Verdict), Reasons: j.Reasons})
		}
	}
	_, err := s.append(casefile.Judge, b)
	return err
}

// correct retracts the figures of reports that are wrong now, visibly.
func (s *session) correct(why string) error {
	now := s.state.Figures()
	latest := map[string]*casefile.Entry{}
	for _, e := range s.state.Entries {
		if e.Act == casefile.Report || e.Act == casefile.Correct {
			of := e.Name
			if e.Act == casefile.Correct {
				of = e.Body.About
			}
			latest[of] = e
		}
	}
	for _, of := range slices.Sorted(maps.Keys(latest)) {
		e := latest[of]
		order := e.Body.Order
		if e.Body.Figures[order] == now[order] {
			continue
		}
		if _, err := s.append(casefile.Correct, &casefile.Body{About: of, Order: order, Reason: why, Was: e.Body.Figures, Figures: now}); err != nil {
			return err
		}
		s.say("the report %s said %d present and %d findings; it is %d and %d: a correction is in the case, and has to be sent", of[:16], e.Body.Figures[order].Present, e.Body.Figures[order].Findings, now[order].Present, now[order].Findings)
	}
	return nil
}

func (h Host) caseScope() *cobra.Command {
	return h.command("scope CONDITION=yes|no...", "Answer the questions of scope of the orders", "", cobra.MinimumNArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
		var endpoint, reason string
		c.Flags().StringVar(&endpoint, "endpoint", "", "only for this endpoint (default: for all)")
		c.Flags().StringVar(&reason, "reason", "", "what the answer rests on")
		return func(args []string) error {
			if err := s.needBy(); err != nil {
				return err
			}
			known := map[string]bool{}
			for _, o := range s.state.Orders {
				for _, q := range o.Scope {
					known[q.ID] = true
				}
			}
			for _, a := range args {
				id, v, ok := strings.Cut(a, "=")
				if !ok || v != "yes" && v != "no" || !known[id] {
					return fmt.Errorf("answer: %.80q: want CONDITION=yes or CONDITION=no, of: %s", a, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
				}
			}
			before := s.verdicts()
			for _, a := range args {
				id, v, _ := strings.Cut(a, "=")
				if _, err := s.append(casefile.Answer, &casefile.Body{Condition: id, Value: v, Endpoint: endpoint, Reason: reason}); err != nil {
					return err
				}
			}
			s.compare(before)
			if err := s.judge("scope was answered"); err != nil {
				return err
			}
			if err := s.correct("scope was answered"); err != nil {
				return err
			}
			s.questions()
			s.say("next: showcause attest %s --by WHO --case %s; or, as it stands: showcause order report %[1]s --format bod --case %[2]s", s.first(), s.path())
			return nil
		}
	})
}

func (h Host) caseEndpoints() *cobra.Command {
	return h.command("endpoints NAME...|--file FILE", "Say which endpoints there are to search: who is not searched is unreached, in every total", "",
		cobra.ArbitraryArgs, true, func(s *session, c *cobra.Command) func([]string) error {
			var file string
			c.Flags().StringVar(&file, "file", "", "file with one name a line")
			return func(args []string) error {
				if file != "" {
					b, err := readFile(file)
					if err != nil {
						return err
					}
					for _, l := range strings.Split(string(b), "\n") {
						if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
							args = append(args, l)
						}
					}
				}
				if len(args) == 0 {
					return errors.New("endpoints: none is named")
				}
				if _, err := s.append(casefile.Endpoints, &casefile.Body{Endpoints: args}); err != nil {
					return err
				}
				s.say("%d endpoints", len(s.state.Endpoints))
				return s.correct("endpoints were added")
			}
		})
}

func (h Host) caseShow() *cobra.Command {
	return h.command("show", "Show what holds now: totals, duties, findings, what waits for somebody", "", cobra.NoArgs, false, func(s *session, c *cobra.Command) func([]string) error {
		var all bool
		c.Flags().BoolVar(&all, "entries", false, "list every entry, too")
		return func([]string) error {
			s.say("case %s: %s, %s; opened %s by %s with key %s", s.file.Name(), s.state.Opening.Title, first(s.state.Opening.Organisation, report.NotKnown), s.state.Opened.Time, s.state.Opened.Body.By, s.state.Opened.Signer)
			for _, o := range s.state.Orders {
				t := s.state.Totals(o)
				s.say("%s (version %d, received %s): of %d endpoints %d present, %d not found, %d unreached (%d undetermined), %d excluded", o.ID, o.Version, o.Received.Long(), t.Inventory, t.Present, t.Absent, t.Unreached, t.Undetermined, t.Excluded)
			}
			tab := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(tab, "\nduties")
			tasks := s.state.Tasks(clock.DayIn(s.now(), s.zone(nil)) + 60)
			for i, t := range tasks {
				if t.Late && t.N > 0 && slices.ContainsFunc(tasks[i+1:], func(u casefile.Task) bool { return u.Late && u.Duty == t.Duty && u.Finding == t.Finding }) {
					continue // of one that comes again, the last that is late stands for those before
				}
				s.task(tab, t)
			}
			fmt.Fprintln(tab, "\nfindings")
			for _, f := range s.state.Findings {
				fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\n", f.ID, showcause.Escape(f.Endpoint), f.Product, f.Class, f.State)
				for _, n := range f.Notes {
					fmt.Fprintf(tab, "\t%s\n", showcause.Escape(n))
				}
			}
			for _, m := range s.state.Mentions {
				fmt.Fprintf(tab, "(mention)\t%s\t%s\tcounts nowhere\n", showcause.Escape(m.Endpoint), m.Product)
			}
			fmt.Fprintln(tab, "\nendpoints")
			for _, o := range s.state.Orders {
				for _, e := range s.state.Endpoints {
					out, why, _ := s.state.Outcome(o, e)
					fmt.Fprintf(tab, "%s\t%s\t%s\t%s\n", o.ID, showcause.Escape(e), out, showcause.Escape(why))
				}
			}
			if all {
				fmt.Fprintln(tab, "\nentries")
				for _, e := range s.file.All() {
					fmt.Fprintf(tab, "%s\t%s\t%s\t%s\tkey %s\tin its log: %t\tcounts: %t\n", e.Time, e.Name[:16], e.Act, showcause.Escape(e.Body.By), e.Signer[:16], e.Proven, e.Accepted)
				}
			}
			if err := tab.Flush(); err != nil {
				return err
			}
			if len(s.file.Refused) > 0 {
				return s.Refused
			}
			return nil
		}
	})
}

func (s *session) task(tab *tabwriter.Writer, t casefile.Task) {
	when, left := report.NotKnown, "waits: "+t.Waits
	if t.Known {
		when = t.When.Long()
		switch days := int(t.Left.Hours() / 24); {
		case t.Done != nil:
			left = "submitted " + t.Done.At()
		case t.Suspended:
			left = "suspended"
		case t.Late:
			left = fmt.Sprintf("LATE by %d days", -days)
		default:
			left = fmt.Sprintf("%d days left", days)
		}
	}
	name := t.Order.ID + " " + t.Duty.ID
	if t.N > 0 {
		name += fmt.Sprintf(" (%d)", t.N+1)
	}
	if t.Finding != "" {
		name += " of " + t.Finding
	}
	fmt.Fprintf(tab, "%s\t%s\t%s\t%s\n", when, left, name, showcause.Escape(t.Duty.Title))
	for _, n := range append(t.Notes, t.Order.Unconfirmed(&t.Due)) {
		if n != "" {
			fmt.Fprintf(tab, "\t\t\t%s\n", showcause.Escape(n))
		}
	}
}

func (h Host) caseMerge() *cobra.Command {
	return h.command("merge DIR...", "Merge copies of the case that other hosts added to", "", cobra.MinimumNArgs(1), true, func(s *session, _ *cobra.Command) func([]string) error {
		return func(args []string) error {
			before := s.verdicts()
			for _, dir := range args {
				from, err := casefile.Load(dir, casefile.Options{})
				if err != nil {
					return err
				}
				n, err := s.file.Merge(from)
				for _, r := range from.Refused {
					fmt.Fprintln(s.c.ErrOrStderr(), "showcause: "+showcause.Escape(dir)+": "+r)
				}
				from.Close()
				if err != nil {
					return err
				}
				s.say("%s: %d entries", dir, n)
			}
			if err := s.fold(); err != nil {
				return err
			}
			s.compare(before)
			keys := s.file.Keys()
			for _, k := range slices.Sorted(maps.Keys(keys)) {
				if !keys[k] {
					s.say("not accepted: key %s: showcause case accept %s --by WHO, once you know whose it is", k, k[:16])
				}
			}
			return s.correct("cases were merged")
		}
	})
}

func (h Host) caseAccept() *cobra.Command {
	return h.command("accept KEY", "Accept the key of another host: its entries count from then on", "", cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
		var reason string
		c.Flags().StringVar(&reason, "reason", "", "how it is known whose key it is")
		return func(args []string) error {
			if err := s.needBy(); err != nil {
				return err
			}
			k, ok := s.file.Key(args[0])
			if !ok {
				return fmt.Errorf("key %.80q: none in the case, or several", args[0])
			}
			if !s.file.Keys()[s.held.Keys()[0].Public().ID()] {
				return errors.New("key: this host's own is not accepted in this case: a host that is must do it")
			}
			if _, err := s.append(casefile.Accept, &casefile.Body{Key: string(k.PEM()), Reason: reason}); err != nil {
				return err
			}
			if err := s.file.Reload(); err != nil {
				return err
			}
			if err := s.fold(); err != nil {
				return err
			}
			s.say("accepted: key %s", k.ID())
			return s.correct("a key was accepted")
		}
	})
}

func (h Host) caseConfirm() *cobra.Command {
	return h.command("confirm FINDING", "Confirm a finding as an identification, with who and when: clocks that count from one begin",
		"A search alone identifies nothing: a person does. Whether a search starts a clock already is a question of law.",
		cobra.ExactArgs(1), true, func(s *session, c *cobra.Command) func([]string) error {
			var reason, notified string
			c.Flags().StringVar(&reason, "reason", "", "what was checked")
			c.Flags().StringVar(&notified, "notified-by", "", "who told of it, and --at when: clocks that count from an identification or a notification count from the earlier one")
			return func(args []string) error {
				if err := s.needBy(); err != nil {
					return err
				}
				f, err := s.state.Finding(args[0])
				if err != nil {
					return err
				}
				if !f.Active() {
					return fmt.Errorf("finding %s: is %s", f.ID, f.State)
				}
				if notified != "" && s.at == "" {
					return errors.New("flag --at: when was it told?")
				}
				if f.Confirm != nil && notified == "" {
					return fmt.Errorf("finding %s: confirmed already, %s by %s: continuous presence starts no clock anew", f.ID, f.Confirm.At(), f.Confirm.Body.By)
				}
				b := &casefile.Body{Finding: f.ID, Reason: reason}
				if notified != "" {
					b.Letter = &casefile.Letter{From: notified}
				}
				if _, err := s.append(casefile.Confirm, b); err != nil {
					return err
				}
				s.say("finding %s is confirmed as an identification", f.ID)
				if notified != "" {
					s.say("told by %s on %s", notified, s.at)
				}
				tab := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
				for _, t := range s.state.Tasks(clock.DayIn(s.now(), s.zone(nil)) + 60) {
					if t.Finding == f.ID {
						s.task(tab, t)
					}
				}
				return tab.Flush()
			}
		})
}
