package update

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/update/signed"
)

// Folder is a folder of rule files that is kept up to date. Beside them it has
// .update, in which things are made ready:
//
//	inbox       what is being fetched
//	inbox.json  what that is
//	new/        the files to come
//	try/        links to how the folder will be
//	journal     the names that are being put in and taken away
//	state.json  what was fetched when, and who is not to be asked before when
//	gen-N/      links to what the folder held after its N-th change, of the last five
//	history     what became of it, a line of JSON each; key and log: their digests, logged
//
// A set is put in by its journal: written when all of it lies in new/, taken away
// when all of it is in place. Whoever finds a journal goes on where it was left,
// so that after a crash the set is there whole with the next Open.
type Folder struct {
	path     string
	dir, own *disk.Dir
	lock     *disk.File
	staged   *disk.Dir
	inbox    *os.File
	sys      *disk.FS
	state    State
}

// State is what a folder remembers.
type State struct {
	Sources map[string]*SourceState `json:"sources"`
	Cool    map[string]time.Time    `json:"cool"` // host: not to be asked before

	Generation int64             `json:"generation,omitempty"` // of what the folder holds
	Bad        map[string]string `json:"bad,omitempty"`        // SHA-256 of files that were reverted, by name
	Soak       *Soak             `json:"soak,omitempty"`
}

// SourceState is what it remembers of one source.
type SourceState struct {
	On      *bool                 `json:"on,omitempty"` // by who runs it; nil: as shipped
	Shown   time.Time             `json:"shown"`        // when its licence was
	Checked time.Time             `json:"checked"`      // when it last answered
	Changed time.Time             `json:"changed"`      // when there was something new
	Files   []string              `json:"files,omitempty"`
	Known   map[string]Validators `json:"known,omitempty"` // by URL
	Trouble string                `json:"trouble,omitempty"`
	Signed  signed.State          `json:"signed,omitzero"`
	Waiting string                `json:"waiting,omitempty"` // what waits for its ring, and since when
	Since   time.Time             `json:"since,omitzero"`
}

// Validators are what a server says of a version of a file.
type Validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Length       int64  `json:"length,omitempty"` // bytes
}

// journal is what is being done.
type journal struct {
	Place  []string `json:"place"`  // from new/ into the folder, in this order
	Remove []string `json:"remove"` // from the folder, afterwards
}

const (
	ownName     = ".update"
	journalName = "journal"
	stateName   = "state.json"
	maxState    = 8 << 20
)

// OpenFolder makes the folder, takes its lock, and ends what an earlier process
// began.
func OpenFolder(sys *disk.FS, path string) (f *Folder, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	f = &Folder{path: path, sys: sys}
	if err := f.open(sys); err != nil {
		f.Close()
		return nil, fmt.Errorf("update: %s: %w", path, err)
	}
	return f, nil
}

// ViewFolder opens a folder to ask what is known of it, whoever is at work on it. Nothing is
// written; one that is not there is empty.
func ViewFolder(path string) (f *Folder, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	f = &Folder{path: path}
	b, err := os.ReadFile(filepath.Join(path, ownName, stateName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("update: %w", err)
	}
	if json.Unmarshal(b, &f.state) != nil {
		f.state = State{}
	}
	f.state.ready()
	return f, nil
}

func (f *Folder) open(sys *disk.FS) (err error) {
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return err
	}
	if f.dir, err = sys.OpenDir(f.path); err != nil {
		return err
	}
	if err := f.dir.Own(); err != nil {
		return err
	}
	if f.own, err = f.dir.Sub(ownName, true); err != nil {
		return err
	}
	if f.lock, err = f.own.Open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return err
	}
	if err := unix.Flock(f.lock.FD(), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.New("another one is at work here")
	}
	if f.staged, err = f.own.Sub("new", true); err != nil {
		return err
	}
	if err := f.recover(); err != nil {
		return err
	}
	b, err := f.own.ReadFile(stateName, maxState)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if json.Unmarshal(b, &f.state) != nil {
		f.state = State{} // spoilt: all is asked for again
	}
	f.state.ready()
	return nil
}

func (s *State) ready() {
	if s.Sources == nil {
		s.Sources = map[string]*SourceState{}
	}
	if s.Cool == nil {
		s.Cool = map[string]time.Time{}
	}
	maps.DeleteFunc(s.Sources, func(_ string, v *SourceState) bool { return v == nil })
}

// of is the state of a source.
func (s *State) of(name string) *SourceState {
	if s.Sources[name] == nil {
		s.Sources[name] = &SourceState{}
	}
	return s.Sources[name]
}

// Path is where the folder is.
func (f *Folder) Path() string { return f.path }

// Close gives the folder back.
func (f *Folder) Close() {
	if f.inbox != nil {
		f.inbox.Close()
	}
	if f.lock != nil {
		f.lock.Close()
	}
	for _, d := range []*disk.Dir{f.staged, f.own, f.dir} {
		if d != nil {
			d.Close()
		}
	}
}

// Inbox is the file that what is fetched is written to.
func (f *Folder) Inbox() (*os.File, error) {
	if f.inbox == nil {
		in, err := os.OpenFile(filepath.Join(f.path, ownName, "inbox"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, fmt.Errorf("update: %w", err)
		}
		f.inbox = in
	}
	return f.inbox, nil
}

// recover ends a set that was being put in, or takes what was being made ready
// away.
func (f *Folder) recover() error {
	b, err := f.own.ReadFile(journalName, maxState)
	if err == nil {
		var j journal
		if err := json.Unmarshal(b, &j); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		return f.finish(j)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.clear()
}

// clear takes away what was made ready and is not to be used.
func (f *Folder) clear() error {
	for _, name := range []string{"new", "try"} {
		d, err := f.own.Sub(name, true)
		if err != nil {
			return err
		}
		names, err := d.Names()
		for _, n := range names {
			err = errors.Join(err, d.Remove(n))
		}
		d.Close()
		if err != nil {
			return err
		}
	}
	_, err := f.own.Sweep()
	return err
}

// stage makes a file ready.
func (f *Folder) stage(name string, r io.Reader) (err error) {
	if !plain(name) {
		return fmt.Errorf("update: %q is no name of a rule file", name)
	}
	to, err := f.staged.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if _, err = io.Copy(to, r); err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

// set is a change of the folder that is ready.
type set struct {
	place  []string // those staged
	remove []string
}

func (s *set) empty() bool { return len(s.place)+len(s.remove) == 0 }

// try shows do a folder as this one will be.
func (f *Folder) try(s *set, do func(dir, old string) error) error {
	d, err := f.own.Sub("try", true)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	defer d.Close()
	names, err := f.dir.Names()
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	for _, n := range names {
		if n[0] == '.' || slices.Contains(s.place, n) || slices.Contains(s.remove, n) {
			continue
		}
		if st, err := f.dir.Lstat(n); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		if err := f.dir.LinkName(n, d, n); err != nil {
			return fmt.Errorf("update: %w", err)
		}
	}
	for _, n := range s.place {
		if err := f.staged.LinkName(n, d, n); err != nil {
			return fmt.Errorf("update: %w", err)
		}
	}
	old := ""
	if have, rerr := f.rules(); rerr == nil && len(have) > 0 {
		old = f.path
	}
	err = do(filepath.Join(f.path, ownName, "try"), old)
	left, lerr := d.Names()
	for _, n := range left {
		lerr = errors.Join(lerr, d.Remove(n))
	}
	return errors.Join(err, lerr)
}

// fingerprint tells one change from another.
func (f *Folder) fingerprint(s *set) string {
	h := sha256.New()
	for _, n := range s.place {
		in, err := os.Open(filepath.Join(f.path, ownName, "new", n))
		if err != nil {
			continue
		}
		sum, _ := digest(in)
		in.Close()
		fmt.Fprintf(h, "%s %s\n", n, sum)
	}
	fmt.Fprintf(h, "%q\n", s.remove)
	return hex.EncodeToString(h.Sum(nil))
}

// install puts a set in.
func (f *Folder) install(s *set) error {
	if s.empty() {
		return nil
	}
	j := journal{Place: slices.Clone(s.place), Remove: slices.Clone(s.remove)}
	slices.SortFunc(j.Place, func(a, b string) int { // what proves a file is there before it
		sa, sb := strings.HasSuffix(a, ".sign"), strings.HasSuffix(b, ".sign")
		if sa != sb {
			return map[bool]int{true: -1, false: 1}[sa]
		}
		return strings.Compare(a, b)
	})
	b, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := f.staged.Sync(); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := f.own.WriteFile(journalName, b, 0o600); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := f.finish(j); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

// finish does what a journal says, as much of it as is not done yet.
func (f *Folder) finish(j journal) error {
	for _, n := range slices.Concat(j.Place, j.Remove) {
		if !plain(n) {
			return fmt.Errorf("journal: %q is no name of a rule file", n)
		}
	}
	for _, n := range j.Place {
		if err := f.staged.MoveOver(n, f.dir, n); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, n := range j.Remove {
		if err := f.dir.Remove(n); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := f.dir.Sync(); err != nil {
		return err
	}
	if err := f.own.Remove(journalName); err != nil {
		return err
	}
	return f.clear()
}

// save writes the state down.
func (f *Folder) save() error {
	b, err := json.MarshalIndent(&f.state, "", " ")
	if err == nil {
		err = f.own.WriteFile(stateName, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

// read opens a rule file of the folder.
func (f *Folder) read(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(f.path, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// begun is what the inbox holds, as noted before it was asked for.
type begun struct {
	URL string `json:"url"`
}

// step is what a transfer that is gone on with begins at a multiple of, bytes:
// where it broke off is nothing that its server should learn exactly.
const step = 1 << 20

// begin notes what is fetched next, and returns from where on, if the inbox has
// the beginning of it.
func (f *Folder) begin(url string) (int64, error) {
	in, err := f.Inbox()
	if err != nil {
		return 0, err
	}
	b, err := f.own.ReadFile("inbox.json", maxState)
	var was begun
	if err == nil && json.Unmarshal(b, &was) == nil && was.URL == url {
		if st, err := in.Stat(); err == nil {
			return st.Size() / step * step, nil
		}
	}
	if b, err = json.Marshal(begun{URL: url}); err == nil {
		err = f.own.WriteFile("inbox.json", b, 0o600)
	}
	if err == nil {
		err = in.Truncate(0)
	}
	if err != nil {
		return 0, fmt.Errorf("update: %w", err)
	}
	return 0, nil
}

// forget says that what the inbox holds is not to be gone on with.
func (f *Folder) forget() error {
	if err := f.own.Remove("inbox.json"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("update: %w", err)
	}
	if f.inbox != nil {
		if err := f.inbox.Truncate(0); err != nil {
			return fmt.Errorf("update: %w", err)
		}
	}
	return nil
}

// digest is the SHA-256 of what a reader holds, hexadecimal.
func digest(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
