package rulescmd

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// lineOf is what a line is that is no more than its fields: which of them is its name, and what
// each of them says, "" where it is of no effect.
type lineOf struct {
	what, sep string
	name      int
	words     []string
	fires     bool // it finds something
}

func linesOf(kind string) (lineOf, bool) {
	levels := []string{"functionality level from", "functionality level to"}
	old := []string{"", "encrypted (1) or not (0)", "its name matches", "its bytes, unpacked", "its bytes in the container", "its CRC-32", "", "its number in the container", ""}
	l, ok := map[string]lineOf{
		"cdb": {"signature of a member of a container", ":", 0, append([]string{
			"", "the container is of type", "the container has bytes", "its name matches", "its bytes in the container", "its bytes, unpacked", "encrypted (1) or not (0)",
			"its number in the container", "", "",
		}, levels...), true},
		"zmd": {"signature of a member of a zip file", ":", 0, old, true},
		"rmd": {"signature of a member of a RAR file", ":", 0, old, true},
		"crb": {"certificate", ";", 0, append([]string{
			"", "trusted (1) or revoked (0)", "SHA-1 of its subject", "SHA-1 of its serial number", "its key (RSA)", "", "may sign programs", "may sign times", "may sign certificates", "", "comment",
		}, levels...), true},
		"ftm":  {"file type", ":", 3, append([]string{"kind (0: by bytes at a place)", "at byte", "stand the bytes", "", "of what is", "is read as"}, levels...), false},
		"pwdb": {"password", ";", 0, []string{"", "for", "plain (0) or hexadecimal (1)", "the password"}, false},
		"cfg":  {"switch of ClamAV's own readers, of no effect here", ":", 0, []string{"", "flags", levels[0], levels[1]}, false},
		"idb":  {"icon", ":", 0, []string{"", "group 1", "group 2", "measures"}, false},
	}[kind]
	return l, ok
}

// parseFields takes such a line apart.
func parseFields(line, kind string) (*signature, error) {
	l, _ := linesOf(kind)
	t := strings.Split(line, l.sep)
	if len(t) <= l.name || len(t) > len(l.words) {
		return nil, fmt.Errorf("%d fields, %d at most expected", len(t), len(l.words))
	}
	return &signature{kind: kind, name: t[l.name], tdb: t}, nil
}

// describeFields writes it in words.
func describeFields(w io.Writer, s *signature) {
	l, _ := linesOf(s.kind)
	fmt.Fprintf(w, "%s: %s\n", showcause.Escape(s.name), l.what)
	for i, v := range s.tdb {
		if l.words[i] != "" && v != "*" && v != "" {
			fmt.Fprintf(w, "  %s: %s\n", l.words[i], showcause.Escape(v))
		}
	}
}

// tryFields tries it on a file and on all that is in it: it is asked of containers and programs.
func tryFields(w io.Writer, s *signature, line string, b []byte) (bool, error) {
	if l, _ := linesOf(s.kind); !l.fires {
		return false, fmt.Errorf("%s: %s: it finds nothing by itself", s.name, l.what)
	}
	db, err := compile(s.kind, line)
	if err != nil {
		return false, fmt.Errorf("%s: %w", s.name, err)
	}
	rep := scan.New(db, scan.Options{}).Scan(showcause.Bytes(b))
	fmt.Fprintf(w, "%s: %s\n", showcause.Escape(s.name), map[bool]string{true: "fires", false: "does not fire"}[len(rep.Findings) > 0])
	for _, f := range rep.Findings {
		at := "in the file itself"
		if len(f.Trail) > 0 {
			at = "in " + showcause.Escape(f.Trail.String())
		}
		var places []string
		for _, m := range f.Matches {
			places = append(places, fmt.Sprint(m.Offset))
		}
		fmt.Fprintf(w, "  %s, at %s\n", at, strings.Join(slices.Compact(places), " "))
	}
	return len(rep.Findings) > 0, nil
}
