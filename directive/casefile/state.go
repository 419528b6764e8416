package casefile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/clock"
	"github.com/showcause/showcause/product"
)

// FindingState is how far a finding is.
type FindingState string

// The states.
const (
	Candidate FindingState = "candidate" // found; nobody has confirmed it as an identification
	Confirmed FindingState = "confirmed"
	Contested FindingState = "contested" // and no decision yet
	Withdrawn FindingState = "withdrawn" // a decision says that it is wrong
	Removing  FindingState = "removing"  // a removal was begun
	Removed   FindingState = "removed-unverified"
	Gone      FindingState = "verified-gone" // a later search with at least the same coverage did not find it
	Waived    FindingState = "waived"        // and still there
)

// Finding is one product in one root of one target of one endpoint.
type Finding struct {
	ID       string
	Endpoint string
	Target   string
	Root     string
	Product  string
	Vendor   string
	Class    product.Class
	Present  bool // by a strong identity, or by two weak ones
	Why      string
	Within   string // the vendor of the application that an embedded component is in
	// Unconfirmed says that it rests on identities that nobody confirmed.
	Unconfirmed bool
	Evidence    []Rests
	State       FindingState
	First, Last *Entry // searches that found it
	Episode     int    // from 1; it was found again after it was gone
	Before      string // id of the finding of the episode before
	Notes       []string

	Confirm  *Entry   // the first
	Confirms []*Entry // those with a Letter are notifications by others
	Contests []*Entry // Contest, Decide
	Plans    []*Entry
	Removals []*Entry // Propose, Approve, Begin, Done
	Waiver   *Entry
	GoneBy   *Entry // the search that verified it
	coverage *product.Coverage
	wrong    map[string]bool // what it rested on when a decision withdrew it (Rests.key)
}

// Rests is what a finding rests on: one identity that one fact agrees with.
type Rests struct {
	Kind, Value string // of the fact
	Place       string
	SHA256      string // of the layer, "" where there is none
	Size        int64
	Record      string
	Offset      int64
	Length      int64
	Identity    string // "kaspersky.yaml:25"
	Confidence  string
	Source      string
	Strong      bool
	Inventory   string // digest of the inventory, and the observation in it
	Observation int
}

// key is what tells whether a finding rests on the same again: the bytes of a layer, or the
// record in a database, of which other records change the bytes.
func (r *Rests) key() string {
	if r.Record != "" || r.SHA256 == "" {
		return "record\x00" + r.Kind + "\x00" + r.Value + "\x00" + r.Record
	}
	return r.SHA256
}

// Active tells whether the finding is neither gone nor withdrawn.
func (f *Finding) Active() bool { return f.State != Gone && f.State != Withdrawn }

// Order is an order of the case.
type Order struct {
	*directive.Order
	Entry    *Entry
	Earlier  []*Entry // versions before
	Received clock.Moment
}

// Totals balance: Inventory is the sum of Present, Absent, Unreached and Excluded.
type Totals struct {
	Inventory    int `json:"inventory"`
	Present      int `json:"present"`
	Absent       int `json:"absent"` // not found by the methods over the coverage
	Unreached    int `json:"unreached"`
	Excluded     int `json:"excluded"`
	Undetermined int `json:"undetermined"` // of Unreached: something was found, and its verdict is open
	Findings     int `json:"findings"`     // that are covered
}

// State is what a case says now.
type State struct {
	Opening   Opening
	Opened    *Entry
	Orders    []*Order
	Findings  []*Finding
	Mentions  []*Finding // texts that name a product: listed, counted nowhere
	Runs      []*Run
	Endpoints []string
	Entries   []*Entry
	Set       *product.Set
	Now       time.Time
	Problems  []string

	answers     map[string]string // "condition", "condition@endpoint"
	submissions []*Entry
	byID        map[string]*Finding
	digests     map[string]map[string]bool // withdrawn: product to digests
	byEntry     map[string]*Entry
}

// Run is one search of one target.
type Run struct {
	Entry     *Entry
	Endpoint  string
	Inventory *product.Inventory
}

// State folds the entries. set are the identities that findings are judged with; now is
// the time at which waivers and attestations have expired or not.
func (c *Case) State(set *product.Set, calendars func(string) *clock.Calendar, now time.Time) *State {
	s := &State{
		Set: set, Now: now, Entries: c.Entries(), answers: map[string]string{}, byID: map[string]*Finding{},
		digests: map[string]map[string]bool{}, byEntry: map[string]*Entry{},
	}
	for _, e := range s.Entries {
		s.byEntry[e.Name] = e
		s.apply(c, e, calendars)
	}
	s.settle()
	return s
}

func (s *State) problem(e *Entry, format string, a ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf("entry %s (%s): %s", e.Name[:16], e.Act, showcause.Escape(fmt.Sprintf(format, a...))))
}

func (s *State) apply(c *Case, e *Entry, calendars func(string) *clock.Calendar) {
	b := e.Body
	switch e.Act {
	case Open:
		s.Opening, s.Opened = *b.Opening, e
	case Receive:
		s.receive(c, e, calendars)
	case Answer:
		key := b.Condition
		if b.Endpoint != "" {
			key += "@" + b.Endpoint
		}
		s.answers[key] = b.Value
	case Endpoints:
		for _, name := range b.Endpoints {
			s.endpoint(name)
		}
	case Search:
		s.search(c, e)
	case Submit:
		s.submissions = append(s.submissions, e)
	case Accept, Judge, Notice, Respond, Extend, Attest, Report, Correct:
	default:
		s.about(e)
	}
}

func (s *State) endpoint(name string) {
	if !slices.Contains(s.Endpoints, name) {
		s.Endpoints = append(s.Endpoints, name)
		slices.Sort(s.Endpoints)
	}
}

func (s *State) receive(c *Case, e *Entry, calendars func(string) *clock.Calendar) {
	text, err := c.File(e.Body.Text)
	if err != nil {
		s.problem(e, "%v", err)
		return
	}
	o, err := directive.Parse(e.Body.Name, text, calendars)
	if err != nil {
		s.problem(e, "%v", err)
		return
	}
	at, err := clock.ParseMoment(e.Body.At, o.Zone())
	if err != nil {
		s.problem(e, "%v", err)
		return
	}
	next := &Order{Order: o, Entry: e, Received: at}
	for i, was := range s.Orders {
		if was.ID == o.ID {
			if o.Version <= was.Version { // two copies of the case, merged
				if o.Version < was.Version || e.Body.Text != was.Entry.Body.Text {
					s.problem(e, "another text of the order %s, version %d: that of the entry %s, version %d, counts", o.ID, o.Version, was.Entry.Name[:16], was.Version)
				}
				return
			}
			next.Earlier = append(was.Earlier, was.Entry)
			next.Received = was.Received // the order was received then; this is its change
			s.Orders[i] = next
			return
		}
	}
	s.Orders = append(s.Orders, next)
}

// search takes an inventory in: what is found, found again, or found no more.
func (s *State) search(c *Case, e *Entry) {
	text, err := c.File(e.Body.Text)
	if err != nil {
		s.problem(e, "%v", err)
		return
	}
	inv := &product.Inventory{}
	if err := json.Unmarshal(text, inv); err != nil || inv.Format != product.Format {
		s.problem(e, "no inventory: %v", err)
		return
	}
	r := &Run{Entry: e, Endpoint: e.Body.Endpoint, Inventory: inv}
	s.Runs = append(s.Runs, r)
	s.endpoint(r.Endpoint)
	here := map[string]bool{}
	for _, p := range product.Match(inv, s.Set) {
		if f := s.found(r, &p); f != nil {
			here[f.ID] = true
		}
	}
	for _, f := range s.Findings {
		if f.Endpoint == r.Endpoint && f.Target == inv.Target && f.Active() && !here[f.ID] {
			s.missing(f, r)
		}
	}
}

// kindOf is the class as far as a finding is told apart by it: what runs is installed.
func kindOf(c product.Class) product.Class {
	if c == product.Running {
		return product.Installed
	}
	return c
}

// found takes one presence in and returns the finding that it is; nil for a mention.
func (s *State) found(r *Run, p *product.Presence) *Finding {
	f := &Finding{
		Endpoint: r.Endpoint, Target: r.Inventory.Target, Root: p.Root, Product: p.Product, Class: p.Class, Present: p.Present, Why: p.Why, Within: p.Host,
		Unconfirmed: p.Unconfirmed, State: Candidate, First: r.Entry, Last: r.Entry, Episode: 1, coverage: &r.Inventory.Coverage,
	}
	f.Vendor, _, _ = strings.Cut(p.Product, ".")
	f.Evidence = s.rests(r, p)
	key := strings.Join([]string{f.Endpoint, f.Target, f.Root, f.Product, string(kindOf(f.Class))}, "\x00")
	if p.Class == product.Mention {
		f.ID = sum([]byte("mention\x00" + key))[:16]
		if i := slices.IndexFunc(s.Mentions, func(m *Finding) bool { return m.ID == f.ID }); i >= 0 {
			s.Mentions[i] = f
			return nil
		}
		s.Mentions = append(s.Mentions, f)
		return nil
	}
	for {
		f.ID = sum(fmt.Appendf(nil, "%s\x00%d", key, f.Episode))[:16]
		was := s.byID[f.ID]
		if was == nil {
			break
		}
		other := was.State == Withdrawn && slices.ContainsFunc(f.Evidence, func(r Rests) bool { return !was.wrong[r.key()] })
		if was.State != Gone && !other {
			was.again(f)
			return was
		}
		f.Episode, f.Before = f.Episode+1, was.ID
		f.Notes = []string{"found again after " + was.ID + " was verified gone: a new identification, with a clock of its own"}
		if other {
			f.Notes = []string{was.ID + " was withdrawn; this rests on something else"}
		}
	}
	s.byID[f.ID] = f
	s.Findings = append(s.Findings, f)
	return f
}

// again is what a later search says of a finding that is not gone.
func (f *Finding) again(now *Finding) {
	f.Last, f.Class, f.Why, f.Within, f.Unconfirmed = now.Last, now.Class, now.Why, now.Within, now.Unconfirmed
	f.Present = f.Present || now.Present
	f.Evidence = now.Evidence
	if f.State == Removed || f.State == Removing {
		f.Notes = append(f.Notes, "still there after the removal, by the search of "+now.Last.Time)
	}
}

func (s *State) rests(r *Run, p *product.Presence) (out []Rests) {
	for _, h := range p.Hits {
		o := &r.Inventory.Observations[h.Observation]
		fact := o.Facts[h.Fact]
		w := Rests{
			Kind: string(fact.Kind), Value: fact.Value, Place: o.Place.String(), Size: o.Evidence.Size, Record: o.Evidence.Record,
			Offset: o.Evidence.Offset, Length: o.Evidence.Length, Identity: fmt.Sprintf("%s:%d", h.Identity.File, h.Identity.Line),
			Confidence: string(h.Identity.Confidence), Source: s.Set.Sources[h.Identity.Vendor+"/"+h.Identity.Source], Strong: h.Strong,
			Inventory: r.Entry.Body.Text, Observation: h.Observation,
		}
		if o.Evidence.SHA256 != (showcause.SHA256{}) {
			w.SHA256 = o.Evidence.SHA256.String()
		}
		out = append(out, w)
	}
	return out
}

// missing is what it means that a search of the same target did not find it.
func (s *State) missing(f *Finding, r *Run) {
	if why := Less(&r.Inventory.Coverage, f.coverage); why != "" {
		f.Notes = append(f.Notes, fmt.Sprintf("not found by the search of %s, which proves nothing: %s", r.Entry.Time, why))
		return
	}
	if !slices.ContainsFunc(f.Removals, func(e *Entry) bool { return e.Act == Begin || e.Act == Done }) {
		f.Notes = append(f.Notes, "gone without a removal that this case knows of")
	}
	f.State, f.GoneBy = Gone, r.Entry
}

// Less says in what a search looked at less than an earlier one, "" if in nothing.
func Less(now, then *product.Coverage) string {
	if now.Unreached != "" {
		return "the target was not reached: " + now.Unreached
	}
	for _, m := range then.Methods { // by its name: what is said of it for people may change
		name, _, _ := strings.Cut(m, ":")
		if !slices.ContainsFunc(now.Methods, func(n string) bool { n, _, _ = strings.Cut(n, ":"); return n == name }) {
			return "without the method " + name
		}
	}
	if now.Files.Seen < then.Files.Seen/2 {
		return fmt.Sprintf("it saw %d files where the other saw %d", now.Files.Seen, then.Files.Seen)
	}
	if now.Files.Searched < then.Files.Searched/2 {
		return fmt.Sprintf("it searched programs in %d files where the other did in %d", now.Files.Searched, then.Files.Searched)
	}
	if then.Rules != "" && now.Rules != then.Rules {
		return "with other content rules"
	}
	for _, x := range now.Excluded {
		if !slices.ContainsFunc(then.Excluded, func(y product.Exclusion) bool { return x.Path == y.Path }) {
			return "it left out " + x.Path
		}
	}
	if now.More > then.More {
		return fmt.Sprintf("with %d gaps that are not listed", now.More)
	}
	for _, g := range now.Gaps {
		if !g.Code.Unread() {
			continue
		}
		if !slices.ContainsFunc(then.Gaps, func(h product.Gap) bool { return g.Code == h.Code && g.Place.String() == h.Place.String() }) {
			return fmt.Sprintf("it could not read %s (%s)", g.Place, g.Code)
		}
	}
	return ""
}

// about applies an entry that is about findings.
func (s *State) about(e *Entry) {
	id := e.Body.Finding
	if id == "" && e.Body.About != "" { // a decision names the contest, an approval the proposal
		for at := s.byEntry[e.Body.About]; at != nil && id == ""; at = s.byEntry[at.Body.About] {
			id = at.Body.Finding
			if at.Body.About == at.Name {
				break
			}
		}
	}
	f := s.byID[id]
	if f == nil {
		if e.Act != Decide && e.Act != Contest && e.Act != Plan {
			s.problem(e, "of the finding %s, which no search of this case has", id)
		}
		return
	}
	switch e.Act {
	case Confirm:
		if f.Confirm == nil {
			f.Confirm = e
		}
		if f.Confirms = append(f.Confirms, e); e.Body.Letter != nil {
			f.Notes = append(f.Notes, "notified by "+e.Body.Letter.From+" on "+e.At())
		}
		if f.State == Candidate {
			f.State = Confirmed
		}
	case Contest:
		f.Contests = append(f.Contests, e)
		f.State = Contested
	case Decide:
		s.decided(f, e)
	case Plan:
		f.Plans = append(f.Plans, e)
	case Propose, Approve:
		f.Removals = append(f.Removals, e)
	case Begin:
		f.Removals, f.State = append(f.Removals, e), Removing
	case Done:
		f.Removals, f.State = append(f.Removals, e), Removed
	case Waive:
		f.Waiver = e
	}
}

// decided applies the decision of a contest. What is withdrawn is withdrawn wherever
// the same bytes were found.
func (s *State) decided(f *Finding, e *Entry) {
	for _, was := range f.Contests {
		if was.Act == Decide && was.Body.About == e.Body.About && was.Body.Value != e.Body.Value {
			f.Notes = append(f.Notes, fmt.Sprintf("decided twice: %s by %s, then %s by %s, which counts", was.Body.Value, was.Body.By, e.Body.Value, e.Body.By))
		}
	}
	f.Contests = append(f.Contests, e)
	if e.Body.Value != "withdrawn" {
		if f.State = Candidate; f.Confirm != nil {
			f.State = Confirmed
		}
		return
	}
	f.State, f.wrong = Withdrawn, map[string]bool{}
	for _, r := range f.Evidence {
		f.wrong[r.key()] = true
	}
}

// settle applies what follows from all entries together: withdrawals, waivers.
func (s *State) settle() {
	for _, f := range s.Findings { // a decision that was replaced by another withdraws nothing
		if f.State != Withdrawn {
			continue
		}
		if s.digests[f.Product] == nil {
			s.digests[f.Product] = map[string]bool{}
		}
		maps.Copy(s.digests[f.Product], f.wrong)
	}
	for _, f := range s.Findings {
		if f.Active() && s.same(f) {
			f.State = Withdrawn
			f.Notes = append(f.Notes, "withdrawn with a finding of the same bytes")
		}
		if f.Waiver == nil || !f.Active() {
			continue
		}
		until, err := clock.ParseDay(f.Waiver.Body.Waiver.Expires)
		from, err2 := clock.ParseMoment(f.Waiver.Time, time.UTC)
		if err2 != nil || until > from.Day+MaxWaiver {
			f.Notes = append(f.Notes, "the waiver until "+f.Waiver.Body.Waiver.Expires+" is longer than a year, and does not count")
			continue
		}
		if err == nil && !s.Now.After(until.End(time.UTC)) {
			f.State = Waived
			continue
		}
		f.Notes = append(f.Notes, "the waiver ended on "+f.Waiver.Body.Waiver.Expires+": it is open again")
	}
}

// same tells whether all that a finding rests on was withdrawn by its bytes.
func (s *State) same(f *Finding) bool {
	gone := s.digests[f.Product]
	for _, r := range f.Evidence {
		if r.SHA256 == "" || r.Record != "" || !gone[r.SHA256] {
			return false
		}
	}
	return len(f.Evidence) > 0 && len(gone) > 0
}

// Finding finds one by the beginning of its id.
func (s *State) Finding(prefix string) (*Finding, error) {
	var out *Finding
	for _, f := range s.Findings {
		if prefix != "" && strings.HasPrefix(f.ID, prefix) {
			if out != nil {
				return nil, fmt.Errorf("finding: several begin with %s", showcause.Escape(prefix))
			}
			out = f
		}
	}
	if out == nil {
		return nil, fmt.Errorf("finding: none begins with %.80q", prefix)
	}
	return out, nil
}

// Order finds an order of the case by its id.
func (s *State) Order(id string) *Order {
	if i := slices.IndexFunc(s.Orders, func(o *Order) bool { return o.ID == id }); i >= 0 {
		return s.Orders[i]
	}
	return nil
}

// Answers are the answers to an order's conditions for an endpoint.
func (s *State) Answers(o *Order, endpoint string) map[string]string {
	out := map[string]string{}
	for _, c := range o.Scope {
		if a, ok := s.answers[c.ID]; ok {
			out[c.ID] = a
		}
		if a, ok := s.answers[c.ID+"@"+endpoint]; ok {
			out[c.ID] = a
		}
	}
	return out
}

// Verdict is what an order makes of a finding now.
func (s *State) Verdict(o *Order, f *Finding) directive.Judgement {
	return o.Judge(directive.Article{Vendor: f.Vendor, Identity: f.Product, Class: directive.Class(f.Class), Weak: !f.Present}, s.Answers(o, f.Endpoint))
}

// Latest returns the last search of each target of an endpoint.
func (s *State) Latest(endpoint string) (out []*Run) {
	last := map[string]*Run{}
	for _, r := range s.Runs {
		if r.Endpoint == endpoint {
			last[r.Inventory.Target] = r
		}
	}
	for _, t := range slices.Sorted(maps.Keys(last)) {
		out = append(out, last[t])
	}
	return out
}

// Outcome says what holds of an endpoint under an order, and why: exactly one of the
// four; open says that something was found there of which the verdict is open.
func (s *State) Outcome(o *Order, endpoint string) (out product.Outcome, why string, open bool) {
	for _, c := range o.Scope {
		if a := s.Answers(o, endpoint)[c.ID]; a != "" && a != c.Covered {
			return product.Excluded, "out of scope: " + c.ID + " is " + a, false
		}
	}
	for _, f := range s.Findings {
		if f.Endpoint != endpoint || !f.Active() {
			continue
		}
		switch j := s.Verdict(o, f); j.Verdict {
		case directive.Covered:
			return product.Present, f.Product + ": " + string(f.State), false
		case directive.Undetermined:
			open, why = true, f.Product+": "+j.Reasons[0]
		}
	}
	runs := s.Latest(endpoint)
	switch {
	case open:
		return product.Unreached, why, true
	case len(runs) == 0:
		return product.Unreached, "never searched", false
	}
	for _, r := range runs {
		if c := &r.Inventory.Coverage; !c.Whole() {
			return product.Unreached, "not read whole: " + gapsOf(c), false
		} else if c.Files.Seen == 0 {
			return product.Unreached, "no file was seen in " + showcause.Escape(r.Inventory.Target), false
		}
	}
	for _, c := range o.Scope {
		if s.Answers(o, endpoint)[c.ID] == "" {
			return product.NotFound, "no product counts here by the methods over the coverage; whether the order applies is not answered: " + c.ID, false
		}
	}
	return product.NotFound, "not found by the methods over the coverage of the last search, " + runs[len(runs)-1].Entry.Time, false
}

func gapsOf(c *product.Coverage) string {
	if c.Unreached != "" {
		return "not reached: " + showcause.Escape(c.Unreached)
	}
	gaps := c.Unread()
	n := int64(len(gaps)) + c.More
	if len(gaps) > 0 {
		return fmt.Sprintf("%d gaps, the first %s (%s)", n, gaps[0].Place, gaps[0].Code)
	}
	return fmt.Sprintf("%d gaps", n)
}

// Totals counts endpoints under an order.
func (s *State) Totals(o *Order) (t Totals) {
	for _, e := range s.Endpoints {
		out, _, open := s.Outcome(o, e)
		t.Inventory++
		switch out {
		case product.Present:
			t.Present++
		case product.NotFound:
			t.Absent++
		case product.Excluded:
			t.Excluded++
		default:
			t.Unreached++
			if open {
				t.Undetermined++
			}
		}
	}
	for _, f := range s.Findings {
		if f.Active() && s.Verdict(o, f).Verdict == directive.Covered {
			t.Findings++
		}
	}
	return t
}

// Figures are the totals of every order.
func (s *State) Figures() map[string]Totals {
	out := map[string]Totals{}
	for _, o := range s.Orders {
		out[o.ID] = s.Totals(o)
	}
	return out
}
