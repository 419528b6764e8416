//go:build !airgap

package egress

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Folder is a folder of rule files that are fetched. What comes in stays apart
// until all of it is checked.
type Folder struct {
	dir  string // where they go
	tmp  string
	root *os.Root // dir, and tmp, as they were when they were looked at: what becomes of their names is no matter
	in   *os.Root
	lock *os.File
	memo map[string]remembered // by URL
}

// remembered is what was fetched from a URL before.
type remembered struct {
	File       string     `json:"file"`
	SHA256     string     `json:"sha256"`
	Validators Validators `json:"validators"`
}

const (
	memoName = ".fetched.json"
	incoming = ".incoming"
)

// OpenFolder makes the folders, and clears what an earlier process left.
func OpenFolder(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	in := &Folder{dir: dir, tmp: filepath.Join(dir, incoming), memo: map[string]remembered{}}
	if err := in.open(); err != nil {
		in.closeAll()
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if b, err := in.root.ReadFile(memoName); err == nil {
		if json.Unmarshal(b, &in.memo) != nil || in.memo == nil {
			in.memo = map[string]remembered{} // spoilt: all is fetched
		}
	}
	return in, nil
}

// open opens both folders, and refuses where others have a hand in them.
func (in *Folder) open() (err error) {
	if in.root, err = os.OpenRoot(in.dir); err != nil {
		return err
	}
	if err := own(in.root, in.dir); err != nil {
		return err
	}
	if err := in.root.Mkdir(incoming, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if st, err := in.root.Lstat(incoming); err != nil || !st.IsDir() {
		return errors.Join(err, fmt.Errorf("%s is not a folder", in.tmp))
	}
	if in.in, err = in.root.OpenRoot(incoming); err != nil {
		return err
	}
	if err := own(in.in, in.tmp); err != nil {
		return err
	}
	if in.lock, err = in.in.Open("."); err != nil {
		return err
	}
	if err := unix.Flock(int(in.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another one is at work in %s", in.dir)
	}
	return in.clear()
}

func (in *Folder) closeAll() {
	if in.lock != nil {
		in.lock.Close()
	}
	for _, r := range []*os.Root{in.in, in.root} {
		if r != nil {
			r.Close()
		}
	}
}

// own refuses a folder in which others could put links and pipes in our way, or
// rules of theirs.
func own(r *os.Root, dir string) error {
	st, err := r.Stat(".")
	if err != nil {
		return err
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("folder %s belongs to user %d, not to %d", dir, s.Uid, os.Geteuid())
	}
	if st.Mode()&0o022 != 0 {
		return fmt.Errorf("folder %s has mode %04o: others can write to it", dir, st.Mode().Perm())
	}
	return nil
}

func (in *Folder) clear() error {
	entries, err := fs.ReadDir(in.in.FS(), ".")
	for _, e := range entries {
		err = errors.Join(err, in.in.RemoveAll(e.Name()))
	}
	return err
}

// Close removes what was not taken.
func (in *Folder) Close() {
	in.clear()
	in.root.Remove(incoming)
	in.closeAll()
}

func (in *Folder) path(i int) string { return filepath.Join(in.tmp, fmt.Sprint(i)) }

// Create makes the file that errand i fills.
func (in *Folder) Create(i int) (*os.File, error) {
	f, err := in.in.OpenFile(fmt.Sprint(i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return f, nil
}

// Known returns what a server said of the file that we have.
func (in *Folder) Known(url, name string) Validators {
	r, ok := in.memo[url]
	if !ok || r.File != name {
		return Validators{}
	}
	if _, sum, err := digestFile(in.root, name); err != nil || sum != r.SHA256 {
		return Validators{}
	}
	return r.Validators
}

// digestFile returns the size and SHA-256 of a regular file.
func digestFile(r *os.Root, name string) (int64, string, error) {
	f, err := r.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, "", err
	}
	if !st.Mode().IsRegular() {
		return 0, "", fmt.Errorf("%s is not a regular file", name)
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return 0, "", err
	}
	if err := f.Sync(); err != nil {
		return 0, "", err
	}
	return n, hex.EncodeToString(h.Sum(nil)), nil
}

// Take checks what was fetched against the answers, tries the folder as it will
// be, and puts the files into their places. If anything is wrong, the folder
// stays as it was. try is given a folder with all its rule files. digests are
// those of the files, also of the unchanged ones.
func (in *Folder) Take(names, urls []string, answers []Answer, try func(dir string) error) (digests []string, err error) {
	var fresh []int
	for i, r := range answers {
		switch {
		case r.Error != "":
			return nil, fmt.Errorf("%s%s; nothing was changed", r.Error, r.entry())
		case r.Status != 200:
			return nil, fmt.Errorf("%s: status %d%s; nothing was changed", urls[i], r.Status, r.entry())
		case r.Unchanged && in.memo[urls[i]].File == names[i]:
			continue
		case r.Unchanged:
			return nil, fmt.Errorf("fetch: %s was not there before; nothing was changed", names[i])
		}
		n, sum, err := digestFile(in.in, fmt.Sprint(i))
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		if n != r.Bytes || sum != r.SHA256 {
			return nil, fmt.Errorf("fetch: %s is not what the egress process says; nothing was changed", names[i])
		}
		fresh = append(fresh, i)
	}
	if len(fresh) > 0 {
		set, err := in.stage(names, fresh)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		if err := try(set); err != nil {
			return nil, fmt.Errorf("%w; nothing was changed", err)
		}
	}
	for _, i := range fresh {
		if err := in.root.Rename(filepath.Join(incoming, fmt.Sprint(i)), names[i]); err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		in.memo[urls[i]] = remembered{File: names[i], SHA256: answers[i].SHA256, Validators: answers[i].Now}
	}
	if err := in.remember(); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	for _, u := range urls {
		digests = append(digests, in.memo[u].SHA256)
	}
	return digests, nil
}

// stage makes a folder of links as the folder will be.
func (in *Folder) stage(names []string, fresh []int) (string, error) {
	set := filepath.Join(in.tmp, "set")
	if err := in.in.Mkdir("set", 0o700); err != nil {
		return "", err
	}
	isNew := map[string]bool{}
	for _, i := range fresh {
		isNew[names[i]] = true
		if st, err := in.root.Lstat(names[i]); err == nil && st.IsDir() {
			return "", fmt.Errorf("%s is a folder", filepath.Join(in.dir, names[i]))
		}
		if err := in.in.Symlink(in.path(i), filepath.Join("set", names[i])); err != nil {
			return "", err
		}
	}
	old, err := fs.ReadDir(in.root.FS(), ".")
	if err != nil {
		return "", err
	}
	for _, e := range old {
		if isNew[e.Name()] || e.IsDir() || e.Name()[0] == '.' {
			continue
		}
		if err := in.in.Symlink(filepath.Join(in.dir, e.Name()), filepath.Join("set", e.Name())); err != nil {
			return "", err
		}
	}
	return set, nil
}

// remember writes down what the servers said, so that the next fetch can tell
// what has not changed.
func (in *Folder) remember() error {
	b, err := json.MarshalIndent(in.memo, "", " ")
	if err != nil {
		return err
	}
	if err := in.in.WriteFile("memo", append(b, '\n'), 0o644); err != nil {
		return err
	}
	if err := in.root.Rename(filepath.Join(incoming, "memo"), memoName); err != nil {
		return err
	}
	d, err := in.root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
