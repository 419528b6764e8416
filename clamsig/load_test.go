package clamsig

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/showcause/showcause/clamsig/cvd"
)

// unsigned takes the containers of these tests, which nobody signed.
func unsigned(o Options) Options {
	o.Trust = &cvd.Trust{Unsigned: true}
	return o
}

var (
	sumA = strings.Repeat("ab", 16)
	sumB = strings.Repeat("cd", 20)
	sumC = strings.Repeat("ef", 32)
)

func TestHashes(t *testing.T) {
	for _, tt := range []struct{ file, line, want string }{
		{"x.hdb", sumA + ":5:N", "digest N.UNOFFICIAL sum=0 scope=0 size=5 " + sumA + " allow=false x.hdb:1 " + sumA + ":5:N"},
		{"x.HSB", sumB + ":5:N", "digest N.UNOFFICIAL sum=1 scope=0 size=5 " + sumB + " allow=false x.HSB:1 " + sumB + ":5:N"},
		{"x.hsb", sumC + ":*:N:73", "digest N.UNOFFICIAL sum=2 scope=0 size=-1 " + sumC + " allow=false x.hsb:1 " + sumC + ":*:N:73"},
		{"x.mdb", "5:" + sumA + ":N", "digest N.UNOFFICIAL sum=0 scope=1 size=5 " + sumA + " allow=false x.mdb:1 5:" + sumA + ":N"},
		{"x.msb", "*:" + sumC + ":N:73:255", "digest N.UNOFFICIAL sum=2 scope=1 size=-1 " + sumC + " allow=false x.msb:1 *:" + sumC + ":N:73:255"},
		{"x.imp", sumA + ":*:N", "digest N.UNOFFICIAL sum=0 scope=2 size=-1 " + sumA + " allow=false x.imp:1 " + sumA + ":*:N"},
		{"x.fp", sumA + ":5:N", "digest N.UNOFFICIAL sum=0 scope=0 size=5 " + sumA + " allow=true x.fp:1 " + sumA + ":5:N"},
		{"x.sfp", sumC + ":5:N", "digest N.UNOFFICIAL sum=2 scope=0 size=5 " + sumC + " allow=true x.sfp:1 " + sumC + ":5:N"},
		{"x.hdb", sumA + ":5:N:217", "skip x.hdb:1 N.UNOFFICIAL functionality-level: level 217 and up"},
		{"x.hdb", sumA + ":5:N:1:215", "skip x.hdb:1 N.UNOFFICIAL functionality-level: up to level 215"},
		{"x.hdu", sumA + ":5:PUA.N", "skip x.hdu:1 PUA.N.UNOFFICIAL pua: not asked for"},
		{"x.mdu", "5:" + sumA + ":PUA.N", "skip x.mdu:1 PUA.N.UNOFFICIAL pua: not asked for"},
		{"x.ndu", "PUA.N:0:*:414243", "skip x.ndu:1 PUA.N.UNOFFICIAL pua: not asked for"},
		{"x.ldu", "PUA.N;Target:0;0;4142", "skip x.ldu:1 PUA.N.UNOFFICIAL pua: not asked for"},
		{"x.sdb", "N:0:*:414243", "rule N.UNOFFICIAL target=0 0>0 [414243]"},
		{"x.ndb", "N:*:*:414243:1:300", "rule N.UNOFFICIAL target=0 0>0 [414243]"},
		{"x.ndb", "N:0:*:414243:217", "skip x.ndb:1 N.UNOFFICIAL functionality-level: level 217 and up"},
		{"x.ndb", "N:0:*:414243:1:215", "skip x.ndb:1 N.UNOFFICIAL functionality-level: up to level 215"},
	} {
		got, _ := load(t, tt.file, tt.line+"\r\n", Options{})
		if len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s %s:\n got %q\nwant %q", tt.file, tt.line, got, tt.want)
		}
	}
	got, _ := load(t, "x.hdu", sumA+":5:PUA.N\n", Options{PUA: true})
	if len(got) != 1 || !strings.HasPrefix(got[0], "digest PUA.N.UNOFFICIAL ") {
		t.Errorf("PUA: %q", got)
	}
	// As clamscan 1.4.6 has it with --include-pua and --exclude-pua.
	names := []string{"PUA.One.A", "PUA.Win.One.B", "PUA.Win.X.One", "PUA.One", "PUA.One-1", "PUA.One1.C", "PUA.one.D", "No.One.E"}
	text := ""
	for _, n := range names {
		text += n + ":0:*:414243\n"
	}
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{PUA: true}, names},
		{Options{PUA: true, PUAOnly: []string{"One"}}, []string{names[0], names[1]}},
		{Options{PUA: true, PUAOnly: []string{"Win", "one"}}, []string{names[1], names[2], names[6]}},
		{Options{PUA: true, PUAOnly: []string{"Win.One"}}, []string{names[1]}},
		{Options{PUA: true, PUAExcept: []string{"One"}}, []string{names[2], names[5], names[6]}},
	} {
		var loaded []string
		got, _ := load(t, "x.ndu", text, c.o)
		for _, l := range got {
			if kind, rest, _ := strings.Cut(l, " "); kind != "skip" {
				name, _, _ := strings.Cut(rest, ".UNOFFICIAL")
				loaded = append(loaded, name)
			}
		}
		if !slices.Equal(loaded, c.want) {
			t.Errorf("%+v: %q, want %q", c.o, loaded, c.want)
		}
	}
	got, _ = load(t, "x.ndb", "N:0:*:414243:300\n", Options{Level: 300})
	if len(got) != 1 || !strings.HasPrefix(got[0], "rule ") {
		t.Errorf("level 300: %q", got)
	}
}

func TestOtherKinds(t *testing.T) {
	for _, tt := range []struct {
		file, text    string
		skips, known  int
		name0, reason string
	}{
		{"x.db", "N=41424344\n", 1, 1, "N.UNOFFICIAL", "database-type"},
		{"x.pdb", "H:example.com\nH:example.org:1-2\n", 2, 1, "", "database-type"},
		{"x.wdb", "M:a.example:b.example\n", 1, 0, "", "database-type"},
		{"x.cfg", "PE:0x1:1:255\n", 1, 0, "", "setting"},
		{"x.cat", "\x00\n\n\xff", 1, 0, "", "database-type"},
		{"x.yar", "rule a { condition: true }\n\nprivate rule b : tag\n{\n}\nrule c{\n", 3, 3, "YARA.a.UNOFFICIAL", "database-type"},
	} {
		var sink null
		stats, err := LoadReader(tt.file, strings.NewReader(tt.text), Options{Strict: true}, &sink)
		if err != nil || len(sink.skips) != tt.skips || stats.Skipped() != tt.skips || stats.Known() != tt.known {
			t.Errorf("%s %q: known %d, skips %v, %v", tt.file, tt.text, stats.Known(), sink.skips, err)
			continue
		}
		if s := sink.skips[0]; s.Name != tt.name0 || string(s.Reason) != tt.reason {
			t.Errorf("%s %q: %v", tt.file, tt.text, s)
		}
	}
}

// write makes a folder of files.
func write(t testing.TB, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestIgnore(t *testing.T) {
	line := "A:0:*:414243"
	sum := md5.Sum([]byte(line))
	lines := line + "\r\nB:0:*:414243\nC.{x}:0:*:414243\nDDDDDDDDDDDD.UNOFFICIAL:0:*:414243\nAA:0:*:414243\n"
	for _, tt := range []struct {
		ign  map[string]string
		want string
	}{
		{nil, "A B C.{x} DDDDDDDDDDDD.UNOFFICIAL AA"},
		{map[string]string{"z.ign2": "# all\nA\n"}, "B C.{x} DDDDDDDDDDDD.UNOFFICIAL AA"},
		{map[string]string{"z.ign": "any:1:A\n"}, "B C.{x} DDDDDDDDDDDD.UNOFFICIAL AA"},
		{map[string]string{"z.ign2": "A:" + hex.EncodeToString(sum[:]) + "\n"}, "B C.{x} DDDDDDDDDDDD.UNOFFICIAL AA"},
		{map[string]string{"z.ign2": "B:" + hex.EncodeToString(sum[:]) + "\n"}, "A B C.{x} DDDDDDDDDDDD.UNOFFICIAL AA"},
		{map[string]string{"z.ign2": "B\n", "y.ign2": "C\nDDDDDDDDDDDD"}, "A AA"},
	} {
		files := map[string]string{"m.ndb": lines, "read.me": "A\n"}
		for name, text := range tt.ign {
			files[name] = text
		}
		var r recorder
		stats, err := Load(write(t, files), Options{Strict: true}, &r)
		var names []string
		for _, c := range r.calls {
			if f := strings.Fields(c); f[0] == "rule" {
				names = append(names, strings.TrimSuffix(f[1], ".UNOFFICIAL"))
			}
		}
		if got := strings.Join(names, " "); err != nil || got != tt.want {
			t.Errorf("%v: %s, %v", tt.ign, got, err)
		}
		if got := stats.ByReason()[Ignored]; stats.Known() != len(names) || got != 5-len(names) {
			t.Errorf("%v: known %d, ignored %d", tt.ign, stats.Known(), got)
		}
	}
}

// member is a file in a container.
type member struct{ name, text string }

// pack builds a container.
func pack(t testing.TB, compress, proven bool, members ...member) []byte {
	var body bytes.Buffer
	w := tar.NewWriter(&body)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.text)), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(m.text))
	}
	w.Close()
	payload := body.Bytes()
	if compress {
		var z bytes.Buffer
		g := gzip.NewWriter(&z)
		g.Write(payload)
		g.Close()
		payload = z.Bytes()
	}
	sum := md5.Sum(payload)
	if !proven {
		sum = md5.Sum(nil)
	}
	head := fmt.Sprintf("ClamAV-VDB:01 Jan 2026 10-00 +0000:7:3:90:%x:none:tester:1767261600", sum)
	return append([]byte(head+strings.Repeat(" ", cvd.HeaderSize-len(head))), payload...)
}

var members = proven([]member{
	{"COPYING", "not a signature\n"},
	{"./a.ndb", "A:0:*:414243\nB:0:*:414243\n"},
	{"a.hdb", sumA + ":5:H\n"},
	{"a.ign2", "B\n"},
	{"a.idb", "I:a:b:20" + strings.Repeat("0", 122) + "\n"},
})

// proven adds the .info file.
func proven(in []member) []member {
	info := "ClamAV-VDB:01 Jan 2026 10-00 +0000:7:3:90:X:X:tester:1767261600\n"
	for _, m := range in {
		info += fmt.Sprintf("%s:%d:%x\n", path.Base(m.name), len(m.text), sha256.Sum256([]byte(m.text)))
	}
	return append(in, member{"a.info", info + "DSIG:none\n"})
}

func TestContainers(t *testing.T) {
	for _, tt := range []struct {
		name             string
		compress, proven bool
		official         bool
		err              string
	}{
		{"x.cvd", true, true, true, ""},
		{"x.cvd", false, true, true, ""},
		{"x.cvd", true, false, true, "MD5 digest"},
		{"x.cld", false, false, true, ""},
		{"x.CLD", true, false, true, ""},
		{"x.cud", true, true, false, ""},
		{"x.cud", true, false, false, "MD5 digest"},
	} {
		data := pack(t, tt.compress, tt.proven, members...)
		var r, again, file recorder
		stats, err := LoadReader(tt.name, iotest.OneByteReader(bytes.NewReader(data)), unsigned(Options{Strict: true}), &r)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || len(r.calls) != 0 {
				t.Errorf("%s: %v %q", tt.name, err, r.calls)
			}
			continue
		}
		suffix := unofficial
		if tt.official {
			suffix = ""
		}
		want := []string{
			"rule A" + suffix + " target=0 0>0 [414243]",
			"skip " + tt.name + "/a.ndb:2 B" + suffix + " ignored: by name",
			"digest H" + suffix + " sum=0 scope=0 size=5 " + sumA + " allow=false " + tt.name + "/a.hdb:1 " + sumA + ":5:H",
		}
		if err != nil || !slices.Equal(r.calls, want) || stats.Known() != 3 {
			t.Errorf("%s: %v, known %d\n got %q\nwant %q", tt.name, err, stats.Known(), r.calls, want)
			continue
		}
		if f := stats.Files[0]; f.Version != 7 || f.Signatures != 3 || f.Level != 90 || f.Builder != "tester" || f.Time != "01 Jan 2026 10-00 +0000" {
			t.Errorf("%s: header %+v", tt.name, f)
		}
		if _, err := LoadReader(tt.name, bytes.NewReader(data), unsigned(Options{}), &again); err != nil || !slices.Equal(again.calls, want) {
			t.Errorf("%s: second time %v %q", tt.name, err, again.calls)
		}
		dir := write(t, map[string]string{tt.name: string(data)})
		if _, err := Load(dir, unsigned(Options{}), &file); err != nil || !slices.Equal(file.calls, want) {
			t.Errorf("%s: from a folder %v %q", tt.name, err, file.calls)
		}
	}
}

// TestTruncated cuts a container everywhere. None of it may be used.
func TestTruncated(t *testing.T) {
	for _, tt := range []struct {
		name     string
		compress bool
		end      int // bytes after the last member, which do not matter to a .cld
	}{{"x.cvd", true, 0}, {"x.cvd", false, 0}, {"x.cld", true, 40}, {"x.cld", false, 1024 + 512}} {
		data := pack(t, tt.compress, true, members...)
		for n := range len(data) {
			var r recorder
			_, err := LoadReader(tt.name, bytes.NewReader(data[:n]), unsigned(Options{}), &r)
			if err == nil && n < len(data)-tt.end || len(r.calls) > 0 && err != nil {
				t.Fatalf("%s (%v) cut at %d of %d: %v, %d calls", tt.name, tt.compress, n, len(data), err, len(r.calls))
			}
		}
	}
}

// TestDaily reads the newer of a .cvd and a .cld file of one name alone.
func TestDaily(t *testing.T) {
	version := func(n int, data []byte) string {
		return strings.Replace(string(data), ":7:3:", fmt.Sprintf(":%d:3:", n), 1)
	}
	whole := pack(t, true, true, member{"d.ndb", "CVD:0:*:414243\n"})
	patched := pack(t, true, true, proven([]member{{"d.ndb", "CLD:0:*:414243\n"}})...)
	for i, tt := range []struct {
		cvd, cld int // as in the headers; the list in the .cld file says the same
		want     string
	}{{5, 4, "CVD"}, {5, 4, "CVD"}, {4, 5, "CLD"}, {4, 5, "CLD"}, {5, 5, "CLD"}} {
		name := []string{"daily", "any"}[i%2]
		var r recorder
		_, err := Load(write(t, map[string]string{name + ".cvd": version(tt.cvd, whole), name + ".cld": version(tt.cld, patched)}), unsigned(Options{}), &r)
		if err != nil || len(r.calls) != 1 || !strings.HasPrefix(r.calls[0], "rule "+tt.want+" ") {
			t.Errorf("%+v: %v %q", tt, err, r.calls)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	dir := write(t, map[string]string{"read.me": "x", "x.cvd": "short"})
	empty := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.ndb"): "no such file",
		filepath.Join(dir, "read.me"):  "extension of no ClamAV database",
		filepath.Join(dir, "x.cvd"):    "header: EOF",
		empty:                          "no ClamAV database in the folder",
	} {
		if _, err := Load(path, Options{}, &null{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := LoadReader("x.txt", strings.NewReader(""), Options{}, &null{}); err == nil {
		t.Error("x.txt is loaded")
	}
	broken := errors.New("broken disk")
	if _, err := LoadReader("x.ndb", iotest.ErrReader(broken), Options{}, &null{}); !errors.Is(err, broken) {
		t.Errorf("broken reader: %v", err)
	}
	if _, err := LoadReader("x.ndb", strings.NewReader(""), Options{Strict: true}, &null{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("empty file: %v", err)
	}
}

func TestFileTypeNames(t *testing.T) {
	if !slices.IsSorted(fileTypeNames[:]) {
		t.Error("not sorted, which a binary search needs")
	}
}
