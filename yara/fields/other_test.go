package fields

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara/source"
)

// laterOther are fields that YARA 4.2.3 has not or has otherwise than 4.5.
var laterOther = map[string]*regexp.Regexp{
	"elf":   regexp.MustCompile(`^$`),
	"macho": regexp.MustCompile(`^magic$|^file\.\[\d+\]\.magic$`), // 4.2 has the bytes turned round
	"dex":   regexp.MustCompile(`code_item\.padding|^header\.magic|^map_list\.map_item`),
}

// hold compares all fields of a module with those that yara -D prints.
func hold(t *testing.T, yara, rules, mod, file string) int {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(yara, "-D", rules, file).Output()
	if err != nil {
		t.Logf("%s: %v", file, err)
		return 0
	}
	v, ok := Module(mod, memory(data), source.YARA, Host{Gap: func(c showcause.Code) { t.Errorf("%s: gap %s", file, c) }})
	if !ok {
		t.Fatal("no module", mod)
	}
	bad, fields := 0, 0
	for path, want := range dump(string(text), mod) {
		if laterOther[mod].MatchString(path) || strings.ToUpper(path) == path {
			continue
		}
		fields++
		if got := show(lookup(v, path)); got != want {
			if bad++; bad < 8 {
				t.Errorf("%s: %s.%s is %.200s, want %.200s", file, mod, path, got, want)
			}
		}
	}
	return fields
}

// peer finds yara and writes a rule file that has it print a module.
func peer(t *testing.T, mod string) (yara, rules string) {
	yara, err := exec.LookPath("yara")
	if err != nil {
		t.Skip("yara is not installed")
	}
	rules = filepath.Join(t.TempDir(), "rules.yar")
	if err := os.WriteFile(rules, []byte("import \""+mod+"\" rule a { condition: true }"), 0o600); err != nil {
		t.Fatal(err)
	}
	return yara, rules
}

// TestDumpELF compares with yara on programs of this machine, whole and cut off.
func TestDumpELF(t *testing.T) {
	yara, rules := peer(t, "elf")
	files, fields := 0, 0
	for _, glob := range []string{"/bin/[a-d]*", "/usr/lib/*/lib[a-c]*.so*", "/usr/lib/*/crt*.o", "/usr/lib/gcc/*/*/crt*.o"} {
		paths, _ := filepath.Glob(glob)
		for i, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil || i%7 != 0 || len(data) > 1<<20 || !bytes.HasPrefix(data, []byte("\x7fELF")) {
				continue
			}
			files++
			fields += hold(t, yara, rules, "elf", path)
			cut := filepath.Join(t.TempDir(), "cut")
			if err := os.WriteFile(cut, data[:len(data)*3/4], 0o600); err != nil {
				t.Fatal(err)
			}
			fields += hold(t, yara, rules, "elf", cut)
		}
	}
	t.Logf("%d files, %d fields", files, fields)
	if files == 0 {
		t.Skip("no ELF files here")
	}
}

// samples are files of one kind that a test makes, and those that the environment
// names.
func samples(t *testing.T, variable string, made map[string][]byte) []string {
	var out []string
	dir := t.TempDir()
	for name, b := range made {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		out = append(out, path)
	}
	if more := os.Getenv(variable); more != "" {
		out = append(out, strings.Split(more, ":")...)
	}
	return out
}

// pieces are heads of a file and copies with a byte changed.
func pieces(b []byte, step int) map[string][]byte {
	out := map[string][]byte{"whole": b}
	for n := 0; n < len(b); n += step {
		out[fmt.Sprint("head", n)] = b[:n]
		changed := bytes.Clone(b)
		changed[n] ^= 0xff
		out[fmt.Sprint("changed", n)] = changed
	}
	return out
}

// TestDumpMachO compares with yara on the files of testdata, in pieces.
func TestDumpMachO(t *testing.T) {
	yara, rules := peer(t, "macho")
	fields := 0
	for _, name := range []string{"thin32be.macho", "thin64le.macho", "fat.macho"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range samples(t, "SHOWCAUSE_MACHO", pieces(b, 211)) {
			fields += hold(t, yara, rules, "macho", path)
		}
	}
	t.Logf("%d fields", fields)
}

// TestDumpDEX compares with yara on the file of testdata, in pieces.
func TestDumpDEX(t *testing.T) {
	yara, rules := peer(t, "dex")
	b, err := os.ReadFile(filepath.Join("testdata", "two.dex"))
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	for _, path := range samples(t, "SHOWCAUSE_DEX", pieces(b, 11)) {
		fields += hold(t, yara, rules, "dex", path)
	}
	t.Logf("%d fields", fields)
}
