package directcmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfined holds that no removal in a root follows a link, a name or a diversion out of it.
func TestConfined(t *testing.T) {
	for name, v := range map[string]struct {
		tool, list, diversions string
		links                  map[string]string
		why                    string
	}{
		"as it should be":           {"dpkg", "/.\n/opt\n/opt/hello\n", "", nil, ""},
		"merged":                    {"dpkg", "/bin/hello\n", "", map[string]string{"bin": "usr/bin"}, ""},
		"a link as the file":        {"dpkg", "/opt/hello\n", "", map[string]string{"opt/hello": "/etc/passwd"}, ""},
		"a folder is a link out":    {"dpkg", "/opt/hello/passwd\n", "", map[string]string{"opt/hello": "/etc"}, "/opt/hello/: "},
		"a relative link out":       {"dpkg", "/opt/hello/passwd\n", "", map[string]string{"opt/hello": "../../etc"}, "/opt/hello/: "},
		"a name leads out":          {"dpkg", "/../../etc/passwd\n", "", nil, "/../../etc/: "},
		"a diversion":               {"dpkg", "/opt/hello\n", "/opt/hello\n/srv/out/passwd\n:\n", map[string]string{"srv/out": "/etc"}, "/srv/out/: "},
		"another's list":            {"dpkg", "/opt/hello\n", "", map[string]string{"srv/out": "/etc"}, ""},
		"the database is elsewhere": {"dpkg", "", "", map[string]string{"var/lib/dpkg/triggers": "/var/lib/dpkg"}, "/var/lib/dpkg/triggers: "},
		"apk":                       {"apk", "P:hello\nF:opt\nR:hello\n", "", nil, ""},
		"apk and a link out":        {"apk", "P:hello\nF:opt/hello\nR:passwd\n", "", map[string]string{"opt/hello": "/etc"}, "/opt/hello: "},
		"rpm changes its root":      {"rpm", "", "", map[string]string{"opt/hello": "/etc"}, ""},
	} {
		root := t.TempDir()
		for file, text := range map[string]string{
			"var/lib/dpkg/status": "", "var/lib/dpkg/info/hello.list": v.list, "var/lib/dpkg/info/other.list": "/srv/out/x\n", "var/lib/dpkg/diversions": v.diversions,
			"lib/apk/db/installed": v.list, "opt/x": "", "usr/bin/x": "", "srv/x": "",
		} {
			file = filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for link, to := range v.links {
			if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
				t.Fatal(err)
			}
		}
		err := confined(root, v.tool, "hello")
		if v.why == "" && err != nil || v.why != "" && (err == nil || !strings.HasPrefix(err.Error(), v.why)) {
			t.Errorf("%s: %v, want %q", name, err, v.why)
		}
	}
}

// TestExact holds that a simulation of apt-get counts only if it removes the package of that name, and installs nothing.
func TestExact(t *testing.T) {
	for name, v := range map[string]struct{ out, why string }{
		"hello":   {"Remv hello [2.10] (x)\nRemv hello-doc [1]\n", ""},
		"g++":     {"Remv g++:amd64 [4]\n", ""},
		"hello+":  {"Inst hello (2.10)\nConf hello (2.10)\n", "would install hello"},
		"h.l":     {"Note, selecting 'hello' for regex 'h.l'\nRemv hello [2.10]\nRemv libhal [1]\n", "would not remove the package h.l"},
		"missing": {"Package 'missing' is not installed, so not removed\n", "would not remove"},
	} {
		err := exact(v.out, name)
		if v.why == "" && err != nil || v.why != "" && (err == nil || !strings.Contains(err.Error(), v.why)) {
			t.Errorf("%s: %v, want %q", name, err, v.why)
		}
	}
}

// TestOtherSpelling holds that a requester does not approve as somebody else by letters that look the same, or cannot be seen.
func TestOtherSpelling(t *testing.T) {
	for _, other := range []string{
		"A. OFFICER", "Officer, A.", "A Оffiсer", "A. Offi\u3164cer", "A. Offi\u115fcer", "A. Offi\u200bcer", "A. Offi\x00cer", "A. Offı\u0307cer", "A. Ofﬁcer", "Ａ. Ｏｆｆｉｃｅｒ", "AOfficer", "A. Offi-cer",
	} {
		if !samePerson("A. Officer", other) {
			t.Errorf("%q is another person", other)
		}
	}
	for _, v := range [][2]string{{"Hannah O'Brien", "Ηannah OBrien"}, {"Ned Bold", "Νed Βоlԁ"}, {"Łukasz", "lukasz"}} {
		if !samePerson(v[0], v[1]) {
			t.Errorf("%q, %q: two persons", v[0], v[1])
		}
	}
	if samePerson("A. Officer", "B. Reviewer") || samePerson("Ann Bell", "Ann Hill") {
		t.Error("two persons are one")
	}
}
