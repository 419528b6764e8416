// Package survey makes the inventory of a target: a host, a root that is mounted, or an
// image, package or other file.
//
// A tree is walked by its names and what the kernel says of each file. Every regular file is one of four: left out
// on purpose; unread, with a gap; judged by its path and first bytes; or read, in the jail: many small files are handed
// to one process in one piece of memory, a large one by its descriptor. Bytes of a target are compared here with a few marks,
// and are parsed there only.
//
// What a file held is kept in a cache if one is wanted, by its path, device, inode, size and times of change. A
// file that was changed a moment before it was read is not kept.
package survey

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/inspect"
	"github.com/showcause/showcause/product/look"
	"github.com/showcause/showcause/worker/once"
)

// Options are how a target is looked through. The zero value works.
type Options struct {
	Exclude []string // folders and files of a tree that are left out, from its root, "/" first
	Limits  showcause.Limits
	Rules   []byte // compiled content rules, tried on programs; nil: none
	Roots   []byte // certificates of roots as PEM, beside this system's: signers of programs that lead to one are who they say
	Cache   string // folder of the cache; "": none
	// NoProcesses leaves out what runs, of a host.
	NoProcesses bool
	Engine      string // version of Showcause, for the coverage
	// Run looks into files in another way than by processes in the jail: without it, or in tests.
	Run func(ctx context.Context, request []byte, f *os.File, part func([]byte) error) error
	// Scratch opens a temporary file for layers that do not fit in memory.
	Scratch func() (*os.File, error)
	Workers int           // processes at a time; default as many as there are processors, 4 at most
	Timeout time.Duration // of one process; default 30 minutes
	FS      *disk.FS
	// Now tells the time; nil is time.Now.
	Now func() time.Time
}

// maxListed is how many gaps an inventory lists; the others are counted.
const maxListed = 10_000

// Run makes the inventory of a target. The error is of what asks: a target that cannot be reached is an inventory
// that says so.
func Run(ctx context.Context, target string, o Options) (*product.Inventory, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Run == nil {
		o.Run = o.jailed
	}
	if o.Workers <= 0 {
		o.Workers = min(runtime.NumCPU(), 4)
	}
	s := &surveyor{Options: o, readers: inspect.Readers()}
	s.inv = &product.Inventory{Format: product.Format, Target: target, Coverage: product.Coverage{Begun: o.Now().UTC(), Engine: o.Engine}}
	s.began = s.inv.Coverage.Begun
	if len(o.Rules) > 0 {
		sum := sha256.Sum256(o.Rules)
		s.inv.Coverage.Rules = hex.EncodeToString(sum[:])
	}
	s.Roots = append(slices.Clone(s.Roots), systemRoots()...)
	if len(s.Roots) > 0 {
		sum := sha256.Sum256(s.Roots)
		s.inv.Coverage.Roots = hex.EncodeToString(sum[:])
	}
	for _, r := range s.readers {
		s.inv.Coverage.Methods = append(s.inv.Coverage.Methods, r.Name+": "+r.Method)
	}
	s.inv.Coverage.Methods = append(s.inv.Coverage.Methods, "folder: folders where applications are installed")
	s.inv.Coverage.Limits = []string{
		"what is used through a browser, and is no file here",
		"software that none of these methods knows, or that was renamed, unsigned and without a record",
		"memory, firmware, and file systems that are not mounted here",
	}
	st, err := os.Stat(target)
	switch {
	case err != nil:
		s.inv.Kind = "file"
		s.inv.Coverage.Unreached = reason(err)
	case st.IsDir():
		err = s.tree(ctx, target)
	default:
		err = s.one(ctx, target)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if s.inv.Coverage.Unreached != "" {
		err = nil
	}
	s.finish()
	return s.inv, err
}

// systemRoots are the roots that this system trusts: the first of the files that systems have them in.
func systemRoots() []byte {
	for _, name := range []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
	} {
		if b, err := os.ReadFile(name); err == nil && len(b) <= 8<<20 {
			return b
		}
	}
	return nil
}

// reason is an error without the path, which is known.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return showcause.Escape(err.Error())
}

// unsearched says which bytes were not looked at as content, in what was reached.
func unsearched(c *product.Coverage) (out []string) {
	if c.Files.Judged > 0 {
		out = append(out, "the content of files that are no programs, records, packages or archives (texts, scripts, data): they are judged by path and first bytes")
	}
	switch {
	case c.Files.Programs+c.Files.Unpacked == 0:
	case c.Rules == "":
		out = append(out, "components in programs that say nothing of themselves (no signature, version resource, note or record): no content rules were tried")
	default:
		out = append(out, "components in programs that say nothing of themselves and that no content rule that was tried knows")
	}
	if c.Files.Programs > 0 {
		out = append(out, "what is packed into the sections of a system's own ELF files: behind their tables nothing stands, and within them nothing was unpacked")
	}
	return out
}

type surveyor struct {
	Options
	readers []look.Reader
	began   time.Time
	cache   *cache

	mu  sync.Mutex
	inv *product.Inventory
	err error // ends all
}

// finish puts what was found in an order that does not depend on who was faster.
func (s *surveyor) finish() {
	inv := s.inv
	slices.SortStableFunc(inv.Observations, func(a, b product.Observation) int {
		return cmp.Or(cmp.Compare(a.Place.Path, b.Place.Path), cmp.Compare(a.Source, b.Source))
	})
	slices.SortStableFunc(inv.Coverage.Gaps, func(a, b product.Gap) int { return cmp.Compare(a.Place.Path, b.Place.Path) })
	if n := len(inv.Coverage.Gaps); n > maxListed {
		inv.Coverage.More += int64(n - maxListed)
		inv.Coverage.Gaps = inv.Coverage.Gaps[:maxListed]
	}
	for i := range inv.Observations {
		if ob := &inv.Observations[i]; ob.Source == "os-release" && ob.Place.Root == "" && inv.System.Name == "" {
			inv.System.Name, inv.System.Version = ob.Get(product.OS), ob.Get(product.Version)
		}
	}
	inv.Coverage.Limits = append(inv.Coverage.Limits, unsearched(&inv.Coverage)...)
	inv.Coverage.Ended = s.Now().UTC()
}

// one looks into a file that is the target itself.
func (s *surveyor) one(ctx context.Context, target string) error {
	s.inv.Kind = "file"
	f, err := os.OpenFile(target, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		s.inv.Coverage.Unreached = reason(err)
		return nil
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		s.inv.Coverage.Unreached = "not a regular file"
		return nil
	}
	s.inv.Coverage.Files.Seen = 1
	j := &batch{large: f, parts: []part{{Task: inspect.Task{Path: "/" + filepath.Base(target), Limits: s.Limits}, Size: st.Size()}}, keys: []key{{}}}
	err = s.batch(ctx, j)
	for _, o := range s.inv.Observations {
		if len(o.Place.Trail) > 0 {
			s.inv.Kind = "image"
		}
	}
	return err
}

// Kernel file systems: their files are answers made on reading, not content. Those over a network are others' hosts.
var kernelFS = map[int64]string{
	unix.PROC_SUPER_MAGIC: "kernel", unix.SYSFS_MAGIC: "kernel", unix.DEBUGFS_MAGIC: "kernel", unix.TRACEFS_MAGIC: "kernel",
	unix.CGROUP_SUPER_MAGIC: "kernel", unix.CGROUP2_SUPER_MAGIC: "kernel", unix.SECURITYFS_MAGIC: "kernel",
	unix.BPF_FS_MAGIC: "kernel", unix.PSTOREFS_MAGIC: "kernel", unix.EFIVARFS_MAGIC: "kernel", unix.DEVPTS_SUPER_MAGIC: "kernel",
	unix.NFS_SUPER_MAGIC: "network", unix.SMB_SUPER_MAGIC: "network", unix.SMB2_SUPER_MAGIC: "network", unix.CIFS_SUPER_MAGIC: "network",
}

// tree looks through a folder and all below it.
func (s *surveyor) tree(ctx context.Context, target string) error {
	s.inv.Kind = "root"
	if filepath.Clean(target) == "/" {
		s.inv.Kind = "host"
	}
	full, err := filepath.EvalSymlinks(target)
	if err != nil {
		s.inv.Coverage.Unreached = reason(err)
		return nil
	}
	d, err := s.FS.OpenDir(full)
	if err != nil {
		s.inv.Coverage.Unreached = reason(err)
		return nil
	}
	defer d.Close()
	if s.Cache != "" {
		if s.cache, err = openCache(s.FS, s.Cache, full, s.what()); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := make(chan *batch)
	var all sync.WaitGroup
	for range s.Workers {
		all.Go(func() {
			for b := range jobs {
				err := s.batch(ctx, b)
				b.close()
				if err != nil {
					s.mu.Lock()
					s.err = cmp.Or(s.err, err)
					s.mu.Unlock()
					cancel()
				}
			}
		})
	}
	w := &walker{surveyor: s, ctx: ctx, jobs: jobs}
	st, err := d.Stat()
	if err == nil {
		w.device = st.Dev
		w.dir(d, "", 0)
		w.flush()
	}
	close(jobs)
	all.Wait()
	w.count()
	if err = cmp.Or(s.err, err); err != nil {
		return err
	}
	if s.inv.Kind == "host" {
		s.inv.System.Host, _ = os.Hostname()
		if !s.NoProcesses {
			s.processes()
		}
	}
	if s.cache != nil {
		return s.cache.save()
	}
	return nil
}

// what names all that results depend on besides the files.
func (s *surveyor) what() string {
	return fmt.Sprintf("%s %s %s %s %+v", readersVersion, s.Engine, s.inv.Coverage.Rules, s.inv.Coverage.Roots, s.Limits)
}

// readersVersion changes when readers say something else of the same file.
const readersVersion = "readers 6"

// processes tells what runs on this host, by the links of the kernel to their programs.
func (s *surveyor) processes() {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	seen := map[string]bool{}
	lost := int64(0)
	for _, l := range links {
		exe, err := os.Readlink(l)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // a thread of the kernel has none; a process that ended neither
				lost++
			}
			continue
		}
		if seen[exe] {
			continue
		}
		seen[exe] = true
		s.inv.Observations = append(s.inv.Observations, product.Observation{
			Source: "process", Platform: product.Linux, Class: product.Running, Place: product.Place{Path: look.Text(exe), App: product.Apps(exe)},
			Evidence: product.Evidence{Record: path.Dir(l)}, Facts: look.Facts("process", look.Text(path.Base(exe)), "path", look.Text(exe)),
		})
	}
	s.inv.Coverage.Methods = append(s.inv.Coverage.Methods, "process: programs that run")
	if lost > 0 {
		s.inv.Coverage.Gaps = append(s.inv.Coverage.Gaps, product.Gap{Place: product.Place{Path: "/proc"}, Code: showcause.Unreadable, Length: -1, Why: fmt.Sprintf("%d processes of other users", lost)})
	}
}

// jailed has a request done by a process in the jail.
func (o *Options) jailed(ctx context.Context, request []byte, f *os.File, take func([]byte) error) error {
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = 30 * time.Minute
	}
	_, _, err := once.Run(ctx, request, f, once.Options{Args: []string{"showcause", Role}, Scratch: o.Scratch, Memory: 2 << 30, Timeout: timeout, Part: take})
	return err
}
