package differ

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause/binary/elf"
	"github.com/showcause/showcause/binary/pe"
)

// programs are files of folders that begin with a mark, n at most, spread over what there is.
func programs(folders []string, mark string, n int) (out []string) {
	seen := map[int64]bool{} // one of each size: copies tell nothing new
	for _, dir := range folders {
		filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			st, err := e.Info()
			if err != nil || st.Size() < 200 || st.Size() > 64<<20 || seen[st.Size()] {
				return nil
			}
			f, err := os.Open(name)
			if err != nil {
				return nil
			}
			defer f.Close()
			b := make([]byte, len(mark))
			if k, _ := f.ReadAt(b, 0); k == len(b) && string(b) == mark {
				seen[st.Size()] = true
				out = append(out, name)
			}
			return nil
		})
	}
	if len(out) <= n {
		return out
	}
	for i := range n {
		out[i] = out[i*len(out)/n]
	}
	return out[:n]
}

// open reads a file as a Source.
func open(t *testing.T, name string) file {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return file{f, st.Size()}
}

// agree compares two lists of fields, a line each, and tells the first that differ.
func agree(t *testing.T, name string, ours, theirs []string) bool {
	for i := range max(len(ours), len(theirs)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(ours) {
			a = ours[i]
		}
		if i < len(theirs) {
			b = theirs[i]
		}
		if a != b {
			t.Errorf("%s: line %d: %s; the peer: %s", name, i, a, b)
			return false
		}
	}
	return true
}

var (
	sectionLine = regexp.MustCompile(`^\s*\[\s*(\d+)\] (\S*)\s+([A-Z_0-9a-z<>:.]+)\s+([0-9a-f]{8,16}) ([0-9a-f]{6,}) ([0-9a-f]{6,}) ([0-9a-f]{2,}) `)
	segmentLine = regexp.MustCompile(`^\s+(\S+)\s+0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+) (.{3}) (?:0x)?([0-9a-f]+)$`)
	symbolLine  = regexp.MustCompile(`^\s*\d+: ([0-9a-f]{8,16})\s+(0x[0-9a-f]+|\d+) (\S+)\s+(\S+)\s+\S+\s.*?(\S+) ?(\S*)(?: \(\d+\))?$`)
	entryLine   = regexp.MustCompile(`^\s*Entry point address:\s+0x([0-9a-f]+)$`)
)

// kinds are readelf's words for symbols.
var (
	symbolTypes = map[byte]string{0: "NOTYPE", 1: "OBJECT", 2: "FUNC", 3: "SECTION", 4: "FILE", 5: "COMMON", 6: "TLS", 10: "IFUNC"}
	symbolBinds = map[byte]string{0: "LOCAL", 1: "GLOBAL", 2: "WEAK", 10: "UNIQUE"}
)

// readelf are the fields of a file as readelf says them.
func readelf(t *testing.T, name string) (out []string) {
	b, _ := exec.Command("readelf", "-W", "-h", "-S", "-l", "--dyn-syms", name).Output() // its exit code tells of warnings
	hex := func(s string) string { v, _ := strconv.ParseUint(s, 16, 64); return fmt.Sprintf("%x", v) }
	for line := range strings.Lines(string(b)) {
		line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "<OS specific>: 10", "UNIQUE") // its word depends on the ABI that the header names
		if m := entryLine.FindStringSubmatch(line); m != nil {
			out = append(out, "entry "+hex(m[1]))
		} else if m := sectionLine.FindStringSubmatch(line); m != nil {
			out = append(out, fmt.Sprintf("section %s %s %s %s %s", m[1], m[2], hex(m[4]), hex(m[5]), hex(m[6])))
		} else if m := segmentLine.FindStringSubmatch(line); m != nil {
			out = append(out, fmt.Sprintf("segment %s %s %s %s %s", hex(m[2]), hex(m[3]), hex(m[5]), hex(m[6]), strings.ReplaceAll(m[7], " ", "")))
		} else if m := symbolLine.FindStringSubmatch(line); m != nil {
			size, _ := strconv.ParseUint(m[2], 0, 64)
			symbol, _, _ := strings.Cut(m[6], "@")
			out = append(out, fmt.Sprintf("symbol %s %s %d %s %s", symbol, hex(m[1]), size, m[3], m[4]))
		}
	}
	return out
}

// elfFields are the same fields as this repository reads them.
func elfFields(t *testing.T, name string) (out []string) {
	f := elf.Parse(open(t, name), elf.Options{X: true})
	if f == nil {
		t.Errorf("%s: not read", name)
		return nil
	}
	out = append(out, fmt.Sprintf("entry %x", f.Start))
	for i := range f.SectionCount() {
		s, _ := f.Section(i)
		out = append(out, fmt.Sprintf("section %d %s %x %x %x", i, s.Name, s.Address, s.Offset, s.Size))
	}
	for i := range f.SegmentCount() {
		s, _ := f.Segment(i)
		flags := ""
		for k, c := range []string{"E", "W", "R"} {
			if s.Flags>>k&1 == 1 {
				flags = c + flags
			}
		}
		out = append(out, fmt.Sprintf("segment %x %x %x %x %s", s.Offset, s.Virtual, s.FileSize, s.MemSize, flags))
	}
	if table := f.Symbols(true); table != nil {
		for i := range table.Len() {
			s, _ := table.At(i)
			out = append(out, fmt.Sprintf("symbol %s %x %d %s %s", s.Name, s.Value, s.Size, symbolTypes[s.Type], symbolBinds[s.Bind]))
		}
	}
	return out
}

// TestELFFields holds entry points, sections, segments and dynamic symbols against readelf. -full: 1,800 files.
func TestELFFields(t *testing.T) {
	if _, err := exec.LookPath("readelf"); err != nil {
		t.Skip("readelf is not installed")
	}
	n, folders := 25, []string{"/usr/bin"}
	if *full {
		n, folders = 1800, []string{"/usr/bin", "/usr/sbin", "/usr/lib"}
	}
	files, lines, same := 0, 0, 0
	for _, name := range programs(folders, "\x7fELF", n) {
		theirs, ours := readelf(t, name), elfFields(t, name)
		for i, s := range theirs { // a section's symbol is printed by the section's name
			if strings.HasSuffix(s, " SECTION LOCAL") && i < len(ours) {
				theirs[i] = ours[i]
			}
		}
		files, lines = files+1, lines+len(theirs)
		if agree(t, name, ours, theirs) {
			same++
		}
	}
	t.Logf("%d files of ELF, %d fields; %d agree in all", files, lines, same)
	if files > 0 && lines < 10*files {
		t.Error("the peer's output is not understood")
	}
}

const pefile = `
import sys, json, pefile
for line in sys.stdin:
    data = open(line.rstrip("\n"), "rb").read()
    p = pefile.PE(data=data)
    o = p.OPTIONAL_HEADER
    text = lambda b: None if b is None else b.decode("latin-1")
    imports = lambda what: [[text(d.dll), [[text(i.name), i.ordinal if i.import_by_ordinal else None] for i in d.imports]] for d in getattr(p, what, [])]
    e = getattr(p, "DIRECTORY_ENTRY_EXPORT", None)
    print(json.dumps({
        "header": [p.FILE_HEADER.Machine, p.FILE_HEADER.TimeDateStamp, p.FILE_HEADER.Characteristics, o.AddressOfEntryPoint, o.ImageBase, o.SizeOfImage, o.SizeOfHeaders, o.Subsystem, o.DllCharacteristics, o.CheckSum],
        "sections": [[text(s.Name.rstrip(b"\0")), s.VirtualAddress, s.Misc_VirtualSize, s.PointerToRawData, s.SizeOfRawData, s.Characteristics, s.get_hash_md5()] for s in p.sections],
        "imports": imports("DIRECTORY_ENTRY_IMPORT"), "delayed": imports("DIRECTORY_ENTRY_DELAY_IMPORT"),
        "exports": None if e is None else [[s.ordinal, text(s.name), s.address] for s in e.symbols],
        "imphash": p.get_imphash(), "overlay": p.get_overlay_data_start_offset() or 0,
        "computed": p.generate_checksum() if bytes(p.write()) == data else -1,
        "resources": sorted([r.data.struct.OffsetToData, r.data.struct.Size] for t in p.DIRECTORY_ENTRY_RESOURCE.entries for n in t.directory.entries for r in n.directory.entries) if hasattr(p, "DIRECTORY_ENTRY_RESOURCE") else [],
    }), flush=True)
`

// peer are the fields of a PE file as pefile says them.
type peer struct {
	Header    []uint64
	Sections  [][]any
	Imports   [][]any
	Delayed   [][]any
	Exports   [][]any
	Imphash   string
	Overlay   int64
	Computed  int64
	Resources [][]uint64
}

func (p peer) lines() (out []string) {
	out = append(out, fmt.Sprint("header ", p.Header))
	for _, s := range p.Sections {
		out = append(out, fmt.Sprintf("section %q %.0f", s[0], s[1:6]))
	}
	for _, list := range [][][]any{p.Imports, p.Delayed} {
		for _, d := range list {
			for _, f := range d[1].([]any) {
				if pair := f.([]any); pair[1] != nil {
					out = append(out, fmt.Sprintf("import %v %.0f", d[0], pair[1]))
				} else {
					out = append(out, fmt.Sprintf("import %v %v", d[0], pair[0]))
				}
			}
		}
	}
	for _, e := range p.Exports {
		if e[2].(float64) == 0 { // a hole between ordinals
			continue
		}
		out = append(out, fmt.Sprintf("export %.0f %v %.0f", e[0], e[1], e[2]))
	}
	out = append(out, "imphash "+p.Imphash, fmt.Sprint("overlay ", p.Overlay), fmt.Sprint("checksum ", p.Computed))
	for _, r := range p.Resources {
		out = append(out, fmt.Sprint("resource ", r))
	}
	return out
}

// latin is a text whose bytes are letters of Latin 1, as the peer's script has it.
func latin(s string) string {
	var r []rune
	for _, c := range []byte(s) {
		r = append(r, rune(c))
	}
	return string(r)
}

// peFields are the same fields as this repository reads them.
func peFields(t *testing.T, name string) (out []string) {
	f, ok := pe.Parse(open(t, name), pe.Options{})
	if !ok {
		t.Errorf("%s: not read", name)
		return nil
	}
	out = append(out, fmt.Sprint("header ", []uint64{
		uint64(f.Machine), uint64(f.Timestamp), uint64(f.Characteristics), uint64(f.EntryPoint), f.ImageBase, uint64(f.SizeOfImage),
		uint64(f.SizeOfHeaders), uint64(f.Subsystem), uint64(f.DLLCharacteristics), uint64(f.Checksum),
	}))
	for _, s := range f.Sections {
		out = append(out, fmt.Sprintf("section %q %d", latin(s.Name), []uint32{s.VirtualAddress, s.VirtualSize, s.RawOffset, s.RawSize, s.Characteristics}))
	}
	for _, list := range [][]pe.Import{f.Imports(), f.Delayed()} {
		for _, d := range list {
			for _, i := range d.Functions {
				if i.ByOrdinal {
					out = append(out, fmt.Sprintf("import %s %d", latin(d.Library), i.Ordinal))
				} else {
					out = append(out, fmt.Sprintf("import %s %s", latin(d.Library), latin(i.Name)))
				}
			}
		}
	}
	if e := f.Exports(); e != nil {
		for _, x := range e.Functions {
			name := "<nil>"
			if x.Named {
				name = latin(x.Name)
			}
			if x.RVA != 0 {
				out = append(out, fmt.Sprintf("export %d %s %d", x.Ordinal, name, x.RVA))
			}
		}
	}
	overlay, _ := f.Overlay()
	sum, _ := f.ComputeChecksum()
	out = append(out, "imphash "+f.ImportHash(), fmt.Sprint("overlay ", overlay), fmt.Sprint("checksum ", sum))
	if r := f.Resources(); r != nil {
		var list [][]uint64
		for _, x := range r.List {
			list = append(list, []uint64{uint64(x.RVA), uint64(x.Size)})
		}
		slices.SortFunc(list, slices.Compare)
		for _, x := range list {
			out = append(out, fmt.Sprint("resource ", x))
		}
	}
	return out
}

// mostNames is how many names of exports pefile reads.
const mostNames = 8192

// leaveOut takes away what is known to differ, each with its reason.
func leaveOut(ours, theirs []string) (a, b []string) {
	imports := func(list []string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, "import ") })
	}
	drop := func(prefix string) {
		cut := func(s string) bool { return strings.HasPrefix(s, prefix) }
		ours, theirs = slices.DeleteFunc(ours, cut), slices.DeleteFunc(theirs, cut)
	}
	if slices.Contains(theirs, "checksum -1") {
		drop("checksum ") // pefile sums the file as it would write it, which has other resources
	}
	switch {
	case !imports(theirs) && !imports(ours):
		drop("imphash ") // that of nothing is the MD5 of nothing here, and no hash there
	case !imports(theirs):
		drop("import ") // pefile takes no imports whose directory lies in the headers (Upack)
		drop("imphash ")
	}
	for i := range min(len(ours), len(theirs)) {
		if f := strings.Fields(theirs[i]); f[0] == "export" && f[2] == "<nil>" {
			if n, _ := strconv.Atoi(f[1]); n > mostNames {
				ours[i] = theirs[i]
			}
		}
	}
	return ours, theirs
}

// TestPEFields holds headers, sections, imports, exports, the import hash, the checksum, the overlay and resources against
// pefile. -full: 200 files.
func TestPEFields(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import pefile").Run(); err != nil {
		t.Skip("python3-pefile is not installed")
	}
	n := 10
	folders := []string{"/usr/share/nsis", "/usr/lib/mono", "/usr/share/clamav-testfiles", "/usr/lib/gcc", "/usr/x86_64-w64-mingw32", "/usr/i686-w64-mingw32"}
	if *full {
		n, folders = 200, append(folders, "/usr/lib", "/usr/share", filepath.Join(os.Getenv("HOME"), ".pyenv"))
	}
	c := exec.Command(python, "-c", pefile)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer in.Close()
	r := bufio.NewReader(out)
	files, lines, same := 0, 0, 0
	for _, name := range programs(folders, "MZ", n) {
		if _, ok := pe.Parse(open(t, name), pe.Options{}); !ok { // a program of DOS
			continue
		}
		fmt.Fprintln(in, name)
		line, err := r.ReadBytes('\n')
		if err != nil {
			t.Fatalf("%s: the peer ended: %v", name, err)
		}
		var p peer
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatal(err)
		}
		files, lines = files+1, lines+len(p.lines())
		ours, theirs := leaveOut(peFields(t, name), p.lines())
		if agree(t, name, ours, theirs) {
			same++
		}
	}
	t.Logf("%d PE files, %d fields; %d agree in all", files, lines, same)
	if files == 0 {
		t.Skip("there are no PE files")
	}
}
