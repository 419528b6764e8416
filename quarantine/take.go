package quarantine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/translog"
)

// Request asks for one file to be taken.
type Request struct {
	Finding *evidence.Sealed
	Paths   []string // all names of the file that are known; none: the finding's path
	Why     string   // for the record of the deed
	// Approved says that a person looked at this finding: the rule's stage does
	// not matter. All other safeguards do.
	Approved bool
}

// Result is what became of a request.
type Result string

// The closed list.
const (
	Done    Result = "done"
	Planned Result = "planned" // it would be taken
	Held    Result = "held"    // a safeguard holds it; the finding stands
	Refused Result = "refused" // the finding does not allow it, or the file is not the finding's
	Undone  Result = "undone"  // it was begun, and everything is as before
	Failed  Result = "failed"  // it was begun, and the next opening finishes it or undoes it
)

// Outcome is what became of a request, and why.
type Outcome struct {
	Result Result
	Code   Reason
	Path   string // the first name; showcause.Escape
	Record string // the finding
	Rule   string
	Item   string // id, if it was taken
	Text   string
}

// Reason says why something is not taken.
type Reason string

// The closed list.
const (
	noFinding   Reason = "no-finding"   // not a finding, or not one that may be acted on
	noPath      Reason = "no-path"      // the record shows no path, or none that can be opened without a link
	notRegular  Reason = "not-regular"  // a folder, a device, a pipe
	notTheFile  Reason = "changed"      // the bytes are not those of the finding, or changed meanwhile
	otherFile   Reason = "other-file"   // two paths are two files
	noStage     Reason = "stage"        // the rule's stage is not "act"
	neverTouch  Reason = "never-touch"  // the system cannot do without it
	packaged    Reason = "packaged"     // a package's file, as the package has it
	packageTool Reason = "package-tool" // whether it is a package's file could not be found out
	brake       Reason = "brake"        // too much at once
	environment Reason = "environment"  // the disk said no
)

// file is an examined file.
type file struct {
	request   Request
	statement *evidence.Statement
	parents   []*disk.Dir // of the names
	names     []string    // canonical paths
	f         *disk.File
	st        unix.Stat_t
	meta      Meta
	holes     []Hole
	outcome   Outcome
}

func (x *file) close() {
	if x.f != nil {
		x.f.Close()
	}
	for _, d := range x.parents {
		d.Close()
	}
}

func (x *file) refuse(r Result, code Reason, format string, a ...any) bool {
	x.outcome.Result, x.outcome.Code, x.outcome.Text = r, code, fmt.Sprintf(format, a...)
	return false
}

// Take takes files into quarantine, or says what it would do unless act is set.
// Every request has an outcome, in order; an error is one of the quarantine
// itself.
func (q *Quarantine) Take(ctx context.Context, requests []Request, act bool) (out []Outcome, err error) {
	if q.o.ReadOnly && act {
		return nil, errReadOnly
	}
	err = q.locked(func() error {
		if !q.o.ReadOnly {
			if err := q.settle(); err != nil {
				return err
			}
		}
		guard, err := q.newGuard(ctx)
		if err != nil {
			return err
		}
		// All are looked at before one is touched: a rule that hits packages is
		// known by then.
		var files []*file
		defer func() {
			for _, x := range files {
				x.close()
			}
		}()
		for i, r := range requests {
			x := &file{request: r}
			if q.examine(x) {
				guard.look(x)
			}
			if i >= maxOpen { // descriptors are few; it is opened again when its turn comes
				x.close()
				x.f, x.parents, x.names = nil, nil, nil
			}
			files = append(files, x)
		}
		if act { // a plan leaves no trace
			if err := guard.remember(); err != nil {
				return err
			}
		}
		for _, x := range files {
			if x.outcome.Result == "" && ctx.Err() != nil {
				x.refuse(Refused, environment, "%v", ctx.Err())
			}
			if x.outcome.Result == "" && x.f == nil && q.examine(x) {
				guard.look(x)
			}
			if x.outcome.Result == "" && guard.allows(x) {
				q.takeOne(x, act, guard)
			}
			x.close()
			x.f, x.parents = nil, nil
			out = append(out, x.outcome)
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("quarantine: %w", err)
	}
	return out, nil
}

var errReadOnly = errors.New("quarantine: opened to read only")

// maxOpen is how many files are held open between the look at them and the deed.
const maxOpen = 100

// examine opens the file that a finding names, and describes it.
func (q *Quarantine) examine(x *file) bool {
	s := x.request.Finding
	if s == nil || s.Record() == nil {
		return x.refuse(Refused, noFinding, "not a sealed record")
	}
	x.statement = s.Statement()
	x.outcome.Record = s.Record().Name()
	paths := x.request.Paths
	if len(paths) == 0 {
		if p, ok := unescape(x.statement.Context.Path.Text); ok && p != "" {
			paths = []string{p}
		}
	}
	if len(paths) > 0 {
		x.outcome.Path = showcause.Escape(paths[0])
	}
	if ok := q.actable(x); !ok {
		return false
	}
	if len(paths) == 0 {
		return x.refuse(Refused, noPath, "the record shows no path")
	}
	for _, p := range paths {
		if !q.openName(x, p) {
			return false
		}
	}
	var err error
	if x.meta, x.st, err = collect(x.f); err != nil {
		return x.refuse(Refused, environment, "%v", err)
	}
	if x.holes, err = holesOf(x.f); err != nil {
		return x.refuse(Refused, environment, "%v", err)
	}
	if x.st.Size != x.statement.Input.Size {
		return x.refuse(Refused, notTheFile, "it has %d bytes, the finding's had %d", x.st.Size, x.statement.Input.Size)
	}
	return true
}

// actable refuses records that are no ground to act, or none of this host.
func (q *Quarantine) actable(x *file) bool {
	s := x.statement
	if s.Kind != evidence.Finding || s.Verdict != "found" || s.Rules == nil || s.Rules.Rule == nil || s.Input == nil {
		return x.refuse(Refused, noFinding, "the record is of no finding")
	}
	x.outcome.Rule = s.Rules.Rule.Name
	if s.Rules.Rule.Allowed != "" {
		return x.refuse(Refused, noFinding, "rule %s allows the file", s.Rules.Rule.Allowed)
	}
	if !s.Rules.Rule.Alarms() { // whatever else was found in the file, and whoever approves
		return x.refuse(Held, noStage, "rule %s is only tried (stage %s)", x.outcome.Rule, s.Rules.Rule.Stage)
	}
	if len(s.Subject.SHA256) != 2*sha256.Size {
		return x.refuse(Refused, noFinding, "the record hides the file's digest")
	}
	there, err := q.store.Has(x.outcome.Record)
	switch {
	case err != nil:
		return x.refuse(Refused, environment, "%v", err)
	case !there && !q.o.ReadOnly:
		return x.refuse(Refused, noFinding, "the record is not in this store")
	}
	for _, k := range q.store.Public() {
		if k.ID() == x.request.Finding.Signer().ID() {
			return true
		}
	}
	return x.refuse(Refused, noFinding, "another host sealed the record")
}

// openName opens one name of the file.
func (q *Quarantine) openName(x *file, p string) bool {
	if !filepath.IsAbs(p) {
		return x.refuse(Refused, noPath, "the path is not absolute")
	}
	parent, err := q.o.FS.OpenDirStrict(filepath.Dir(p))
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) { // the latter for the last one
		return x.refuse(Refused, noPath, "a folder of the path is a symbolic link, or no folder: %v", err)
	}
	if err != nil {
		return x.refuse(Refused, noPath, "%v", err)
	}
	x.parents = append(x.parents, parent)
	real, err := parent.Path()
	if err != nil {
		return x.refuse(Refused, noPath, "%v", err)
	}
	base := filepath.Base(p)
	x.names = append(x.names, filepath.Join(real, base))
	st, err := parent.Lstat(base)
	switch {
	case err != nil:
		return x.refuse(Refused, noPath, "%v", err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return x.refuse(Refused, notRegular, "not a regular file")
	case x.f != nil:
		first, err := x.f.Stat()
		if err != nil || first.Dev != st.Dev || first.Ino != st.Ino {
			return x.refuse(Refused, otherFile, "%s is another file than %s", showcause.Escape(p), x.outcome.Path)
		}
		return true
	}
	x.f, err = parent.Open(base, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOATIME, 0)
	if errors.Is(err, fs.ErrPermission) { // not the owner
		x.f, err = parent.Open(base, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	}
	if err != nil {
		return x.refuse(Refused, noPath, "%v", err)
	}
	now, err := x.f.Stat()
	if err != nil || now.Mode&unix.S_IFMT != unix.S_IFREG {
		return x.refuse(Refused, notRegular, "not a regular file")
	}
	return true
}

// takeOne takes an examined file.
func (q *Quarantine) takeOne(x *file, act bool, guard *guard) {
	if !act {
		sum, size, err := digest(x.f, nil)
		switch {
		case err != nil:
			x.refuse(Refused, environment, "%v", err)
		case sum != x.statement.Subject.SHA256 || size != x.statement.Input.Size:
			x.refuse(Refused, notTheFile, "its bytes are not those of the finding")
		default:
			guard.count(x)
			x.refuse(Planned, "", "would be taken")
		}
		return
	}
	it := &Item{
		Format: itemFormat, ID: newID(), Record: x.outcome.Record, Rule: x.outcome.Rule,
		Time:   q.o.Now().UTC().Format("2006-01-02T15:04:05Z"),
		SHA256: x.statement.Subject.SHA256, Size: x.statement.Input.Size, Holes: x.holes,
		Meta: x.meta, Inode: Inode{x.st.Dev, x.st.Ino},
	}
	if !q.keep(x, it) {
		return
	}
	x.outcome.Item = it.ID
	if err := q.carryOut(x, it); err != nil {
		code := environment
		if errors.Is(err, errChanged) {
			code = notTheFile
		}
		if errors.Is(err, translog.ErrPending) { // the deed will be in the log
			x.refuse(Failed, code, "%v", err)
			guard.count(x)
			return
		}
		if undone := q.undo(it); undone != nil {
			x.refuse(Failed, code, "%v; %v", err, undone)
			guard.count(x)
			return
		}
		x.outcome.Item = ""
		x.refuse(Undone, code, "%v", err)
		return
	}
	guard.count(x)
	x.refuse(Done, "", "in quarantine")
	if left := int(it.Meta.Links) - len(it.Names); left > 0 {
		x.outcome.Text = fmt.Sprintf("in quarantine; the file has %d other names", left)
	}
}

// errChanged says that the file is not what it was.
var errChanged = errors.New("the file changed while it was being taken")

// keep writes content and metadata, durable, before anything is touched.
func (q *Quarantine) keep(x *file, it *Item) bool {
	temp, err := q.dir.Temp(it.ID)
	if err != nil {
		return x.refuse(Refused, environment, "%v", err)
	}
	defer temp.Discard()
	enc, err := age.Encrypt(temp, q.identity.Recipient())
	if err != nil {
		return x.refuse(Refused, environment, "%v", err)
	}
	sum, size, err := digest(x.f, &omitter{holes: it.Holes, write: func(b []byte, _ int64) error {
		_, err := enc.Write(b)
		return err
	}})
	if err == nil {
		err = enc.Close()
	}
	if errors.Is(err, errChanged) {
		return x.refuse(Refused, notTheFile, "%v", err)
	}
	if err != nil {
		return x.refuse(Refused, environment, "%v", err)
	}
	if sum != it.SHA256 || size != it.Size {
		return x.refuse(Refused, notTheFile, "its bytes are not those of the finding")
	}
	for i, p := range x.names {
		held := fmt.Sprintf("%s.%d", it.ID, i)
		if !q.sameMount(x.parents[i], it.Inode.Dev) {
			held = heldBeside(it.ID, i)
		}
		it.Names = append(it.Names, newName(p, held))
	}
	err = temp.Sync()
	if err == nil {
		err = temp.Link(q.dir, it.ID+dataSuffix)
	}
	if err == nil {
		err = q.dir.Sync()
	}
	if err == nil {
		err = q.write(it, Taking)
	}
	if err != nil {
		q.dir.Remove(it.ID + itemSuffix)
		q.dir.Remove(it.ID + dataSuffix) // else swept by the next opening
		return x.refuse(Refused, environment, "%v", err)
	}
	return true
}

// sameMount tells whether a name can move from a folder to held.
func (q *Quarantine) sameMount(parent *disk.Dir, dev uint64) bool {
	st, err := q.held.Stat()
	if err != nil || st.Dev != dev {
		return false
	}
	a, err := q.held.Mount()
	if err != nil {
		return false
	}
	b, err := parent.Mount()
	return err == nil && a == b
}

// digest reads a file from its start, and gives its bytes to w unless it is nil.
func digest(f *disk.File, w io.Writer) (sum string, size int64, err error) {
	if err := f.Rewind(0); err != nil {
		return "", 0, err
	}
	h := sha256.New()
	out := io.Writer(h)
	if w != nil {
		out = io.MultiWriter(h, w)
	}
	size, err = io.CopyBuffer(out, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// carryOut moves the names away, makes sure of what was moved, logs the deed and
// removes what is held.
func (q *Quarantine) carryOut(x *file, it *Item) error {
	for i, n := range it.Names {
		if err := q.hold(x.parents[i], n, it.Inode); err != nil {
			return err
		}
	}
	for _, d := range x.parents {
		if err := d.Sync(); err != nil {
			return err
		}
	}
	if err := q.held.Sync(); err != nil {
		return err
	}
	// Nobody opens it by these names any more. Who had it open may have written.
	sum, size, err := digest(x.f, nil)
	if err != nil {
		return err
	}
	now, err := x.f.Stat()
	if err != nil {
		return err
	}
	if sum != it.SHA256 || size != it.Size || now.Mtim != x.st.Mtim || now.Size != x.st.Size {
		return errChanged
	}
	why := x.request.Why
	if why == "" {
		why = "the finding"
	}
	if err := q.announce(it, Taken, "take", showcause.Escape(why)); err != nil {
		return err
	}
	return q.finishTaken(it, x.parents)
}

// hold moves one name away, and looks at what it moved.
func (q *Quarantine) hold(parent *disk.Dir, n Name, want Inode) error {
	st, err := parent.Lstat(n.base())
	if err != nil {
		return err
	}
	if (Inode{st.Dev, st.Ino}) != want {
		return errChanged
	}
	to := q.held
	if n.beside() {
		to = parent
	}
	if err := parent.Rename(n.base(), to, n.Held); err != nil {
		return err
	}
	st, err = to.Lstat(n.Held)
	if err != nil {
		return err
	}
	if (Inode{st.Dev, st.Ino}) != want {
		return errChanged // it was swapped between the look and the move: it goes back
	}
	return nil
}

// unescape is the inverse of showcause.Escape.
func unescape(s string) (string, bool) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(s)
			return b.String(), true
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		if s == "" {
			return "", false
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
		switch {
		case s[0] == 'n':
			b.WriteByte('\n')
		case s[0] == 'r':
			b.WriteByte('\r')
		case s[0] == 't':
			b.WriteByte('\t')
		case s[0] == '\\':
			b.WriteByte('\\')
		case digits > 0 && len(s) > digits:
			v, err := strconv.ParseUint(s[1:1+digits], 16, 32)
			if err != nil {
				return "", false
			}
			if digits == 2 {
				b.WriteByte(byte(v))
			} else {
				b.WriteRune(rune(v))
			}
		default:
			return "", false
		}
		s = s[1+digits:]
	}
}
