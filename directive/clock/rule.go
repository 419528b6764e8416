package clock

import (
	"errors"
	"fmt"
	"time"
)

// Unit is what an offset counts.
type Unit string

// The units.
const (
	CalendarDay Unit = "calendar-day"
	BusinessDay Unit = "business-day"
	Month       Unit = "month"
	Hour        Unit = "hour"
	Instant     Unit = "instant" // no offset: a moment that the order names
)

// Roll is what becomes of a date that falls on no business day.
type Roll string

// The rolls. Without one, a Sunday stays a Sunday.
const (
	NoRoll   Roll = "none"
	NextDay  Roll = "next-business-day"
	Previous Roll = "previous-business-day"
)

// Offset is how far from its anchor something is due.
type Offset struct {
	N        int
	Unit     Unit
	Roll     Roll      // NoRoll if empty
	Calendar *Calendar // for business days and rolls
	At       time.Time // of Instant
}

// maxOffset bounds N: nothing is due in 1,000 years.
const maxOffset = 366_000

// Moment is a day, or an instant in it.
type Moment struct {
	Day  Day
	Time time.Time // zero if only the day is known
}

// On is a day of which no time is known.
func On(d Day) Moment { return Moment{Day: d} }

// At is an instant, on the day that it is in a zone.
func At(t time.Time, zone *time.Location) Moment { return Moment{DayIn(t, zone), t.In(zone)} }

// ParseMoment reads YYYY-MM-DD, or a time of RFC 3339 with its zone.
func ParseMoment(s string, zone *time.Location) (Moment, error) {
	if d, err := ParseDay(s); err == nil {
		return On(d), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(form, s); err == nil && t.Year() >= 1 {
			return At(t, zone), nil
		}
	}
	return Moment{}, fmt.Errorf("time: %.40q: want YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SS with a zone (Z, -05:00)", s)
}

// Deadline is the last instant that is in time.
func (m Moment) Deadline(zone *time.Location) time.Time {
	if m.Time.IsZero() {
		return m.Day.End(zone)
	}
	return m.Time
}

// String writes the moment as ParseMoment reads it.
func (m Moment) String() string {
	if m.Time.IsZero() {
		return m.Day.String()
	}
	return m.Time.Format(time.RFC3339)
}

// Long writes the moment for a person.
func (m Moment) Long() string {
	if m.Time.IsZero() {
		return m.Day.Long()
	}
	return m.Time.Format("Mon 2 Jan 2006 15:04 MST")
}

// errNoTime is what an offset of hours says of a day without a time.
var errNoTime = errors.New("hours run from an instant: give the time and its zone, not the day alone")

// From returns when something is due that is anchored at a moment.
func (o Offset) From(m Moment, zone *time.Location) (Moment, error) {
	if o.N < -maxOffset || o.N > maxOffset {
		return Moment{}, fmt.Errorf("offset: %d is out of range", o.N)
	}
	var err error
	switch o.Unit {
	case Instant:
		return At(o.At, zone), nil
	case Hour:
		if m.Time.IsZero() {
			return Moment{}, errNoTime
		}
		return At(m.Time.Add(time.Duration(o.N)*time.Hour), zone), nil
	case CalendarDay:
		m = On(m.Day + Day(o.N))
	case Month:
		m = On(m.Day.AddMonths(o.N))
	case BusinessDay:
		if o.Calendar == nil {
			return Moment{}, errors.New("business days need a calendar")
		}
		d, err := o.Calendar.AddBusiness(m.Day, o.N)
		if err != nil {
			return Moment{}, err
		}
		m = On(d)
	default:
		return Moment{}, fmt.Errorf("unit: %.40q is not known", o.Unit)
	}
	if m.Day, err = o.roll(m.Day); err != nil {
		return Moment{}, err
	}
	if m.Day < minDay || m.Day > maxDay {
		return Moment{}, errors.New("day: outside the years 1 to 9999")
	}
	return m, nil
}

func (o Offset) roll(d Day) (Day, error) {
	if o.Roll == NoRoll || o.Roll == "" {
		return d, nil
	}
	if o.Calendar == nil {
		return 0, errors.New("a roll needs a calendar")
	}
	switch {
	case o.Roll != NextDay && o.Roll != Previous:
		return 0, fmt.Errorf("roll: %.40q is not known", o.Roll)
	case o.Calendar.Business(d):
		return d, nil
	case o.Roll == NextDay:
		return o.Calendar.AddBusiness(d, 1)
	}
	return o.Calendar.AddBusiness(d, -1)
}

// String says the rule: "30 calendar days", "3 business days (us-federal)".
func (o Offset) String() string {
	if o.Unit == Instant {
		return "at " + o.At.Format(time.RFC3339)
	}
	name := map[Unit]string{CalendarDay: "calendar day", BusinessDay: "business day", Month: "month", Hour: "hour"}[o.Unit]
	if o.N != 1 {
		name += "s"
	}
	s := fmt.Sprintf("%d %s", o.N, name)
	if o.Unit == BusinessDay && o.Calendar != nil {
		s += " (" + o.Calendar.ID + ")"
	}
	switch o.Roll {
	case NextDay:
		s += ", rolled to the next business day"
	case Previous:
		s += ", rolled to the business day before"
	}
	return s
}
