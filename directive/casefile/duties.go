package casefile

import (
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/clock"
)

// Task is one date of a duty in the case.
type Task struct {
	Order *Order
	directive.Due
	Finding string // whose identification it counts from, "" if from none
	Done    *Entry // its submission
	Left    time.Duration
	Late    bool
}

// Tasks are the dates of all duties of all orders, those of each confirmed finding
// apart, the earliest first; what waits for something comes last.
func (s *State) Tasks(horizon clock.Day) []Task {
	var out []Task
	for _, o := range s.Orders {
		out = append(out, s.tasks(o, horizon)...)
	}
	out = append(out, s.waivers()...)
	slices.SortStableFunc(out, func(a, b Task) int {
		if a.Known != b.Known {
			if a.Known {
				return -1
			}
			return 1
		}
		if !a.Known {
			return 0
		}
		return a.When.Deadline(a.Order.Zone()).Compare(b.When.Deadline(b.Order.Zone()))
	})
	return out
}

func (s *State) tasks(o *Order, horizon clock.Day) (out []Task) {
	base := directive.Events{"order.received": o.Received}
	s.submitted(o, "", base)
	changes := s.changes(o)
	waits := false
	for _, d := range o.Schedule(base, horizon, changes) {
		if s.identified(o, d.Duty) {
			waits = true
			continue
		}
		out = append(out, s.task(o, d, ""))
	}
	if !waits {
		return out
	}
	clocks := 0
	for _, f := range s.Findings {
		if f.Confirm == nil || f.State == Withdrawn || s.Verdict(o, f).Verdict == directive.NotCovered {
			continue
		}
		ev := s.began(o, f)
		if ev == nil {
			continue
		}
		clocks++
		s.submitted(o, f.ID, ev)
		for _, d := range o.Schedule(ev, horizon, changes) {
			if s.identified(o, d.Duty) {
				out = append(out, s.task(o, d, f.ID))
			}
		}
	}
	if clocks == 0 {
		for _, d := range o.Schedule(base, horizon, changes) {
			if s.identified(o, d.Duty) {
				out = append(out, s.task(o, d, ""))
			}
		}
	}
	return out
}

// began says when clocks of a finding began: with the earliest time that somebody identified it or was notified of it,
// which may become known after others; nil if no time of them can be read.
func (s *State) began(o *Order, f *Finding) directive.Events {
	ev := directive.Events{"order.received": o.Received}
	first := func(name string, at clock.Moment) {
		if was, has := ev[name]; !has || at.Deadline(o.Zone()).Before(was.Deadline(o.Zone())) {
			ev[name] = at
		}
	}
	for _, e := range f.Confirms {
		at, err := clock.ParseMoment(e.At(), o.Zone())
		if err != nil {
			s.problem(e, "%v", err)
			continue
		}
		first("identification", at)
		if e.Body.Letter != nil {
			first("notification", at)
		}
	}
	if len(ev) == 1 {
		return nil
	}
	return ev
}

// waivers are the ends of waivers: from then on the finding is open, and late.
func (s *State) waivers() (out []Task) {
	for _, f := range s.Findings {
		if f.Waiver == nil || !f.Active() {
			continue
		}
		day, err := clock.ParseDay(f.Waiver.Body.Waiver.Expires)
		if err != nil {
			continue
		}
		for _, o := range s.Orders {
			if s.Verdict(o, f).Verdict == directive.Covered {
				d := directive.Due{Duty: &directive.Duty{ID: "waiver", Title: "The waiver ends: remove it, or waive it anew"}, When: clock.On(day), Known: true, Rule: "the end that the waiver has"}
				out = append(out, s.task(o, d, f.ID))
				break
			}
		}
	}
	return out
}

// At is when what an entry tells of happened.
func (e *Entry) At() string {
	if e.Body.At != "" {
		return e.Body.At
	}
	return e.Time
}

// identified tells whether a duty counts, in the end, from an identification.
func (s *State) identified(o *Order, d *directive.Duty) bool {
	for range len(o.Duties) {
		kind, of, has := strings.Cut(d.Anchor, ":")
		if !has {
			return kind == "identification" || kind == "notification"
		}
		if d = o.Duty(of); d == nil {
			return false
		}
	}
	return false
}

// submitted adds when reports went out.
func (s *State) submitted(o *Order, finding string, ev directive.Events) {
	for _, e := range s.submissions {
		if e.Body.Order != o.ID || e.Body.Finding != finding && e.Body.Finding != "" {
			continue
		}
		if at, err := clock.ParseMoment(e.At(), o.Zone()); err == nil {
			if _, has := ev["submitted:"+e.Body.Duty]; !has {
				ev["submitted:"+e.Body.Duty] = at
			}
		}
	}
}

// changes are what extensions and decisions say of an order's duties.
func (s *State) changes(o *Order) (out []directive.Change) {
	for _, e := range s.Entries {
		b := e.Body
		if b.Order != o.ID || e.Act != Extend && e.Act != Decide || b.Duty == "" && !b.Suspended && b.Value != "rescind" {
			continue
		}
		c := directive.Change{Duty: b.Duty, Suspended: b.Suspended || b.Value == "rescind", By: string(e.Act) + " of " + e.Time + " by " + b.By + ": " + b.Reason}
		if b.To != "" {
			at, err := clock.ParseMoment(b.To, o.Zone())
			if err != nil {
				s.problem(e, "%v", err)
				continue
			}
			c.To = at
		}
		out = append(out, c)
	}
	return out
}

func (s *State) task(o *Order, d directive.Due, finding string) Task {
	t := Task{Order: o, Due: d, Finding: finding}
	n := 0
	for _, e := range s.submissions { // the n-th submission of a duty that comes again is of its n-th date
		if e.Body.Order == o.ID && e.Body.Duty == d.Duty.ID && (e.Body.Finding == "" || e.Body.Finding == finding) {
			if n == d.N {
				t.Done = e
			}
			n++
		}
	}
	if d.Known {
		t.Left = d.When.Deadline(o.Zone()).Sub(s.Now)
		t.Late = t.Done == nil && t.Left < 0 && !d.Suspended
	}
	return t
}
