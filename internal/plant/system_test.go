package plant

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// systemFolders are what a Debian system has and clamscan finds nothing in.
var systemFolders = []string{"/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share/doc"}

// TestSystem compares verdicts and names on the files of this system, with all
// official databases.
func TestSystem(t *testing.T) {
	dir := official(t)
	if testing.Short() || peer(t) == "" {
		t.Skip("needs clamscan, and time")
	}
	db := compile(t, dir)
	s := scan.New(db, scan.Options{})
	files, ours := map[string]File{}, map[string][]string{}
	verdicts, gaps := map[showcause.Verdict]int{}, map[showcause.Code]int{}
	for _, folder := range systemFolders {
		for _, path := range regular(t, folder) {
			f, err := os.Open(path)
			if err != nil {
				continue
			}
			rep := s.Scan(opened{f})
			f.Close()
			p := strings.TrimPrefix(path, "/")
			files[p] = File{Expect: len(rep.Findings) > 0, Peer: true}
			ours[p] = names(&rep)
			verdicts[rep.Verdict]++
			for i, g := range rep.Gaps {
				if !slices.ContainsFunc(rep.Gaps[:i], func(h showcause.Gap) bool { return h.Code == g.Code }) {
					gaps[g.Code]++
				}
			}
		}
	}
	list := filepath.Join(t.TempDir(), "list")
	var text strings.Builder
	for _, p := range paths(files) {
		text.WriteString("/" + p + "\n")
	}
	if err := os.WriteFile(list, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	d := compare(t, files, ours, clamscan(t, dir, "/", "--file-list="+list))
	t.Logf("%d files, verdicts %v, files with a gap, by code %v", len(files), verdicts, gaps)
	d.log(t)
	if n := d.bad(); n > 0 {
		t.Errorf("clamscan differs on %d files", n)
	}
}

// opened is a file as a Source.
type opened struct{ *os.File }

func (o opened) Size() int64 {
	st, err := o.Stat()
	if err != nil {
		return 0
	}
	return st.Size()
}

// regular returns the regular files below a folder, or some of them.
func regular(t testing.TB, folder string) []string {
	var out []string
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && !strings.Contains(path, "\n") {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Logf("%s: %v", folder, err)
	}
	if *full || len(out) <= *few {
		return out
	}
	var some []string
	for i := range *few {
		some = append(some, out[i*len(out) / *few])
	}
	return some
}
