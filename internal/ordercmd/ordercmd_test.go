package ordercmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var errRefused = errors.New("refused")

// run runs a command line below "order".
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := Host{Refused: errRefused}.Order()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	err := c.Execute()
	return out.String(), err
}

func TestClock(t *testing.T) {
	for _, v := range []struct {
		args string
		want []string
	}{
		{"clock bod-17-01 --received 2017-09-19 --until 2018-02-10", []string{
			"Fri 13 Oct 2017", "30 calendar days from the day on which the order was signed, Wed 13 Sep 2017",
			"Sun 12 Nov 2017", "a Sunday; the order has no rule that moves the date", "Tue 12 Dec 2017", "Thu 11 Jan 2018", "Sat 10 Feb 2018",
			"not confirmed (said somewhere",
		}},
		{"clock bod-17-01 --received 2017-09-19", []string{"Thu 11 Jan 2018", "status (3)", "more that have passed: --until DAY lists all", "status ("}},
		{"clock far-52-204-23 --identified 2026-11-24", []string{"Mon 30 Nov 2026", "not yet known", "the submission of initial is not known"}},
		{"clock far-52-204-23 --identified 2026-11-24 --submitted initial=2026-11-30", []string{"Mon 14 Dec 2026", "in others' words"}},
		{"clock commerce-icts-2024", []string{"Sun 29 Sep 2024 00:00 EDT", "not confirmed: the day is reported; that it begins at 12:00 a.m. EDT"}},
		{"clock fascsa-2025-acronis --received 2026-01-05", []string{"a late receipt moves no date", "Sat 11 Oct 2025"}},
		{"show fascsa-2025-acronis", []string{"effective  Fri 11 Jul 2025", "published  Mon 15 Sep 2025", "not confirmed: some say"}},
		{"list", []string{"bod-17-01", "template", "far-52-204-27", "section-889"}},
	} {
		out, err := run(t, strings.Fields(v.args)...)
		if err != nil {
			t.Errorf("%s: %v", v.args, err)
		}
		at := 0
		for _, w := range v.want {
			i := strings.Index(out[at:], w)
			if i < 0 {
				t.Errorf("%s: no %q in\n%s", v.args, w, out)
				break
			}
			at += i
		}
	}
}

func TestClockJSON(t *testing.T) {
	out, err := run(t, "clock", "bod-17-01", "--json", "--until", "2017-12-31")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Due []struct{ Duty, Due, Deadline string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if d := got.Due[0]; d.Duty != "identify" || d.Due != "2017-10-13" || d.Deadline != "2017-10-14T03:59:59Z" {
		t.Errorf("%+v", d)
	}
}

func TestRefused(t *testing.T) {
	for _, v := range []struct{ args, want string }{
		{"clock nothing", "these ship: bod-17-01"},
		{"clock bod-17-01 --received yesterday", "flag --received"},
		{"clock bod-17-01 --submitted x=2017-01-01", "flag --submitted"},
		{"clock bod-17-01 --until 2017-02-30", "flag --until"},
		{"clock far-52-204-23 --calendar ./none.yaml", "calendar"},
	} {
		if _, err := run(t, strings.Fields(v.args)...); err == nil || !strings.Contains(err.Error(), v.want) {
			t.Errorf("%s: %v, want %s", v.args, err, v.want)
		}
	}
}

// A company's own order: copied, changed, checked, with a calendar of its own.
func TestOwn(t *testing.T) {
	dir := t.TempDir()
	path, cal := filepath.Join(dir, "own.yaml"), filepath.Join(dir, "cal.yaml")
	if _, err := run(t, "new", "-o", path); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "new", "-o", path); err == nil {
		t.Error("a file that is there was written over")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "unit: business-day, calendar: mon-fri", "unit: business-day, calendar: works", 1))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "check", path)
	if !errors.Is(err, errRefused) || !strings.Contains(out, path+":") || !strings.Contains(out, `"works" is no calendar`) {
		t.Errorf("%v: %s", err, out)
	}
	if err := os.WriteFile(cal, []byte("id: works\nweekend: [friday, saturday]\nclosed: [2026-11-22]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "check", path, "--calendar", cal); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	out, err = run(t, "clock", path, "--calendar", cal, "--received", "2026-11-19")
	if err != nil || !strings.Contains(out, "Sun 6 Dec 2026") {
		t.Errorf("%v:\n%s", err, out)
	}
}
