package update

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/update/signed"
)

// signed brings in the newest release of a site whose rules are signed in TUF's roles and logged.
func (u *run) signed(ctx context.Context, s *Source, change *set, r *Result) error {
	st := u.f.state.of(s.Name)
	base := strings.TrimRight(s.URLs[0], "/")
	c, err := signed.NewClient(*s.Site, st.Signed, u.Now(), func(ctx context.Context, path string, max int64) ([]byte, error) {
		// One byte more tells a file that is too long from one that is not.
		g, err := u.get(ctx, Ask{URL: base + "/" + path, Path: path, Metadata: !strings.HasPrefix(path, "targets/"), Small: true, Max: max + 1})
		if errors.Is(err, errMissing) {
			return nil, signed.ErrAbsent
		}
		return g.Content, err
	})
	if err != nil {
		return err
	}
	rel, err := c.Refresh(ctx)
	if err != nil {
		return err
	}
	m := rel.Manifest
	r.Lines = append(r.Lines, fmt.Sprintf("release %d of %s: %d rules, %d files; entry %d of the log", m.Version, m.Time.Format("2006-01-02"), m.Rules.Count, len(m.Files), rel.Index))
	g := &siteFiles{u: u, s: s, rel: rel, base: base}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if !isRules(name) {
			continue // a licence, a note: nothing that is loaded
		}
		if err := g.file(ctx, name, m.Files[name]); err != nil {
			return err
		}
	}
	if err := g.stages(ctx); err != nil {
		return err
	}
	change.place = g.place
	for _, n := range st.Files {
		if !slices.Contains(g.fresh, n) {
			change.remove = append(change.remove, n)
		}
	}
	if !u.Check {
		st.Signed, st.Files = rel.State, g.fresh
	}
	return nil
}

// siteFiles are the files of a release on their way into the folder.
type siteFiles struct {
	u            *run
	s            *Source
	rel          *signed.Release
	base         string
	fresh, place []string
}

// fetch brings a file of the release to the inbox.
func (g *siteFiles) fetch(ctx context.Context, name, sum string, length int64) (*os.File, error) {
	path := "targets/" + sum + "." + name
	_, err := g.u.get(ctx, Ask{URL: g.base + "/" + path, Path: path, Max: length})
	if errors.Is(err, errMissing) {
		return nil, &signed.Refusal{Code: signed.Missing, What: path, Why: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	in, _, err := g.u.content()
	return in, err
}

// file makes a file of rules ready, unless the folder has it.
func (g *siteFiles) file(ctx context.Context, name string, f signed.File) error {
	to := g.s.Name + "-" + name
	g.fresh = append(g.fresh, to)
	if g.u.f.sums([]string{to})[to] == f.SHA256 {
		return nil
	}
	in, err := g.fetch(ctx, name, f.SHA256, f.Length)
	if err != nil {
		return err
	}
	h := sha256.New()
	err = g.u.f.stage(to, io.TeeReader(in, h))
	if have := hex.EncodeToString(h.Sum(nil)); err == nil && have != f.SHA256 {
		err = &signed.Refusal{Code: signed.Altered, What: name, Why: "bytes that are not those which were signed"}
	}
	if ferr := g.u.f.forget(); err == nil {
		err = ferr
	}
	g.place = append(g.place, to)
	return err
}

// stages makes the file ready that says how far each rule of the release may go, which is the list that
// was signed behind the names of the files that it is for (package rules).
func (g *siteFiles) stages(ctx context.Context) error {
	list := g.rel.Manifest.Rules
	to := g.s.Name + rule.StagesEnd
	head := rule.StagesHead + "\n"
	for _, n := range g.fresh {
		head += "file " + n + "\n"
	}
	g.fresh = append(g.fresh, to)
	was := func(want string) (io.ReadCloser, error) { return g.stagesThere(to, want) }
	if in, err := g.u.f.read(to); err == nil {
		b := make([]byte, len(head))
		_, rerr := io.ReadFull(in, b)
		sum, derr := digest(in)
		in.Close()
		if rerr == nil && derr == nil && string(b) == head && sum == list.SHA256 {
			return nil
		}
	}
	in, err := g.fetch(ctx, signed.RulesName, list.SHA256, list.Length)
	if err != nil {
		return err
	}
	out, end := io.Pipe()
	done := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(end, 1<<16)
		w.WriteString(head)
		err := g.rel.Follow(in, was, func(r signed.Rule) error {
			_, err := w.WriteString(r.String() + "\n")
			return err
		})
		if err == nil {
			err = w.Flush()
		}
		end.CloseWithError(err)
		done <- err
	}()
	err = g.u.f.stage(to, out)
	out.CloseWithError(io.ErrClosedPipe)
	if ferr := <-done; ferr != nil && !errors.Is(ferr, io.ErrClosedPipe) {
		err = ferr // which says more
	}
	if ferr := g.u.f.forget(); err == nil {
		err = ferr
	}
	g.place = append(g.place, to)
	return err
}

// stagesThere opens the list of the rules that are there, if it is the one that was signed.
func (g *siteFiles) stagesThere(name, want string) (io.ReadCloser, error) {
	in, err := g.u.f.read(name)
	if err != nil {
		return nil, err
	}
	list := func() (io.Reader, error) {
		if _, err := in.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		b := bufio.NewReaderSize(in, 1<<16)
		for {
			if next, err := b.Peek(len("file ")); err != nil || string(next) != "file " && string(next) != rule.StagesHead[:len(next)] {
				return b, nil
			}
			if _, err := b.ReadSlice('\n'); err != nil {
				return nil, err
			}
		}
	}
	r, err := list()
	sum := ""
	if err == nil {
		sum, err = digest(r)
	}
	if err == nil && sum != want {
		err = errors.New("it is another list")
	}
	if err == nil {
		r, err = list()
	}
	if err != nil {
		in.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{r, in}, nil
}
