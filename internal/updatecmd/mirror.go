package updatecmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/update"
	"github.com/showcause/showcause/update/signed"
)

// Mirror fetches files of a site of signed releases by the process that has a network, each in the ledger,
// and leaves what it got in a folder. ended gives the process up, and returns what it says to a person.
func (h Host) Mirror(ctx context.Context, base, dir, ledger string, insecure bool) (fetch signed.Fetch, ended func() string, err error) {
	o := &options{dir: filepath.Join(dir, ".fetch"), ledger: ledger, insecure: insecure}
	if _, err := o.known(os.Stderr); err != nil {
		return nil, nil, err
	}
	f, err := update.OpenFolder(nil, o.dir)
	if err != nil {
		return nil, nil, err
	}
	base = strings.TrimRight(base, "/")
	c, end, err := h.send(ctx, o, f, []update.Source{{URLs: []string{base}}})
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	fetch = func(ctx context.Context, path string, max int64) ([]byte, error) {
		if !filepath.IsLocal(path) {
			return nil, fmt.Errorf("mirror: %s is no path of a site", showcause.Escape(path))
		}
		g, err := c.Fetch(ctx, update.Ask{URL: base + "/" + path, Path: path, Metadata: !strings.HasPrefix(path, "targets/"), Small: true, Max: max + 1})
		switch {
		case err != nil:
			return nil, fmt.Errorf("mirror: %w", err)
		case g.Status == 404 || g.Status == 410:
			return nil, signed.ErrAbsent
		case g.Status != 200:
			return nil, fmt.Errorf("mirror: %s/%s: status %d", base, showcause.Escape(path), g.Status)
		case int64(len(g.Content)) > max:
			return nil, signed.ErrLong
		}
		to := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, fmt.Errorf("mirror: %w", err)
		}
		if err := os.WriteFile(to, g.Content, 0o644); err != nil {
			return nil, fmt.Errorf("mirror: %w", err)
		}
		return g.Content, nil
	}
	return fetch, func() string {
		defer f.Close()
		return end()
	}, nil
}
