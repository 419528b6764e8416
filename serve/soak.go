package serve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/queue"
)

// Soak is how rules are watched that came while the service runs: what is out of bounds
// has the rules before them take their place again.
type Soak struct {
	Time    time.Duration // how long; 0: they are not watched
	Crashes int           // inputs on which readers died that are within bounds
	Share   int           // percent of inputs with findings that are within bounds
	// Begun tells that those which serve from the start on are watched too: their folder soaks.
	Begun bool
	// Back has the folder that the rules came from go back too, and says why in its history. An error
	// says that it goes on to hold them. It may be nil.
	Back func(why string) error
}

// Of how many inputs a share or a pace is said, how many times those of the rules before it is
// out of bounds, and from what mean time on a pace is slow.
const (
	soakInputs = 100
	soakTimes  = 4
	soakSlower = 8
	soakPace   = 100 * time.Millisecond
)

// course is what became of inputs with some rules.
type course struct {
	digest         string // of the rules
	since          time.Time
	crashes, found int64
	inputs         int64 // that were read, not answered from the cache
	took           time.Duration
}

// soaking watches over rules.
type soaking struct {
	mu      sync.Mutex // guards what follows
	now     course
	before  course
	old     *queue.Database // what serves again if the rules are taken back; nil: nothing is watched
	refused string          // digest of rules that were taken back: they are not opened again
	told    bool
	first   time.Time // when the service began
}

// shared makes of the end of a database one that two must ask for.
func shared(db queue.Database) (one, other queue.Database) {
	var mu sync.Mutex
	left, end := 2, db.Close
	part := func() func() {
		var once sync.Once
		return func() {
			once.Do(func() {
				mu.Lock()
				defer mu.Unlock()
				if left--; left == 0 && end != nil {
					end()
				}
			})
		}
	}
	one, other = db, db
	one.Close, other.Close = part(), part()
	return one, other
}

// begin notes that rules have taken the place of others, of which old is a part that was kept.
func (s *soaking) begin(digest string, old *queue.Database) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	s.before, s.now, s.told = s.now, course{digest: digest, since: time.Now()}, false
	if s.old = old; s.first.IsZero() {
		s.first = s.now.since
	}
}

// drop gives up what was kept. mu is held.
func (s *soaking) drop() {
	if s.old != nil {
		s.old.Close()
		s.old = nil
	}
}

// note counts an answer, and says why the rules are to be taken back, once.
func (s *soaking) note(o *Soak, a *queue.Answer) (why string) {
	if a == nil || a.Cached || a.Database == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Database.Digest != s.now.digest {
		return ""
	}
	c := &s.now
	c.inputs++
	c.took += a.Took - a.Waited
	if a.Report.Verdict == showcause.Found {
		c.found++
	}
	for i := range a.Report.Gaps {
		if strings.HasPrefix(string(a.Report.Gaps[i].Code), string(showcause.Crash)) {
			c.crashes++
			break
		}
	}
	switch {
	case s.old == nil && (!o.Begun || c.since != s.first) || s.told:
		return ""
	case time.Since(c.since) > o.Time:
		s.drop()
		return ""
	}
	if why = c.bad(o, &s.before); why != "" {
		s.told = true
	}
	return why
}

// bad says what is out of bounds.
func (c *course) bad(o *Soak, before *course) string {
	more := func(n, old int64, times int64) bool { // n of c's inputs are more than so many times as many as old of those before
		return n*max(before.inputs, 1) > times*old*c.inputs
	}
	since := c.since.UTC().Format(time.RFC3339)
	switch {
	case c.crashes > int64(o.Crashes) && more(c.crashes, before.crashes, soakTimes):
		return fmt.Sprintf("soak.crashes: readers died on %d of %d inputs since %s, and on %d of %d before", c.crashes, c.inputs, since, before.crashes, before.inputs)
	case c.inputs >= soakInputs && c.found*100 > int64(o.Share)*c.inputs && more(c.found, before.found, soakTimes):
		return fmt.Sprintf("soak.hits: %d of %d inputs were hit since %s, and %d of %d before", c.found, c.inputs, since, before.found, before.inputs)
	case c.inputs >= soakInputs && before.inputs >= soakInputs && c.took > time.Duration(c.inputs)*soakPace && more(int64(c.took), int64(before.took), soakSlower):
		return fmt.Sprintf("soak.slow: an input took %v since %s, and %v before", (c.took / time.Duration(c.inputs)).Round(time.Millisecond), since, (before.took / time.Duration(before.inputs)).Round(time.Millisecond))
	}
	return ""
}

// back puts the rules before in the place of those that are out of bounds.
func (d *Daemon) back(why string) {
	d.reload.Lock()
	defer d.reload.Unlock()
	s := &d.soak
	s.mu.Lock()
	old := s.old
	bad := s.now.digest
	s.old = nil
	s.mu.Unlock()
	if d.queue.Rules().Digest != bad {
		return // they were changed meanwhile
	}
	gone := false
	if old == nil { // those before are in the folder alone
		if d.o.Soak.Back == nil {
			return
		}
		err := d.o.Soak.Back(why)
		if gone = err == nil; gone {
			var rules queue.Database
			if rules, err = d.o.Rules(context.Background()); err == nil {
				old = &rules
			}
		}
		if err != nil {
			d.log.Error("rules that are out of bounds are not taken back: showcause rules revert", "why", why, "error", err)
			return
		}
	}
	mine, kept := shared(*old)
	if err := d.queue.Reload(mine); err != nil {
		d.log.Error("rules that are out of bounds are not taken back", "why", why, "error", err)
		mine.Close()
		kept.Close()
		return
	}
	d.serving.Close()
	d.serving = kept
	s.begin(mine.Digest, nil)
	s.mu.Lock()
	s.refused = bad
	s.mu.Unlock()
	d.log.Error("rules are taken back: those before serve again", "why", why, "rules", d.queue.Rules().DB.Len())
	d.mu.Lock()
	d.failed, d.loaded = "taken back: "+why, time.Now()
	d.mu.Unlock()
	if d.o.Soak.Back != nil && !gone {
		if err := d.o.Soak.Back(why); err != nil {
			d.log.Warn("the folder of the rules holds what was taken back: showcause rules revert", "error", err)
			return
		}
	}
	d.state = d.o.State() // it holds what serves
}

// change opens the rules again, and keeps those before while the new ones are watched.
func (d *Daemon) change(ctx context.Context) error {
	rules, err := d.o.Rules(ctx)
	if err != nil {
		return err
	}
	d.soak.mu.Lock()
	refused := d.soak.refused
	d.soak.mu.Unlock()
	if refused != "" && rules.Digest == refused {
		if rules.Close != nil {
			rules.Close()
		}
		return errors.New("rules: they were taken back because of what they did")
	}
	same := rules.Digest == d.queue.Rules().Digest
	mine, kept := shared(rules)
	if err := d.queue.Reload(mine); err != nil {
		mine.Close()
		kept.Close()
		return err
	}
	if same || d.o.Soak.Time <= 0 {
		d.serving.Close()
		d.serving = kept
		return nil
	}
	was := d.serving
	d.serving = kept
	d.soak.begin(rules.Digest, &was)
	return nil
}
