package clock_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/showcause/showcause/directive/clock"
	"github.com/showcause/showcause/rules/orders"
)

func day(t *testing.T, s string) clock.Day {
	t.Helper()
	d, err := clock.ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func zone(t *testing.T) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// The holidays as the Office of Personnel Management publishes them.
func TestFederalHolidays(t *testing.T) {
	c := orders.Calendar("us-federal")
	for _, v := range []struct{ year, off string }{
		{"2017", "01-02 01-16 02-20 05-29 07-04 09-04 10-09 11-10 11-23 12-25"},
		{"2021", "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31"},
		{"2022", "01-17 02-21 05-30 06-20 07-04 09-05 10-10 11-11 11-24 12-26"},
		{"2026", "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25"},
	} {
		var off []string
		for d := day(t, v.year+"-01-01"); d <= day(t, v.year+"-12-31"); d++ {
			if w := d.Weekday(); w != time.Saturday && w != time.Sunday && !c.Business(d) {
				off = append(off, d.String()[5:])
			}
		}
		if got := strings.Join(off, " "); got != v.off {
			t.Errorf("%s:\n got %s\nwant %s", v.year, got, v.off)
		}
	}
}

// Found on Tuesday 24 November 2026; Thanksgiving is the 26th.
func TestThanksgiving(t *testing.T) {
	c, z := orders.Calendar("us-federal"), zone(t)
	found, err := clock.ParseMoment("2026-11-24T15:04:05-05:00", z)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		o    clock.Offset
		from clock.Moment
		want string
	}{
		{clock.Offset{N: 1, Unit: clock.BusinessDay, Calendar: c}, found, "2026-11-25"},
		{clock.Offset{N: 3, Unit: clock.BusinessDay, Calendar: c}, found, "2026-11-30"},
		{clock.Offset{N: 72, Unit: clock.Hour}, found, "2026-11-27T15:04:05-05:00"},
		{clock.Offset{N: 10, Unit: clock.BusinessDay, Calendar: c}, clock.On(day(t, "2026-11-30")), "2026-12-14"},
	} {
		got, err := v.o.From(v.from, z)
		if err != nil || got.String() != v.want {
			t.Errorf("%v from %v: %v, %v, want %s", v.o, v.from, got, err, v.want)
		}
	}
}

func TestHoursAndZones(t *testing.T) {
	z := zone(t)
	// 8 March 2026, 02:00: clocks go to 03:00. Hours run on; days do not care.
	m, err := clock.ParseMoment("2026-03-07T12:00:00-05:00", z)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := (clock.Offset{N: 24, Unit: clock.Hour}).From(m, z); got.String() != "2026-03-08T13:00:00-04:00" {
		t.Errorf("24 hours: %v", got)
	}
	if got, _ := (clock.Offset{N: 1, Unit: clock.CalendarDay}).From(m, z); got.String() != "2026-03-08" {
		t.Errorf("1 day: %v", got)
	}
	if _, err := (clock.Offset{N: 1, Unit: clock.Hour}).From(clock.On(m.Day), z); err == nil {
		t.Error("hours were counted from a day without a time")
	}
	// An instant near midnight is on the day that it is in the order's zone.
	if m, _ := clock.ParseMoment("2026-11-25T03:00:00Z", z); m.Day.String() != "2026-11-24" {
		t.Errorf("day in the zone: %v", m.Day)
	}
	if got := day(t, "2026-11-27").End(z).Format(time.RFC3339); got != "2026-11-27T23:59:59-05:00" {
		t.Errorf("end: %s", got)
	}
}

func TestMonthsAndRolls(t *testing.T) {
	c, z := orders.Calendar("us-federal"), zone(t)
	for _, v := range []struct {
		from string
		o    clock.Offset
		want string
	}{
		{"2023-11-30", clock.Offset{N: 3, Unit: clock.Month}, "2024-02-29"},
		{"2024-01-31", clock.Offset{N: 1, Unit: clock.Month}, "2024-02-29"},
		{"2017-09-13", clock.Offset{N: 60, Unit: clock.CalendarDay}, "2017-11-12"},
		{"2017-09-13", clock.Offset{N: 60, Unit: clock.CalendarDay, Roll: clock.NextDay, Calendar: c}, "2017-11-13"},
		{"2017-09-13", clock.Offset{N: 60, Unit: clock.CalendarDay, Roll: clock.Previous, Calendar: c}, "2017-11-09"},
		{"2017-09-13", clock.Offset{N: 30, Unit: clock.CalendarDay, Roll: clock.NextDay, Calendar: c}, "2017-10-13"},
	} {
		if got, err := v.o.From(clock.On(day(t, v.from)), z); err != nil || got.String() != v.want {
			t.Errorf("%v from %s: %v, %v, want %s", v.o, v.from, got, err, v.want)
		}
	}
}

// Easter Sundays as published (United States Naval Observatory).
func TestEaster(t *testing.T) {
	zero := 0
	c := clock.Calendar{ID: "x", Holidays: []clock.Holiday{{Name: "Easter", Easter: &zero}}}
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"1961-04-02", "2000-04-23", "2008-03-23", "2011-04-24", "2024-03-31", "2025-04-20", "2026-04-05", "2038-04-25"} {
		if c.Off(day(t, s)) != "Easter" {
			t.Errorf("%s is Easter Sunday", s)
		}
	}
}

// made makes a calendar that nobody has, from a seed.
func made(t *testing.T, r *rand.Rand) *clock.Calendar {
	t.Helper()
	days := []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	c := &clock.Calendar{ID: "made"}
	for _, d := range days {
		if r.IntN(3) == 0 && len(c.Weekend) < 4 {
			c.Weekend = append(c.Weekend, d)
		}
	}
	c.Observed = []string{"", "next"}[r.IntN(2)]
	for range r.IntN(12) {
		c.Holidays = append(c.Holidays, clock.Holiday{Name: "h", Month: 1 + r.IntN(12), Day: 1 + r.IntN(28)})
	}
	for range r.IntN(4) {
		c.Holidays = append(c.Holidays, clock.Holiday{Name: "w", Month: 1 + r.IntN(12), Weekday: days[r.IntN(7)], Nth: []int{-1, 1, 2, 3, 4, 5}[r.IntN(6)]})
	}
	if r.IntN(2) == 0 {
		c.Closed = []string{"2026-03-03"}
		c.Open = []string{"2026-03-07"}
	}
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	return c
}

// Properties of every calendar: what is computed is a business day, later is later,
// back leads back, and the count of days between is the offset.
func TestCalendarProperties(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := made(t, r)
		if seed == 0 {
			c = orders.Calendar("us-federal")
		}
		for range 12 {
			d := day(t, "2026-01-01") + clock.Day(r.IntN(3000)-1500)
			n := 1 + r.IntN(40)
			to, err := c.AddBusiness(d, n)
			if err != nil {
				t.Fatal(err)
			}
			next, _ := c.AddBusiness(d, n+1)
			later, _ := c.AddBusiness(d+1, n)
			switch {
			case !c.Business(to):
				t.Fatalf("seed %d: %s is no business day", seed, to)
			case to < d+clock.Day(n) || next <= to || later < to:
				t.Fatalf("seed %d: not monotone at %s", seed, d)
			case c.Between(d, to) != n:
				t.Fatalf("seed %d: %d business days between %s and %s, want %d", seed, c.Between(d, to), d, to, n)
			}
			if back, err := c.AddBusiness(to, -n); c.Business(d) && (err != nil || back != d) {
				t.Fatalf("seed %d: back from %s: %s, want %s", seed, to, back, d)
			}
		}
	}
}

func TestDayProperties(t *testing.T) {
	for d := day(t, "1896-02-27"); d < day(t, "2105-03-02"); d += 3 {
		if again := day(t, d.String()); again != d {
			t.Fatalf("%s reads as %s", d, again)
		}
		if want, _ := time.Parse(time.DateOnly, d.String()); d.Weekday() != want.Weekday() {
			t.Fatalf("%s: %s", d, d.Weekday())
		}
	}
}

func TestCalendarRefused(t *testing.T) {
	for text, want := range map[string]string{
		"{title: x}":                   "id",
		"{id: x, weekend: [sonday]}":   "sonday",
		"{id: x, observed: sometimes}": "observed",
		"{id: x, weekend: [friday, saturday], observed: nearest}":                            "Saturday and Sunday",
		"{id: x, holidays: [{name: a}]}":                                                     "one of day, weekday and easter",
		"{id: x, holidays: [{name: a, month: 2, day: 30}]}":                                  "does not exist",
		"{id: x, holidays: [{name: a, month: 13, day: 3}]}":                                  "month",
		"{id: x, holidays: [{name: a, month: 1, weekday: monday, nth: 6}]}":                  "nth",
		"{id: x, closed: [2026-02-30]}":                                                      "closed",
		"{id: x, closed: [2026-02-03], open: [2026-02-03]}":                                  "twice",
		"{id: x, weekend: [sunday, monday, tuesday, wednesday, thursday, friday, saturday]}": "all seven",
	} {
		var c clock.Calendar
		if err := yaml.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		if err := c.Prepare(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want something about %s", text, err, want)
		}
	}
	// A calendar whose days off never end is told, not walked for ever.
	c := clock.Calendar{ID: "x"}
	for m := 1; m <= 12; m++ {
		for d := 1; d <= 28; d++ {
			c.Holidays = append(c.Holidays, clock.Holiday{Name: "h", Month: m, Day: d})
		}
	}
	c.Weekend = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddBusiness(day(t, "2026-01-01"), 5000); err == nil {
		t.Error("5,000 business days of a calendar that has nearly none")
	}
}
