package filetype

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// clamTypes asks clamscan what it calls each file.
func clamTypes(t *testing.T, paths []string) map[string]string {
	t.Helper()
	if _, err := exec.LookPath("clamscan"); err != nil {
		t.Skip("clamscan is not installed")
	}
	dir := t.TempDir()
	db := filepath.Join(dir, "none.ndb")
	list := filepath.Join(dir, "list")
	if err := os.WriteFile(db, []byte("None:0:*:deadbeefdeadbeefdeadbeef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte(strings.Join(paths, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("clamscan", "--gen-json", "--debug", "--no-summary", "--scan-archive=no", "-d", db, "-f", list)
	var errs bytes.Buffer
	cmd.Stderr, cmd.Stdout = &errs, io.Discard
	_ = cmd.Run() // clamscan's exit code says only whether it found something
	got := map[string]string{}
	path := ""
	for _, l := range strings.Split(errs.String(), "\n") {
		l = strings.TrimPrefix(l, "LibClamAV debug: ")
		if p, ok := strings.CutPrefix(l, "Checking realpath of "); ok {
			path = p
		}
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), `"RootFileType":`); ok && path != "" {
			var s string
			if json.Unmarshal([]byte(strings.TrimSuffix(v, ",")), &s) == nil {
				got[path] = s
			}
			path = ""
		}
	}
	return got
}

func detectFile(t *testing.T, p string) Type {
	t.Helper()
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	return Detect(b[:min(len(b), 64<<10)], showcause.Bytes(b))
}

// TestAgreesWithClamscan compares with clamscan over files that are there. The
// bound is under the measured rate; what is beyond it is a change to explain.
func TestAgreesWithClamscan(t *testing.T) {
	var paths []string
	for _, root := range []string{"/usr/share/clamav-testfiles", "/usr/share/doc", "/usr/bin", "/usr/lib/x86_64-linux-gnu"} {
		n := 0
		_ = filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || n >= 1500 {
				return nil
			}
			if i, err := d.Info(); err == nil && i.Size() > 0 && i.Size() < 256<<10 && !strings.Contains(p, "\n") {
				paths = append(paths, p)
				n++
			}
			return nil
		})
	}
	if len(paths) < 100 {
		t.Skip("too few files to compare")
	}
	want := clamTypes(t, paths)
	same, all := 0, 0
	differs := map[string][]string{}
	for _, p := range paths {
		w, ok := want[p]
		if !ok {
			continue
		}
		all++
		g := detectFile(t, p)
		if g.ClamAV() == w {
			same++
			continue
		}
		k := w + " here " + g.String()
		differs[k] = append(differs[k], p)
	}
	var keys []string
	for k := range differs {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		t.Logf("%4d %s, as %s", len(differs[k]), k, differs[k][0])
	}
	t.Logf("%d of %d agree", same, all)
	if all > 0 && float64(same) < 0.97*float64(all) {
		t.Errorf("%d of %d agree", same, all)
	}
}

// TestSamplesAgainstClamscan compares on the generated samples, among them the
// mails and pages: what clamscan calls mail or HTML is that here.
func TestSamplesAgainstClamscan(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i, s := range append(samples, moreMail()...) {
		p := filepath.Join(dir, strings.ReplaceAll(s.name, "/", "_")+"-"+string(rune('a'+i/26%26))+string(rune('a'+i%26)))
		if err := os.WriteFile(p, []byte(s.data), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	for p, w := range clamTypes(t, paths) {
		g := detectFile(t, p).ClamAV()
		switch {
		case g == w:
		case w == "CL_TYPE_MAIL" || w == "CL_TYPE_HTML" || w == "CL_TYPE_HTML_UTF16" || w == "CL_TYPE_MHTML":
			t.Errorf("%s: clamscan says %s, here %s", filepath.Base(p), w, g)
		default:
			t.Logf("%s: clamscan says %s, here %s", filepath.Base(p), w, g)
		}
	}
}

// moreMail makes mails from pairs of header names, with junk before them.
func moreMail() (out []struct{ name, data string }) {
	names := []string{"From: ", "To: ", "Subject: ", "Date: ", "Received: ", "Message-ID: ", "MIME-Version: ", "Content-Type: ", "Delivered-To: ", "Return-Path: ", "Reply-To: ", "X-Sieve: "}
	for _, a := range names {
		for _, b := range names {
			for _, junk := range []string{"", "junk line\n", strings.Repeat("x", 1100) + "\n"} {
				out = append(out, struct{ name, data string }{"gen-" + a[:3] + "-" + b[:3], junk + a + "one two\n" + b + "three four\n\nbody\n"})
			}
		}
	}
	return out
}
