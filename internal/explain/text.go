package explain

import (
	"bytes"
	"html"
	"regexp"
	"slices"
	"strings"

	"github.com/showcause/showcause"
)

// encodings are the layers that were written in a text in other letters: scripts, if they are text.
var encodings = map[string]bool{"encoded.base64": true, "encoded.hex": true, "encoded.codes": true, "encoded.deflate": true, "text.utf7": false}

// within says in what way a file stands in a text or a picture; "" if it does not.
func within(op string, text bool) string {
	format, what, _ := strings.Cut(op, ".")
	switch {
	case encodings[op] && !text:
		return "encoded in a text"
	case op == "view.html.data" && !text:
		return "in an address of a page (data:)"
	case op == "card.base64":
		return "attachment"
	case what == "rest" && strings.Contains(" png jpeg gif webp bmp ico ", " "+format+" "):
		return "behind the end of a picture"
	}
	return ""
}

// fetched are the attributes by which elements of pages and of SVG have a browser fetch something.
var fetched = map[string]string{
	"script": "src xlink:href href", "img": "src", "iframe": "src", "frame": "src", "embed": "src", "object": "data", "link": "href", "form": "action", "applet": "code archive", "source": "src",
	"video": "src", "audio": "src", "input": "src formaction", "button": "formaction", "base": "href", "image": "xlink:href href", "use": "xlink:href href", "feimage": "xlink:href href",
	"import": "href", "include": "href", "xml-stylesheet": "href", "bgsound": "src", "body": "background",
}

// scripts are the names' ends of what a system runs, or a program of its own for it does.
var scripts = []string{".vbs", ".vbe", ".js", ".jse", ".bat", ".cmd", ".ps1", ".psm1", ".sh", ".py", ".pl", ".rb", ".php", ".au3", ".ahk", ".applescript"}

// tells are what a script that has no name for it is told by, in small letters.
var tells = []string{"createobject(", "activexobject", "wscript.", "@echo off", "powershell", "invoke-expression", "downloadstring(", "new-object ", "start-process ", "<?php"}

// isScript tells a text that is a script as it stands: by its name, and a file without one in reach by what it says.
func isScript(t showcause.Trail, b []byte) bool {
	if len(t) > 0 {
		name := strings.ToLower(t[len(t)-1].Name)
		return slices.ContainsFunc(scripts, func(s string) bool { return strings.HasSuffix(name, s) })
	}
	lower := bytes.ToLower(narrow(b[:min(len(b), 64<<10)]))
	return slices.ContainsFunc(tells, func(s string) bool { return bytes.Contains(lower, []byte(s)) })
}

// drawn tells what stands in the contents of a PDF in digits: tables of letters, titles and glyphs of pages, and no scripts, which
// are layers of their own.
func drawn(t showcause.Trail) bool { return len(t) > 1 && t[len(t)-2].Op == "pdf.stream" }

// noLibraries tells the element for macros of an OpenDocument file that has none, which is a script's by its name only.
func noLibraries(b []byte) bool {
	b = bytes.TrimSpace(b)
	return bytes.HasPrefix(b, []byte("<ooo:libraries ")) && bytes.IndexByte(b, '>') == len(b)-1 && bytes.HasSuffix(b, []byte("/>"))
}

// references tells what a page, a picture or a style sheet takes from elsewhere.
func (e *explainer) references(b []byte) {
	for at := 0; e.n[External] < maxFacts; {
		i := bytes.IndexByte(b[at:], '<')
		if i < 0 {
			return
		}
		at += i + 1
		tag := b[at : at+tagEnd(b[at:])]
		name, rest, _ := strings.Cut(strings.Map(spaces, string(tag[:min(len(tag), longestLink)])), " ")
		name = strings.ToLower(strings.Trim(name, "?/"))
		local := name[strings.LastIndexByte(name, ':')+1:]
		for attribute := range strings.FieldsSeq(fetched[local]) {
			if v := value(rest, attribute); strings.Contains(v, "//") || strings.HasPrefix(v, `\\`) {
				e.fact(External, []byte(local+" "+v))
			}
		}
		if local == "meta" && strings.EqualFold(value(rest, "http-equiv"), "refresh") {
			if _, to, ok := strings.Cut(value(rest, "content"), "="); ok {
				e.fact(Action, []byte("refresh "+strings.Trim(to, " '\"")))
			}
		}
		at += len(tag)
	}
}

// spaces makes white space one kind, and a slash behind a tag's name as well.
func spaces(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' || r == '\f' {
		return ' '
	}
	return r
}

// tagEnd is where the tag ends that b begins with.
func tagEnd(b []byte) int {
	quote := byte(0)
	for i, c := range b {
		switch {
		case quote == 0 && (c == '>' || c == '<'), i == longestLink:
			return i
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return len(b)
}

// value is what the first attribute of a name in the text of a tag says, with references undone.
func value(tag, name string) string {
	for tag = strings.TrimLeft(tag, " /"); tag != ""; tag = strings.TrimLeft(tag, " /") {
		n := strings.IndexAny(tag[1:], " =/") + 1
		if n == 0 {
			return ""
		}
		key, v, end := tag[:n], "", " "
		if tag = strings.TrimLeft(tag[n:], " "); strings.HasPrefix(tag, "=") {
			if tag = strings.TrimLeft(tag[1:], " "); tag != "" && (tag[0] == '"' || tag[0] == '\'') {
				end, tag = tag[:1], tag[1:]
			}
			v, tag, _ = strings.Cut(tag, end)
		}
		if strings.EqualFold(key, name) {
			return strings.TrimSpace(html.UnescapeString(v))
		}
	}
	return ""
}

// entries are kinds of text of lines with a key each, by what they begin with, and what their keys say.
var entries = []struct {
	start string
	keys  map[string]Kind
}{
	{"[internetshortcut", map[string]Kind{"url": Action, "baseurl": Link, "iconfile": External, "workingdirectory": External}},
	{"[{000214a0-", map[string]Kind{"url": Action, "iconfile": External}},
	{"[default]", map[string]Kind{"url": Action, "baseurl": Link, "iconfile": External}},
	{"[desktop entry]", map[string]Kind{"exec": Action, "tryexec": Action, "url": Action, "icon": External}},
	{"[shell]", map[string]Kind{"iconfile": External}},
	{"begin:vcard", map[string]Kind{"url": Link, "photo": External, "logo": External, "sound": External, "key": External, "source": External}},
	{"begin:vcalendar", map[string]Kind{"url": Link, "attach": External, "image": External, "conference": External, "source": External}},
}

// lines tells what internet shortcuts, desktop entries, vCards and calendars have opened, run or fetched. It returns the text, with
// the lines joined that belong together.
func (e *explainer) lines(b []byte) []byte {
	plain := narrow(b)
	head := strings.ToLower(string(bytes.TrimLeft(bytes.TrimPrefix(plain[:min(len(plain), 4<<10)], []byte("\xef\xbb\xbf")), " \t\r\n")))
	for _, kind := range entries {
		card := strings.HasPrefix(kind.start, "begin:")
		if !strings.HasPrefix(head, kind.start) && (card || !strings.Contains(head, "\n"+kind.start)) {
			continue
		}
		text := strings.ReplaceAll(string(plain), "\r\n", "\n")
		if card { // RFC 5545, section 3.1
			text = strings.ReplaceAll(strings.ReplaceAll(text, "\n ", ""), "\n\t", "")
		}
		for line := range strings.Lines(text) {
			e.entry(strings.TrimSpace(line), card, kind.keys)
		}
		return []byte(text)
	}
	e.sheet(plain, head)
	return b
}

// run is a cell of a table in a text that has another program started (DDE).
var run = regexp.MustCompile(`(?m)(?:^|[,;\t"])([=+@-][^,;\t"\r\n|]{1,64}\|'[^'\r\n]{1,512}'![^,;\t"\r\n]{0,64})`)

// sheet tells what tables in a text run or fetch: macro sheets in SYLK (a record O;E, or a name for Excel to run), cells of DDE, and
// queries of the web.
func (e *explainer) sheet(b []byte, head string) {
	if url, ok := strings.CutPrefix(strings.ReplaceAll(head, "\r\n", "\n"), "web\n1\n"); ok {
		url, _, _ = strings.Cut(url, "\n")
		e.fact(External, []byte("query "+url))
	}
	if strings.HasPrefix(head, "id;") {
		var formulas []byte
		macros := false
		for line := range bytes.Lines(b) {
			name := bytes.HasPrefix(line, []byte("NN;NAuto")) || bytes.HasPrefix(line, []byte("NN;Nauto"))
			macros = macros || name || bytes.HasPrefix(line, []byte("O;")) && bytes.Contains(line, []byte(";E"))
			if len(formulas) <= MaxText && (name || bytes.HasPrefix(line, []byte("C;")) && bytes.Contains(line, []byte(";E"))) {
				formulas = append(formulas, line...)
			}
		}
		if macros {
			e.fact(Macro, formulas)
		}
	}
	if bytes.Contains(b, []byte("|'")) {
		for _, m := range run.FindAllSubmatch(b, maxFacts) {
			e.fact(Action, m[1])
		}
	}
}

// entry tells what a line says.
func (e *explainer) entry(line string, card bool, keys map[string]Kind) {
	part := "="
	if card {
		part = ":"
	}
	key, v, ok := strings.Cut(line, part)
	name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(key)), ";")
	name, _, _ = strings.Cut(name, "[") // Name[de]
	kind, known := keys[name]
	if v = strings.TrimSpace(v); !ok || !known || v == "" {
		return
	}
	if kind == External && !strings.Contains(v, "://") && !strings.HasPrefix(v, `\\`) {
		return
	}
	if kind == Link {
		e.fact(kind, []byte(v))
		return
	}
	e.fact(kind, []byte(strings.TrimSpace(key)+part+v))
}
