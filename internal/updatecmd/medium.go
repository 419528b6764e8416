package updatecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"

	"github.com/showcause/showcause/update"
)

// medium is a Courier over a folder that holds what a mirror would: no network.
type medium struct {
	dir string
	to  *update.Folder
}

func (m *medium) TXT(context.Context, string) ([]string, error) { return nil, nil }

// Fetch takes the file that the URL ends with.
func (m *medium) Fetch(ctx context.Context, a update.Ask) (g update.Got, err error) {
	if err := ctx.Err(); err != nil {
		return g, err
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		return g, err
	}
	name := path.Base(u.Path)
	if a.Path != "" && filepath.IsLocal(a.Path) {
		name = filepath.FromSlash(a.Path)
	}
	f, err := os.Open(filepath.Join(m.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return update.Got{Status: 404, URL: a.URL}, nil
	}
	if err != nil {
		return g, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return g, err
	}
	if !st.Mode().IsRegular() || a.Max > 0 && st.Size() > a.Max {
		return g, fmt.Errorf("%s: no regular file of %d bytes at most", f.Name(), a.Max)
	}
	g = update.Got{Status: 200, URL: a.URL, Bytes: st.Size(), Now: update.Validators{LastModified: st.ModTime().UTC().String(), Length: st.Size()}}
	if g.Now == a.Known && g.Now.Length > 0 {
		g.Unchanged = true
		return g, nil
	}
	var r io.Reader = f
	if a.To > 0 {
		g.Status, r = 206, io.LimitReader(f, a.To)
	}
	if a.Small {
		g.Content, err = io.ReadAll(r)
		return g, err
	}
	in, err := m.to.Inbox()
	if err != nil {
		return g, err
	}
	if err := in.Truncate(0); err != nil {
		return g, err
	}
	_, err = io.Copy(io.NewOffsetWriter(in, 0), r)
	return g, err
}
