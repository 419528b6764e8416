package report

import (
	"path"
	"strings"
)

// piece is a part of a rule's text.
type piece struct {
	Text string
	Mark bool // it is a pattern that matched
}

// mark cuts a rule's text so that the patterns which matched stand out.
func mark(language, file, text string, fired map[int64]bool) []piece {
	if len(fired) == 0 {
		return []piece{{Text: text}}
	}
	if language == "yara" {
		return markYARA(text, fired)
	}
	sep, first := ":", 3 // Name:Target:Offset:Body
	switch ext := strings.ToLower(path.Ext(file)); ext {
	case ".ldb", ".ldu":
		sep, first = ";", 3 // Name;Target;Expression;Body0;Body1...
	case ".ndb", ".ndu", ".sdb":
	case ".mdb", ".msb", ".mdu", ".msu":
		first = 1
	default: // digests first
		first = 0
	}
	fields := strings.Split(text, sep)
	var out []piece
	for i, f := range fields {
		if i > 0 {
			out = append(out, piece{Text: sep})
		}
		hit := fired[int64(i-first)]
		if sep == ":" {
			hit = i == first
		}
		out = append(out, piece{f, hit})
	}
	return join(out)
}

// markYARA marks the definitions of strings that matched, line by line: a
// string is numbered by its place among them.
func markYARA(text string, fired map[int64]bool) (out []piece) {
	n, in := int64(-1), false
	for line := range strings.Lines(text) {
		word := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(word, "strings:"):
			in = true
			word = strings.TrimSpace(strings.TrimPrefix(word, "strings:"))
		case strings.HasPrefix(word, "condition:"):
			in = false
		}
		starts := in && strings.HasPrefix(word, "$") && strings.Contains(word, "=")
		if starts {
			n++
		}
		out = append(out, piece{line, in && n >= 0 && fired[n] && (starts || strings.TrimSpace(line) != "")})
	}
	return join(out)
}

// join puts neighbours of one kind together.
func join(in []piece) (out []piece) {
	for _, p := range in {
		if n := len(out); n > 0 && out[n-1].Mark == p.Mark {
			out[n-1].Text += p.Text
			continue
		}
		out = append(out, p)
	}
	return out
}
