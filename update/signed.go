package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	r.Lines = append(r.Lines, fmt.Sprintf("release %d of %s: %d rules, %d files; entry %d of the log", m.Version, m.Time.Format("2006-01-02"), len(m.Rules), len(m.Files), rel.Index))
	var fresh []string
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		to := s.Name + "-" + name
		if !isRules(name) {
			continue // a licence, a note: nothing that is loaded
		}
		if have, err := u.f.read(to); err == nil {
			sum, err := digest(have)
			have.Close()
			if err == nil && sum == m.Files[name].SHA256 {
				fresh = append(fresh, to)
				continue
			}
		}
		b, err := c.File(ctx, name)
		if err != nil {
			return err
		}
		if err := u.f.stage(to, bytes.NewReader(b)); err != nil {
			return err
		}
		fresh, change.place = append(fresh, to), append(change.place, to)
	}
	for _, n := range st.Files {
		if !slices.Contains(fresh, n) {
			change.remove = append(change.remove, n)
		}
	}
	if !u.Check {
		st.Signed, st.Files = rel.State, fresh
	}
	return nil
}
