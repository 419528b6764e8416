package fields

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

func testdata(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// zipped is a zip file of one member.
func zipped(t testing.TB, name string, b []byte) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	m, err := w.Create(name)
	if err == nil {
		_, err = m.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

const report = `{"network": {"domains": [{"domain": "evil.example"}], "http": [{"method": "POST", "uri": "http://evil/x", "user-agent": "Bot"}],
 "tcp": [{"dst": "10.1.1.1", "dport": 443}], "hosts": ["10.1.1.1"]}, "behavior": {"summary": {"mutexes": ["lock"], "keys": ["HKLM"], "files": ["a.exe"]}}}`

// TestConditions are conditions that hold in YARA-X; those with a + hold in YARA, too.
func TestConditions(t *testing.T) {
	const id = "04030201-0605-0807-090a-0b0c0d0e0f10"
	macros := testdata(t, "macros.bin")
	host := Host{Files: map[string][]byte{"cuckoo": []byte(report)}, Gap: func(c showcause.Code) { t.Errorf("gap %s", c) }}
	for _, c := range []struct {
		name string
		data []byte
		cond []string
	}{
		{"lnk", testdata(t, "all.lnk"), []string{
			"lnk.is_lnk", `lnk.name == "a name"`, `lnk.cmd_line_args == "-arg é"`, "lnk.show_command == lnk.ShowCommand.MAXIMIZED",
			"lnk.drive_type == lnk.DriveType.FIXED", "lnk.overlay_size == 7 and lnk.overlay_offset == filesize - 7",
			`lnk.tracker_data.machine_id == "machine" and lnk.tracker_data.droid_file_id == "` + id + `"`,
			"lnk.target_id_list[0].item_type == lnk.ShellItemType.ROOT_FOLDER", `lnk.target_id_list[0].root_folder_id == "` + id + `"`,
			`for any i in lnk.target_id_list : (i.file_entry_name == "WINDOWS")`, `lnk.target_id_list[6].cpl_file_path == "C:\\evil.cpl"`,
			"lnk.creation_time == (0x1d00000 << 32) \\ 10000000 - 11644473600", "lnk.file_attributes & lnk.FILE_ATTRIBUTE_ARCHIVE != 0",
			`lnk.volume_label == "Disk" and lnk.local_base_path == "C:\\Bäse" and lnk.common_path_suffix == "Süffix"`,
		}},
		{"lnk", []byte("no link"), []string{"not lnk.is_lnk", "not defined lnk.name", "not defined lnk.tracker_data.version"}},
		{"zip", zipped(t, "dir/a.txt", macros), []string{
			"zip.is_zip", `zip.entries[0].file_path == "dir/a.txt"`, "zip.entries[0].compression == zip.DEFLATED",
			"zip.entries[0].uncompressed_size > 2000", "for all e in zip.entries : (e.compressed_size < e.uncompressed_size)",
		}},
		{"zip", []byte("none"), []string{"not zip.is_zip", "not defined zip.entries[0].file_path"}},
		{"olecf", macros, []string{
			"olecf.is_olecf", `olecf.streams[0].name == "Root Entry" and olecf.streams[0].type == olecf.StreamType.ROOT`,
			`for any s in olecf.streams : (s.name == "dir" and s.type == olecf.StreamType.STREAM and s.size > 100)`,
		}},
		{"olecf", []byte("none"), []string{"not olecf.is_olecf"}},
		{"vba", macros, []string{
			"vba.has_macros", `vba.module_names[1] == "Module1" and vba.module_types[1] == "Standard" and vba.module_types[0] == "Class"`,
			`vba.module_codes[1] contains "AutoOpen"`, `vba.project_info.name == "VBAProject" and vba.project_info.version == "5.7"`,
			`vba.project_info.module_count == 2 and vba.project_info.references[1] == "MSForms"`,
		}},
		{"vba", zipped(t, "word/vbaProject.bin", macros), []string{"vba.has_macros", `vba.module_codes[1] contains "AutoOpen"`}},
		{"vba", zipped(t, "word/document.xml", macros), []string{"not vba.has_macros", "not defined vba.project_info.name"}},
		{"vba", nil, []string{"not vba.has_macros"}},
		{"crx", testdata(t, "signed.crx"), []string{
			"crx.is_crx and crx.crx_version == 3", `crx.id == "abcdefghijklmnopaabbccddeeffgghh"`, `crx.name == "Ein Name" and crx.raw_name == "__MSG_appName__"`,
			`crx.description == "plain"`, `crx.permissions[1] == "storage"`, "for all s in crx.signatures : (s.verified)", "crx.signatures.len() == 2",
			`crx.permhash() == "3fa4ea71dc11b9374d4f5997fcabd538e6e6db1f0225f2f32e92afe3c699b5ba"`,
			`crx.minimum_chrome_version == "88" and crx.homepage_url startswith "https"`,
		}},
		{"crx", []byte("Cr24"), []string{"not crx.is_crx", "not defined crx.permhash()"}},
		{"msi", macros, []string{"not msi.is_signed"}},
		{"magic", []byte("#!/bin/sh\n"), []string{`+magic.type() startswith "POSIX shell script"`, `+magic.mime_type() == "text/x-shellscript"`}},
		{"cuckoo", nil, []string{
			"+cuckoo.network.dns_lookup(/evil\\.example/) == 1", "+cuckoo.network.dns_lookup(/good/) == 0", "+cuckoo.network.http_post(/EVIL/i) == 1",
			"+cuckoo.network.http_get(/evil/) == 0", "+cuckoo.network.http_request(/evil/) == 1", "+cuckoo.network.http_user_agent(/^Bot$/) == 1",
			"+cuckoo.network.tcp(/10\\.1/, 443) == 1", "+cuckoo.network.tcp(/10\\.1/, 80) == 0", "+cuckoo.network.udp(/10/, 443) == 0",
			"+cuckoo.network.host(/10/) == 1", "+cuckoo.sync.mutex(/lock/) == 1", "+cuckoo.registry.key_access(/HKLM/) == 1", "+cuckoo.filesystem.file_access(/\\.exe$/) == 1",
		}},
		{"elf", []byte("none"), []string{"+not defined elf.type and not defined elf.sections[0].name and not defined elf.telfhash()"}},
		{"macho", testdata(t, "thin64le.macho"), []string{
			"+macho.magic == 0xcffaedfe and macho.entry_point == 0x777", "+not defined macho.file_index_for_arch(7)",
			`macho.dylibs[0].name == "/usr/lib/libSystem.B.dylib" and macho.dylibs[0].compatibility_version == "1.2.3" and macho.dylibs[0].current_version == "1311.0.3"`,
			`macho.has_dylib("/USR/lib/libsystem.b.dylib") and not macho.has_dylib("x")`, `macho.has_rpath("@loader_path/../Frameworks")`,
			`macho.has_entitlement("one") and macho.entitlements[0] == "com.apple.security.get-task-allow"`, `macho.has_import("_printf") and macho.has_export("_FOOBAR")`,
			`macho.source_version == "1.2.3.4.5"`, `macho.uuid == "30313233-3435-3637-3839-616263646566"`, `macho.build_version.minos == "11.2.0" and macho.build_version.tools[0].version == "609.8"`,
			"macho.min_version.device == macho.MACOSX", "macho.dysymtab.nlocrel == 18 and macho.dysymtab.iundefsym == 5", "macho.dyld_info.lazy_bind_size > 0",
			`macho.symtab.entries[1] == "_foo"`, `macho.certificates.common_names[0] == "Example Root"`, `macho.certificates.signer_names[0] contains "CN=Example Root"`,
			"macho.dylib_hash() != macho.sym_hash() and macho.export_hash() != macho.import_hash() and defined macho.entitlement_hash()", `macho.dynamic_linker == "/usr/lib/dyld"`,
		}},
		{"macho", testdata(t, "fat.macho"), []string{
			"+macho.nfat_arch == 2 and macho.fat_arch[1].cputype == 8", "+macho.file_index_for_arch(8) == 1 and macho.file_index_for_arch(8, 3) == 1", "+not defined macho.file_index_for_arch(9)",
			"+macho.entry_point_for_arch(8) == macho.fat_arch[1].offset + 0x777", `macho.has_dylib("@rpath/Other.dylib")`,
		}},
		{"macho", nil, []string{`not macho.has_import("x")`, "not defined macho.import_hash()"}},
		{"dex", testdata(t, "two.dex"), []string{
			"dex.is_dex and dex.header.magic == 0x6465780a and dex.header.version == 35", "dex.checksum() == dex.header.checksum and dex.signature() == dex.header.signature",
			`dex.contains_string("Main.java") and dex.contains_method("add") and dex.contains_class("LOther;") and not dex.contains_class("LBase;")`,
			`dex.protos[1].parameters[0].value == "I" and dex.protos[1].parameters_count == 1`, `dex.methods[1].proto.shorty.value == "VI" and dex.methods[1].class.value == "LMain;"`,
			`dex.classes[0].superclass.value == "LBase;" and not defined dex.classes[1].superclass.value and dex.classes[0].access_flags & dex.AccessFlag.ACC_PUBLIC != 0`,
			"dex.map_list.size == 12 and dex.map_list.items[1].type == dex.TypeCode.TYPE_STRING_ID_ITEM", `dex.fields[1].name.value == "total" and dex.types[0].value == "I"`,
		}},
		{"dex", []byte("none"), []string{"not dex.is_dex", "not defined dex.checksum()"}},
	} {
		for _, cond := range c.cond {
			cond, both := strings.CutPrefix(cond, "+")
			rule := "import \"" + c.name + "\" rule r { condition: " + cond + " }"
			dialects := []source.Dialect{source.YARAX, source.Either}
			if both {
				dialects = append(dialects, source.YARA)
			}
			for _, d := range dialects {
				if ok, bad := holds(t, rule, c.data, d, host); !ok {
					t.Errorf("%s: %s does not hold %s", d, cond, bad)
				}
			}
		}
	}
	// What only YARA 4 has.
	for _, cond := range []string{
		`dex.has_method("add")`, `dex.has_method("LMain;", "<init>")`, `not dex.has_method("LOther;", "add")`, `dex.has_method(/^ad/)`,
		`dex.has_method(/Main/, /add/)`, `dex.has_class("LOther;")`, `dex.has_class(/Oth/)`, `not dex.has_class("LBase;")`, `dex.number_of_methods == 3 and dex.string_ids[1].value == "I"`, `dex.field[0].static == 1`, `dex.header.magic == dex.DEX_FILE_MAGIC_035`,
	} {
		for _, d := range []source.Dialect{source.YARA, source.Either} {
			if ok, bad := holds(t, "import \"dex\" rule r { condition: "+cond+" }", testdata(t, "two.dex"), d, host); !ok && (d == source.YARA || bad == "") {
				t.Errorf("%s: %s does not hold %s", d, cond, bad)
			}
		}
	}
}

// TestMSI verifies an installer that others built and signed.
func TestMSI(t *testing.T) {
	for _, p := range []string{"msibuild", "osslsigncode", "openssl"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("%s: %v\n%s", name, err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "payload"), bytes.Repeat([]byte("payload!"), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/C=US/O=Tests/CN=Signer", "-days", "30")
	run("msibuild", "a.msi", "-s", "Name", "Author")
	run("msibuild", "a.msi", "-a", "Payload", "payload")
	for _, extra := range [][]string{nil, {"-add-msi-dse"}} {
		args := append([]string{"sign", "-certs", "cert.pem", "-key", "key.pem", "-h", "sha256", "-n", "Program"}, extra...)
		_ = os.Remove(filepath.Join(dir, "b.msi"))
		run("osslsigncode", append(args, "-in", "a.msi", "-out", "b.msi")...)
		b, err := os.ReadFile(filepath.Join(dir, "b.msi"))
		if err != nil {
			t.Fatal(err)
		}
		for _, cond := range []string{
			"msi.is_signed", "msi.signatures[0].verified", `msi.signatures[0].signer_info.program_name == "Program"`,
			`msi.signatures[0].subject contains "CN=Signer"`, `msi.signatures[0].digest_alg == "sha256" and msi.signatures[0].digest == msi.signatures[0].file_digest`,
		} {
			if ok, bad := holds(t, "import \"msi\" rule r { condition: "+cond+" }", b, source.YARAX, Host{}); !ok {
				t.Errorf("%v: %s does not hold %s", extra, cond, bad)
			}
		}
		at := bytes.LastIndex(b, []byte("payload!"))
		b[at] ^= 1
		if ok, _ := holds(t, `import "msi" rule r { condition: msi.signatures[0].verified }`, b, source.YARAX, Host{}); ok {
			t.Error("a changed installer is verified")
		}
	}
}

// askAll asks for everything that a value has, as far as depth goes, and says how much
// that was.
func askAll(v module.Value, t *module.Type, depth int) int {
	n := 1
	switch {
	case depth == 0:
	case t.Kind == module.Struct:
		f, ok := v.Ref.(module.Fields)
		for i := range t.Fields {
			if ok && t.Fields[i].Const == nil {
				n += askAll(f.Field(t.Fields[i].Name), t.Fields[i].Type, depth-1)
			}
		}
	case t.Kind == module.Array:
		if items, ok := v.Ref.(module.Items); ok {
			for i := range min(items.Len(), 5) {
				n += askAll(items.At(int64(i)), t.Elem, depth-1)
			}
		}
	case t.Kind == module.Func && v.Ref != nil:
		for _, c := range t.Calls {
			args := make([]module.Value, len(c.Args))
			for i, k := range c.Args {
				args[i] = module.Value{Kind: k, Text: "a", Int: 7}
			}
			v.Ref.(module.Function)(args)
		}
	}
	return n
}

// FuzzOther asks for all fields of all modules, on any bytes.
func FuzzOther(f *testing.F) {
	for _, name := range []string{"thin64le.macho", "fat.macho", "two.dex", "macros.bin", "all.lnk", "signed.crx"} {
		f.Add(testdata(f, name))
	}
	f.Add(zipped(f, "word/vbaProject.bin", testdata(f, "macros.bin")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, d := range []source.Dialect{source.YARA, source.YARAX} {
			one, two := New(memory(b), Host{}), New(memory(b), Host{})
			for _, name := range []string{"elf", "macho", "dex", "lnk", "zip", "olecf", "vba", "crx", "msi", "magic", "cuckoo"} {
				typ := module.Load(name, d)
				v, ok := one.Module(name, d)
				w, also := two.Module(name, d)
				if ok != also || ok != (typ != nil) {
					t.Fatalf("%s: %v, %v, %v", name, ok, also, typ != nil)
				}
				if ok && askAll(v, typ, 5) != askAll(w, typ, 5) {
					t.Errorf("%s: two answers", name)
				}
			}
		}
	})
}
