package scan_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// memberFiles are files to be put into archives.
func memberFiles(t *testing.T, r *rand.Rand, dir string) (names []string) {
	for _, name := range []string{"one.txt", "invoice.pdf.exe", "Sub/two.js", "Sub/UPPER.TXT", "e", "a b.scr"} {
		b := []byte(strings.Repeat(fmt.Sprintf("%x ", r.IntN(1<<30)), 1+r.IntN(300)))
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b[:1+r.IntN(len(b))], 0o644); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// archives packs the files in a folder by every tool that is there, into another.
func archives(t *testing.T, from, to string, names []string) {
	list := strings.Join(names, "\n") + "\n"
	for out, args := range map[string][]string{
		"z.zip": {"zip", "-q", "-r"}, "stored.zip": {"zip", "-q", "-0"}, "sealed.zip": {"zip", "-q", "-P", "unknown-word"},
		"s.7z": {"7z", "a", "-bd"}, "sealed.7z": {"7z", "a", "-bd", "-punknown-word"}, "t.tar": {"tar", "cf"}, "old.tar": {"tar", "--format=v7", "-cf"},
		"pax.tar": {"tar", "--format=pax", "-cf"}, "c.cab": {"gcab", "-n", "-c"}, "j.arj": {"arj", "a", "-y"}, "l.lzh": {"lha", "c"},
		"binary.cpio": {"cpio", "-o", "-H", "bin"}, "odc.cpio": {"cpio", "-o", "-H", "odc"}, "newc.cpio": {"cpio", "-o", "-H", "newc"}, "crc.cpio": {"cpio", "-o", "-H", "crc"},
	} {
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Logf("%s is not installed", args[0])
			continue
		}
		path := filepath.Join(to, out)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = from
		if args[0] == "cpio" {
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdin, cmd.Stdout = strings.NewReader(list), f
			defer f.Close()
		} else {
			cmd.Args = append(append(cmd.Args, path), names...)
		}
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v", out, err)
		}
	}
}

// filesIn lists the files below a folder.
func filesIn(t *testing.T, dir string) (out []string) {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// memberSignature makes a signature out of values that some members have, and others.
func memberSignature(r *rand.Rand, name string, sizes []int64) string {
	some := func(of ...string) string { return of[r.IntN(len(of))] }
	number := func(any int) string {
		n := sizes[r.IntN(len(sizes))]
		switch r.IntN(4 + any) {
		case 0:
			return fmt.Sprint(n)
		case 1:
			return fmt.Sprintf("%d-%d", max(n-int64(r.IntN(50)), 0), n+int64(r.IntN(500)))
		case 2:
			return fmt.Sprintf("0-%d", n)
		case 3:
			return fmt.Sprintf("%d-0", n)
		}
		return "*"
	}
	return strings.Join([]string{
		name, some("CL_TYPE_ANY", "*", "CL_TYPE_ZIP", "CL_TYPE_7Z", "CL_TYPE_POSIX_TAR", "CL_TYPE_OLD_TAR", "CL_TYPE_MSCAB", "CL_TYPE_ARJ", "CL_TYPE_LHA_LZH", "CL_TYPE_CPIO_ODC", "CL_TYPE_MAIL"),
		number(12), some("*", "one", `\.exe$`, `\.(js|scr)$`, "(?i)upper", "^Sub.", "[[.a.]] b", "^.$", "(?i)^ONE|TWO", "nothing"),
		number(8), number(8), some("*", "*", "0", "1"), some("*", "*", "0", "1", "1-3", "2-0"), some("*", "17", "x"), "*",
	}, ":")
}

// TestMembers holds signatures of members of archives against clamscan.
func TestMembers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	from, to, db := t.TempDir(), t.TempDir(), t.TempDir()
	names := memberFiles(t, r, from)
	archives(t, from, to, names)
	mail := "From: a@b.c\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"-x\"\n\n---x\nContent-Type: text/plain\n\nhello\n\n" +
		"---x\nContent-Type: application/octet-stream; name=\"one.exe\"\nContent-Transfer-Encoding: base64\n\nAAECAwQFBgcICQ==\n\n---x--\n"
	if err := os.WriteFile(filepath.Join(to, "m.eml"), []byte(mail), 0o644); err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for _, dir := range []string{from, to} {
		for _, path := range filesIn(t, dir) {
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, st.Size())
		}
	}
	var cdb strings.Builder
	for i := range 600 {
		fmt.Fprintln(&cdb, memberSignature(r, fmt.Sprintf("S%d", i), sizes))
	}
	zmd := "Old1:0:one:*:*:*:*:1:*\nOld2:*:exe$:*:*:00000000:*:*:*\nOld3:1:*:*:*:*:*:2:*\n"
	for name, text := range map[string]string{"a.cdb": cdb.String(), "b.zmd": zmd} {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, found := scan.New(compile(t, map[string]string{"a.cdb": cdb.String(), "b.zmd": zmd}), scan.Options{Digests: true}), 0
	got := map[string][]string{}
	for _, path := range filesIn(t, to) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		for _, f := range s.Scan(showcause.Bytes(b)).Findings {
			if len(f.Matches) == 0 || len(f.Counts) != 1 || int(f.Counts[0]) < len(f.Matches) || len(f.Trail) != 0 {
				t.Errorf("%s: %+v", name, f)
			}
			got[name] = append(got[name], strings.TrimSuffix(f.Rule, ".UNOFFICIAL"))
			found++
		}
		slices.Sort(got[name])
	}
	if found < 200 {
		t.Errorf("%d found", found)
	}
	peers := clamscanNames(t, db, to)
	for _, path := range filesIn(t, to) {
		name := filepath.Base(path)
		if strings.Join(got[name], " ") != strings.Join(peers[name], " ") {
			for line := range strings.Lines(cdb.String() + zmd) {
				sig, _, _ := strings.Cut(line, ":")
				if ours, theirs := slices.Contains(got[name], sig), slices.Contains(peers[name], sig); ours != theirs {
					t.Errorf("%s: %s: %v, clamscan %v", name, strings.TrimSpace(line), ours, theirs)
				}
			}
		}
	}
}
