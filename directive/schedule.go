package directive

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause/directive/clock"
)

// anchors are what a duty can count from, beside other duties.
var anchors = []string{"order.signed", "order.effective", "order.published", "order.received", "identification", "notification"}

// Events are what has happened, by anchor: "order.received", "identification",
// "notification", "submitted:DUTY". The order's own dates need not be given.
type Events map[string]clock.Moment

// Change moves or suspends a duty, as a decision said.
type Change struct {
	Duty      string // "" for all
	To        clock.Moment
	Suspended bool
	By        string // what says so
}

// Due is one date of a duty.
type Due struct {
	Duty      *Duty
	N         int // 0, or which repetition
	When      clock.Moment
	Known     bool     // false: Waits says what for
	Waits     string   // "identification has not been recorded"
	Rule      string   // how the date came about
	Notes     []string // "a Sunday; the order has no rule that moves it"
	Suspended bool
}

// Schedule computes every date of every duty, in the order of the dates; those that
// are not known come last. Of a duty that comes again, dates up to and with the
// day horizon are listed, at least two and at most 400.
func (o *Order) Schedule(ev Events, horizon clock.Day, changes []Change) []Due {
	all := Events{}
	for _, name := range []string{"signed", "effective", "published", "received"} {
		if d := o.Date(name); d != nil {
			all["order."+name] = d.moment
		}
	}
	for k, v := range ev {
		if own, has := all[k]; !has || own == (clock.Moment{}) || k == "order.received" {
			all[k] = v
		}
	}
	var out []Due
	for i := range o.Duties {
		d := &o.Duties[i]
		first := o.first(d, all)
		first.change(changes, o.zone)
		if first.Known {
			all["due:"+d.ID] = first.When
		}
		out = append(out, first)
		out = append(out, o.again(d, first, horizon, changes)...)
	}
	slices.SortStableFunc(out, func(a, b Due) int {
		if a.Known != b.Known {
			if a.Known {
				return -1
			}
			return 1
		}
		if !a.Known {
			return 0
		}
		return cmp.Or(a.When.Deadline(o.zone).Compare(b.When.Deadline(o.zone)), cmp.Compare(a.N, b.N))
	})
	return out
}

// first computes the first date of a duty.
func (o *Order) first(d *Duty, all Events) Due {
	due := Due{Duty: d}
	from, known := all[d.Anchor]
	if d.Unit == clock.Instant {
		due.When, due.Known = clock.At(d.offset.At, o.zone), true
		due.Rule = "the order names the instant"
		return due.noted(o)
	}
	if !known {
		due.Waits = anchorWords(d.Anchor) + " is not known"
		due.Rule = fmt.Sprintf("%s from %s", d.offset, anchorWords(d.Anchor))
		return due
	}
	due.Rule = fmt.Sprintf("%s from %s, %s", d.offset, anchorWords(d.Anchor), from.Long())
	when, err := d.offset.From(from, o.zone)
	if err != nil {
		due.Waits = err.Error()
		return due
	}
	due.When, due.Known = when, true
	return due.noted(o)
}

// noted says what a reader would ask about a date.
func (d Due) noted(o *Order) Due {
	if d.Duty.Begin {
		d.Notes = append(d.Notes, "to begin then, not to be finished")
	}
	c := d.Duty.offset.Calendar
	if c == nil {
		c = o.calendars[o.Calendar]
	}
	if c != nil && d.When.Time.IsZero() {
		if off := c.Off(d.When.Day); off != "" {
			if off == "weekend" {
				off = "a " + d.When.Day.Weekday().String()
			}
			d.Notes = append(d.Notes, off+"; the order has no rule that moves the date")
		}
	}
	return d
}

// change applies what decisions said.
func (d *Due) change(changes []Change, zone *time.Location) {
	for _, c := range changes {
		if c.Duty != "" && c.Duty != d.Duty.ID {
			continue
		}
		d.Suspended = c.Suspended
		if c.To != (clock.Moment{}) {
			if d.Known {
				d.Notes = append(d.Notes, "was "+d.When.Long())
			}
			d.When, d.Known, d.Waits = c.To, true, ""
			d.Rule = "as decided: " + c.By
		} else if c.Suspended {
			d.Notes = append(d.Notes, "suspended: "+c.By)
		}
	}
}

// Bounds of a repetition: dates without end help nobody.
const (
	leastAgain = 2
	mostAgain  = 400
)

// again computes the further dates of a duty that comes again.
func (o *Order) again(d *Duty, first Due, horizon clock.Day, changes []Change) (out []Due) {
	if d.every == nil || !first.Known {
		return nil
	}
	last := first
	for n := 1; n < mostAgain; n++ {
		when, err := d.every.From(last.When, o.zone)
		if err != nil || n > leastAgain && when.Day > horizon {
			break
		}
		due := Due{Duty: d, N: n, When: when, Known: true, Rule: fmt.Sprintf("%s after the one before, until %s", d.every, d.Every.Until)}
		due = due.noted(o)
		last = due
		for _, c := range changes {
			if c.Duty == "" || c.Duty == d.ID {
				due.Suspended = c.Suspended
			}
		}
		out = append(out, due)
	}
	return out
}

// anchorWords says an anchor for a person.
func anchorWords(a string) string {
	kind, of, has := strings.Cut(a, ":")
	switch {
	case has && kind == "due":
		return "the date of " + of
	case has:
		return "the submission of " + of
	}
	if of, ok := strings.CutPrefix(a, "order."); ok {
		return "the day on which the order was " + map[string]string{"effective": "made effective"}[of] + map[bool]string{true: of}[of != "effective"]
	}
	return "the " + a
}

// Unconfirmed says what of a due date is not confirmed, "" if it rests on a text
// that was read.
func (o *Order) Unconfirmed(d *Due) string {
	if d.Duty.Unconfirmed != "" {
		return "not confirmed: " + d.Duty.Unconfirmed
	}
	if of, ok := strings.CutPrefix(d.Duty.Anchor, "order."); ok {
		if date := o.Date(of); date != nil && date.Unconfirmed != "" {
			return "not confirmed: the date it counts from: " + date.Unconfirmed
		}
	}
	if o.Secondary(d.Duty.Source) {
		return "read in others' words, not in the order's own text"
	}
	return ""
}

// Moment returns the date as it was read.
func (d *Dated) Moment() clock.Moment { return d.moment }
