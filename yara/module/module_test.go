package module

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/source"
)

func TestDescriptions(t *testing.T) {
	for _, name := range append(Names(), "test_proto2", "test_proto3") {
		text, err := fs.ReadFile(data, "data/"+name+".txt")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []source.Dialect{source.Either, source.YARA, source.YARAX} {
			if _, err := Parse(string(text), d); err != nil {
				t.Errorf("%s in %s: %v", name, d, err)
			}
		}
	}
}

// TestDialects pins which modules a dialect has, and fields that differ.
func TestDialects(t *testing.T) {
	onlyX := " crx lnk msi olecf vba zip "
	for _, name := range Names() {
		got := Load(name, source.YARA) != nil
		if want := !strings.Contains(onlyX, " "+name+" "); got != want {
			t.Errorf("%s in YARA: %v", name, got)
		}
		if (Load(name, source.YARAX) == nil) != (name == "tests") || Load(name, source.Either) == nil {
			t.Errorf("%s in YARA-X", name)
		}
	}
	if Load("nothing", source.Either) != nil {
		t.Error("a module that nobody knows")
	}
	pe4, pex := Load("pe", source.YARA), Load("pe", source.YARAX)
	if k := pe4.Field("is_signed").Type.Kind; k != Int {
		t.Errorf("is_signed in YARA: %s", k)
	}
	if k := pex.Field("is_signed").Type.Kind; k != Bool {
		t.Errorf("is_signed in YARA-X: %s", k)
	}
	rich := "rich_signature"
	if pe4.Field(rich).Type.Field("version_data") == nil || pex.Field(rich).Type.Field("version_data") != nil {
		t.Error("version_data is of YARA only")
	}
	if n := len(pe4.Field("imports").Type.Calls); n != 8 {
		t.Errorf("%d forms of imports, want 8", n)
	}
	if got := Load("dex", source.Either).Field("header").Type.Field("magic").Type.Kind; got != Int {
		t.Errorf("dex.header.magic where both are taken: %s", got)
	}
	if s := Load("pe", source.YARA).Field("version_info").Type.String(); s != "map of string to string" {
		t.Error(s)
	}
	if v := Load("macho", source.YARAX).Field("MH_CIGAM_64").Const; v == nil || v.Int != 0xcffaedfe {
		t.Error("MH_CIGAM_64")
	}
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{
		"a nothing", "type X\na int", "const A", "const A = x", "const A = \"x", "func f(int", "func f(what) int", "func f() what", "a []what",
	} {
		if _, err := Parse(text, source.Either); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestConstants(t *testing.T) {
	typ, err := Parse("const A = 7 S = 8\na int\nenum E\nconst B = 0x10\nend\n", source.Either)
	if err != nil {
		t.Fatal(err)
	}
	v := Constants(typ, Tree{"a": IntValue(1)}).Ref.(Fields)
	if got := v.Field("A"); got.Int != 7 {
		t.Error(got)
	}
	if got := v.Field("a"); got.Int != 1 {
		t.Error(got)
	}
	if got := v.Field("E").Ref.(Fields).Field("B"); got.Int != 16 {
		t.Error(got)
	}
	if v.Field("x").Defined() || Constants(typ, nil).Ref.(Fields).Field("a").Defined() {
		t.Error("a field that is not there is defined")
	}
}

// TestAgainstYara holds every field and constant that YARA 4 has against the
// installed yara: each must compile, and each constant have its value.
func TestAgainstYara(t *testing.T) {
	yara, err := exec.LookPath("yara")
	if err != nil {
		t.Skip("yara is not installed")
	}
	// What version 4.2 does not have.
	newer := strings.Fields("string.* to_string is_signed import_rva delayed_import_rva delayed_import_details number_of_delayed_imports " +
		"number_of_delayed_imported_functions number_of_imported_functions export_timestamp rva_to_offset telfhash import_md5 dynsym dynsym_entries " +
		"number_of_generic_parameters version_data classes number_of_classes is_dotnet MACHINE_TARGET_HOST MACHINE_R3000 MACHINE_R10000 MACHINE_ALPHA MACHINE_SH3E " +
		"MACHINE_ALPHA64 MACHINE_AXP64 MACHINE_TRICORE MACHINE_CEF MACHINE_CEE has_method has_class count percentage mode")
	known := map[string]bool{}
	for _, n := range newer {
		known[n] = true
	}
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("MZ and more"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		typ := Load(name, source.YARA)
		if typ == nil || name == "cuckoo" || known[name+".*"] {
			continue
		}
		var rules strings.Builder
		var fields []Field
		fmt.Fprintf(&rules, "import %q\n", name)
		for _, f := range typ.Fields {
			if !known[f.Name] && f.Type.Kind != Func {
				fmt.Fprintf(&rules, "rule r%d { condition: %s }\n", len(fields), probe(name+"."+f.Name, f))
				fields = append(fields, f)
			}
		}
		path := filepath.Join(dir, "a.yar")
		if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(yara, path, target).CombinedOutput()
		if strings.Contains(string(out), "unknown module") {
			t.Logf("%s: not in this yara", name)
			continue
		}
		if err != nil {
			t.Errorf("%s: %s", name, out)
		}
		for i, f := range fields {
			if !strings.Contains(string(out), fmt.Sprintf("r%d ", i)) {
				t.Errorf("%s.%s: yara has another value than %v", name, f.Name, f.Const)
			}
		}
	}
}

// probe is a condition that holds if a field exists and a constant has its value.
func probe(path string, f Field) string {
	switch {
	case f.Const != nil && f.Const.Kind == String:
		return fmt.Sprintf("%s == \"%s\"", path, strings.ReplaceAll(f.Const.Text, "\n", `\n`))
	case f.Const != nil && f.Const.Kind == Float:
		return fmt.Sprintf("%s == %.1f", path, f.Const.Float)
	case f.Const != nil:
		return fmt.Sprintf("%s == %d", path, f.Const.Int)
	}
	return "defined (" + deep(path, f.Type) + ") or true"
}

// deep is a value below a path.
func deep(path string, t *Type) string {
	switch t.Kind {
	case Struct:
		for _, f := range t.Fields {
			if f.Type.Kind != Func {
				return deep(path+"."+f.Name, f.Type)
			}
		}
	case Array:
		return deep(path+"[0]", t.Elem)
	case Map:
		return deep(path+`["a"]`, t.Elem)
	}
	return path
}

func FuzzParse(f *testing.F) {
	for _, name := range append(Names(), "test_proto2", "test_proto3") {
		text, err := fs.ReadFile(data, "data/"+name+".txt")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text[:min(len(text), 2000)]))
	}
	f.Fuzz(func(_ *testing.T, text string) {
		Parse(text, source.Either)
	})
}
