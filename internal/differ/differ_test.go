package differ

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/formats"
)

var (
	full  = flag.Bool("full", false, "compare every archive of this system")
	more  = flag.String("more", "", "a folder with further files")
	roots = flag.String("roots", "/usr,/opt,/var/lib,"+filepath.Join(os.Getenv("HOME"), "go"), "folders with archives")
	limit = flag.Int("limit", 0, "compare so many files only")
)

// endings are those of names that archives and compressed files have.
var endings = strings.Fields(".gz .tgz .bz2 .xz .lzma .zst .lz4 .lz .Z .zip .jar .war .whl .egg .epub .docx .xlsx .pptx .odt .ods .xpi .apk .7z .rar .cab .tar .deb .rpm .a .iso .cpio .lzh .lha .arj .xar")

// file is a file as a Source.
type file struct {
	*os.File
	size int64
}

func (f file) Size() int64 { return f.size }

// ours is what is unpacked of one layer, as one format.
type ours struct {
	list []member
	all  sha256Sum // of all members in their order
}

type sha256Sum struct {
	sum [sha256.Size]byte
	n   int64
}

// comparison counts what was compared.
type comparison struct {
	t        *testing.T
	judges   []judge
	dir      string
	layers   int // of which a tool was asked
	members  int
	bytes    int64
	refused  map[string]int // layers that a tool does not read
	alone    map[string]int // of them, those that are read here without a gap
	gaps     map[showcause.Code]int
	byFormat map[string]int
	known    map[string]int // differences that are explained: see explained
	example  map[string]string
	bad      int
	current  string
	unread   map[string]showcause.Code // files with a gap, and its code
	tee      io.Writer                 // takes what gzip files hold, if gzip is asked of many at a time
}

func newComparison(t *testing.T) *comparison {
	return &comparison{t: t, judges: judges(t), dir: t.TempDir(), refused: map[string]int{}, alone: map[string]int{}, gaps: map[showcause.Code]int{}, byFormat: map[string]int{}, unread: map[string]showcause.Code{}, known: map[string]int{}, example: map[string]string{}}
}

// spill opens scratch space.
func spill() (unpack.File, error) {
	f, err := os.CreateTemp("", "differ")
	if err == nil {
		os.Remove(f.Name())
	}
	return f, err
}

// input compares a file and everything in it.
func (c *comparison) input(name string) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return
	}
	src := file{f, st.Size()}
	c.current = name
	b := unpack.NewBudget(showcause.Limits{}, src.Size(), spill)
	c.layer(b, showcause.Layer{Source: src}, name, name)
}

// batch is input for files of gzip, of which gzip is asked once.
func (c *comparison) batch(list []string) {
	h := sha256.New()
	c.tee = h
	for _, name := range list {
		c.input(name)
	}
	c.tee = nil
	want, err := digested(append([]string{"gzip", "-dc"}, list...)...)
	if err != nil || want.sum != [sha256.Size]byte(h.Sum(nil)) {
		for _, name := range list { // which of them?
			c.input(name)
		}
		return
	}
	c.layers += len(list)
	c.members += len(list)
	c.bytes += want.size
	c.byFormat["gzip, gzip"] += len(list)
}

// layer unpacks a layer, what is in it too, and asks the tools. at is the name
// of a file that holds it, "" if there is none yet.
func (c *comparison) layer(b *unpack.Budget, l showcause.Layer, at, title string) {
	head := bound.Head(l.Source, unpack.HeadSize)
	kind := filetype.Detect(head, l.Source)
	asked := slices.DeleteFunc(slices.Clone(c.judges), func(j judge) bool { return !slices.Contains(j.types, kind.String()) })
	tee := io.Writer(io.Discard)
	if c.tee != nil && len(l.Trail) == 0 {
		tee = c.tee
		asked = slices.DeleteFunc(asked, func(j judge) bool { return j.format == "gzip" })
	}
	p := &unpack.Probe{Type: kind, Head: head, Source: l.Source}
	found := map[string]*ours{}
	whole := sha256.New()
	var wholeN int64
	format := ""
	notes := map[showcause.Code]bool{}
	out := unpack.NewOut(b, l.Trail, func(child showcause.Layer) {
		step := child.Trail[len(child.Trail)-1]
		h := sha256.New()
		out := io.MultiWriter(h, whole)
		beside := strings.HasSuffix(step.Op, ".rest")
		if beside { // no tool tells of it
			out = h
			c.known["behind the end, or in no file"]++
		}
		if format == "gzip" && step.Op != "gzip.member" {
			out = io.MultiWriter(h, whole, tee)
		}
		n, err := io.Copy(out, bound.Reader(child.Source, 0, -1))
		if err != nil {
			c.t.Errorf("%s: %s: %v", title, step, err)
		}
		m := member{name: clean(step.Name), size: n}
		h.Sum(m.sum[:0])
		if !beside {
			wholeN += n
		}
		if n > 0 && !beside && step.Op != "gzip.member" {
			found[format].list = append(found[format].list, m)
		}
		c.layer(b, child, "", title+" / "+step.String())
	}, func(g showcause.Gap) {
		notes[g.Code] = true
		c.gaps[g.Code]++
		if g.Code.Unread() {
			c.unread[c.current] = g.Code
		}
	})
	for _, f := range formats.All() {
		if f.Match(p) {
			format = f.Name
			whole.Reset()
			wholeN = 0
			found[format] = &ours{}
			f.Walk(l.Source, out)
			found[format].all.n = wholeN
			whole.Sum(found[format].all.sum[:0])
		}
	}
	if len(asked) == 0 || l.Source.Size() == 0 {
		return
	}
	if at == "" {
		at = filepath.Join(c.dir, "layer")
		if err := write(at, l.Source); err != nil {
			c.t.Fatal(err)
		}
		defer os.Remove(at)
	}
	for _, j := range asked {
		c.ask(j, at, title, found[j.format], notes)
	}
}

func write(name string, src showcause.Source) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bound.Reader(src, 0, -1))
	return errors.Join(err, f.Close())
}

// ask compares what was found with what a tool finds.
func (c *comparison) ask(j judge, file, title string, got *ours, notes map[showcause.Code]bool) {
	want, err := j.list(file)
	if err != nil {
		c.refused[j.tool+": "+j.format]++
		if codes := slices.Sorted(maps.Keys(notes)); len(codes) == 0 {
			c.alone[j.tool+": "+j.format]++
			c.t.Logf("%s: %s does not read it: %v; here it is read, %d members", title, j.tool, err, len(members(got)))
		}
		return
	}
	c.layers++
	c.byFormat[j.format+", "+j.tool]++
	if len(want) == 1 && want[0].name == whole {
		if got == nil || got.all.sum != want[0].sum {
			c.differs(j, title, difference{here: all(got).n >= want[0].size, name: whole, what: fmt.Sprintf("%d bytes here, %d there", all(got).n, want[0].size)}, notes)
		}
		return
	}
	have := map[member]int{}
	for _, m := range members(got) {
		if len(want) == 1 && want[0].name == "" {
			m.name = "" // a stream's name is the header's, which tools do not tell
		}
		have[m]++
	}
	var missing []member
	links := map[string]bool{}
	for _, m := range want {
		if m.size == isLink {
			links[m.name] = true
		}
		if m.size <= 0 {
			continue
		}
		c.members++
		c.bytes += m.size
		if have[m] > 0 {
			have[m]--
			continue
		}
		missing = append(missing, m)
	}
	named := map[member]string{} // what is left, by its content
	for m, n := range have {
		if n > 0 {
			named[member{size: m.size, sum: m.sum}] = m.name
		}
	}
	for i, m := range missing {
		if other, ok := named[member{size: m.size, sum: m.sum}]; ok && have[member{other, m.size, m.sum}] > 0 {
			have[member{other, m.size, m.sum}]--
			missing[i].size = 0
			c.differs(j, title, difference{name: m.name, other: other, what: fmt.Sprintf("%q here, %q there, %d bytes", other, m.name, m.size)}, notes)
		}
	}
	for m, n := range have {
		if n > 0 {
			c.differs(j, title, difference{here: true, name: m.name, link: links[m.name], what: fmt.Sprintf("here only: %q, %d bytes", m.name, m.size)}, notes)
		}
	}
	for _, m := range missing {
		if m.size == 0 {
			continue
		}
		c.differs(j, title, difference{name: m.name, what: fmt.Sprintf("there only: %q, %d bytes", m.name, m.size)}, notes)
	}
}

func members(o *ours) []member {
	if o == nil {
		return nil
	}
	return o.list
}

func all(o *ours) sha256Sum {
	if o == nil {
		return sha256Sum{}
	}
	return o.all
}

// difference is what one side has and the other has not.
type difference struct {
	here  bool // it is here that there is more
	name  string
	other string // its name here, where that is all the difference
	link  bool
	what  string
	notes []showcause.Code
}

// differs takes a difference: one that is explained, or an error.
func (c *comparison) differs(j judge, title string, d difference, notes map[showcause.Code]bool) {
	d.notes = slices.Sorted(maps.Keys(notes))
	line := fmt.Sprintf("%s: %s, %s: %s; notes %v", title, j.format, j.tool, d.what, d.notes)
	if why := explained(j, title, d); why != "" {
		c.known[why]++
		if c.example[why] == "" {
			c.example[why] = line
		}
		return
	}
	if c.bad++; c.bad <= 200 {
		c.t.Error(line)
	}
}

// explained names the paragraph of docs/unpack-differences.md that a difference is of.
func explained(j judge, title string, d difference) string {
	ambiguous := slices.ContainsFunc(d.notes, func(c showcause.Code) bool { return strings.HasPrefix(string(c), string(showcause.Ambiguous)) })
	switch {
	case j.format == "ar" && d.here && (d.name == "" || d.name == "SYM64" || strings.HasPrefix(d.name, "__.SYMDEF")):
		return "tables of an ar archive"
	case j.tool == "bsdtar" && strings.HasSuffix(title, "/nil-uid.tar"):
		return "bsdtar alone" // tar, Go and Python say what is said here
	case j.format == "tar" && (d.name == "@LongLink" || strings.HasSuffix(title, "/gnu-long-nul.tar")):
		return "what stands behind the NUL of a long name"
	case d.other != "" && ambiguous:
		return "two names of one member"
	case d.here && slices.ContainsFunc(d.notes, showcause.Code.Unread):
		return "what is damaged is read further here"
	case d.here && ambiguous:
		return "every reading of what is ambiguous"
	case d.here && d.link:
		return "symbolic links in a zip"
	case slices.ContainsFunc(d.notes, showcause.Code.Unread) && !d.here:
		return "a gap says so"
	}
	return ""
}

// archives are the files with such endings, in order.
func archives(folders ...string) (out []string) {
	seen := map[string]bool{}
	libraries := 0
	for _, folder := range folders {
		filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || seen[path] {
				return nil
			}
			if ext := filepath.Ext(path); slices.Contains(endings, ext) {
				if libraries++; ext == ".a" && libraries%10 != 0 {
					return nil // there are thousands of a kind
				}
				if i, err := e.Info(); err == nil && i.Size() < 1<<30 {
					seen[path] = true
					out = append(out, path)
				}
			}
			return nil
		})
	}
	slices.Sort(out)
	return out
}

// TestSystem compares what is in the archives of this system.
func TestSystem(t *testing.T) {
	if testing.Short() {
		t.Skip("takes time")
	}
	if _, err := exec.LookPath("bsdtar"); err != nil {
		t.Skip("bsdtar is not installed")
	}
	list := archives(strings.Split(*roots, ",")...)
	if !*full {
		list = sample(list, 150, 1<<20)
	}
	if *more != "" {
		dir, err := filepath.Abs(*more) // tools run elsewhere
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, archives(dir)...)
	}
	if *limit > 0 {
		list = sample(list, *limit, 1<<40)
	}
	if len(list) == 0 {
		t.Skip("no archives on this system")
	}
	c := newComparison(t)
	gz := func(name string) bool { return strings.HasSuffix(name, ".gz") }
	slices.SortStableFunc(list, func(a, b string) int { return bools(gz(b)) - bools(gz(a)) })
	first := slices.IndexFunc(list, func(name string) bool { return !gz(name) })
	if first < 0 {
		first = len(list)
	}
	for part := range slices.Chunk(list[:first], 100) {
		c.batch(part)
	}
	t.Logf("%d of %d files", first, len(list))
	for i, name := range list[first:] {
		c.input(name)
		if i%200 == 199 {
			t.Logf("%d of %d files", first+i+1, len(list))
		}
	}
	c.report(len(list))
}

func bools(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sample is n of the files that are not large, from all over the list.
func sample(list []string, n int, size int64) (out []string) {
	step := max(len(list)/n, 1)
	for i := 0; i < len(list); i += step {
		if st, err := os.Stat(list[i]); err == nil && st.Size() < size {
			out = append(out, list[i])
		}
	}
	return out
}

func (c *comparison) report(files int) {
	c.t.Logf("%d files, in which tools were asked of %d layers: %d members, %d MB; differences: %d", files, c.layers, c.members, c.bytes>>20, c.bad)
	for _, k := range slices.Sorted(maps.Keys(c.byFormat)) {
		c.t.Logf("  %s: %d layers", k, c.byFormat[k])
	}
	for _, k := range slices.Sorted(maps.Keys(c.refused)) {
		c.t.Logf("  %s: %d layers that the tool does not read, %d of them are read here", k, c.refused[k], c.alone[k])
	}
	for _, k := range slices.Sorted(maps.Keys(c.gaps)) {
		c.t.Logf("  gap %s: %d", k, c.gaps[k])
	}
	c.t.Logf("%d of %d files have a gap", len(c.unread), files)
	for i, k := range slices.Sorted(maps.Keys(c.unread)) {
		if i < 100 {
			c.t.Logf("  %s: %s", k, c.unread[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.known)) {
		c.t.Logf("  explained, %s: %d, such as %s", k, c.known[k], c.example[k])
	}
}
