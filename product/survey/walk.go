package survey

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/inspect"
	"github.com/showcause/showcause/product/look"
	"github.com/showcause/showcause/product/osdb"
	"github.com/showcause/showcause/worker/once"
)

const (
	batchBytes = 48 << 20 // of small files that one process is given
	batchFiles = 4000
	largeFile  = 24 << 20 // from here on a file has a process of its own
	maxDepth   = 500      // folders in folders
)

// walker goes through a tree, names in order, through held folders only.
type walker struct {
	*surveyor
	ctx    context.Context
	jobs   chan<- *batch
	next   *batch
	files  product.Files
	device uint64
	buf    []byte
	layers map[string]string // folders that are layers of containers: the tree that each is of
	layer  string            // the one that the walk is in
}

// batch is what one process is given.
type batch struct {
	parts []part
	keys  []key
	mem   *os.File // small files one behind the other
	size  int64
	large *os.File // or one file
}

func (b *batch) file() *os.File {
	if b.large != nil {
		return b.large
	}
	return b.mem
}

func (b *batch) close() { b.file().Close() }

func (w *walker) gap(name string, code showcause.Code, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inv.Coverage.Gaps = append(w.inv.Coverage.Gaps, product.Gap{Place: product.Place{Path: name}, Code: code, Length: -1, Why: why})
}

func (w *walker) exclude(name, why string) {
	w.inv.Coverage.Excluded = append(w.inv.Coverage.Excluded, product.Exclusion{Path: name, Why: why})
}

// dir goes through a folder; name is its path without a slash at the end, "" for the root.
func (w *walker) dir(d *disk.Dir, name string, depth int) {
	if w.ctx.Err() != nil {
		return
	}
	if depth > maxDepth {
		w.gap(name, showcause.LimitDepth, "")
		return
	}
	if in, root := w.within(name); in != "" && inspect.Folder(in+"/x") == in { // a file in it would be of that folder
		ob := inspect.FolderSeen(look.Text(in))
		ob.Place.Path, ob.Place.Root = look.Text(name), root
		w.mu.Lock()
		w.inv.Observations = append(w.inv.Observations, ob)
		w.mu.Unlock()
	}
	names, err := d.Names()
	if err != nil {
		w.gap(name, showcause.Unreadable, reason(err))
	}
	w.storage(d, name, names)
	if w.layers[name] != "" {
		defer func(was string) { w.layer = was }(w.layer)
		w.layer = name
	}
	for _, n := range names {
		if w.ctx.Err() != nil {
			return
		}
		w.entry(d, name+"/"+n, n, depth)
	}
}

func (w *walker) entry(d *disk.Dir, full, n string, depth int) {
	st, err := d.Lstat(n)
	switch {
	case errors.Is(err, unix.ENOENT): // it was removed meanwhile
	case err != nil:
		w.files.Seen++
		w.files.Unread++
		w.gap(full, showcause.Unreadable, reason(err))
	case slices.Contains(w.Exclude, full):
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			w.files.Seen++
			w.files.Excluded++
		}
		w.exclude(full, "excluded")
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		w.sub(d, full, n, depth, st.Dev)
	case st.Mode&unix.S_IFMT == unix.S_IFREG:
		w.files.Seen++
		w.regular(d, full, n, &st)
	default:
		to := ""
		in, _ := w.within(full)
		if !osdb.Lost(look.Lower(in), "") { // no place of a database
			return
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			to = leads(d, n)
		}
		if osdb.Lost(look.Lower(in), look.Lower(to)) {
			w.gap(full, showcause.Unsupported+".database", "here packages are recorded: this is no file or folder, or leads to where none of the readers looks")
		}
	}
}

// leads is what a link says, "" if that cannot be read.
func leads(d *disk.Dir, n string) string {
	f, err := d.Open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 4096)
	m, err := unix.Readlinkat(f.FD(), n, b)
	if err != nil {
		return ""
	}
	return string(b[:m])
}

func (w *walker) sub(d *disk.Dir, full, n string, depth int, device uint64) {
	s, err := d.Sub(n, false)
	if err != nil {
		w.gap(full, showcause.Unreadable, reason(err))
		return
	}
	defer s.Close()
	if device != w.device {
		if kind, ok := fsKind(s); ok {
			w.exclude(full, kind+" file system")
			return
		}
	}
	outer := w.device
	w.device = device
	w.dir(s, full, depth+1)
	w.device = outer
}

// fsKind tells of what kind a file system is that is left out.
func fsKind(d *disk.Dir) (string, bool) {
	f, err := d.Open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", false
	}
	defer f.Close()
	var st unix.Statfs_t
	if unix.Fstatfs(f.FD(), &st) != nil {
		return "", false
	}
	kind, ok := kernelFS[int64(st.Type)]
	return kind, ok
}

// regular decides what is done about a file.
func (w *walker) regular(d *disk.Dir, full, n string, st *unix.Stat_t) {
	k := keyOf(full, st)
	if r, read, ok := w.cache.get(k); ok {
		w.keep(k, r, read)
		return
	}
	if st.Size == 0 {
		w.keep(k, nil, false)
		return
	}
	f, err := d.Open(n, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		w.files.Unread++
		w.gap(full, showcause.Unreadable, reason(err))
		return
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || keyOf(full, &now) != k || now.Mode&unix.S_IFMT != unix.S_IFREG {
		w.files.Unread++
		w.gap(full, showcause.Changed, "")
		return
	}
	wanted, flat, err := w.candidate(f, full, st.Size)
	switch {
	case err != nil:
		w.files.Unread++
		w.gap(full, showcause.Unreadable, reason(err))
	case !wanted:
		w.keep(k, nil, false)
	default:
		w.add(f, full, k, flat, st)
	}
}

// candidate looks at a path and the first bytes.
func (w *walker) candidate(f *disk.File, full string, size int64) (wanted, flat bool, err error) {
	if w.buf == nil {
		w.buf = make([]byte, inspect.MoreSize)
	}
	want := 1088 // the marks of all but discs
	if size > 64<<10 {
		want = inspect.MoreSize
	}
	b := w.buf[:min(int64(want), size)]
	n, err := unix.Pread(f.FD(), b, 0)
	if err != nil {
		return false, false, err
	}
	b = b[:n]
	full, _ = w.within(full)
	file := &look.File{Path: full, Lower: look.Lower(full), Head: b[:min(len(b), look.HeadSize)]}
	wanted, flat = inspect.Candidate(w.readers, file, b)
	return wanted, flat, nil
}

// keep takes what is known of a file: from the cache, or that there is nothing to read in it.
func (w *walker) keep(k key, r *inspect.Result, read bool) {
	if r == nil {
		r = &inspect.Result{}
	}
	w.take(k, r, read)
}

// add gives a file to the next process.
func (w *walker) add(f *disk.File, full string, k key, flat bool, st *unix.Stat_t) {
	in, root := w.within(full)
	p := part{Task: inspect.Task{Path: full, In: in, Root: root, Tree: true, Flat: flat, Limits: w.Limits}, Size: st.Size}
	if st.Size >= largeFile {
		fd, err := unix.FcntlInt(uintptr(f.FD()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			w.files.Unread++
			w.gap(full, showcause.Unreadable, reason(err))
			return
		}
		w.give(&batch{large: os.NewFile(uintptr(fd), path.Base(full)), parts: []part{p}, keys: []key{k}})
		return
	}
	if w.next == nil {
		fd, err := unix.MemfdCreate("showcause-files", unix.MFD_CLOEXEC)
		if err != nil {
			w.files.Unread++
			w.gap(full, showcause.LimitMemory, reason(err))
			return
		}
		w.next = &batch{mem: os.NewFile(uintptr(fd), "files")}
	}
	b := w.next
	p.Off = b.size
	n, err := copyTo(b.mem, f, st.Size)
	if err != nil || n < st.Size {
		_ = b.mem.Truncate(b.size)
		_, _ = b.mem.Seek(b.size, io.SeekStart)
		w.files.Unread++
		code := showcause.Changed
		if err != nil {
			code = showcause.Unreadable
		}
		w.gap(full, code, "")
		return
	}
	b.size += n
	b.parts, b.keys = append(b.parts, p), append(b.keys, k)
	if b.size >= batchBytes || len(b.parts) >= batchFiles {
		w.flush()
	}
}

// copyTo copies the first n bytes of a file.
func copyTo(mem *os.File, f *disk.File, n int64) (done int64, err error) {
	off := int64(0)
	for off < n {
		m, err := unix.Sendfile(int(mem.Fd()), f.FD(), &off, int(n-off))
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil || m == 0 {
			return off, err
		}
	}
	return off, nil
}

func (w *walker) flush() {
	if w.next != nil {
		w.give(w.next)
		w.next = nil
	}
}

func (w *walker) give(b *batch) {
	select {
	case w.jobs <- b:
	case <-w.ctx.Done():
		b.close()
	}
}

// count adds what the walk counted itself.
func (w *walker) count() {
	f := &w.inv.Coverage.Files
	f.Seen += w.files.Seen
	f.Unread += w.files.Unread
	f.Excluded += w.files.Excluded
}

// take adds the result of a file to the inventory.
func (s *surveyor) take(k key, r *inspect.Result, read bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.inv.Coverage
	switch unread := slices.ContainsFunc(r.Gaps, func(g product.Gap) bool { return g.Code.Unread() }) || r.More > 0; {
	case unread:
		c.Files.Unread++
	case read:
		c.Files.Read++
		switch r.Way {
		case product.Recorded:
			c.Files.Records++
		case product.AsProgram:
			c.Files.Programs++
		default:
			c.Files.Unpacked++
		}
		if r.Searched > 0 {
			c.Files.Searched++
		}
	default:
		c.Files.Judged++
	}
	c.Layers += max(r.Layers-1, 0)
	c.More += r.More
	c.Gaps = append(c.Gaps, r.Gaps...)
	s.inv.Observations = append(s.inv.Observations, r.Observations...)
	if s.cache != nil {
		s.cache.put(k, r, read, s.began)
	}
}

// batch has files looked into. A process that dies takes one file with it; the others are given to the next one.
func (s *surveyor) batch(ctx context.Context, b *batch) error {
	parts, keys := b.parts, b.keys
	for len(parts) > 0 {
		r := &receiver{words: newWords(), parts: parts, results: make([]inspect.Result, len(parts))}
		request, err := encodeRequest(parts, s.Roots, s.Rules)
		if err != nil {
			return err
		}
		err = s.Run(ctx, request, b.file(), r.take)
		code := showcause.Code("")
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, once.ErrDied), errors.Is(err, errEvent):
			code = showcause.Crash
		case errors.Is(err, context.DeadlineExceeded):
			code = showcause.LimitTime
		case err != nil:
			return fmt.Errorf("%s: %w", strings.TrimPrefix(parts[min(r.done, len(parts)-1)].Path, "/"), err)
		case r.done < len(parts):
			code = showcause.Crash
		}
		for i := range r.done {
			s.take(keys[i], &r.results[i], true)
		}
		if r.done < len(parts) {
			p := parts[r.done]
			gap := product.Gap{Place: product.Place{Path: p.Path}, Code: code, Length: p.Size}
			s.take(keys[r.done], &inspect.Result{Gaps: []product.Gap{gap}}, true)
			r.done++
		}
		parts, keys = parts[r.done:], keys[r.done:]
	}
	return nil
}
