package serve

import (
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/queue"
)

// What rules do within their time, beside what those before did, decides whether they stay.
func TestSoakBounds(t *testing.T) {
	o := &Soak{Time: time.Hour, Crashes: 5, Share: 50}
	type inputs struct {
		n, found, crashes int
		took              time.Duration
	}
	for name, c := range map[string]struct {
		before, now inputs
		want        string
	}{
		"as before":                  {inputs{n: 200, took: time.Millisecond}, inputs{n: 200, took: time.Millisecond}, ""},
		"crashes":                    {inputs{n: 200}, inputs{n: 50, crashes: 6}, "soak.crashes"},
		"crashes within bounds":      {inputs{n: 200}, inputs{n: 50, crashes: 5}, ""},
		"crashes as many as before":  {inputs{n: 200, crashes: 40}, inputs{n: 50, crashes: 10}, ""},
		"nothing known of before":    {inputs{}, inputs{n: 6, crashes: 6}, "soak.crashes"},
		"hits":                       {inputs{n: 200, found: 2}, inputs{n: 100, found: 60}, "soak.hits"},
		"hits of few":                {inputs{n: 200}, inputs{n: 99, found: 99}, ""},
		"half are hit":               {inputs{n: 200}, inputs{n: 100, found: 50}, ""},
		"most were hit before":       {inputs{n: 200, found: 180}, inputs{n: 200, found: 190}, ""},
		"ten times slower":           {inputs{n: 200, took: 20 * time.Millisecond}, inputs{n: 100, took: 200 * time.Millisecond}, "soak.slow"},
		"slower, and still quick":    {inputs{n: 200, took: time.Millisecond}, inputs{n: 100, took: 50 * time.Millisecond}, ""},
		"slower than some, of a few": {inputs{n: 20, took: 20 * time.Millisecond}, inputs{n: 100, took: 200 * time.Millisecond}, ""},
	} {
		s, closed := &soaking{}, 0
		run := func(digest string, in inputs) (why string) {
			for i := range in.n {
				a := &queue.Answer{Database: &queue.Database{Digest: digest}, Took: in.took + time.Second, Waited: time.Second}
				if i >= in.n-in.found {
					a.Report.Verdict = showcause.Found
				}
				if i >= in.n-in.crashes {
					a.Report.Gaps = []showcause.Gap{{Code: showcause.Crash + ".signal"}, {Code: showcause.Crash}}
				}
				if w := s.note(o, a); w != "" && why != "" {
					t.Errorf("%s: said twice", name)
				} else if w != "" {
					why = w
				}
				s.note(o, &queue.Answer{Database: a.Database, Cached: true, Report: showcause.Report{Verdict: showcause.Found}})
			}
			return why
		}
		s.begin("a", nil)
		if why := run("a", c.before); why != "" {
			t.Errorf("%s: rules that are not watched: %s", name, why)
		}
		s.begin("b", &queue.Database{Digest: "a", Close: func() { closed++ }})
		if why := run("a", inputs{n: 100, found: 100, crashes: 100}); why != "" { // answers of the old rules that come late
			t.Errorf("%s: %s", name, why)
		}
		if why := run("b", c.now); !strings.HasPrefix(why, c.want) || c.want == "" && why != "" {
			t.Errorf("%s: %q, want %q", name, why, c.want)
		}
		s.now.since = time.Now().Add(-2 * time.Hour)
		if s.told = false; run("b", inputs{n: 300, crashes: 300}) != "" || closed != 1 {
			t.Errorf("%s: after their time; closed %d times", name, closed)
		}
	}
	closed := 0
	one, other := shared(queue.Database{Close: func() { closed++ }})
	if one.Close(); closed != 0 {
		t.Error("closed by one of two")
	}
	one.Close()
	if other.Close(); closed != 1 {
		t.Errorf("closed %d times", closed)
	}
}
