package trial

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// file is something to scan: a file of this host, or one of known answer.
type file struct {
	name    string
	path    string
	content []byte
	known   bool
	want    string // a rule's name has this in it, where the rules know it at all
}

func (f *file) open() (*os.File, error) {
	if !f.known {
		return os.Open(f.path)
	}
	t, err := os.CreateTemp("", "showcause-")
	if err != nil {
		return nil, err
	}
	os.Remove(t.Name())
	if _, err := t.Write(f.content); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// known is the corpus: files that no rule may hit, and the test file that rules which know
// it must go on to know.
func known() []file {
	clean := map[string]string{
		"empty": "", "zeros": strings.Repeat("\x00", 4096), "text": "The quick brown fox jumps over the lazy dog.\n",
		"script": "#!/bin/sh\nset -e\nfor f in *.txt; do\n\techo \"$f\"\ndone\n",
		"page":   "<!DOCTYPE html><html><head><title>A page</title></head><body><p>Text.</p><script>document.title</script></body></html>",
		"json":   `{"name": "value", "list": [1, 2, 3]}`,
		"mail":   "From: a@example.org\r\nTo: b@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello.\r\n",
		"zip":    "PK\x05\x06" + strings.Repeat("\x00", 18),
		"gzip":   "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"pdf":    "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n",
		"elf":    "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 57),
		"exe":    "MZ" + strings.Repeat("\x00", 62),
	}
	var out []file
	for name, content := range clean {
		out = append(out, file{name: "corpus/" + name, content: []byte(content), known: true})
	}
	slices.SortFunc(out, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	eicar := "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*"
	return append(out, file{name: "corpus/eicar", content: []byte(eicar), known: true, want: "eicar"})
}

// vital finds files that are always in the sample: the loader, the C library, shells,
// what installs packages, what lets people in.
func vital() *regexp.Regexp {
	return regexp.MustCompile(`/(libc\.so\.6|libc-[0-9.]+\.so|ld-linux[^/]*|ld-musl[^/]*|sh|bash|dash|busybox|systemd|init|sshd|sudo|dpkg|apt|rpm|dnf|apk|login|passwd|mount)$`)
}

const maxFile = 4 << 20

// sample takes files that this host's package manager installed (dpkg, apk; elsewhere what is in
// the system's folders): those that are vital, and n others; none at all for 0.
func sample(root string, n int, seed int64) []file {
	if n <= 0 {
		return nil
	}
	if root == "" {
		root = "/"
	}
	paths := dpkg(root)
	if len(paths) == 0 {
		paths = apk(root)
	}
	if len(paths) == 0 {
		for _, dir := range []string{"usr/bin", "usr/sbin", "usr/lib64", "bin"} {
			entries, _ := os.ReadDir(filepath.Join(root, dir))
			for _, e := range entries {
				paths = append(paths, "/"+dir+"/"+e.Name())
			}
		}
	}
	never := vital()
	rank := func(p string) uint64 {
		sum := sha256.Sum256(binary.LittleEndian.AppendUint64([]byte(p), uint64(seed)))
		return binary.LittleEndian.Uint64(sum[:])
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	slices.SortFunc(paths, func(a, b string) int {
		if x, y := never.MatchString(a), never.MatchString(b); x != y {
			return map[bool]int{true: -1, false: 1}[x]
		}
		return cmp.Compare(rank(a), rank(b))
	})
	var out []file
	for _, p := range paths {
		must := never.MatchString(p)
		if !must && n <= 0 {
			break
		}
		path := filepath.Join(root, p)
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() || st.Size() == 0 || st.Size() > maxFile {
			continue
		}
		if !must {
			n--
		}
		out = append(out, file{name: p, path: path})
	}
	return out
}

// dpkg reads the lists of installed files.
func dpkg(root string) (out []string) {
	lists, _ := filepath.Glob(filepath.Join(root, "var/lib/dpkg/info/*.list"))
	for _, l := range lists {
		out = append(out, lines(l, "/")...)
	}
	return out
}

// apk reads the database of Alpine's packages: F: a folder, R: a file in it.
func apk(root string) (out []string) {
	dir := ""
	for _, l := range lines(filepath.Join(root, "lib/apk/db/installed"), "") {
		if d, ok := strings.CutPrefix(l, "F:"); ok {
			dir = d
		} else if f, ok := strings.CutPrefix(l, "R:"); ok {
			out = append(out, "/"+dir+"/"+f)
		}
	}
	return out
}

// lines are those of a file that begin so.
func lines(path, begin string) (out []string) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if strings.HasPrefix(s.Text(), begin) {
			out = append(out, s.Text())
		}
	}
	return out
}
