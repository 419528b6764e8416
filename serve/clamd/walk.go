package clamd

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
)

// walk scans what a path leads to. Folders and files are opened by their names in the folder
// that holds them, which is held open, so that nothing is read outside of what was
// asked for, whatever is moved meanwhile.
type walk struct {
	c       *conn
	ctx     context.Context
	id      uint32
	term    byte
	verb    verb
	top     string // as the client wrote it
	command string
	dev     uint64 // of top, where others are left out
	files   *each  // of MULTISCAN of a folder

	chain  []place // folders from top to here
	stop   atomic.Bool
	mu     sync.Mutex // guards what follows
	total  int        // files and folders that count for the last reply
	failed int
	found  int
}

type place struct{ dev, ino uint64 }

// Reasons of errors for paths.
const (
	notFollowed = "Symbolic link not followed"
	tooDeep     = "Directory recursion limit reached"
)

func (w *walk) run() {
	path := strings.TrimRight(w.top, "/")
	if path == "" && w.top != "" {
		path = "/"
	}
	if w.excluded(path) {
		if w.verb != multiscan || !isDir(path) {
			w.reply(path, "Excluded")
		}
		return
	}
	w.start(path)
	if w.files != nil {
		w.files.wg.Wait()
	}
	if w.ctx.Err() != nil { // there may be more that nobody looked at
		w.error(w.top, errorText(ErrStopping))
		return
	}
	// clamd says OK of a folder of which some of the files could not be read.
	if w.found == 0 && w.failed == 0 && w.total > 0 {
		w.reply(w.top, "OK")
	}
}

// start looks at the path that was asked for.
func (w *walk) start(path string) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		w.error(path, "File path check failure: "+reason(err)+".")
		return
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		if unix.Stat(path, &st) != nil || !w.follows(st.Mode) {
			w.error(path, notFollowed)
			return
		}
	}
	w.dev = st.Dev
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if w.verb == multiscan {
			w.files = &each{free: make(chan struct{}, w.c.s.o.Parallel)}
		} else {
			w.count(1)
		}
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
		if err != nil {
			w.error(path, "File path check failure: "+reason(err)+".")
			return
		}
		w.folder(f, path, w.c.s.o.MaxDirectory)
	case unix.S_IFREG:
		w.file(unix.AT_FDCWD, path, path)
	default:
		w.error(path, "Not supported file type")
	}
}

func isDir(path string) bool {
	st, err := os.Lstat(path)
	return err == nil && st.IsDir()
}

func (w *walk) follows(mode uint32) bool {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return w.c.s.o.FollowDirs
	case unix.S_IFREG:
		return w.c.s.o.FollowFiles
	}
	return true // to be told that it is no file
}

// An entry is a name in a folder.
type entry struct {
	name string
	dir  bool
	ino  uint64
}

// entries lists a folder as clamd goes through it: files first, each kind by inode. A
// link counts as what it leads to, where that is followed, and not at all otherwise.
func (w *walk) entries(f *os.File) ([]entry, error) {
	list, err := f.ReadDir(-1)
	var out []entry
	for _, d := range list {
		mode := d.Type()
		e := entry{name: d.Name()}
		if i, err := d.Info(); err == nil {
			if st, ok := i.Sys().(*syscall.Stat_t); ok {
				e.ino = st.Ino
			}
		}
		if mode&fs.ModeSymlink != 0 {
			var st unix.Stat_t
			if unix.Fstatat(int(f.Fd()), e.name, &st, 0) != nil || !w.follows(st.Mode) {
				continue
			}
			e.dir = st.Mode&unix.S_IFMT == unix.S_IFDIR
		} else if e.dir = mode.IsDir(); !e.dir && !mode.IsRegular() && mode&fs.ModeIrregular == 0 {
			continue // devices, pipes and sockets have no content
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b entry) int {
		switch {
		case a.dir != b.dir:
			return map[bool]int{false: -1, true: 1}[a.dir]
		case a.ino != b.ino:
			return cmp.Compare(a.ino, b.ino)
		}
		return strings.Compare(a.name, b.name)
	})
	return out, err
}

// folder scans what is in a folder, which it closes.
func (w *walk) folder(f *os.File, path string, depth int) {
	defer f.Close()
	fd := int(f.Fd())
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil {
		here := place{st.Dev, st.Ino}
		if slices.Contains(w.chain, here) {
			return // a link leads back: it is being scanned
		}
		w.chain = append(w.chain, here)
		defer func() { w.chain = w.chain[:len(w.chain)-1] }()
	}
	list, err := w.entries(f)
	if err != nil {
		w.error(path, "File path check failure: "+reason(err)+".")
	}
	for _, e := range list {
		if w.over() {
			return
		}
		at := filepath.Join(path, e.name)
		if path == "." {
			at = "./" + e.name
		}
		if w.excluded(at) {
			if w.verb != multiscan {
				w.reply(at, "Excluded")
			}
			continue
		}
		if !e.dir {
			w.file(fd, e.name, at)
			continue
		}
		if depth == 0 {
			w.error(at, tooDeep)
			continue
		}
		how := unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NONBLOCK | unix.O_CLOEXEC
		if !w.c.s.o.FollowDirs {
			how |= unix.O_NOFOLLOW
		}
		sub, err := unix.Openat(fd, e.name, how, 0)
		if err != nil {
			w.error(at, "File path check failure: "+reason(err)+".")
			continue
		}
		if w.foreign(sub, at) {
			unix.Close(sub)
			continue
		}
		w.folder(os.NewFile(uintptr(sub), at), at, depth-1)
	}
}

// foreign tells whether a descriptor is on another file system, where that is left out.
func (w *walk) foreign(fd int, path string) bool {
	if !w.c.s.o.OneFilesystem {
		return false
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Dev == w.dev {
		return false
	}
	if w.verb != multiscan {
		w.reply(path, "Excluded (another filesystem)")
	}
	return true
}

// file scans the file of a name in a folder.
func (w *walk) file(dir int, name, path string) {
	how := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	if !w.c.s.o.FollowFiles {
		how |= unix.O_NOFOLLOW
	}
	fd, err := unix.Openat(dir, name, how, 0)
	if err != nil {
		w.error(path, errorText(err))
		return
	}
	if w.foreign(fd, path) {
		unix.Close(fd)
		return
	}
	f := os.NewFile(uintptr(fd), path)
	if err := regular(fd); err != nil || processes(fd) {
		f.Close()
		w.error(path, "Not supported file type")
		return
	}
	if w.files == nil {
		w.scan(f, path)
		return
	}
	w.files.do(func() { w.scan(f, path) })
}

// processes tells whether a file is one of /proc, whose content the kernel makes up while it
// is read; clamd says OK of them, unread.
func processes(fd int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}

func (w *walk) scan(f *os.File, path string) {
	defer f.Close()
	if w.over() {
		return
	}
	r := Request{Client: w.c.client, From: w.c.from, Command: w.command, Name: path, File: f}
	if w.files != nil || len(w.chain) > 0 {
		r.Client += "/folder"
	}
	a, err := w.c.s.b.Scan(w.ctx, r)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.total++
	if err != nil || len(a.Names) > 0 || a.Failed != "" {
		found, _ := w.c.tell(w.id, w.term, line(path, w.term), &a, err, w.verb == allmatchscan)
		if found {
			w.found++
			if w.verb == scan || w.verb == allmatchscan {
				w.stop.Store(true)
			}
		} else {
			w.failed++
		}
	}
}

// over tells whether nothing more is to be scanned.
func (w *walk) over() bool { return w.stop.Load() || w.ctx.Err() != nil || w.c.gone() }

func (w *walk) count(n int) {
	w.mu.Lock()
	w.total += n
	w.mu.Unlock()
}

func (w *walk) error(path, why string) {
	w.mu.Lock()
	w.total++
	w.failed++
	w.mu.Unlock()
	w.c.say(w.id, w.term, line(path, w.term), ": ", why, " ERROR")
}

func (w *walk) reply(path, what string) { w.c.say(w.id, w.term, line(path, w.term), ": ", what) }

func (w *walk) excluded(path string) bool {
	return w.c.s.excluded(path)
}

// excluded tells whether a path is one that is not scanned, as it is written or without what
// leads nowhere in it ("//", "/./", "x/.."). It is no wall: links lead to a file by other paths.
func (s *Server) excluded(path string) bool {
	clean := filepath.Clean(path)
	for _, re := range s.o.Exclude {
		if re.MatchString(path) || re.MatchString(clean) {
			return true
		}
	}
	return false
}

// line makes a name safe in a reply with a terminator: where the terminator, or the end of
// a line, is in it, the whole of it is escaped. Without that, a file's name could be a reply
// of its own: "x: OK". clamd writes names as they are.
func line(name string, term byte) string {
	if term == '\n' && strings.ContainsAny(name, "\n\r") || strings.IndexByte(name, 0) >= 0 {
		return showcause.Escape(name)
	}
	return name
}

// reason is the system's word for an error, as strerror has it.
func reason(err error) string {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return "Input/output error"
	}
	switch no {
	case unix.ENOENT:
		return "No such file or directory"
	case unix.EACCES:
		return "Permission denied"
	case unix.ENOTDIR:
		return "Not a directory"
	case unix.ENAMETOOLONG:
		return "File name too long"
	case unix.ELOOP:
		return "Too many levels of symbolic links"
	case unix.EIO:
		return "Input/output error"
	}
	s := no.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// open opens the one file that a path leads to.
func (s *Server) open(path string) (*os.File, error) {
	how := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	if !s.o.FollowFiles {
		how |= unix.O_NOFOLLOW
	}
	if s.excluded(path) {
		return nil, os.ErrPermission
	}
	fd, err := unix.Openat(unix.AT_FDCWD, path, how, 0)
	if err != nil {
		return nil, err
	}
	if regular(fd) != nil || processes(fd) {
		unix.Close(fd)
		return nil, errNotRegular
	}
	return os.NewFile(uintptr(fd), path), nil
}
