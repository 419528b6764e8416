package clamsig

import (
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
)

// ignoreList holds the names of the .ign and .ign2 files, each with the MD5
// digests of the lines meant, raw; an empty one means any line.
type ignoreList map[string][]string

// ignore reads "name", "name:md5-of-the-line" or, in the old form,
// "file:line:name".
func (f *file) ignore(line string) *refusal {
	var t [4]string
	n := split(line, ':', t[:])
	name, sum := t[0], ""
	switch n {
	case 2:
		raw, err := hex.DecodeString(t[1])
		if err != nil || len(raw) != md5.Size {
			return malformed("MD5 %q", clip(t[1]))
		}
		sum = string(raw)
	case 3:
		name = t[2]
	case 4:
		return malformed("more than 3 fields")
	}
	if name == "" {
		return malformed("no name")
	}
	f.l.ign[name] = append(f.l.ign[name], sum)
	return nil
}

// ignored tells whether a signature is on the list. As in ClamAV the part
// ".{...}" and the suffix ".UNOFFICIAL" of its name are left out of the comparison.
func (l *loader) ignored(name, line string) bool {
	if len(l.ign) == 0 {
		return false
	}
	if len(name) > 3 && name[len(name)-1] == '}' {
		name, _, _ = strings.Cut(name, ".{")
	} else if len(name) > len(unofficial) {
		name = strings.TrimSuffix(name, unofficial)
	}
	sums, ok := l.ign[name]
	if !ok {
		return false
	}
	if slices.Contains(sums, "") {
		return true
	}
	sum := md5.Sum([]byte(line))
	return slices.Contains(sums, string(sum[:]))
}
