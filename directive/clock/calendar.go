package clock

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Calendar says which days are business days. It is data: rules for the days off
// that come every year, and single days. Its text is YAML (docs/format/order.md).
type Calendar struct {
	ID       string    `yaml:"id"`
	Title    string    `yaml:"title"`
	Source   string    `yaml:"source"`   // where the rules are from
	Version  string    `yaml:"version"`  //
	Weekend  []string  `yaml:"weekend"`  // names of days; may be empty
	Observed string    `yaml:"observed"` // "nearest", "next" or "" (the day itself)
	Holidays []Holiday `yaml:"holidays"` //
	Closed   []string  `yaml:"closed"`   // single days off, YYYY-MM-DD: closures by order
	Open     []string  `yaml:"open"`     // single days that are business days all the same

	weekend [7]bool
	single  map[Day]bool // closed (true) or open (false) by name
}

// Holiday is a day off that comes every year: a day of a month, or a weekday of it,
// or so many days from Easter Sunday.
type Holiday struct {
	Name    string `yaml:"name"`
	Month   int    `yaml:"month"`
	Day     int    `yaml:"day"`
	Weekday string `yaml:"weekday"`
	Nth     int    `yaml:"nth"`    // 1 to 5; -1 is the last
	Easter  *int   `yaml:"easter"` // days from Easter Sunday of the Western churches
	From    int    `yaml:"from"`   // first and last year; 0 is without end
	To      int    `yaml:"to"`
}

// What Calendar.Observed says of a day off that falls on a weekend.
const (
	observedNearest = "nearest" // Saturday: the Friday before; Sunday: the Monday after
	observedNext    = "next"    // the next day that is neither weekend nor another such day
)

// longest is how many days in a row may be off: a calendar with more has no business
// days that anybody could mean.
const longest = 60

// Prepare checks a calendar that was read and makes it usable. Errors name the field.
func (c *Calendar) Prepare() error {
	if c.ID == "" {
		return errors.New("id: missing")
	}
	for _, name := range c.Weekend {
		d, err := weekday(name)
		if err != nil {
			return fmt.Errorf("weekend: %w", err)
		}
		c.weekend[d] = true
	}
	if c.Observed != "" && c.Observed != observedNearest && c.Observed != observedNext {
		return fmt.Errorf("observed: %.40q, want %s, %s or nothing", c.Observed, observedNearest, observedNext)
	}
	if c.Observed == observedNearest && c.weekend != [7]bool{time.Sunday: true, time.Saturday: true} {
		return errors.New("observed: nearest is for weekends of Saturday and Sunday")
	}
	for i := range c.Holidays {
		if err := c.Holidays[i].check(); err != nil {
			return fmt.Errorf("holidays[%d] %.40q: %w", i, c.Holidays[i].Name, err)
		}
	}
	c.single = map[Day]bool{}
	for _, list := range []struct {
		name string
		days []string
		off  bool
	}{{"closed", c.Closed, true}, {"open", c.Open, false}} {
		for _, s := range list.days {
			d, err := ParseDay(s)
			if err != nil {
				return fmt.Errorf("%s: %w", list.name, err)
			}
			if _, twice := c.single[d]; twice {
				return fmt.Errorf("%s: %s is there twice", list.name, d)
			}
			c.single[d] = list.off
		}
	}
	if c.weekend == [7]bool{true, true, true, true, true, true, true} {
		return errors.New("weekend: all seven days")
	}
	return nil
}

func weekday(name string) (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(d.String(), name) {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%.40q is no day of the week", name)
}

func (h *Holiday) check() error {
	kinds := 0
	for _, has := range []bool{h.Day != 0, h.Weekday != "", h.Easter != nil} {
		if has {
			kinds++
		}
	}
	switch {
	case h.Name == "":
		return errors.New("name: missing")
	case kinds != 1:
		return errors.New("want one of day, weekday and easter")
	case h.To != 0 && h.To < h.From:
		return fmt.Errorf("to: %d is before from", h.To)
	case h.Easter != nil:
		if *h.Easter < -100 || *h.Easter > 100 {
			return fmt.Errorf("easter: %d, want -100 to 100", *h.Easter)
		}
		return nil
	case h.Month < 1 || h.Month > 12:
		return fmt.Errorf("month: %d, want 1 to 12", h.Month)
	case h.Weekday != "":
		if h.Nth != -1 && (h.Nth < 1 || h.Nth > 5) {
			return fmt.Errorf("nth: %d, want 1 to 5, or -1 for the last", h.Nth)
		}
		_, err := weekday(h.Weekday)
		return err
	}
	_, err := Date(2024, time.Month(h.Month), h.Day) // a leap year
	return err
}

// in returns the day of a holiday in a year; false if there is none.
func (h *Holiday) in(year int) (Day, bool) {
	if year < h.From || h.To != 0 && year > h.To || year < 1 || year > 9999 {
		return 0, false
	}
	switch {
	case h.Easter != nil:
		return easter(year) + Day(*h.Easter), true
	case h.Weekday == "":
		d, err := Date(year, time.Month(h.Month), h.Day)
		return d, err == nil
	}
	want, _ := weekday(h.Weekday)
	first, _ := Date(year, time.Month(h.Month), 1)
	next := first.AddMonths(1)
	if h.Nth < 0 {
		last := next - 1
		return last - Day((int(last.Weekday())-int(want)+7)%7), true
	}
	d := first + Day((int(want)-int(first.Weekday())+7)%7) + Day(7*(h.Nth-1))
	return d, d < next
}

// easter returns Easter Sunday by the Gregorian computus (anonymous algorithm, as
// in Meeus, Astronomical Algorithms, chapter 8).
func easter(year int) Day {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	day, _ := Date(year, time.Month(n/31), n%31+1)
	return day
}

// Off tells why a day is no business day: the holiday's name, "weekend", "closed";
// "" for a business day.
func (c *Calendar) Off(d Day) string {
	if off, named := c.single[d]; named {
		if off {
			return "closed"
		}
		return ""
	}
	if c.weekend[d.Weekday()] {
		return "weekend"
	}
	year := d.time().Year()
	for y := year - 1; y <= year+1; y++ { // New Year's Day may be observed on 31 December
		for i := range c.Holidays {
			if h, ok := c.Holidays[i].in(y); ok && c.observed(h) == d {
				return c.Holidays[i].Name
			}
		}
	}
	return ""
}

// observed is the day on which a holiday is off.
func (c *Calendar) observed(h Day) Day {
	switch {
	case !c.weekend[h.Weekday()] || c.Observed == "":
		return h
	case c.Observed == observedNearest && h.Weekday() == time.Saturday:
		return h - 1
	case c.Observed == observedNearest:
		return h + 1
	}
	for d := h + 1; d < h+longest; d++ {
		if !c.weekend[d.Weekday()] && !c.holiday(d) {
			return d
		}
	}
	return h
}

// holiday tells whether a day is itself a holiday, not one observed.
func (c *Calendar) holiday(d Day) bool {
	year := d.time().Year()
	return slices.ContainsFunc(c.Holidays, func(h Holiday) bool {
		at, ok := h.in(year)
		return ok && at == d
	})
}

// Business tells whether a day is a business day.
func (c *Calendar) Business(d Day) bool { return c.Off(d) == "" }

// AddBusiness returns the n-th business day after a day, which does not count
// itself; for n below 0, before it. 0 is the day itself.
func (c *Calendar) AddBusiness(d Day, n int) (Day, error) {
	step := Day(1)
	if n < 0 {
		step, n = -1, -n
	}
	for off := 0; n > 0; {
		d += step
		if d > maxDay || d < minDay {
			return 0, errors.New("day: outside the years 1 to 9999")
		}
		if c.Business(d) {
			n, off = n-1, 0
		} else if off++; off > longest {
			return 0, fmt.Errorf("calendar %s: more than %d days off in a row before %s", c.ID, longest, d)
		}
	}
	return d, nil
}

// Between counts the business days after from, up to and with to; below 0 if to is
// before from. AddBusiness with that count leads from one to the other, if both are
// business days.
func (c *Calendar) Between(from, to Day) int {
	if to < from {
		return -c.Between(to, from)
	}
	n := 0
	for d := from + 1; d <= to; d++ {
		if c.Business(d) {
			n++
		}
	}
	return n
}
