// Package records keeps evidence of what a service finds, of what a setting lets pass unread,
// and of what is done because of it: statements are sealed where the answer is made, and one goroutine appends them to
// the host's store, many at a time.
//
//	finding ──► sealed ──► waits in memory, so many bytes ──► store and its log
//	               │                                            │
//	               └─ the answer goes on at once                └─ who asked for the record, or acts
//	                                                               because of it, waits for this, but not
//	                                                               longer than Options.Wait
//
// A store that cannot be written to takes no answer away. What waits is tried again; what
// has no room to wait is missed, and counted.
package records

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/recording"
	"github.com/showcause/showcause/scan/texts"
	"github.com/showcause/showcause/serve/queue"
)

// Options are how records are kept. The zero value of a field means its default.
type Options struct {
	Store string // folder
	// Words are options of the readers that change a verdict, besides the limits.
	Words map[string]string
	// Policy is how the service answers: what is OK or found by it, though not read whole, has
	// a record too.
	Policy queue.Policy
	Log    *slog.Logger

	Wait    time.Duration // that an answer waits for its records to be durable, at most; default 2 s
	Delay   time.Duration // from the first record to the writing of all that came since; default 200 ms
	Batch   int           // records that are written without waiting for more; default 100
	Pending int64         // bytes of records that wait; default 32 MiB
	Known   int           // answers whose records are remembered; default 10,000
	Again   time.Duration // after which the same finding has another record; default an hour

	write func([]*evidence.Record) error // in place of the store's, for tests
}

// What of one answer is recorded.
const (
	maxFindings = 64
	maxBytes    = 8 << 20
	pause       = 5 * time.Second // after which a store that failed is tried again
	digestRate  = 64 << 20        // bytes of a file for which an answer waits a second longer than Options.Wait
	maxDigest   = 5 * time.Minute // and no longer
)

// Keeper keeps records. It is safe for concurrent use.
type Keeper struct {
	o      Options
	store  *store.Store
	engine evidence.Engine
	here   evidence.Context
	wake   chan struct{}
	ended  chan struct{} // the goroutine is gone

	smu  sync.Mutex  // guards what follows
	scan *draft.Scan // its DB is not set
	set  int         // passwords that its database sets

	mu      sync.Mutex // guards what follows
	closing bool
	pending []*batch
	count   int // records of pending
	bytes   int64
	since   time.Time // of the first of pending
	urgent  bool      // somebody waits
	writing []*batch
	stats   Status
	known   map[key]*list.Element
	order   list.List // of *made, the latest first
}

// Status is how things stand.
type Status struct {
	Store   string `json:"store,omitempty"`
	Made    int64  `json:"made"`             // records that are durable
	Missed  int64  `json:"missed"`           // findings, deeds and answers by a setting that have none
	Waiting int    `json:"waiting"`          // records
	Failed  string `json:"failed,omitempty"` // why the store cannot be written to now, or is not there
	// Unsealed is why no record could be made of what came last.
	Unsealed string `json:"unsealed,omitempty"`
}

// batch is records that are durable together.
type batch struct {
	records []*evidence.Record // none once they are; guarded by Keeper.mu from add on
	bytes   int64
	done    chan struct{} // closed when they are
}

// key names an answer that has records.
type key struct {
	rules, digest, name, options, client string
}

// made are the records of an answer.
type made struct {
	key    key
	names  []string // as in batch; the first is of a finding that counts, if there is any
	missed string   // why some have none
	batch  *batch
	at     time.Time
}

// Open opens the store, and makes it if it is not there.
func Open(o Options) (*Keeper, error) {
	for d, v := range map[*time.Duration]time.Duration{&o.Wait: 2 * time.Second, &o.Delay: 200 * time.Millisecond, &o.Again: time.Hour} {
		if *d <= 0 {
			*d = v
		}
	}
	if o.Batch < 1 {
		o.Batch = 100
	}
	if o.Pending < 1 {
		o.Pending = 32 << 20
	}
	if o.Known < 1 {
		o.Known = 10_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{o: o, here: draft.Here(), wake: make(chan struct{}, 1), ended: make(chan struct{}), known: map[key]*list.Element{}, stats: Status{Store: o.Store}}
	k.here.Jail = "sealed" // the pool takes no other readers
	var err error
	if k.engine, err = draft.Engine(); err != nil {
		return nil, err
	}
	if k.store, err = store.Open(o.Store, store.Options{}); err != nil {
		return nil, err
	}
	for _, n := range k.store.Notes() {
		o.Log.Warn("store: " + n)
	}
	if k.o.write == nil {
		k.o.write = k.store.Append
	}
	go k.run()
	return k, nil
}

// Store is where records are, for what else is done with it. It stays the Keeper's.
func (k *Keeper) Store() *store.Store { return k.store }

// Engine is this program, as records have it.
func (k *Keeper) Engine() evidence.Engine { return k.engine }

// Record makes the records of an answer: it is queue.Options.Record.
func (k *Keeper) Record(ctx context.Context, j *queue.Job, a *queue.Answer) {
	lenient := k.lenient(j, a)
	if len(a.Report.Findings) == 0 && lenient == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.o.Wait+min(time.Duration(min(a.Report.Size, 1<<40)/digestRate)*time.Second, maxDigest))
	defer cancel()
	m := k.made(ctx, j, a, lenient)
	a.Records, a.Unrecorded = m.names, m.missed
	if !j.Options.Record && !j.Options.Act || len(m.names) == 0 {
		return
	}
	err := k.durable(ctx, m.batch)
	if err == nil && j.Options.Record {
		a.Record, err = k.Read(m.names[0])
	}
	if err != nil {
		a.Unrecorded = err.Error()
	}
}

// lenient are the reasons for which something was not read of what is answered as OK, or as
// found, or let pass, by a setting: no finding says so. It is "" of other answers.
func (k *Keeper) lenient(j *queue.Job, a *queue.Answer) string {
	whole := j.Whole(a.Report)
	if whole.Verdict != showcause.Incomplete {
		return ""
	}
	if said := k.o.Policy.Say(&queue.Answer{Report: whole}); said.Failed != "" && !j.Options.Passes {
		return ""
	}
	codes := map[string]bool{}
	for i := range whole.Gaps {
		codes[string(whole.Gaps[i].Code)] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(codes)), ",")
}

// Read returns a record of the store by its name. Where there is none the error is
// fs.ErrNotExist.
func (k *Keeper) Read(name string) ([]byte, error) {
	r, err := k.store.Read(name)
	if err != nil {
		return nil, err
	}
	return r.Bytes(), nil
}

// made returns the records of an answer, made now or for the same answer before.
func (k *Keeper) made(ctx context.Context, j *queue.Job, a *queue.Answer, lenient string) *made {
	name, subject := nameOf(j), subjectOf(ctx, j, a)
	id := key{
		rules: a.Database.Digest, digest: subject.SHA256, name: name, client: j.Client,
		options: fmt.Sprintf("%+v %d %s", a.Limits, len(j.Options.Passwords), lenient),
	}
	if m := k.before(id); m != nil {
		return m
	}
	m := &made{key: id, at: time.Now()}
	scan, err := k.scanOf(a, len(j.Options.Passwords))
	if err != nil {
		m.missed = err.Error()
		k.miss(max(len(a.Report.Findings), 1), name, m.missed)
		k.sealed(err)
		return m
	}
	b := &batch{done: make(chan struct{})}
	if lenient != "" {
		whole := j.Whole(a.Report)
		rec, err := k.unread(scan, name, subject, &whole)
		k.take(m, b, rec, err)
	}
	best := 0 // of the record that stands first: 1 its finding counts, 2 something may be done because of it
	for i := range a.Report.Findings {
		f := &a.Report.Findings[i]
		if i >= maxFindings || b.bytes > maxBytes {
			m.missed = answer.Plural(int64(len(a.Report.Findings)-i), "finding") + " more"
			k.miss(len(a.Report.Findings)-i, name, "one file has too many findings")
			break
		}
		rec, err := recording.Seal(scan, k.store.Keys(), name, subject, &a.Report, f)
		rank := 0
		if f.Alarms() {
			rank++
		}
		if f.Acts() {
			rank++
		}
		if k.take(m, b, rec, err) && rank > best {
			best = rank
			last := len(m.names) - 1
			m.names[0], m.names[last] = m.names[last], m.names[0]
		}
	}
	if len(b.records) == 0 {
		return m
	}
	m.batch = b
	if err := k.add(b); err != nil {
		k.miss(len(b.records), name, err.Error())
		return &made{missed: err.Error()}
	}
	k.remember(m)
	return m
}

// take adds a record, if there is one.
func (k *Keeper) take(m *made, b *batch, rec *evidence.Record, err error) bool {
	k.sealed(err)
	if err != nil {
		m.missed = err.Error()
		k.miss(1, m.key.name, m.missed)
		return false
	}
	b.records = append(b.records, rec)
	b.bytes += weight(rec)
	m.names = append(m.names, rec.Name())
	return true
}

// unread makes the record of what was not read of one input. It is of the same scan as
// findings are: who looks at the last one sees all that the service has said.
func (k *Keeper) unread(scan *draft.Scan, name string, subject evidence.Digests, r *showcause.Report) (*evidence.Record, error) {
	c := scan.Coverage()
	c.File(name, evidence.Digests{SHA256: subject.SHA256}, r, false)
	return evidence.Seal(c.Statements()[0], k.store.Keys()...)
}

// subjectOf are the digests of the content. A file that has no finding is read for them a
// second time only if that is soon done.
func subjectOf(ctx context.Context, j *queue.Job, a *queue.Answer) evidence.Digests {
	switch found := len(a.Report.Findings) > 0; {
	case j.Content != nil && found:
		return recording.Digest(ctx, j.Content.Content(), &a.Report)
	case j.Content != nil:
		return evidence.Digests{SHA256: a.SHA256}
	case j.File != nil && (found || a.Report.Size <= digestRate):
		return recording.Digest(ctx, j.File, &a.Report)
	}
	return evidence.Digests{}
}

// weight is what a record takes in memory, bytes, about: its payload, and what it discloses
// besides.
func weight(r *evidence.Record) int64 { return 2 * int64(len(r.Payload())) }

// nameOf is where content came from, as records have it: a path only of a file.
func nameOf(j *queue.Job) string {
	switch {
	case j.File != nil && j.Name != "":
		return recording.Absolute(j.Name)
	case j.Name != "":
		return "stream:" + j.Name
	}
	return "stream"
}

// scanOf is what all statements of a database have in common, with what is special of
// one answer.
func (k *Keeper) scanOf(a *queue.Answer, passwords int) (*draft.Scan, error) {
	k.smu.Lock()
	defer k.smu.Unlock()
	if k.scan == nil || k.scan.Database != a.Database.Digest {
		s := &draft.Scan{Engine: k.engine, Database: a.Database.Digest, Context: k.here}
		if err := s.Begin(); err != nil {
			return nil, err
		}
		k.scan, k.set = s, len(texts.Of(a.Database.DB).Passwords)
	}
	words := map[string]string{recheck.OptionFormats: "all", recheck.OptionPasswords: recheck.Passwords(true, passwords+k.set)}
	maps.Copy(words, k.o.Words)
	s := *k.scan
	s.DB, s.Policy = a.Database.DB, draft.Policy(a.Database.DB, a.Limits, words)
	return &s, nil
}

// before returns the records of the same answer, if they are not too old.
func (k *Keeper) before(id key) *made {
	if id.digest == "" {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.known[id]
	if !ok {
		return nil
	}
	m := e.Value.(*made)
	if time.Since(m.at) > k.o.Again {
		k.order.Remove(e)
		delete(k.known, id)
		return nil
	}
	k.order.MoveToFront(e)
	return m
}

func (k *Keeper) remember(m *made) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.known[m.key]; ok { // two at a time
		k.order.Remove(e)
	}
	k.known[m.key] = k.order.PushFront(m)
	for k.order.Len() > k.o.Known {
		delete(k.known, k.order.Remove(k.order.Back()).(*made).key)
	}
}

// For tells whether a record was made for what a client asked, as far as that is remembered.
func (k *Keeper) For(client, record string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for e := k.order.Front(); e != nil; e = e.Next() {
		if m := e.Value.(*made); m.key.client == client && slices.Contains(m.names, record) {
			return true
		}
	}
	return false
}

// Kept is a record that was made for a client.
type Kept struct {
	Record string    `json:"record"` // its name
	Name   string    `json:"name"`   // of what was scanned
	SHA256 string    `json:"sha256"`
	Made   time.Time `json:"made"`
}

// Of returns the records that were made for what a client asked, as far as they are
// remembered, the latest first.
func (k *Keeper) Of(client string) (out []Kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for e := k.order.Front(); e != nil; e = e.Next() {
		if m := e.Value.(*made); m.key.client == client {
			for _, n := range m.names {
				out = append(out, Kept{n, showcause.Escape(m.key.name), m.key.digest, m.at.UTC()})
			}
		}
	}
	return out
}

// errDeed is of a deed whose finding has no record, which it would name.
var errDeed = errors.New("what it was done for has no record")

// Deed records what is done because of a finding: deed is a word such as "block". It is
// written soon; the error says that it will not be, as of one because of what has no
// record.
func (k *Keeper) Deed(finding, digest string, size int64, path, deed string, detail map[string]string) error {
	if finding == "" {
		k.miss(1, path, deed+": "+errDeed.Error())
		return errDeed
	}
	rec, err := evidence.Seal(&evidence.Statement{
		Kind:    evidence.Deed,
		Subject: evidence.Digests{SHA256: digest},
		Predicate: evidence.Predicate{
			Input: &evidence.Input{Size: size}, Engine: k.engine,
			Action:  &evidence.Action{Deed: deed, Record: finding, Result: "done", Detail: detail},
			Context: evidence.Context{Path: draft.Text(path), Host: k.here.Host, User: k.here.User}, Time: draft.Now(),
		},
	}, k.store.Keys()...)
	k.sealed(err)
	if err == nil {
		err = k.add(&batch{records: []*evidence.Record{rec}, bytes: weight(rec), done: make(chan struct{})})
	}
	if err != nil {
		k.miss(1, path, deed+": "+err.Error())
	}
	return err
}

var (
	errFull    = errors.New("too many records wait for the store")
	errClosing = errors.New("the service is stopping")
	errLate    = errors.New("not yet durable")
)

// add has records written, soon.
func (k *Keeper) add(b *batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closing:
		return errClosing
	case k.bytes+b.bytes > k.o.Pending:
		return errFull
	}
	if len(k.pending) == 0 {
		k.since = time.Now()
	}
	k.pending = append(k.pending, b)
	k.count += len(b.records)
	k.bytes += b.bytes
	k.nudge()
	return nil
}

func (k *Keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// durable waits until records are, or not longer than ctx.
func (k *Keeper) durable(ctx context.Context, b *batch) error {
	select {
	case <-b.done:
		return nil
	default:
	}
	k.mu.Lock()
	failed := k.stats.Failed
	k.urgent = true
	k.nudge()
	k.mu.Unlock()
	if failed != "" {
		return errors.New(failed)
	}
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return errLate
	}
}

// sealed notes how the making of a record went. What a file did is no sign of more to come.
func (k *Keeper) sealed(err error) {
	if file := recording.FileError(""); errors.As(err, &file) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stats.Unsealed = ""; err != nil {
		k.stats.Unsealed = err.Error()
	}
}

// OK tells whether records are made and written, as far as is known.
func (s *Status) OK() bool { return s.Failed == "" && s.Unsealed == "" }

func (k *Keeper) miss(n int, name, why string) {
	k.mu.Lock()
	k.stats.Missed += int64(n)
	k.mu.Unlock()
	k.o.Log.Error(showcause.Escape(name)+": no record", "findings", n, "reason", why)
}

// Status returns how things stand.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.stats
	s.Waiting = k.count
	for _, b := range k.writing {
		s.Waiting += len(b.records)
	}
	return s
}
