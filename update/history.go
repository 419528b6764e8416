package update

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/translog"
	"github.com/showcause/showcause/update/signed"
)

// Event is what became of a folder of rules: one line of its history. The SHA-256 of the line is
// an entry of the folder's own log, so that no line goes without being noticed.
type Event struct {
	Time   time.Time `json:"time"`
	What   string    `json:"what"` // "installed", "held", "refused", "reverted", "kept"
	Source string    `json:"source,omitempty"`
	Lines  []string  `json:"lines,omitempty"` // what there is, and what proves it
	// Files are those that were put in, as received: SHA-256 by name; those that were taken away have none.
	Files map[string]string `json:"files,omitempty"`
	Code  string            `json:"code,omitempty"` // why it was refused or held
	Why   string            `json:"why,omitempty"`
	// Generation is the number of what the folder holds now (Revert goes back to one).
	Generation int64 `json:"generation,omitempty"`
}

const (
	historyName = "history"
	keyName     = "key"
	logName     = "log"
	maxHistory  = 64 << 20
)

// Held is why a release was tried and not put in.
type Held struct{ Code, Why string }

func (h *Held) Error() string { return h.Code + ": " + h.Why }

// code says why something was not taken, in a word.
func code(err error) string {
	var r *signed.Refusal
	var h *Held
	switch {
	case errors.As(err, &r):
		return string(r.Code)
	case errors.As(err, &h):
		return h.Code
	}
	return ""
}

// History reads the folder's history and holds it against its log.
func (f *Folder) History() (events []Event, err error) { return readHistory(f.path) }

// ReadHistory reads the history of a folder that another may be at work on.
func ReadHistory(path string) ([]Event, error) { return readHistory(path) }

func readHistory(path string) (events []Event, err error) {
	own := filepath.Join(path, ownName)
	b, err := os.ReadFile(filepath.Join(own, historyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("update: history: %w", err)
	}
	for line := range bytes.Lines(b) {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return events, fmt.Errorf("update: history: %w", err)
		}
		events = append(events, e)
	}
	public, err := readKey(own)
	if err != nil {
		return events, err
	}
	l, err := translog.Open(filepath.Join(own, logName), translog.Options{Public: public.Public().(ed25519.PublicKey)})
	if err != nil {
		return events, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	lines := digests(b)
	n := 0
	err = l.Entries(0, func(i int64, d translog.Digest) error {
		n++
		if i >= int64(len(lines)) || lines[i] != d {
			return fmt.Errorf("update: history: line %d is not the one that was logged", i+1)
		}
		return nil
	})
	if err == nil && n < len(lines)-1 { // the last one may be on its way
		err = fmt.Errorf("update: history: %d lines, and the log has %d", len(lines), n)
	}
	return events, err
}

func digests(b []byte) (out []translog.Digest) {
	for line := range bytes.Lines(b) {
		out = append(out, sha256.Sum256(bytes.TrimSuffix(line, []byte("\n"))))
	}
	return out
}

func readKey(own string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(filepath.Join(own, keyName))
	if err != nil {
		return nil, fmt.Errorf("update: key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("update: key: no PEM")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := k.(ed25519.PrivateKey); ok && err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("update: key: not an Ed25519 key: %w", err)
}

// note writes an event down, and its digest into the log.
func (f *Folder) note(e Event) (err error) {
	line, err := json.Marshal(&e)
	if err != nil {
		return fmt.Errorf("update: history: %w", err)
	}
	h, err := f.own.Open(historyName, unix.O_CREAT|unix.O_RDWR|unix.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("update: history: %w", err)
	}
	_, err = h.Write(append(line, '\n'))
	if err == nil {
		err = h.Sync()
	}
	if err = errors.Join(err, h.Close()); err != nil {
		return fmt.Errorf("update: history: %w", err)
	}
	return f.logHistory()
}

// logHistory enters what the log does not have yet.
func (f *Folder) logHistory() (err error) {
	b, err := f.own.ReadFile(historyName, maxHistory)
	if err != nil {
		return fmt.Errorf("update: history: %w", err)
	}
	own := filepath.Join(f.path, ownName)
	key, err := readKey(own)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = f.makeKey(); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	l, err := translog.Open(filepath.Join(own, logName), translog.Options{Public: key.Public().(ed25519.PublicKey), Key: key, Create: true, FS: f.sys})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	lines := digests(b)
	if n := l.Size(); n < int64(len(lines)) {
		_, err = l.Append(lines[n:])
	}
	return err
}

func (f *Folder) makeKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("update: key: %w", err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err == nil {
		err = f.own.WriteFile(keyName, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("update: key: %w", err)
	}
	return key, nil
}

// generations are kept as folders of links below .update: gen-N holds every rule file as
// it was after the N-th change.
const keptGenerations = 5

func generation(n int64) string { return fmt.Sprintf("gen-%d", n) }

// keep makes the next generation of what the folder holds, and forgets old ones.
func (f *Folder) keep() (int64, error) {
	f.state.Generation++
	n := f.state.Generation
	if has, err := f.own.Has(generation(n)); err != nil {
		return 0, fmt.Errorf("update: %w", err)
	} else if has { // of a process that died before it noted so
		if err := f.drop(n); err != nil {
			return 0, err
		}
	}
	d, err := f.own.Sub(generation(n), true)
	if err != nil {
		return 0, fmt.Errorf("update: %w", err)
	}
	defer d.Close()
	names, err := f.rules()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if err := f.dir.LinkName(name, d, name); err != nil && !errors.Is(err, fs.ErrExist) {
			return 0, fmt.Errorf("update: %w", err)
		}
	}
	for old := n - keptGenerations; old > 0; old-- {
		if has, err := f.own.Has(generation(old)); err != nil || !has {
			break
		}
		if err := f.drop(old); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (f *Folder) drop(n int64) error {
	d, err := f.own.Sub(generation(n), false)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	names, err := d.Names()
	for _, name := range names {
		err = errors.Join(err, d.Remove(name))
	}
	d.Close()
	if err == nil {
		err = f.own.RemoveDir(generation(n))
	}
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

// rules are the names of the folder's files.
func (f *Folder) rules() (out []string, err error) {
	names, err := f.dir.Names()
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	for _, n := range names {
		if n[0] == '.' {
			continue
		}
		if st, err := f.dir.Lstat(n); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			out = append(out, n)
		}
	}
	return out, nil
}

// Revert puts the files of an earlier generation back, whole, and says why in the
// history. 0 is the one before the present one. Sources go on from there: what they publish next is tried again,
// but not what was there when it was reverted (State.Bad).
func (f *Folder) Revert(n int64, why string, now time.Time) error {
	now = now.UTC()
	if n == 0 {
		n = f.state.Generation - 1
	}
	if n <= 0 || n >= f.state.Generation {
		return fmt.Errorf("update: no generation %d to go back to", n)
	}
	d, err := f.own.Sub(generation(n), false)
	if err != nil {
		return fmt.Errorf("update: generation %d is not kept: %w", n, err)
	}
	defer d.Close()
	old, err := d.Names()
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	present, err := f.rules()
	if err != nil {
		return err
	}
	if err := f.clear(); err != nil {
		return err
	}
	var change set
	e := Event{Time: now, What: "reverted", Why: why, Files: map[string]string{}}
	for _, name := range old {
		if err := d.LinkName(name, f.staged, name); err != nil {
			return fmt.Errorf("update: %w", err)
		}
		change.place = append(change.place, name)
	}
	for _, name := range present {
		if !slices.Contains(old, name) {
			change.remove = append(change.remove, name)
			e.Files[name] = ""
		}
	}
	f.state.Bad = f.sums(present)
	if err := f.install(&change); err != nil {
		return err
	}
	for name, sum := range f.sums(old) {
		if f.state.Bad[name] != sum {
			e.Files[name] = sum
		} else {
			delete(f.state.Bad, name) // it was there before: it is not what was wrong
		}
	}
	for _, st := range f.state.Sources { // what is there is asked for anew, and compared
		st.Known = nil
	}
	if e.Generation, err = f.keep(); err != nil {
		return err
	}
	f.state.Soak = nil
	if err := f.save(); err != nil {
		return err
	}
	return f.note(e)
}

// sums are the SHA-256 of files of the folder.
func (f *Folder) sums(names []string) map[string]string {
	out := map[string]string{}
	for _, n := range names {
		if in, err := f.read(n); err == nil {
			if s, err := digest(in); err == nil {
				out[n] = s
			}
			in.Close()
		}
	}
	return out
}

// reverted tells whether a change would bring back what was reverted.
func (f *Folder) reverted(s *set) string {
	for _, name := range s.place {
		in, err := os.Open(filepath.Join(f.path, ownName, "new", name))
		if err != nil {
			continue
		}
		sum, err := digest(in)
		in.Close()
		if err == nil && f.state.Bad[name] == sum {
			return name
		}
	}
	return ""
}

// Soak is what watches over a change for a while.
type Soak struct {
	Since      time.Time `json:"since"`
	Until      time.Time `json:"until"`
	Generation int64     `json:"generation"`
	Crashes    int       `json:"crashes"`
	Hits       int       `json:"hits"`
	Trials     int       `json:"trials"`           // times that it was looked at since
	Starts     int       `json:"starts,omitempty"` // of services that have not ended as they should
}

// Soaking returns the soak that is under way; nil: none.
func (f *Folder) Soaking(now time.Time) *Soak {
	if f.state.Soak == nil || now.After(f.state.Soak.Until) {
		return nil
	}
	c := *f.state.Soak
	return &c
}

// Bounds are what is out of bounds within the soak time.
type Bounds struct{ Crashes, Hits int }

// Watch adds what was seen since to the soak, and reverts the change if it is more than
// may be. It tells whether it did.
func (f *Folder) Watch(crashes, hits int, b Bounds, now time.Time) (reverted bool, err error) {
	k := f.state.Soak
	if f.Soaking(now) == nil {
		return false, nil
	}
	k.Crashes, k.Hits, k.Trials = k.Crashes+crashes, k.Hits+hits, k.Trials+1
	why := ""
	switch {
	case k.Crashes > b.Crashes:
		why = fmt.Sprintf("soak.crashes: readers died %d times since %s", k.Crashes, k.Since.UTC().Format(time.RFC3339))
	case k.Hits > b.Hits:
		why = fmt.Sprintf("soak.hits: %d files of this host's packages were hit since %s", k.Hits, k.Since.UTC().Format(time.RFC3339))
	default:
		return false, f.save()
	}
	return true, f.Revert(0, why, now)
}

// Back reverts a change that is watched, because of what a service saw of it.
func (f *Folder) Back(why string, now time.Time) error {
	if f.Soaking(now) == nil {
		return errors.New("update: no change is watched any more")
	}
	return f.Revert(0, why, now)
}

// Started notes that a service begins with what is there, and reverts the change that is watched if
// services did so more often than may be and did not come to their end (Ended).
func (f *Folder) Started(most int, now time.Time) (reverted bool, err error) {
	if f.Soaking(now) == nil {
		return false, nil
	}
	k := f.state.Soak
	if k.Starts >= most {
		return true, f.Revert(0, fmt.Sprintf("soak.starts: %d services ended by themselves since %s", k.Starts, k.Since.UTC().Format(time.RFC3339)), now)
	}
	k.Starts++
	return false, f.save()
}

// Ended notes that a service which began with this generation came to its end as it should.
func (f *Folder) Ended(generation int64) error {
	if k := f.state.Soak; k != nil && k.Generation == generation && k.Starts > 0 {
		k.Starts--
		return f.save()
	}
	return nil
}

// putIn notes a change that was put in, and begins its soak.
func (u *run) putIn(s *Source, change *set, r *Result) error {
	n, err := u.f.keep()
	if err != nil {
		return err
	}
	now := u.Now().UTC()
	e := Event{Time: now, What: "installed", Source: s.Name, Lines: r.Lines, Generation: n, Files: u.f.sums(change.place)}
	for _, name := range change.remove {
		e.Files[name] = ""
	}
	if u.Soak > 0 {
		u.f.state.Soak = &Soak{Since: now, Until: now.Add(u.Soak), Generation: n}
	}
	return u.f.note(e)
}

// held notes a change that was not taken, once for the same reason.
func (u *run) held(s *Source, what string, why error) error {
	st := u.f.state.of(s.Name)
	if st.Trouble == why.Error() {
		return nil
	}
	return u.f.note(Event{Time: u.Now().UTC(), What: what, Source: s.Name, Code: code(why), Why: why.Error()})
}

// clone keeps what a source's state was.
func (st *SourceState) clone() SourceState {
	c := *st
	c.Files, c.Known = slices.Clone(st.Files), maps.Clone(st.Known)
	return c
}

// Generation is where the rules of a generation are kept.
func Generation(path string, n int64) (string, error) {
	dir := filepath.Join(path, ownName, generation(n))
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return "", fmt.Errorf("update: generation %d of %s is not kept", n, path)
	}
	return dir, nil
}
