package servecmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/serve"
	"github.com/showcause/showcause/update"
)

// maxStarts is how often services may begin with rules that are watched, and end by themselves.
const maxStarts = 3

// folders are those of the rules that an update keeps.
func (s *settings) folders() (out []string) {
	for _, arg := range s.db {
		_, path := rules.Split(arg)
		if st, err := os.Stat(filepath.Join(path, ".update")); err == nil && st.IsDir() {
			out = append(out, path)
		}
	}
	return out
}

// soaks has the folders of the rules go back with the service. One that another user keeps stays
// as it is, which is said when it matters. What it returns is to be called when the service has ended as it should.
func (s *settings) soaks(o *serve.Soak, stderr io.Writer) (ended func()) {
	ended = func() {}
	dirs := s.folders()
	if len(dirs) == 0 || o.Time <= 0 {
		return ended
	}
	o.Back = func(why string) error {
		var errs []error
		for _, dir := range dirs {
			errs = append(errs, with(dir, func(f *update.Folder) error { return f.Back(why, time.Now()) }))
		}
		return errors.Join(errs...)
	}
	begun := map[string]int64{}
	for _, dir := range dirs {
		if s.user != "" && os.Geteuid() == 0 { // its end could not be noted
			if f, err := update.ViewFolder(dir); err == nil && f.Soaking(time.Now()) != nil {
				o.Begun = true
			}
			continue
		}
		_ = with(dir, func(f *update.Folder) error { // one that is not this user's is not counted
			back, err := f.Started(maxStarts, time.Now())
			if back {
				fmt.Fprintf(stderr, "showcause: serve: %s: services ended by themselves with what was put in last: it is taken back\n", showcause.Escape(dir))
			}
			if k := f.Soaking(time.Now()); k != nil && err == nil {
				begun[dir], o.Begun = k.Generation, true
			}
			return err
		})
	}
	return func() {
		for dir, generation := range begun {
			_ = with(dir, func(f *update.Folder) error { return f.Ended(generation) })
		}
	}
}

// with opens a folder of rules, once whoever is at work there is done, for a while.
func with(dir string, do func(*update.Folder) error) error {
	var f *update.Folder
	var err error
	for range 20 {
		if f, err = update.OpenFolder(nil, dir); err == nil || errors.Is(err, os.ErrPermission) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return do(f)
}
