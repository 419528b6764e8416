package fields

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// memory is an Input in memory.
type memory []byte

func (m memory) Size() int64 { return int64(len(m)) }

func (m memory) Read(off int64, n int) []byte {
	if off < 0 || n < 0 || off > int64(len(m)) || int64(n) > int64(len(m))-off {
		return nil
	}
	return m[off : off+int64(n)]
}

// dump reads what yara -D prints of a module: values by their paths.
func dump(text, name string) map[string]string {
	out := map[string]string{}
	var path []string
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		body := strings.TrimLeft(line, "\t")
		depth := len(line) - len(body)
		if depth == 0 {
			inside = body == name
			continue
		}
		if !inside {
			continue
		}
		key, value, ok := strings.Cut(body, " = ")
		path = append(path[:min(depth-1, len(path))], key)
		if ok {
			out[strings.Join(path, ".")] = value
		}
	}
	return out
}

// lookup finds the value at a path.
func lookup(v module.Value, path string) module.Value {
	for part := range strings.SplitSeq(path, ".") {
		switch {
		case v.Kind == module.Struct:
			v = v.Ref.(module.Fields).Field(part)
		case v.Kind == module.Array:
			i, _ := strconv.Atoi(strings.Trim(part, "[]"))
			v = v.Ref.(module.Items).At(int64(i))
		case v.Kind == module.Map:
			v = v.Ref.(module.Pairs).Find(module.TextValue(part))
		default:
			return module.Value{}
		}
	}
	return v
}

// show writes a value as yara -D does.
func show(v module.Value) string {
	switch v.Kind {
	case module.Int, module.Bool:
		return strconv.FormatInt(v.Int, 10)
	case module.String:
		var b strings.Builder
		for _, c := range []byte(v.Text) {
			if c >= ' ' && c < 0x7f {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		}
		return `"` + b.String() + `"`
	}
	return "YR_UNDEFINED"
}

// later are fields that YARA 4.2.3, the oracle, has not or has otherwise than 4.5.
var later = regexp.MustCompile(`^delay_import_details|version_data|^version_info\.`)

// mended corrects the numbers that YARA 4.2.3 gives to imported functions: it counts
// on from one DLL to the next.
func mended(fields map[string]string) map[string]string {
	before := func(i int) int {
		n, _ := strconv.Atoi(fields[fmt.Sprintf("import_details.[%d].number_of_functions", i-1)])
		return n
	}
	out := map[string]string{}
	for path, v := range fields {
		parts := strings.Split(path, ".")
		if parts[0] == "import_details" && len(parts) >= 3 {
			i, _ := strconv.Atoi(strings.Trim(parts[1], "[]"))
			if parts[2] == "number_of_functions" {
				n, _ := strconv.Atoi(v)
				v = strconv.Itoa(n - before(i))
			} else if parts[2] == "functions" {
				n, _ := strconv.Atoi(strings.Trim(parts[3], "[]"))
				parts[3] = fmt.Sprintf("[%d]", n-before(i))
			}
		}
		out[strings.Join(parts, ".")] = v
	}
	// It counts DLLs of which nothing is imported, too.
	if n := out["number_of_imports"]; n != "" && n != "YR_UNDEFINED" {
		n := 0
		for out[fmt.Sprintf("import_details.[%d].library_name", n)] != "" {
			n++
		}
		out["number_of_imports"] = strconv.Itoa(n)
	}
	return out
}

// specimens are the executables of this machine that tests look at.
func specimens(t *testing.T) []string {
	t.Helper()
	var out []string
	globs := []string{
		"/usr/share/clamav-testfiles/*", "/usr/lib/gcc/*-w64-mingw32/*/*.dll", "/usr/*-w64-mingw32/lib/*.dll",
		"/usr/lib/mono/4.5/*.exe", "/usr/lib/mono/4.5/*.dll", "/usr/lib/mono/gac/*/*/*.dll", "/usr/lib/p7zip/*.sfx",
		"/usr/lib/python3/dist-packages/*/*.exe", "/usr/lib/python3*/*/*/*.exe",
	}
	if more := os.Getenv("SHOWCAUSE_PE"); more != "" {
		globs = append(globs, strings.Split(more, ":")...)
	}
	for _, g := range globs {
		files, _ := filepath.Glob(g)
		out = append(out, files...)
	}
	return out
}

// TestDump compares all fields with those that the peer prints, on the executables
// of this machine.
func TestDump(t *testing.T) {
	yara, err := exec.LookPath("yara")
	if err != nil {
		t.Skip("yara is not installed")
	}
	if v, _ := exec.Command(yara, "--version").Output(); !strings.HasPrefix(string(v), "4.2.") {
		t.Skipf("yara is %s; what differs is known of 4.2 only", strings.TrimSpace(string(v)))
	}
	rules := filepath.Join(t.TempDir(), "rules.yar")
	if err := os.WriteFile(rules, []byte("import \"pe\" import \"dotnet\" rule a { condition: true }"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, fields := 0, 0
	for _, name := range specimens(t) {
		data, err := os.ReadFile(name)
		if err != nil || len(data) < 2 || string(data[:2]) != "MZ" {
			continue
		}
		text, err := exec.Command(yara, "-D", rules, name).Output()
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		files++
		for _, mod := range []string{"pe", "dotnet"} {
			v, ok := Module(mod, memory(data), source.YARA, Host{Gap: func(c showcause.Code) { t.Errorf("%s: gap %s", name, c) }})
			if !ok {
				t.Fatal("no module", mod)
			}
			bad := 0
			for path, want := range mended(dump(string(text), mod)) {
				if later.MatchString(path) || strings.ToUpper(path) == path {
					continue
				}
				fields++
				got := show(lookup(v, path))
				v := lookup(v, path)
				if strings.HasPrefix(path, "constants") || strings.HasSuffix(path, "public_key_or_token") {
					// 4.2.3 leaves the last byte out.
					v.Text = v.Text[:max(len(v.Text)-1, 0)]
					got = show(v)
				}
				if mod == "dotnet" && want == "YR_UNDEFINED" && len(data) > 1<<20 {
					continue // 4.2.3 gives up where a table has more than 10,000 rows
				}
				if want == "-1" && got == "YR_UNDEFINED" && strings.HasPrefix(path, "export_details") {
					continue // 4.5: undefined
				}
				if got != want {
					if bad++; bad < 8 {
						t.Errorf("%s: %s.%s is %.200s, want %.200s", name, mod, path, got, want)
					}
				}
			}
		}
	}
	t.Logf("%d files, %d fields", files, fields)
	if files == 0 {
		t.Skip("no executables here")
	}
}

// smallFile is a file that is small enough to be looked at in all ways.
func smallFile(name string) (memory, bool) {
	data, err := os.ReadFile(name)
	return data, err == nil && len(data) < 300_000
}
