// Package ordercmd are the commands about orders: list, show, check, new, clock.
package ordercmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/clock"
	"github.com/showcause/showcause/rules/orders"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	Refused error // ends the program after all was said
}

// maxFile bounds the file of an order or calendar, in bytes.
const maxFile = 1 << 20

// Load reads the order that a user names: the id of one that ships, or a file. Files
// with calendars come in addition to those that ship.
func Load(ref string, calendars ...string) (*directive.Order, error) {
	own := map[string]*clock.Calendar{}
	for _, path := range calendars {
		c, err := readCalendar(path)
		if err != nil {
			return nil, err
		}
		own[c.ID] = c
	}
	given := func(id string) *clock.Calendar {
		if c := own[id]; c != nil {
			return c
		}
		return orders.Calendar(id)
	}
	text, err := orders.Text(ref)
	if err != nil {
		if !strings.ContainsAny(ref, "./\\") {
			return nil, fmt.Errorf("%w; a file is named by its path (./%s)", err, showcause.Escape(ref))
		}
		if text, err = readFile(ref); err != nil {
			return nil, fmt.Errorf("order: %w", err)
		}
	}
	return directive.Parse(ref, text, given)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", showcause.Escape(path), maxFile)
	}
	return b, err
}

func readCalendar(path string) (*clock.Calendar, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("calendar: %w", err)
	}
	c := &clock.Calendar{}
	d := yaml.NewDecoder(strings.NewReader(string(b)))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("calendar %s: %s", showcause.Escape(path), showcause.Escape(err.Error()))
	}
	if err := c.Prepare(); err != nil {
		return nil, fmt.Errorf("calendar %s: %w", showcause.Escape(path), err)
	}
	return c, nil
}

// Order is the command "order"; more are subcommands from elsewhere.
func (h Host) Order(more ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   "order",
		Short: "Orders that forbid products: what they cover, and what is due when",
		Long: `Orders are data: what is covered, where, what is due when and by which rule, and what
of it is not confirmed. ORDER is the id of one that ships (showcause order list), or a
file (docs/format/order.md).`,
	}
	c.AddCommand(h.list(), h.show(), h.check(), h.create(), h.clock())
	c.AddCommand(more...)
	return c
}

func (h Host) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the orders that ship", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			tab := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, id := range orders.IDs() {
				o, err := orders.Order(id)
				if err != nil {
					return err
				}
				what := o.Strength
				if o.Template {
					what = "template"
				}
				fmt.Fprintf(tab, "%s\t%s\t%s\n", o.ID, what, o.Title)
			}
			if err := tab.Flush(); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "\nnext: showcause order show ORDER; showcause order clock ORDER --received DATE")
			return nil
		},
	}
}

func (h Host) show() *cobra.Command {
	var text bool
	c := &cobra.Command{
		Use: "show ORDER", Short: "Show an order: what it covers, where, its dates, and what is not confirmed", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := Load(args[0])
			if err != nil {
				return err
			}
			if text {
				_, err := c.OutOrStdout().Write(o.Text())
				return err
			}
			return show(c.OutOrStdout(), o)
		},
	}
	c.Flags().BoolVar(&text, "text", false, "its text, as it is")
	return c
}

// show writes an order for a person.
func show(w io.Writer, o *directive.Order) error {
	p := page{w: w, o: o}
	p.line("%s (%s, version %d)", o.Title, o.ID, o.Version)
	p.line("issuer: %s", o.Issuer)
	p.line("strength: %s", o.Strength)
	if o.Note != "" {
		p.line("note: %s", strings.TrimSpace(o.Note))
	}
	for _, a := range o.Authority {
		p.line("authority: %s%s", a.Cite, p.cited(a.Source))
	}
	p.part("dates")
	for _, name := range []string{"signed", "effective", "published", "received"} {
		switch d := o.Date(name); {
		case d != nil && d.Unconfirmed != "":
			p.line("  %-10s %s%s: not confirmed: %s", name, d.Moment().Long(), p.cited(d.Source), d.Unconfirmed)
		case d != nil:
			p.line("  %-10s %s%s", name, d.Moment().Long(), p.cited(d.Source))
		default:
			p.line("  %-10s not known", name)
		}
	}
	p.covers()
	p.part("where it applies")
	for _, s := range o.Scope {
		p.line("  %s: %s It applies if %s.%s", s.ID, s.Ask, s.Covered, p.cited(s.Source))
	}
	p.part("duties")
	for _, d := range o.Duties {
		p.line("  %s: %s", d.ID, d.Title)
	}
	p.response()
	for _, r := range append(o.Supersedes, o.After...) {
		p.line("related: %s: %s%s", r.Order, r.How, p.cited(r.Source))
	}
	for _, x := range o.Unreached {
		p.line("no search of files can see: %s", x)
	}
	p.doubts(o.Doubts)
	p.part("sources")
	for _, s := range o.Sources {
		p.line("  [%s] %s (%s) %s", s.ID, s.Title, s.Read, s.Address)
	}
	return p.err
}

// page writes lines, and remembers that one was lost.
type page struct {
	w   io.Writer
	o   *directive.Order
	err error
}

func (p *page) line(format string, a ...any) {
	s := strings.TrimRight(fmt.Sprintf(format, a...), " ")
	if _, err := fmt.Fprintln(p.w, showcause.Escape(s)); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *page) part(name string) {
	fmt.Fprintf(p.w, "\n%s\n", name)
}

func (p *page) cited(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	s := " [" + strings.Join(ids, ", ") + "]"
	if p.o.Secondary(ids) {
		s += " (in others' words)"
	}
	return s
}

func (p *page) covers() {
	c := p.o.Covers
	p.part("covers")
	p.line("  of: %s", strings.Join(c.Entities, "; "))
	for _, n := range c.Products {
		p.line("  named: %s", n.Name)
	}
	if !c.Exhaustive {
		p.line("  others of these makers too: the list is not exhaustive")
	}
	for _, x := range c.Exclusions {
		p.line("  not: %s%s", x.What, p.cited(x.Source))
	}
	p.line("  code embedded in products of others: %s: %s%s", c.Components.Rule, c.Components.Why, p.cited(c.Components.Source))
	for _, v := range c.Classes {
		p.line("  what is %s: %s: %s", v.Class, v.Verdict, v.Why)
	}
}

func (p *page) response() {
	r := p.o.Response
	if r == nil {
		return
	}
	p.part("how it can be contested")
	p.line("  by: %s%s", r.Who, p.cited(r.Source))
	for _, v := range []struct{ name, text string }{{"to", r.To}, {"means", r.Means}, {"effect", r.Effect}, {"extension", r.Extension}} {
		if v.text != "" {
			p.line("  %s: %s", v.name, v.text)
		}
	}
	if r.Due != nil {
		p.line("  due: %s%s", r.Due.Moment().Long(), p.cited(r.Due.Source))
	}
	for _, e := range r.Events {
		p.line("  %s: %s%s", e.On, e.What, p.cited(e.Source))
	}
}

func (p *page) doubts(doubts []directive.Doubt) {
	if len(doubts) == 0 {
		return
	}
	p.part("not confirmed (said somewhere; no fact of this order)")
	for _, d := range doubts {
		p.line("  %s: %s (%s)", d.About, d.Says, d.Why)
	}
}

func (h Host) check() *cobra.Command {
	var calendars []string
	c := &cobra.Command{
		Use: "check FILE...", Short: "Say what is wrong with orders: file, line and cause", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			wrong := false
			for _, ref := range args {
				o, err := Load(ref, calendars...)
				var p directive.Problems
				switch {
				case errors.As(err, &p):
					wrong = true
					fmt.Fprintln(c.OutOrStdout(), p.Error())
				case err != nil:
					return err
				default:
					fmt.Fprintf(c.OutOrStdout(), "%s: order %s, version %d: %d duties, %d not confirmed\n", showcause.Escape(ref), o.ID, o.Version, len(o.Duties), len(o.Doubts))
				}
			}
			if wrong {
				return h.Refused
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&calendars, "calendar", nil, "file of a calendar (YAML); may be repeated")
	return c
}

func (h Host) create() *cobra.Command {
	var from, out string
	c := &cobra.Command{
		Use: "new [--from ORDER] -o FILE", Short: "Write the text of an order to begin one's own with", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := orders.Text(from)
			if err != nil {
				return err
			}
			if out == "" {
				_, err := c.OutOrStdout().Write(text)
				return err
			}
			f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if err != nil {
				return fmt.Errorf("flag --out: %w", err)
			}
			_, err = f.Write(text)
			if err := errors.Join(err, f.Close()); err != nil {
				return fmt.Errorf("flag --out: %w", err)
			}
			fmt.Fprintf(c.OutOrStdout(), "next: change %s, then showcause order check %[1]s\n", showcause.Escape(out))
			return nil
		},
	}
	c.Flags().StringVar(&from, "from", orders.Template, "the order to copy")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write, which must not be there (default: standard output)")
	return c
}

// Times are the flags that say what happened when.
type Times struct {
	Received, Identified, Notified string
	Submitted                      []string
}

// Events reads them in the zone of an order.
func (t *Times) Events(o *directive.Order) (directive.Events, error) {
	ev := directive.Events{}
	set := func(anchor, flag, s string) error {
		if s == "" {
			return nil
		}
		m, err := clock.ParseMoment(s, o.Zone())
		if err != nil {
			return fmt.Errorf("flag --%s: %w", flag, err)
		}
		ev[anchor] = m
		return nil
	}
	err := errors.Join(set("order.received", "received", t.Received), set("identification", "identified", t.Identified), set("notification", "notified", t.Notified))
	for _, s := range t.Submitted {
		id, at, ok := strings.Cut(s, "=")
		if !ok || o.Duty(id) == nil {
			err = errors.Join(err, fmt.Errorf("flag --submitted: %.80q: want DUTY=TIME of a duty of %s", s, o.ID))
			continue
		}
		err = errors.Join(err, set("submitted:"+id, "submitted", at))
	}
	return ev, err
}

func (h Host) clock() *cobra.Command {
	var t Times
	var until string
	var asJSON bool
	var calendars []string
	c := &cobra.Command{
		Use: "clock ORDER --received DATE", Short: "Compute the date of every duty, with the rule that made it", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := Load(args[0], calendars...)
			if err != nil {
				return err
			}
			ev, err := t.Events(o)
			if err != nil {
				return err
			}
			today := clock.DayIn(time.Now(), o.Zone())
			day := today + 90
			if until != "" {
				if day, err = clock.ParseDay(until); err != nil {
					return fmt.Errorf("flag --until: %w", err)
				}
				today = 0 // whoever names a day wants all dates
			}
			due := o.Schedule(ev, day, nil)
			if asJSON {
				return clockJSON(c.OutOrStdout(), o, due)
			}
			return clockText(c.OutOrStdout(), o, ev, due, today)
		},
	}
	f := c.Flags()
	f.StringVar(&t.Received, "received", "", "when the order was received (YYYY-MM-DD, or with time and zone)")
	f.StringVar(&t.Identified, "identified", "", "when a covered product was identified")
	f.StringVar(&t.Notified, "notified", "", "when somebody was told of one")
	f.StringArrayVar(&t.Submitted, "submitted", nil, "DUTY=TIME: when a report was submitted; may be repeated")
	f.StringVar(&until, "until", "", "list duties that come again up to this day (default: 90 days from now)")
	f.StringArrayVar(&calendars, "calendar", nil, "file of a calendar (YAML); may be repeated")
	f.BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// clockText writes dates. Of a duty that comes again, those before today are counted, after the first ones.
func clockText(w io.Writer, o *directive.Order, ev directive.Events, due []directive.Due, today clock.Day) error {
	p := page{w: w, o: o}
	p.line("%s", o.Title)
	p.line("days are counted in %s", o.TimeZone)
	if at, ok := ev["order.received"]; ok {
		p.line("received %s; a late receipt moves no date that counts from another", at.Long())
	}
	p.part("due")
	passed := map[string]int{}
	for i := range due {
		d := &due[i]
		if d.N > 2 && d.When.Day < today {
			passed[d.Duty.ID]++
			continue
		}
		if n := passed[d.Duty.ID]; n > 0 {
			p.line("%-28s %s: %d more that have passed: --until DAY lists all", "", d.Duty.ID, n)
			delete(passed, d.Duty.ID)
		}
		p.due(d)
	}
	p.doubts(o.Doubts)
	return p.err
}

// due writes one date, and how it came about.
func (p *page) due(d *directive.Due) {
	when := "not yet known"
	if d.Known {
		when = d.When.Long()
	}
	name := d.Duty.ID
	if d.N > 0 {
		name += fmt.Sprintf(" (%d)", d.N+1)
	}
	p.line("%-28s %s: %s", when, name, d.Duty.Title)
	p.line("%-28s   %s", "", d.Rule)
	for _, n := range append([]string{d.Waits}, append(d.Notes, p.o.Unconfirmed(d))...) {
		if n != "" {
			p.line("%-28s   %s", "", n)
		}
	}
}

func clockJSON(w io.Writer, o *directive.Order, due []directive.Due) error {
	type row struct {
		Duty        string   `json:"duty"`
		Title       string   `json:"title"`
		N           int      `json:"n"`
		Due         string   `json:"due,omitempty"`
		Deadline    string   `json:"deadline,omitempty"` // the last instant in time, UTC
		Rule        string   `json:"rule"`
		Waits       string   `json:"waits,omitempty"`
		Notes       []string `json:"notes,omitempty"`
		Unconfirmed string   `json:"unconfirmed,omitempty"`
	}
	out := struct {
		Order       string            `json:"order"`
		Version     int               `json:"version"`
		TimeZone    string            `json:"time_zone"`
		Due         []row             `json:"due"`
		Unconfirmed []directive.Doubt `json:"unconfirmed,omitempty"`
	}{Order: o.ID, Version: o.Version, TimeZone: o.TimeZone, Unconfirmed: o.Doubts}
	for i := range due {
		d := &due[i]
		r := row{Duty: d.Duty.ID, Title: d.Duty.Title, N: d.N, Rule: d.Rule, Waits: d.Waits, Notes: d.Notes, Unconfirmed: o.Unconfirmed(d)}
		if d.Known {
			r.Due, r.Deadline = d.When.String(), d.When.Deadline(o.Zone()).UTC().Format(time.RFC3339)
		}
		out.Due = append(out.Due, r)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
