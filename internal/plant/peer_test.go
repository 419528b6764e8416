package plant

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause/rule"
)

// peer returns where clamscan is, "" if it is not installed or of another
// version than the one compared with.
func peer(t testing.TB) string {
	path, err := exec.LookPath("clamscan")
	if err != nil {
		t.Log("clamscan is not installed: not compared")
		return ""
	}
	v, err := exec.Command(path, "--version").Output()
	if err != nil || !strings.HasPrefix(string(v), "ClamAV 1.4.") {
		t.Logf("clamscan is %q, not 1.4: not compared", v)
		return ""
	}
	return path
}

// clamscan scans a folder, or what more arguments say, and returns the names
// that it gives each file, by the path below the folder.
func clamscan(t testing.TB, db, dir string, more ...string) map[string][]string {
	t.Helper()
	args := append([]string{"-r", "-z", "-i", "--no-summary", "--stdout", "-d", db}, more...)
	if len(more) == 0 {
		args = append(args, dir)
	}
	out, err := exec.Command(peer(t), args...).Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		t.Logf("clamscan: %v: %s", err, out[max(0, len(out)-500):])
	}
	names := map[string][]string{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line, ok := strings.CutSuffix(lines.Text(), " FOUND")
		at := strings.LastIndex(line, ": ")
		if !ok || at < 0 {
			continue
		}
		path, err := filepath.Rel(dir, line[:at])
		if err != nil {
			t.Fatal(err)
		}
		names[path] = append(names[path], line[at+2:])
	}
	for p, n := range names {
		sort.Strings(n)
		names[p] = slices.Compact(n)
	}
	return names
}

// difference is one file on which the two do not agree.
type difference struct {
	path       string
	file       File
	ours, peer []string
}

// differences is what a comparison gives.
type differences struct {
	files, same, subset int
	classes             map[string][]difference
}

// compare holds our names against clamscan's. Where clamscan names some of
// ours that is agreement: it may stop at one name for bytes that several
// signatures share.
func compare(t testing.TB, files map[string]File, ours, peers map[string][]string) *differences {
	t.Helper()
	d := &differences{files: len(files), classes: map[string][]difference{}}
	for _, p := range paths(files) {
		f, o, c := files[p], ours[p], peers[p]
		contained := !slices.ContainsFunc(c, func(n string) bool { return !slices.Contains(o, n) })
		class := ""
		switch {
		case slices.Equal(o, c):
			d.same++
			continue
		case len(c) == 0 && !f.Peer:
			class = notOpened
		case len(c) == 0 && f.Late && f.Target == int(rule.ASCII):
			class = beforeTrigger
		case len(o) == 0 && f.UTF16:
			class = takenForUTF16
		case len(c) == 0 && f.Target == int(rule.PE) && strings.HasPrefix(f.Rule, "Plant.Elem.Single"):
			class = beforeFilter
		case len(c) == 0 && f.Carrier == "jpeg" && len(o) == 2:
			class = jpegHash
		case len(c) == 0 && f.Carrier == "picture" && slices.ContainsFunc(f.Container, func(s string) bool { return strings.HasPrefix(s, "cpio.") }):
			class = inCpio
		case len(c) == 0 && strings.Contains(strings.Join(f.Container, " "), "mail.quoted-printable uuencode"):
			class = quotedUU
		case (len(c) == 0 || len(o) == 0) && slices.Contains(f.Container, "mail.quoted-printable") &&
			(f.Sized || slices.ContainsFunc(f.Anchors, func(a string) bool { return strings.HasPrefix(a, "EOF") })):
			class = quotedEnd
		case len(c) > 0 && contained && (!f.Expect || slices.Contains(c, f.Rule) || !slices.Contains(o, f.Rule)):
			d.subset++
			continue
		case len(c) > 0 && contained:
			class = another
		case len(c) == 0:
			class = "ours alone"
		case len(o) == 0:
			class = "clamscan alone"
		default:
			class = "clamscan has names that we have not"
		}
		d.classes[class] = append(d.classes[class], difference{p, f, o, c})
	}
	return d
}

// The classes that docs/clamav-differences.md explains.
const (
	notOpened     = "ours alone, in a container that clamscan does not open"
	another       = "ours, clamscan another of ours"
	takenForUTF16 = "clamscan alone, in data that it takes for UTF-16 text"
	beforeTrigger = "ours alone, an expression in a text before what triggers it"
	inCpio        = "ours alone, a picture in a cpio, which clamscan does not come to hash"
	beforeFilter  = "ours alone, a single byte in front of where clamscan's filter has its search begin"
	jpegHash      = "ours alone, the hash of a JPEG, whose dots decoders round otherwise"
	quotedUU      = "ours alone, uuencoded in a quoted-printable part, which clamscan does not open"
	quotedEnd     = "the size or the end of a quoted-printable part, to which clamscan adds a line end"
)

// bad returns the number of differences that no line of
// docs/clamav-differences.md explains.
func (d *differences) bad() (n int) {
	for c, l := range d.classes {
		switch c {
		case notOpened, another, takenForUTF16, beforeTrigger, beforeFilter, inCpio, jpegHash, quotedUU, quotedEnd:
		default:
			n += len(l)
		}
	}
	return n
}

func (d *differences) log(t testing.TB) {
	t.Helper()
	t.Logf("%d files: %d with the same names, %d where clamscan has some of ours", d.files, d.same, d.subset)
	for c, l := range d.classes {
		t.Logf("%d: %s", len(l), c)
		if c == notOpened {
			continue
		}
		for i, x := range l {
			if i == 25 {
				break
			}
			t.Logf("   %s", x)
		}
	}
}

func (x difference) String() string {
	return fmt.Sprintf("%s %s:%d %s target %d %s %v %q anchors %v view %v: ours %v, clamscan %v",
		x.path, x.file.Source, x.file.Line, x.file.Rule, x.file.Target, x.file.Carrier, x.file.Container, x.file.Flaw, head(x.file.Anchors), x.file.View, head(x.ours), head(x.peer))
}

func head(s []string) []string { return s[:min(len(s), 4)] }
