// Package clock computes dates that orders ask for: so many calendar days,
// business days of a calendar, months, hours, from an anchor; and when it comes again.
// No function reads the time of this machine.
package clock

import (
	"fmt"
	"time"
)

// Day is a date of the Gregorian calendar, counted from 1970-01-01, which is 0. It
// has no time and no zone: adding 1 is the next day, whatever clocks do in it.
type Day int

// maxDay is 9999-12-31; minDay is 0001-01-01.
const (
	maxDay Day = 2932896
	minDay Day = -719162
)

// Date returns a day. It must exist: 30 February is an error.
func Date(year int, month time.Month, day int) (Day, error) {
	t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	if t.Year() != year || t.Month() != month || t.Day() != day || year < 1 || year > 9999 {
		return 0, fmt.Errorf("day: %04d-%02d-%02d does not exist", year, month, day)
	}
	return dayOf(t), nil
}

// ParseDay reads YYYY-MM-DD.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return 0, fmt.Errorf("day: %.40q: want YYYY-MM-DD, of a day that exists", s)
	}
	return dayOf(t), nil
}

// DayIn returns the day that it is at an instant in a zone.
func DayIn(t time.Time, zone *time.Location) Day {
	y, m, d := t.In(zone).Date()
	return dayOf(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
}

// dayOf is the day of a midnight in UTC.
func dayOf(t time.Time) Day { return Day(t.Unix() / 86400) }

func (d Day) time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String writes YYYY-MM-DD.
func (d Day) String() string { return d.time().Format(time.DateOnly) }

// Weekday returns the day of the week.
func (d Day) Weekday() time.Weekday { return time.Weekday((int(d)%7 + 7 + int(time.Thursday)) % 7) }

// Long writes a date for a person: Fri 13 Oct 2017.
func (d Day) Long() string { return d.time().Format("Mon 2 Jan 2006") }

// End returns the last second of the day in a zone: until then, what is due on the
// day is in time.
func (d Day) End(zone *time.Location) time.Time {
	y, m, day := d.time().Date()
	return time.Date(y, m, day+1, 0, 0, 0, 0, zone).Add(-time.Second)
}

// AddMonths returns the same day of a later or earlier month, or the last of that
// month where it is shorter.
func (d Day) AddMonths(n int) Day {
	y, m, day := d.time().Date()
	first := time.Date(y, m+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return dayOf(first) + Day(min(day, last)) - 1
}
