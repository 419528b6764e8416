package extract

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestSafeName(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"a.txt":                           "a.txt",
		"dir/sub/a.txt":                   "dir/sub/a.txt",
		"dir\\sub\\a.txt":                 "dir/sub/a.txt",
		"/etc/passwd":                     "etc/passwd",
		"../../etc/passwd":                "%2E%2E/%2E%2E/etc/passwd",
		"..\\..\\boot.ini":                "%2E%2E/%2E%2E/boot.ini",
		"C:\\Windows\\x.dll":              "C%3A/Windows/x.dll",
		"./a//b/./c":                      "a/b/c",
		"...":                             "%2E%2E%2E",
		"dir/":                            "dir",
		"/":                               "",
		"../":                             "%2E%2E",
		"a\nb\x1b[31m":                    "a%0Ab%1B[31m",
		"\u202egnp.exe":                   "%E2%80%AEgnp.exe",
		"\xff\xfe":                        "%FF%FE",
		"größe 日本.txt":                    "größe 日本.txt",
		"NUL":                             "%4EUL",
		"nul.txt":                         "%6Eul.txt",
		"com1":                            "%63om1",
		"com10":                           "com10",
		"COM¹.log":                        "%43OM¹.log",
		"aux .c":                          "%61ux .c",
		"console":                         "console",
		"conout$":                         "%63onout$",
		"-rf":                             "%2Drf",
		"~root":                           "%7Eroot",
		"a. ":                             "a.%20",
		"a.":                              "a%2E",
		" a":                              "%20a",
		".bashrc":                         ".bashrc",
		"a:stream":                        "a%3Astream",
		"100%25":                          "100%2525",
		"100%":                            "100%",
		"a%zz":                            "a%zz",
		"x\x00.exe":                       "x%00.exe",
		strings.Repeat("x", 300):          strings.Repeat("x", 179) + "~",
		strings.Repeat("y", 300) + ".exe": strings.Repeat("y", 175) + "~.exe",
	} {
		if got := strings.Join(safeName(in), "/"); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestUnnamed(t *testing.T) {
	for _, c := range []struct {
		container string
		index     int
		op, want  string
	}{
		{"x.tar.gz", 0, "gzip.deflate", "x.tar"},
		{"x.TGZ", 0, "gzip.deflate", "x.tar"},
		{"x.tar.gz", 1, "gzip.deflate", "1.text"},
		{"x.zst", 0, "zstd.stream", "x"},
		{".gz", 0, "gzip.deflate", "0.text"},
		{"...gz", 0, "gzip.deflate", "0.text"},
		{"x.eml", 0, "mime.base64", "0.text"},
		{"x.gz", 0, "zip.deflate", "0.text"},
	} {
		if got := unnamed(c.container, c.index, c.op, "text"); got != c.want {
			t.Errorf("%v: %q", c, got)
		}
	}
}

// FuzzName holds what every name that is written must be, and that names stay
// apart unless they were cut.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "con.txt", "%41", "\xff/\\..", "-a. ", "\u202e", strings.Repeat("é", 200) + ".tar.gz", "a\u0301"} {
		f.Add(s, "A")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		as := safeName(a)
		for _, e := range as {
			if err := harmless(e); err != nil {
				t.Errorf("%q gives %q: %v", a, e, err)
			}
			for n := range 3 {
				if err := harmless(numbered(e, n+1)); err != nil {
					t.Errorf("%q numbered: %v", e, err)
				}
			}
			if err := harmless(numbered(e, 100_000) + unpacked); err != nil {
				t.Errorf("%q as a folder: %v", e, err)
			}
		}
		if p := path.Join(as...); len(as) > 0 && (path.Clean(p) != p || path.IsAbs(p) || len(as) > maxNested) {
			t.Errorf("%q gives the path %q", a, p)
		}
		if strings.ContainsAny(a+b, `/\`) || a == "" || b == "" || a == "." || b == "." {
			return
		}
		ea, eb := safeElement(a), safeElement(b)
		if a != b && ea == eb && len(ea) < maxElement-20 {
			t.Errorf("%q and %q give %q", a, b, ea)
		}
	})
}

func harmless(e string) error {
	switch {
	case e == "" || e == "." || e == "..":
		return fmt.Errorf("no name")
	case len(e) > 255-11: // and a prefix for a temporary one
		return fmt.Errorf("%d bytes", len(e))
	case !utf8.ValidString(e):
		return fmt.Errorf("no UTF-8")
	case strings.ContainsAny(e, `/\<>:"|?*`):
		return fmt.Errorf("a character that means something")
	case strings.TrimRight(e, ". ") != e || e[0] == '-' || e[0] == '~' || e[0] == ' ':
		return fmt.Errorf("a first or last character that means something")
	case isDevice(e):
		return fmt.Errorf("a device")
	}
	for _, r := range e {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%q in it", r)
		}
	}
	return nil
}
