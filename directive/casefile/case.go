// Package casefile keeps the case of an order: everything that was received, found,
// said, decided and done, in one folder that can be carried and merged.
//
//	records/ab/NAME.scf  entries: sealed records of the kind "case", with the proof of their host's log
//	files/ab/SHA256      what entries say, and what is attached to them
//	keys/ID.pub          public keys of the hosts that sign
//	incoming/            entries on their way: perhaps not in the host's log yet
//	lock                 flock(2) of who appends
//
// An entry names the entries that it follows, so that one that was taken away shows,
// and cases of many hosts merge into one. Entries count if their key is that of who
// opened the case, or one that an accepted key accepted. The state of a case is a fold
// over its entries (State).
package casefile

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/translog"
)

const (
	recordsDir  = "records"
	filesDir    = "files"
	keysDir     = "keys"
	incomingDir = "incoming"
	lockName    = "lock"

	suffix    = ".scf"
	maxRecord = 4 << 20
	maxFile   = 64 << 20
	maxKey    = 64 << 10
	maxHeads  = 256
)

// Entry is one entry, verified.
type Entry struct {
	Name     string // of its record
	Act      Act
	Time     string // RFC 3339, UTC: when it was written
	Signer   string // id of the key
	Host     string
	User     string
	Proven   bool // its host's log has it, and that was checked
	Accepted bool // it counts
	Body     *Body
	Digest   string // of the body's file

	after []string
}

// Case is an open case. It is not safe for concurrent use; several processes may
// have it open.
type Case struct {
	dir, records, files, keys, incoming *disk.Dir
	lock                                *disk.File
	store                               *store.Store
	engine                              evidence.Engine

	name    string
	trusted map[string]evidence.PublicKey // keys in the folder, by id
	entries []*Entry                      // in the order of what follows what
	known   map[string]bool
	// Refused tells what in the folder does not count, a sentence each: damaged, removed,
	// signed by a key that nobody accepted.
	Refused []string
	Notes   []string
}

// Options say how to open a case.
type Options struct {
	Store *store.Store // nil: to read only
	// Opener, if set, is the id of the key that must have opened the case.
	Opener string
	FS     *disk.FS
}

// ErrNoCase says that a folder is none.
var ErrNoCase = errors.New("no case is there")

// Create begins a case in a folder that is not there, or empty.
func Create(dir string, o Options, opening Opening, by string) (*Case, error) {
	c, err := begin(dir, o, true)
	if err != nil {
		return nil, err
	}
	if c.name != "" {
		c.Close()
		return nil, fmt.Errorf("case: %s has one", showcause.Escape(dir))
	}
	var nonce [32]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		c.Close()
		return nil, fmt.Errorf("case: %w", err)
	}
	opening.Nonce = hex.EncodeToString(nonce[:])
	c.name = nameOf(o.Store.Keys()[0].Public().ID(), opening.Nonce)
	if _, err := c.Append(Open, &Body{By: by, Opening: &opening}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// nameOf is the name of the case that a key opens: no other key can open it.
func nameOf(key, nonce string) string {
	return sum([]byte("showcause case\n" + key + "\n" + nonce + "\n"))
}

// Load opens a case.
func Load(dir string, o Options) (*Case, error) {
	c, err := begin(dir, o, false)
	if err == nil && c.name == "" {
		c.Close()
		err = fmt.Errorf("case: %s: %w", showcause.Escape(dir), ErrNoCase)
	}
	return c, err
}

func begin(dir string, o Options, create bool) (c *Case, err error) {
	c = &Case{store: o.Store}
	defer func() {
		if err != nil {
			c.Close()
			c, err = nil, fmt.Errorf("case: %w", err)
		}
	}()
	if create {
		c.dir, err = o.FS.MakeDir(dir)
	} else {
		c.dir, err = o.FS.OpenDir(dir)
	}
	if err != nil {
		return c, err
	}
	write := o.Store != nil
	for _, d := range []struct {
		to   **disk.Dir
		name string
	}{{&c.records, recordsDir}, {&c.files, filesDir}, {&c.keys, keysDir}, {&c.incoming, incomingDir}} {
		if *d.to, err = c.dir.Sub(d.name, create && write); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%s: %w", showcause.Escape(dir), ErrNoCase)
			}
			return c, err
		}
	}
	if write {
		if c.lock, err = c.dir.Open(lockName, unix.O_RDWR|unix.O_CREAT, 0o600); err != nil {
			return c, err
		}
		if err = c.locked(c.settle); err != nil {
			return c, err
		}
	}
	return c, c.load(o.Opener)
}

func (c *Case) locked(do func() error) error {
	if c.lock == nil {
		return errors.New("opened to read only")
	}
	if err := c.lock.Lock(true); err != nil {
		return err
	}
	defer c.lock.Unlock()
	return do()
}

// Close gives the folder back.
func (c *Case) Close() {
	for _, d := range []*disk.Dir{c.records, c.files, c.keys, c.incoming, c.dir} {
		if d != nil {
			d.Close()
		}
	}
	if c.lock != nil {
		c.lock.Close()
	}
}

// Name returns the case's name, hexadecimal.
func (c *Case) Name() string { return c.name }

// Dir returns the case's path.
func (c *Case) Dir() string { return c.dir.Name() }

// Entries returns the entries that count, each after those that it follows.
func (c *Case) Entries() []*Entry {
	return slices.DeleteFunc(slices.Clone(c.entries), func(e *Entry) bool { return !e.Accepted })
}

// All returns every entry that was verified, whether it counts or not.
func (c *Case) All() []*Entry { return slices.Clone(c.entries) }

// Entry finds the one entry whose name begins with prefix.
func (c *Case) Entry(prefix string) (*Entry, error) {
	var found *Entry
	for _, e := range c.entries {
		if prefix != "" && strings.HasPrefix(e.Name, prefix) {
			if found != nil {
				return nil, fmt.Errorf("case: several entries begin with %s", showcause.Escape(prefix))
			}
			found = e
		}
	}
	if found == nil {
		return nil, fmt.Errorf("case: no entry begins with %.80q", prefix)
	}
	return found, nil
}

func sum(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

// Attach keeps a file in the case and returns its digest. It is durable when it
// returns.
func (c *Case) Attach(b []byte) (string, error) {
	if len(b) > maxFile {
		return "", fmt.Errorf("case: a file of %d bytes, at most %d", len(b), maxFile)
	}
	name := sum(b)
	if err := put(c.files, name, b); err != nil {
		return "", fmt.Errorf("case: %w", err)
	}
	return name, nil
}

// put writes a file below the folder of its first two letters.
func put(d *disk.Dir, name string, b []byte) error {
	sub, err := d.Sub(name[:2], true)
	if err != nil {
		return err
	}
	defer sub.Close()
	if there, err := sub.Has(name); err != nil || there {
		return err
	}
	return sub.WriteFile(name, b, 0o600)
}

// File reads a file of the case by its digest, which is checked.
func (c *Case) File(digest string) ([]byte, error) {
	if len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("case: %.80q is no digest", digest)
	}
	b, err := c.files.ReadFile(digest[:2]+"/"+digest, maxFile)
	if err != nil {
		return nil, fmt.Errorf("case: %w", err)
	}
	if sum(b) != digest {
		return nil, fmt.Errorf("case: file %s was changed", digest)
	}
	return b, nil
}

// Append adds an entry: it is sealed by this host's key, logged in this host's log, and
// durable in the case when Append returns. A process that dies on the way leaves an
// entry in incoming, which the next one finishes, or nothing.
func (c *Case) Append(act Act, b *Body) (*Entry, error) {
	var e *Entry
	err := c.locked(func() error {
		if err := c.settle(); err != nil {
			return err
		}
		text, err := b.bytes()
		if err != nil {
			return err
		}
		digest, err := c.Attach(text)
		if err != nil {
			return err
		}
		if c.engine.Binary == "" {
			if c.engine, err = draft.Engine(); err != nil {
				return err
			}
		}
		s := &evidence.Statement{Kind: evidence.Entry, Subject: evidence.Digests{SHA256: digest}, Predicate: evidence.Predicate{
			Input: &evidence.Input{Size: int64(len(text)), Type: "json"}, Engine: c.engine,
			Case: &evidence.CaseEntry{Name: c.name, Act: string(act), After: c.heads()}, Context: draft.Here(), Time: draft.Now(),
		}}
		r, err := evidence.Seal(s, c.store.Keys()...)
		if err != nil {
			return err
		}
		if err := c.keepKeys(c.store.Public()); err != nil {
			return err
		}
		file := r.Name() + suffix
		if err := c.incoming.WriteFile(file, r.Bytes(), 0o600); err != nil {
			return err
		}
		if err := c.finish(file, r); err != nil {
			return err
		}
		e, err = c.read(r.Name())
		if err != nil {
			return err
		}
		if err := c.remember(e.Name); err != nil {
			return err
		}
		e.Accepted = len(c.entries) == 0 || c.accepts()[e.Signer]
		c.entries = append(c.entries, e)
		c.known[e.Name] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("case: %w", err)
	}
	return e, nil
}

// lastDir is the folder of the host's store that has, by case, the name of the entry that the host appended last: an end
// that was cut off a case shows on the host that wrote it.
const lastDir = "cases"

func (c *Case) remember(entry string) error {
	d, err := c.store.Folder(lastDir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.WriteFile(c.name, []byte(entry+"\n"), 0o600)
}

// cut says so if the entry that this host appended last is not here.
func (c *Case) cut() error {
	if c.store == nil {
		return nil
	}
	d, err := c.store.Folder(lastDir)
	if err != nil {
		return err
	}
	defer d.Close()
	b, err := d.ReadFile(c.name, 200)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if last := strings.TrimSpace(string(b)); !c.known[last] {
		c.refuse("entry %.16s, which this host appended last, is not here: it was removed, or is in another copy of the case (showcause case merge)", last)
	}
	return nil
}

// backwards names entries that were written, by their own account, before those that they follow: a clock was set back.
func (c *Case) backwards() {
	at := map[string]*Entry{}
	for _, e := range c.entries {
		at[e.Name] = e
	}
	for _, e := range c.entries {
		now, err := time.Parse(time.RFC3339, e.Time)
		for _, a := range e.after {
			b := at[a]
			if b == nil || err != nil {
				continue
			}
			slack := time.Duration(0)
			if b.Signer != e.Signer {
				slack = 10 * time.Minute // of two hosts' clocks
			}
			if then, err := time.Parse(time.RFC3339, b.Time); err == nil && now.Add(slack).Before(then) {
				c.refuse("entry %s (%s) says that it was written %s, and follows %s of %s: a clock was set back; the times of one of them are wrong", e.Name[:16], e.Act, e.Time, b.Name[:16], b.Time)
			}
		}
	}
}

// keepKeys writes public keys into the case.
func (c *Case) keepKeys(keys []evidence.PublicKey) error {
	for _, k := range keys {
		c.trusted[k.ID()] = k
		if there, err := c.keys.Has(k.ID() + ".pub"); err != nil {
			return err
		} else if !there {
			if err := c.keys.WriteFile(k.ID()+".pub", k.PEM(), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// heads are the entries that no other follows yet.
func (c *Case) heads() []string {
	heads := map[string]bool{}
	for _, e := range c.entries {
		heads[e.Name] = true
	}
	for _, e := range c.entries {
		for _, a := range e.after {
			delete(heads, a)
		}
	}
	var out []string
	for h := range heads {
		out = append(out, h)
	}
	slices.Sort(out)
	return out[:min(len(out), maxHeads)] // what is left out is followed by the next entry
}

// finish brings an entry from incoming into the host's log, and to its place.
func (c *Case) finish(file string, r *evidence.Record) error {
	if err := c.store.Append([]*evidence.Record{r}); err != nil {
		return err
	}
	proven, err := c.store.Prove(r.Name())
	if err != nil {
		return err
	}
	if err := putRecord(c.records, r.Name(), proven.Bytes()); err != nil {
		return err
	}
	if err := c.incoming.Remove(file); err != nil {
		return err
	}
	return c.incoming.Sync()
}

// putRecord is put for a record.
func putRecord(d *disk.Dir, name string, b []byte) error {
	sub, err := d.Sub(name[:2], true)
	if err != nil {
		return err
	}
	defer sub.Close()
	return sub.WriteFile(name+suffix, b, 0o600)
}

// settle finishes what a process that died left. What another host left is that
// host's to finish.
func (c *Case) settle() error {
	for _, d := range []*disk.Dir{c.dir, c.incoming, c.keys} {
		if _, err := d.Sweep(); err != nil {
			return err
		}
	}
	names, err := c.incoming.Names()
	if err != nil {
		return err
	}
	for _, file := range names {
		b, err := c.incoming.ReadFile(file, maxRecord)
		if err != nil {
			return err
		}
		r, err := evidence.Parse(b)
		if err == nil && r.Name()+suffix != file {
			err = errors.New("another name")
		}
		if err == nil {
			_, err = r.Verify(evidence.VerifyOptions{Keys: c.store.Public()})
		}
		if err != nil {
			c.Notes = append(c.Notes, fmt.Sprintf("incoming/%s is no entry of this host and stays: %s", showcause.Escape(file), showcause.Escape(err.Error())))
			continue
		}
		if err := c.finish(file, r); err != nil {
			return err
		}
		c.Notes = append(c.Notes, "an entry that a process which died left was put in its place: "+r.Name()[:16])
	}
	return nil
}

// logOf checks proofs of the log of the host that has a key.
func logOf(key evidence.PublicKey) func([sha256.Size]byte, string) error {
	return func(d [sha256.Size]byte, proof string) error {
		v, err := translog.Verifier(key.Ed25519())
		if err != nil {
			return err
		}
		_, err = translog.CheckProof([]byte(proof), d, v, nil)
		return err
	}
}

// read reads and verifies one entry.
func (c *Case) read(name string) (*Entry, error) {
	b, err := c.records.ReadFile(name[:2]+"/"+name+suffix, maxRecord)
	if err != nil {
		return nil, err
	}
	r, err := evidence.Parse(b)
	if err != nil {
		return nil, err
	}
	if r.Name() != name {
		return nil, errors.New("the file holds another record")
	}
	s := r.Statement()
	var keys []evidence.PublicKey
	for _, id := range s.Context.Keys {
		if k, ok := c.trusted[id]; ok {
			keys = append(keys, k)
		}
	}
	o := evidence.VerifyOptions{Keys: keys}
	if i := slices.IndexFunc(keys, func(k evidence.PublicKey) bool { return k.Ed25519() != nil }); i >= 0 {
		o.Log = logOf(keys[i])
	}
	sealed, err := r.Verify(o)
	if err != nil {
		return nil, err
	}
	if s.Kind != evidence.Entry {
		return nil, fmt.Errorf("a record of kind %s", s.Kind)
	}
	if c.name != "" && s.Case.Name != c.name {
		return nil, errors.New("an entry of another case")
	}
	e := &Entry{
		Name: name, Act: Act(s.Case.Act), Time: s.Time.Observed, Signer: sealed.Signer().ID(), Host: s.Context.Host.Text, User: s.Context.User.Text,
		Proven: r.Proof() != "", after: s.Case.After, Digest: s.Subject.SHA256,
	}
	text, err := c.File(e.Digest)
	if err != nil {
		return nil, err
	}
	if e.Body, err = readBody(text); err == nil {
		err = e.Body.sound(e.Act)
	}
	if err != nil {
		return nil, err
	}
	if e.Act == Open {
		if o := e.Body.Opening; o == nil || len(e.after) > 0 || nameOf(e.Signer, o.Nonce) != s.Case.Name {
			return nil, errors.New("opens a case that its key cannot open")
		}
		c.name = s.Case.Name
	}
	return e, nil
}

// load reads the whole case. What cannot be believed is named in Refused.
func (c *Case) load(opener string) error {
	c.trusted, c.known, c.entries, c.Refused = map[string]evidence.PublicKey{}, map[string]bool{}, nil, nil
	if err := c.loadKeys(); err != nil {
		return err
	}
	names, err := c.names()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return nil
	}
	if err := c.findOpening(names); err != nil {
		return err
	}
	var all []*Entry
	for _, n := range names {
		e, err := c.read(n)
		if err != nil {
			c.refuse("entry %s: %v", n[:16], err)
			continue
		}
		all = append(all, e)
		c.known[n] = true
	}
	c.entries = c.inOrder(all)
	accepted := c.accepts()
	if opener != "" && (len(c.entries) == 0 || !accepted[opener] || c.entries[0].Signer != opener) {
		return fmt.Errorf("not opened by the key %s", opener)
	}
	c.backwards()
	if err := c.cut(); err != nil {
		return err
	}
	for _, e := range c.entries {
		if e.Accepted = accepted[e.Signer]; !e.Accepted {
			c.refuse("entry %s (%s): by key %s, which nobody accepted (showcause case accept)", e.Name[:16], e.Act, e.Signer[:16])
		}
	}
	return nil
}

func (c *Case) refuse(format string, a ...any) {
	c.Refused = append(c.Refused, showcause.Escape(fmt.Sprintf(format, a...)))
}

func (c *Case) loadKeys() error {
	files, err := c.keys.Names()
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := c.keys.ReadFile(f, maxKey)
		if err != nil {
			c.refuse("keys/%s: %v", f, err)
			continue
		}
		keys, err := evidence.ParsePublicKeys(b)
		if err != nil || len(keys) != 1 || keys[0].ID()+".pub" != f {
			c.refuse("keys/%s: not the key of its name", f)
			continue
		}
		c.trusted[keys[0].ID()] = keys[0]
	}
	return nil
}

// names lists the records of the folder.
func (c *Case) names() (out []string, err error) {
	folders, err := c.records.Names()
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		d, err := c.records.Sub(folder, false)
		if err != nil {
			c.refuse("records/%s: %v", folder, err)
			continue
		}
		files, err := d.Names()
		d.Close()
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			name, ok := strings.CutSuffix(f, suffix)
			if strings.HasPrefix(f, disk.TempPrefix) {
				continue
			}
			if !ok || len(name) != 64 || name[:2] != folder || strings.Trim(name, "0123456789abcdef") != "" {
				c.refuse("records/%s/%s: not named as an entry", folder, f)
				continue
			}
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// findOpening finds which case it is: the entry that opens it, of which there is one.
func (c *Case) findOpening(names []string) error {
	cases := map[string]bool{}
	for _, n := range names {
		c.name = ""
		if e, err := c.read(n); err == nil && e.Act == Open {
			cases[c.name] = true
		}
	}
	c.name = ""
	if len(cases) != 1 {
		return fmt.Errorf("%d entries open a case, want 1", len(cases))
	}
	for n := range cases {
		c.name = n
	}
	return nil
}

// inOrder puts each entry after those that it follows; where that leaves a choice, by
// time and name.
func (c *Case) inOrder(all []*Entry) []*Entry {
	slices.SortFunc(all, func(a, b *Entry) int { return cmp.Or(strings.Compare(a.Time, b.Time), strings.Compare(a.Name, b.Name)) })
	placed := map[string]bool{}
	for _, e := range all {
		for _, a := range e.after {
			if !c.known[a] {
				c.refuse("entry %s follows %s, which is not here: it was removed, or not merged yet", e.Name[:16], a[:16])
				placed[a] = true
			}
		}
	}
	var out []*Entry
	for len(all) > 0 {
		i := slices.IndexFunc(all, func(e *Entry) bool {
			return !slices.ContainsFunc(e.after, func(a string) bool { return !placed[a] })
		})
		if i < 0 {
			break // a ring: nothing in it has a place
		}
		placed[all[i].Name] = true
		out = append(out, all[i])
		all = slices.Delete(all, i, i+1)
	}
	return out
}

// accepts returns the keys whose entries count.
func (c *Case) accepts() map[string]bool {
	out := map[string]bool{}
	for _, e := range c.entries {
		switch {
		case e.Act == Open:
			out[e.Signer] = true
		case e.Act == Accept && out[e.Signer]:
			if keys, err := evidence.ParsePublicKeys([]byte(e.Body.Key)); err == nil {
				for _, k := range keys {
					out[k.ID()] = true
				}
			}
		}
	}
	return out
}

// Keys returns the keys in the folder, and whether each is accepted.
func (c *Case) Keys() map[string]bool {
	out, accepted := map[string]bool{}, c.accepts()
	for id := range c.trusted {
		out[id] = accepted[id]
	}
	return out
}

// Key returns a key in the folder by the beginning of its id.
func (c *Case) Key(prefix string) (evidence.PublicKey, bool) {
	var found []evidence.PublicKey
	for id, k := range c.trusted {
		if prefix != "" && strings.HasPrefix(id, prefix) {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		return evidence.PublicKey{}, false
	}
	return found[0], true
}

// Reload reads the case anew.
func (c *Case) Reload() error {
	if err := c.load(""); err != nil {
		return fmt.Errorf("case: %w", err)
	}
	return nil
}

// Merge takes the entries, files and keys of another copy of the same case, or of a
// part of it that another host wrote. Entries count once their key is accepted.
func (c *Case) Merge(from *Case) (added int, err error) {
	if from.name != c.name {
		return 0, errors.New("case: another case")
	}
	err = c.locked(func() error {
		for _, k := range from.trusted {
			if err := c.keepKeys([]evidence.PublicKey{k}); err != nil {
				return err
			}
		}
		for _, e := range from.entries {
			if c.known[e.Name] {
				continue
			}
			for _, f := range append([]string{e.Digest, e.Body.Text, e.Body.Products}, e.Body.Files...) {
				if f == "" {
					continue
				}
				b, err := from.File(f)
				if err != nil {
					return err
				}
				if _, err := c.Attach(b); err != nil {
					return err
				}
			}
			b, err := from.records.ReadFile(e.Name[:2]+"/"+e.Name+suffix, maxRecord)
			if err != nil {
				return err
			}
			if err := putRecord(c.records, e.Name, b); err != nil {
				return err
			}
			added++
		}
		return c.load("")
	})
	if err != nil {
		return added, fmt.Errorf("case: %w", err)
	}
	return added, nil
}
