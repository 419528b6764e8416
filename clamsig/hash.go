package clamsig

import (
	"strings"

	"github.com/showcause/showcause/rule"
)

// scopeOf says what the hashes of a kind of file are of.
func scopeOf(kind string) rule.Scope {
	switch kind {
	case "mdb", "msb", "mdu", "msu":
		return rule.PESection
	case "imp":
		return rule.PEImports
	}
	return rule.WholeLayer
}

// wildcardLevel is the level that a hash of any size has to ask for.
const wildcardLevel = 73

// hash reads "hash:size:name[:min[:max]]"; .mdb has the first two the other
// way round. The kind of hash follows from its length, not from the file.
func (f *file) hash(line string) (string, *refusal) {
	var t [6]string
	n := split(line, ':', t[:])
	if n < 3 || n > 5 {
		return "", malformed("%d fields, 3 to 5 expected", n)
	}
	d := &f.l.digest
	d.Scope = scopeOf(f.kind)
	digest, size, name := t[0], t[1], t[2]
	if d.Scope == rule.PESection {
		digest, size = size, digest
	}
	minLevel, _, _ := leading(t[3])
	if n > 3 && minLevel > f.l.level {
		return name, outside(FunctionalityLevel, "level %d and up", minLevel)
	}
	if maxLevel, _, _ := leading(t[4]); n > 4 && maxLevel < f.l.level {
		return name, outside(FunctionalityLevel, "up to level %d", maxLevel)
	}
	d.Size = -1
	if size != "*" {
		v, rest, ok := leading(size)
		if !ok || rest != "" || v == 0 || v >= 1<<32-1 {
			return name, malformed("size %q", clip(size))
		}
		d.Size = v
	} else if d.Scope != rule.PEImports && (n < 4 || minLevel < wildcardLevel) {
		return name, malformed("any size, without a level of %d or more", wildcardLevel)
	}
	if f.l.ignored(name, line) {
		return name, outside(Ignored, "by name")
	}
	if name = cleanName(name); name == "" {
		return "", malformed("no name")
	}
	raw, ok := f.unhex(digest)
	if !ok {
		return name, malformed("hash %q: not hexadecimal, or not 32, 40 or 64 digits", clip(digest))
	}
	switch len(raw) {
	case 16:
		d.Sum = rule.MD5
	case 20:
		d.Sum = rule.SHA1
	case 32:
		d.Sum = rule.SHA256
	}
	d.Digest = raw
	d.Allow = f.kind == "fp" || f.kind == "sfp"
	d.Origin = f.origin(name, line)
	if err := f.l.sink.Digest(d); err != nil {
		return name, unsupported(Pattern, "%v", err)
	}
	return name, nil
}

// unhex decodes a digest.
func (f *file) unhex(s string) (string, bool) {
	if len(s) != 32 && len(s) != 40 && len(s) != 64 {
		return "", false
	}
	var raw [32]byte
	for i := 0; i < len(s); i += 2 {
		hi, lo := nibble(s[i]), nibble(s[i+1])
		if hi|lo > 15 {
			return "", false
		}
		raw[i/2] = hi<<4 | lo
	}
	return string(raw[:len(s)/2]), true
}

// nibble returns the value of a hexadecimal digit, 0xff for anything else.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// cleanName cuts the comment " (Clam)" off, with all that follows it.
func cleanName(s string) string {
	if i := strings.Index(s, " (Clam)"); i >= 0 {
		return s[:i]
	}
	return s
}

// clip bounds what an error message repeats.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
