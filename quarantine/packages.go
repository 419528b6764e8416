package quarantine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/disk"
)

// owned says what a package database knows of a file.
type owned int

const (
	ofNobody   owned = iota
	asPackaged       // its digest is the package's
	modified         // a package's file, with other bytes
)

// packages asks the package databases of a system. It is a veto on what is done
// automatically, and no more: MD5 can be forged, and who is root can write the
// lists.
//
// Of dpkg it reads info/*.md5sums, the conffiles in status, and diversions; of
// rpm it asks the rpm program, where there is a database. Other package managers
// are not supported.
type packages struct {
	root string
	rpm  string
	ctx  context.Context

	loaded bool
	dpkg   map[string]listed   // by path
	bases  map[string][]string // paths by their last element
	rpmDB  bool
}

type listed struct{ pkg, md5 string }

// owner tells whose file it is.
func (p *packages) owner(name string, f *disk.File) (pkg string, o owned, err error) {
	if !p.loaded {
		if err := p.load(); err != nil {
			return "", ofNobody, err
		}
		p.loaded = true
	}
	l, ok := p.dpkg[name]
	if !ok {
		l, ok, err = p.sameFile(name, f)
		if err != nil {
			return "", ofNobody, err
		}
	}
	if ok {
		sum, err := sumOf(f, md5.New())
		if err != nil {
			return "", ofNobody, err
		}
		if sum == l.md5 {
			return l.pkg, asPackaged, nil
		}
		return l.pkg, modified, nil
	}
	if p.rpmDB {
		return p.askRPM(name, f)
	}
	return "", ofNobody, nil
}

// sameFile looks for a listed file that this is by another path: a folder may be
// mounted twice.
func (p *packages) sameFile(name string, f *disk.File) (listed, bool, error) {
	st, err := f.Stat()
	if err != nil {
		return listed{}, false, err
	}
	for _, other := range p.bases[filepath.Base(name)] {
		var o unix.Stat_t
		if unix.Lstat(other, &o) == nil && o.Dev == st.Dev && o.Ino == st.Ino {
			return p.dpkg[other], true, nil
		}
	}
	return listed{}, false, nil
}

func sumOf(f *disk.File, h hash.Hash) (string, error) {
	if err := f.Rewind(0); err != nil {
		return "", err
	}
	_, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return hex.EncodeToString(h.Sum(nil)), err
}

func (p *packages) load() error {
	p.dpkg, p.bases = map[string]listed{}, map[string][]string{}
	info := filepath.Join(p.root, "var/lib/dpkg/info")
	lists, _ := filepath.Glob(filepath.Join(info, "*.md5sums"))
	moved, err := p.diversions()
	if err != nil {
		return err
	}
	dirs := map[string]string{} // folder to folder without links
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err != nil {
			return fmt.Errorf("packages: %w", err)
		}
		pkg := strings.TrimSuffix(filepath.Base(list), ".md5sums")
		for line := range strings.Lines(string(b)) {
			sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
			if ok && len(sum) == 2*md5.Size {
				p.add(dirs, moved, pkg, "/"+name, sum)
			}
		}
	}
	if err := p.conffiles(dirs, moved); err != nil {
		return err
	}
	for _, db := range []string{"var/lib/rpm", "usr/lib/sysimage/rpm"} {
		for _, file := range []string{"rpmdb.sqlite", "Packages", "Packages.db"} {
			if _, err := os.Stat(filepath.Join(p.root, db, file)); err == nil {
				p.rpmDB = true
			}
		}
	}
	return nil
}

// add lists a file under the path that the kernel would name: /bin may be a link.
func (p *packages) add(dirs map[string]string, moved map[string]diversion, pkg, name, sum string) {
	if d, ok := moved[name]; ok && d.by != strings.SplitN(pkg, ":", 2)[0] {
		name = d.to
	}
	dir, base := filepath.Split(filepath.Join(p.root, name))
	real, ok := dirs[dir]
	if !ok {
		var err error
		if real, err = filepath.EvalSymlinks(dir); err != nil {
			real = filepath.Clean(dir)
		}
		dirs[dir] = real
	}
	full := filepath.Join(real, base)
	p.dpkg[full] = listed{pkg, strings.ToLower(sum)}
	p.bases[base] = append(p.bases[base], full)
}

type diversion struct{ to, by string }

// diversions reads where dpkg puts files of packages that another package
// displaced: three lines each, from, to, by.
func (p *packages) diversions() (map[string]diversion, error) {
	b, err := os.ReadFile(filepath.Join(p.root, "var/lib/dpkg/diversions"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("packages: %w", err)
	}
	out := map[string]diversion{}
	lines := strings.Split(string(b), "\n")
	for i := 0; i+2 < len(lines); i += 3 {
		out[lines[i]] = diversion{lines[i+1], lines[i+2]}
	}
	return out, nil
}

// conffiles reads the digests of configuration files, which md5sums leaves out.
func (p *packages) conffiles(dirs map[string]string, moved map[string]diversion) error {
	f, err := os.Open(filepath.Join(p.root, "var/lib/dpkg/status"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("packages: %w", err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 16<<20)
	pkg, conf := "", false
	for in.Scan() {
		line := in.Text()
		if name, ok := strings.CutPrefix(line, "Package: "); ok {
			pkg = name
		}
		if !strings.HasPrefix(line, " ") {
			conf = strings.HasPrefix(line, "Conffiles:")
			continue
		}
		if w := strings.Fields(line); conf && len(w) >= 2 && len(w[1]) == 2*md5.Size {
			p.add(dirs, moved, pkg, w[0], w[1])
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("packages: status of dpkg: %w", err)
	}
	return nil
}

// askRPM asks rpm for the digests of the package that has a file.
func (p *packages) askRPM(name string, f *disk.File) (string, owned, error) {
	tool := p.rpm
	for _, t := range []string{"usr/bin/rpm", "bin/rpm"} {
		if _, err := os.Stat(filepath.Join(p.root, t)); err == nil && tool == "" {
			tool = filepath.Join(p.root, t)
		}
	}
	if tool == "" {
		return "", ofNobody, fmt.Errorf("packages: there is a database of rpm and no rpm to ask")
	}
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	own := strings.TrimPrefix(name, strings.TrimSuffix(p.root, "/"))
	run := exec.CommandContext(ctx, tool, "--root", p.root, "-q", "-f", "--queryformat", `[%{=NAME}\t%{FILEDIGESTS}\t%{FILENAMES}\n]`, "--", own)
	run.Env = []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	out, err := run.Output()
	if err != nil {
		if bytes.Contains(out, []byte("is not owned by any package")) {
			return "", ofNobody, nil
		}
		return "", ofNobody, fmt.Errorf("packages: rpm: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		w := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(w) != 3 || w[2] != own && filepath.Base(w[2]) != filepath.Base(own) {
			continue
		}
		h := sha256.New()
		if len(w[1]) == 2*md5.Size {
			h = md5.New()
		}
		sum, err := sumOf(f, h)
		if err != nil {
			return "", ofNobody, err
		}
		if sum == strings.ToLower(w[1]) {
			return w[0], asPackaged, nil
		}
		if w[2] == own {
			return w[0], modified, nil
		}
	}
	return "rpm", modified, nil
}
