package quarantine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
)

// Guard says what must not be taken. The zero value is the default.
type Guard struct {
	Stages []byte // stages of rules (ParseStages); nil: the file "stages" in the store; none: every rule only reports
	Root   string // where the system's files and package databases are; "": /
	RPM    string // the program that knows of rpm's packages; "": rpm in its usual places
}

// Limits are the brake: they stop a rule that hits what it should not. A zero
// is the default, a negative number is no limit.
type Limits struct {
	Takes    int           // files taken within Window; 20
	Bytes    int64         // bytes kept of them, without their holes; 1 GiB
	Window   time.Duration // an hour
	Share    int           // percent of a folder's files, from the fifth on; 50
	Packaged int           // files of packages that one rule may hit before it takes nothing any more; 2
}

func (l Limits) withDefaults() Limits {
	for _, x := range []struct {
		v *int
		d int
	}{{&l.Takes, 20}, {&l.Share, 50}, {&l.Packaged, 2}} {
		if *x.v == 0 {
			*x.v = x.d
		}
	}
	if l.Bytes == 0 {
		l.Bytes = 1 << 30
	}
	if l.Window == 0 {
		l.Window = time.Hour
	}
	return l
}

// Stages are stages by rule: the first line whose pattern fits counts.
type Stages []struct {
	Pattern string
	Stage   showcause.Stage
}

// ParseStages reads lines of a stage and a pattern of rule names (path.Match).
// "#" begins a comment.
func ParseStages(text []byte) (out Stages, err error) {
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 2 {
			return nil, fmt.Errorf("stages: line %d: want a stage and a pattern", n)
		}
		s := showcause.Stage(f[0])
		if s != showcause.StageShadow && s != showcause.StageReport && s != showcause.StageAct {
			return nil, fmt.Errorf("stages: line %d: stage %q: want shadow, report or act", n, f[0])
		}
		if _, err := path.Match(f[1], ""); err != nil {
			return nil, fmt.Errorf("stages: line %d: pattern: %w", n, err)
		}
		out = append(out, struct {
			Pattern string
			Stage   showcause.Stage
		}{f[1], s})
	}
	return out, nil
}

// Of returns the stage of a rule: the weaker of what the lines say of its name and of the one
// that its publisher signed, "" for none. Where neither says anything, it is showcause.StageReport.
func (s Stages) Of(rule string, signed showcause.Stage) showcause.Stage {
	for _, l := range s {
		if ok, _ := path.Match(l.Pattern, rule); ok {
			return l.Stage.Weaker(signed)
		}
	}
	if signed == "" {
		return showcause.StageReport
	}
	return signed
}

// guard is what a Take holds files against.
type guard struct {
	q        *Quarantine
	limits   Limits
	stages   Stages
	never    *never
	packages *packages
	recent   int                        // takes within the window
	bytes    int64                      // kept of them
	folders  map[string]int             // takes within the window, by folder
	packaged map[string]map[string]bool // by rule: digests of paths of packages' files that it hit
	changed  bool
}

func (q *Quarantine) newGuard(ctx context.Context) (*guard, error) {
	g := &guard{q: q, limits: q.o.Limits.withDefaults(), folders: map[string]int{}, packaged: map[string]map[string]bool{}}
	text := q.o.Guard.Stages
	if text == nil {
		root, err := q.o.FS.OpenDir(q.store.Dir())
		if err != nil {
			return nil, err
		}
		defer root.Close()
		text, err = root.ReadFile("stages", 1<<20)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	var err error
	if g.stages, err = ParseStages(text); err != nil {
		return nil, err
	}
	root := q.o.Guard.Root
	if root == "" {
		root = "/"
	}
	g.never = newNever(root, q.store.Dir())
	g.packages = &packages{root: root, rpm: q.o.Guard.RPM, ctx: ctx}
	items, err := q.items()
	if err != nil {
		return nil, err
	}
	from := q.o.Now().Add(-g.limits.Window)
	for _, it := range items {
		if when, err := time.Parse(time.RFC3339, it.Time); err == nil && when.After(from) {
			g.recent++
			g.bytes += stored(it.Holes, it.Size)
			g.folders[it.Names[0].dir()]++
		}
	}
	return g, g.recall()
}

// recall reads which rules hit files of packages before.
func (g *guard) recall() error {
	if g.q.dir == nil {
		return nil
	}
	b, err := g.q.dir.ReadFile(packagedName, 16<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var list map[string][]string
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("%s: %w", packagedName, err)
	}
	for rule, paths := range list {
		g.packaged[rule] = map[string]bool{}
		for _, p := range paths {
			g.packaged[rule][p] = true
		}
	}
	return nil
}

// remember writes that down.
func (g *guard) remember() error {
	if !g.changed {
		return nil
	}
	list := map[string][]string{}
	for rule, paths := range g.packaged {
		for p := range paths {
			list[rule] = append(list[rule], p)
		}
		slices.Sort(list[rule])
	}
	b, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	return g.q.dir.WriteFile(packagedName, append(b, '\n'), 0o600)
}

// maxPackaged is how many hits are remembered of a rule.
const maxPackaged = 100

// look holds an examined file against what must not be taken.
func (g *guard) look(x *file) bool {
	for i, p := range x.names {
		st, err := x.parents[i].Lstat(path.Base(p))
		if err != nil {
			return x.refuse(Refused, noPath, "%v", err)
		}
		if why := g.never.why(p, st); why != "" {
			g.hit(x, p)
			return x.refuse(Held, neverTouch, "%s", why)
		}
		pkg, state, err := g.packages.owner(p, x.f)
		switch {
		case err != nil:
			return x.refuse(Held, packageTool, "%v", err)
		case state == asPackaged:
			g.hit(x, p)
			return x.refuse(Held, packaged, "a file of package %s, as the package has it", pkg)
		}
	}
	return true
}

// hit notes that a rule hit what the system needs.
func (g *guard) hit(x *file, p string) {
	rule := x.outcome.Rule
	if g.packaged[rule] == nil {
		g.packaged[rule] = map[string]bool{}
	}
	sum := sha256.Sum256([]byte(p))
	if key := hex.EncodeToString(sum[:]); !g.packaged[rule][key] && len(g.packaged[rule]) < maxPackaged {
		g.packaged[rule][key] = true
		g.changed = true
	}
}

// allows tells whether stage and brake let a file be taken now.
func (g *guard) allows(x *file) bool {
	rule := x.outcome.Rule
	if s := g.stages.Of(rule, showcause.Stage(x.statement.Rules.Rule.Stage)); s != showcause.StageAct && !x.request.Approved {
		return x.refuse(Held, noStage, "rule %s is at stage %s", rule, s)
	}
	if n := len(g.packaged[rule]); g.limits.Packaged >= 0 && n > g.limits.Packaged {
		return x.refuse(Held, brake, "rule %s hit %d files of packages or of the system: it takes nothing", rule, n)
	}
	if g.limits.Takes >= 0 && g.recent >= g.limits.Takes {
		return x.refuse(Held, brake, "%d files were taken within %v", g.recent, g.limits.Window)
	}
	if size := stored(x.holes, x.st.Size); g.limits.Bytes >= 0 && size > g.limits.Bytes-g.bytes {
		return x.refuse(Held, brake, "%d bytes more would be kept than the %d within %v", size-(g.limits.Bytes-g.bytes), g.limits.Bytes, g.limits.Window)
	}
	folder := path.Dir(x.names[0])
	if n := g.folders[folder]; g.limits.Share >= 0 && n >= 4 {
		names, err := x.parents[0].Names()
		if err != nil {
			return x.refuse(Refused, environment, "%v", err)
		}
		if all := len(names) + n; (n+1)*100 > g.limits.Share*all {
			return x.refuse(Held, brake, "more than %d %% of the files in its folder would be gone", g.limits.Share)
		}
	}
	return true
}

// count counts a file that was taken.
func (g *guard) count(x *file) {
	g.recent++
	g.bytes += stored(x.holes, x.st.Size)
	g.folders[path.Dir(x.names[0])]++
}

// never is the set of files that the system cannot do without.
type never struct {
	folders map[Inode]string // with all below them
	inodes  map[Inode]string
}

// vital are the files, below the root, by patterns of path.Match.
var vital = []string{
	"{bin}/sh", "{bin}/bash", "{bin}/dash", "{bin}/ash", "{bin}/ksh", "{bin}/zsh", "{bin}/fish", "{bin}/busybox",
	"{bin}/su", "{bin}/sudo", "{bin}/doas", "{bin}/pkexec", "{bin}/login", "{bin}/agetty", "{bin}/getty", "{bin}/sshd", "{bin}/ssh",
	"{bin}/init", "{bin}/systemd*", "{bin}/openrc*", "{bin}/mount", "{bin}/umount", "{bin}/fsck*", "{bin}/modprobe", "{bin}/udevadm",
	"{bin}/dpkg*", "{bin}/apt*", "{bin}/rpm*", "{bin}/dnf*", "{bin}/yum*", "{bin}/zypper", "{bin}/apk", "{bin}/pacman*", "{bin}/snap*",
	"{bin}/dbus-daemon", "{bin}/dbus-broker*", "{bin}/env", "{bin}/grub*",
	"{lib}/ld-*", "{lib}/ld.so*", "{lib}/ld-musl*", "{lib}/libc.so*", "{lib}/libc-*.so", "{lib}/libc.musl*", "{lib}/libm.so*", "{lib}/libpthread*",
	"{lib}/libdl.so*", "{lib}/libcrypto.so*", "{lib}/libssl.so*", "{lib}/libpam*.so*", "{lib}/libselinux.so*", "{lib}/libnss_*.so*", "{lib}/libcrypt.so*",
	"usr/lib/systemd/systemd*", "lib/systemd/systemd*", "usr/lib/openssh/*", "usr/libexec/openssh/*",
	"etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/fstab", "etc/sudoers", "etc/ssh/*", "etc/pam.d/*", "etc/ld.so*", "etc/nsswitch.conf",
	"vmlinuz*", "initrd*",
}

// below are folders of which nothing is taken.
var below = []string{"boot", "lib/modules", "usr/lib/modules", "usr/lib/firmware", "proc", "sys", "dev", "var/lib/dpkg", "var/lib/rpm", "usr/lib/sysimage/rpm", "etc/systemd", "usr/lib/systemd/system"}

func newNever(root, storeDir string) *never {
	n := &never{folders: map[Inode]string{}, inodes: map[Inode]string{}}
	for _, b := range below {
		n.addFolder(filepath.Join(root, b))
	}
	n.addFolder(storeDir)
	bins := []string{"bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"}
	libs := []string{"lib", "lib32", "lib64", "usr/lib", "usr/lib32", "usr/lib64", "lib/*-linux-*", "usr/lib/*-linux-*"}
	for _, v := range vital {
		in := []string{""}
		if rest, ok := strings.CutPrefix(v, "{bin}/"); ok {
			in, v = bins, rest
		} else if rest, ok := strings.CutPrefix(v, "{lib}/"); ok {
			in, v = libs, rest
		}
		for _, d := range in {
			found, _ := filepath.Glob(filepath.Join(root, d, v))
			for _, f := range found {
				n.add(f, "the system cannot do without it")
			}
		}
	}
	if shells, err := os.ReadFile(filepath.Join(root, "etc/shells")); err == nil {
		for line := range strings.Lines(string(shells)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "/") {
				n.add(filepath.Join(root, line), "a shell")
			}
		}
	}
	n.running()
	return n
}

// running adds what the first process has mapped, and this program.
func (n *never) running() {
	n.add("/proc/1/exe", "the first process runs it")
	n.add("/proc/self/exe", "it is this program")
	maps, _ := os.ReadFile("/proc/1/maps") // root's to read; without it, who is not root can take little
	for line := range strings.Lines(string(maps)) {
		if i := strings.IndexByte(line, '/'); i > 0 {
			n.add(strings.TrimSuffix(line[i:], "\n"), "the first process has it mapped")
		}
	}
}

func (n *never) add(name, why string) {
	var st unix.Stat_t
	if unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
		if k := (Inode{st.Dev, st.Ino}); n.inodes[k] == "" {
			n.inodes[k] = why
		}
	}
}

func (n *never) addFolder(name string) {
	var st unix.Stat_t
	if unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		n.folders[Inode{st.Dev, st.Ino}] = "nothing in " + name + " is taken"
	}
}

// why says why a file is not taken, "" if nothing is against it. File and folders
// are known by their inodes, so that other names and mounts of them do not help.
func (n *never) why(p string, st unix.Stat_t) string {
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		var d unix.Stat_t
		if unix.Lstat(dir, &d) == nil {
			if w := n.folders[Inode{d.Dev, d.Ino}]; w != "" {
				return w
			}
		}
		if dir == "/" {
			break
		}
	}
	return n.inodes[Inode{st.Dev, st.Ino}]
}
