// Package update keeps folders of rules up to date: from where they are
// published, by a Courier that has a network or a folder on a medium, so that
// what is put in is proven, tried, and there whole or not at all.
//
// What ClamAV publishes is fetched by freshclam's protocol: a text in the domain
// name system tells the versions; scripts (.cdiff) lead from one to the next;
// where one is missing the whole database is taken. A server that answers 403 is
// not asked again for a day, and one that answers 429 not before it said (four
// hours if it does not say). No server is told who asks.
package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause/clamsig/cvd"
)

// Ask is a question for a file, or for a part of it.
type Ask struct {
	URL      string
	Path     string // of the file below its site, where that has folders
	Metadata bool   // whether there is something new, rather than rules
	Max      int64
	Small    bool  // into Got.Content, not into the inbox
	From, To int64 // bytes From to To-1 alone; To 0: to the end
	Known    Validators
}

// Got is what came back. The content is in the folder's inbox, behind the From
// bytes that were there, or in Content.
type Got struct {
	Status     int
	URL        string // of the last hop
	Unchanged  bool   // what is known is what there is
	Bytes      int64
	Now        Validators
	RetryAfter string
	Content    []byte // of what was asked for as small
}

// Courier fetches. An error says that no answer came, or not all of it.
type Courier interface {
	Fetch(context.Context, Ask) (Got, error)
	// TXT asks the domain name system for the texts of a name.
	TXT(ctx context.Context, name string) ([]string, error)
}

// Options are how an update is done. Courier and Now must be set.
type Options struct {
	Courier Courier
	Now     func() time.Time
	Trust   cvd.Trust
	Medium  bool // the Courier is a folder, in which a database may be a .cld as well, of another host's updates
	Check   bool // ask what there is, and change nothing
	Tries   int  // of one mirror, when a transfer breaks off; 0: 3
	// Try is shown a folder as it will be, and the one that serves (empty: none). An error keeps the
	// old one; a *Held says why in a word.
	Try func(dir, old string) error
	// Soak is how long what was put in is watched (Folder.Watch), and Ring how long after it was published it
	// waits before it is put in: later rings learn from the earlier.
	Soak, Ring time.Duration
	// Told takes a line for a person for each thing done; it may be nil.
	Told func(format string, a ...any)
}

// Result is what became of one source.
type Result struct {
	Source  string
	Changed bool
	Lines   []string // of each database or file: what there is
	Err     error
}

var (
	errMissing = errors.New("there is no such file")
	errCooling = errors.New("it is not to be asked yet")
)

// run is one Run.
type run struct {
	Options
	f     *Folder
	texts map[string][]string // by name, as asked before
}

// Run brings what the sources have into the folder. One that fails leaves what
// was there of it, and the others go on.
func (f *Folder) Run(ctx context.Context, sources []Source, o Options) []Result {
	if o.Tries <= 0 {
		o.Tries = 3
	}
	if o.Told == nil {
		o.Told = func(string, ...any) {}
	}
	u := &run{Options: o, f: f, texts: map[string][]string{}}
	var out []Result
	for i := range sources {
		s := &sources[i]
		st := f.state.of(s.Name)
		before := st.clone()
		r := u.source(ctx, s)
		if r.Err != nil && !r.Changed || o.Check { // what was not put in was not seen
			st.Known, st.Files, st.Signed.Version, st.Signed.Manifest = before.Known, before.Files, before.Signed.Version, before.Signed.Manifest
		}
		if r.Err != nil && code(r.Err) != "" && !o.Check {
			if err := u.held(s, map[bool]string{true: "held", false: "refused"}[isHeld(r.Err)], r.Err); err != nil {
				r.Err = errors.Join(r.Err, err)
			}
		}
		st.Trouble = ""
		if r.Err != nil {
			st.Trouble = r.Err.Error()
		} else {
			st.Checked = o.Now()
			if r.Changed && !o.Check {
				st.Changed = o.Now()
			}
		}
		if err := f.save(); err != nil && r.Err == nil {
			r.Err = err
		}
		out = append(out, r)
		if ctx.Err() != nil {
			break
		}
	}
	return out
}

// source does one source.
func (u *run) source(ctx context.Context, s *Source) Result {
	r := Result{Source: s.Name}
	if err := u.f.clear(); err != nil { // what a source that failed has left
		r.Err = fmt.Errorf("update: %w", err)
		return r
	}
	var change set
	switch s.Kind {
	case "clamav":
		r.Err = u.clamav(ctx, s, &change, &r)
	case "signed":
		r.Err = u.signed(ctx, s, &change, &r)
	default:
		r.Err = u.files(ctx, s, &change, &r)
	}
	r.Changed = r.Changed || !change.empty()
	if change.empty() || u.Check || ctx.Err() != nil {
		if r.Err == nil {
			r.Err = ctx.Err()
		}
		return r
	}
	if err := u.waits(s, &change); err != nil {
		r.Changed, r.Err = false, errors.Join(r.Err, err)
		return r
	}
	if u.Try != nil {
		if err := u.f.try(&change, u.Try); err != nil {
			r.Changed, r.Err = false, errors.Join(r.Err, fmt.Errorf("%w; nothing of it was changed", err))
			return r
		}
	}
	if err := u.f.install(&change); err != nil {
		r.Err = errors.Join(r.Err, err)
		return r
	}
	if err := u.putIn(s, &change, &r); err != nil {
		r.Err = errors.Join(r.Err, err)
	}
	return r
}

func isHeld(err error) bool {
	var h *Held
	return errors.As(err, &h)
}

// waits refuses what is not to be put in yet, or not again.
func (u *run) waits(s *Source, change *set) error {
	if name := u.f.reverted(change); name != "" {
		return &Held{"held.reverted", name + " is what was reverted: the next one is tried"}
	}
	if u.Ring <= 0 {
		return nil
	}
	st := u.f.state.of(s.Name)
	sum := u.f.fingerprint(change)
	if st.Waiting != sum {
		st.Waiting, st.Since = sum, u.Now()
	}
	if at := st.Since.Add(u.Ring); u.Now().Before(at) {
		return &Held{"held.ring", "this host's ring takes it at " + at.UTC().Format(time.RFC3339)}
	}
	return nil
}

// get asks for a file, whose answer has status 200, or 206 for a part, without
// an error. The inbox holds it whole then, or Got.Content does.
func (u *run) get(ctx context.Context, a Ask) (Got, error) {
	where, err := url.Parse(a.URL)
	if err != nil {
		return Got{}, fmt.Errorf("url: %w", err)
	}
	host := where.Host
	if until := u.f.state.Cool[host]; u.Now().Before(until) {
		return Got{}, fmt.Errorf("%s: %w: not before %s", host, errCooling, until.UTC().Format(time.RFC3339))
	}
	delete(u.f.state.Cool, host)
	var g Got
	for try := 0; ; try++ {
		ask := a
		if !a.Small && a.Known == (Validators{}) {
			if ask.From, err = u.f.begin(a.URL); err != nil {
				return g, err
			}
		}
		if g, err = u.Courier.Fetch(ctx, ask); err == nil && g.Status == 416 && ask.From > 0 {
			err = errors.New("it has become shorter")
			if ferr := u.f.forget(); ferr != nil {
				return g, ferr
			}
		}
		if err == nil || ctx.Err() != nil || try+1 >= u.Tries || g.Status != 0 && g.Status != 200 && g.Status != 206 && g.Status != 416 {
			break
		}
		u.Told("%s: %v; once more", a.URL, err)
	}
	if err != nil {
		return g, err
	}
	return g, u.judge(host, a, &g)
}

// judge makes what a status means of it.
func (u *run) judge(host string, a Ask, g *Got) error {
	now := u.Now()
	wait := func(d time.Duration, why string) error {
		until := now.Add(d)
		u.f.state.Cool[host] = until
		return fmt.Errorf("%s: status %d: %s: %w: not before %s", a.URL, g.Status, why, errCooling, until.UTC().Format(time.RFC3339))
	}
	switch {
	case g.Unchanged, g.Status == 200, g.Status == 206 && a.To > 0:
		return nil
	case g.Status == 206:
		g.Status = 200 // the rest of it
		return nil
	case g.Status == 403:
		return wait(24*time.Hour, "the server wants no more questions")
	case g.Status == 429:
		return wait(retryAfter(g.RetryAfter, now), "too many questions")
	case g.Status == 404, g.Status == 410:
		return fmt.Errorf("%s: status %d: %w", a.URL, g.Status, errMissing)
	}
	return fmt.Errorf("%s: status %d", a.URL, g.Status)
}

// retryAfter reads the header Retry-After (RFC 9110, 10.2.3): seconds or a date.
// Four hours where it says nothing, a week at most.
func retryAfter(s string, now time.Time) time.Duration {
	const usual, most = 4 * time.Hour, 7 * 24 * time.Hour
	d := usual
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32); err == nil && n > 0 {
		d = time.Duration(n) * time.Second
	} else if at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", s); err == nil && at.After(now) {
		d = at.Sub(now)
	}
	return min(d, most)
}

// content is what the inbox holds.
func (u *run) content() (*os.File, int64, error) {
	in, err := u.f.Inbox()
	if err != nil {
		return nil, 0, err
	}
	st, err := in.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("update: %w", err)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, 0, fmt.Errorf("update: %w", err)
	}
	return in, st.Size(), nil
}
