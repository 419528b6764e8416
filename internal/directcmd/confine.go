package directcmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
)

// maxList is what is read of a package manager's list of files, in bytes.
const maxList = 128 << 20

// confined refuses a removal in a root that would reach out of it. rpm changes its root before it touches a file; dpkg and apk
// follow links from where this process stands, so that a link of the image to /etc is this host's /etc: every folder that they
// would write to has to be below the root, with all links followed.
func confined(target, tool, name string) error {
	if target == "/" || tool != "dpkg" && tool != "apk" {
		return nil
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		return err
	}
	defer root.Close()
	c := confinement{root: root, seen: map[string]bool{}}
	if tool == "apk" {
		c.below("lib/apk/db/installed", "usr/lib/apk/db/installed", "etc/apk/world", "var/cache/apk", "lib/apk/db/lock", "usr/lib/apk/db/lock")
		for _, db := range []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"} {
			c.lines(db, func(l string) {
				if dir, ok := strings.CutPrefix(l, "F:"); ok { // of every package: those that nothing needs any more go, too
					c.below(dir)
				}
			})
		}
		return c.err
	}
	const db = "var/lib/dpkg/"
	c.below(db+"info", db+"updates", db+"triggers", db+"alternatives", db+"status", db+"diversions", db+"statoverride", db+"lock", "var/log")
	file := func(l string) { c.below(l[:strings.LastIndexByte(l, '/')+1]) } // a link at its end is what goes, not what it names
	c.lines(db+"diversions", file)
	for _, list := range c.names(db + "info") {
		if owner, ok := strings.CutSuffix(list, ".list"); ok && (owner == name || strings.HasPrefix(owner, name+":")) {
			c.lines(db+"info/"+list, file)
		}
	}
	return c.err
}

// confinement collects the first reason against a removal.
type confinement struct {
	root *os.Root
	seen map[string]bool
	err  error
}

// refuse keeps an error that is not of what is not there.
func (c *confinement) refuse(name string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && c.err == nil {
		c.err = fmt.Errorf("%s: %w: the removal could reach out of the root %s: say what a person does (--by-hand)", showcause.Escape("/"+name), err, showcause.Escape(c.root.Name()))
	}
}

// below refuses names that lead out of the root. A name with ".." is followed as the kernel does.
func (c *confinement) below(names ...string) {
	for _, name := range names {
		if name = strings.TrimLeft(name, "/"); name == "" || c.seen[name] {
			continue
		}
		c.seen[name] = true
		_, err := c.root.Stat(name)
		c.refuse(name, err)
	}
}

func (c *confinement) open(name string) *os.File {
	f, err := c.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if c.refuse(name, err); err != nil {
		return nil
	}
	return f
}

func (c *confinement) names(dir string) []string {
	f := c.open(dir)
	if f == nil {
		return nil
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	c.refuse(dir, err)
	return names
}

// lines gives each line of a file that is not empty.
func (c *confinement) lines(name string, each func(string)) {
	f := c.open(name)
	if f == nil {
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil && (!st.Mode().IsRegular() || st.Size() > maxList) {
		err = errors.New("no list of files that can be checked")
	}
	var b []byte
	if err == nil {
		b, err = io.ReadAll(io.LimitReader(f, maxList))
	}
	c.refuse(name, err)
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimRight(l, "\n"); l != "" {
			each(l)
		}
	}
}

// exact refuses what apt-get understood as something else than one package: a name that it does not know is a pattern for
// names, or with a "+" at its end asks for an installation.
func exact(simulated, name string) error {
	removes := false
	for l := range strings.Lines(simulated) {
		f := strings.Fields(l)
		switch {
		case len(f) > 1 && (f[0] == "Inst" || f[0] == "Conf"):
			return fmt.Errorf("dry run: would install %s: nothing is proposed", showcause.Escape(f[1]))
		case len(f) > 1 && (f[0] == "Remv" || f[0] == "Purg"):
			removes = removes || f[1] == name || strings.HasPrefix(f[1], name+":")
		}
	}
	if !removes {
		return fmt.Errorf("dry run: would not remove the package %s: nothing is proposed", showcause.Escape(name))
	}
	return nil
}
