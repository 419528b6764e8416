package extract

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/explain"
)

// explained prints, at the end of each input, what its layers hold, by what it is.
type explained struct {
	w     io.Writer
	quiet bool

	at    Layer // the last
	top   string
	facts map[explain.Kind][]placed
	odd   []placed
	kept  int // bytes of the facts
	left  int // facts for which there was no room
	files int // below the input
}

// placed is a fact with where it is.
type placed struct {
	explain.Fact
	layer Layer
}

// maxKept is how many bytes of facts of one input are printed.
const maxKept = 16 << 20

// Layer implements Printer.
func (p *explained) Layer(input string, l *Layer, _ string) error {
	p.at = *l
	if len(l.Trail) == 0 {
		p.top = fmt.Sprintf("%s: %s, %s bytes", shown(input), l.Type, answer.Number(l.Size))
		return nil
	}
	p.files++
	last := l.Trail[len(l.Trail)-1]
	if odd := disguised(last.Name, l.Type); odd != "" {
		p.keep(&p.odd, explain.Fact{Text: odd})
	}
	if strings.HasSuffix(last.Op, ".decrypted") {
		p.at.Trail = l.Trail[:len(l.Trail)-1] // said once of an archive
		p.keep(&p.odd, explain.Fact{Text: "holds what was encrypted, and was opened by a known password or key"})
		p.at = *l
	}
	return nil
}

// Fact implements Printer.
func (p *explained) Fact(_ string, f explain.Fact) error {
	if p.facts == nil {
		p.facts = map[explain.Kind][]placed{}
	}
	list := p.facts[f.Kind]
	p.keep(&list, f)
	p.facts[f.Kind] = list
	return nil
}

func (p *explained) keep(list *[]placed, f explain.Fact) {
	if p.kept += len(f.Text) + 64; p.kept > maxKept {
		p.left++
		return
	}
	*list = append(*list, placed{f, p.at})
}

// Gap implements Printer.
func (p *explained) Gap(_ string, g showcause.Gap) error {
	text := "not read: " + string(g.Code)
	if !g.Code.Unread() {
		text = string(g.Code)
	}
	at := p.at
	p.at.Trail = g.Trail
	p.keep(&p.odd, explain.Fact{Text: text})
	p.at = at
	return nil
}

// Input implements Printer.
func (p *explained) Input(r *Result) error {
	var b strings.Builder
	if r.Err != nil {
		fmt.Fprintf(&b, "ERROR  %s: %s\n", shown(r.Path), showcause.Escape(r.Err.Error()))
	}
	if !p.quiet && p.top != "" {
		fmt.Fprintf(&b, "%s, %s inside\n", p.top, answer.Plural(int64(p.files), "layer"))
		none := []string{}
		for _, k := range explain.Kinds() {
			if len(p.facts[k]) == 0 {
				none = append(none, k.String())
				continue
			}
			p.section(&b, k)
		}
		p.oddities(&b)
		if len(none) > 0 {
			fmt.Fprintf(&b, "\nno %s\n", strings.Join(none, ", no "))
		}
		if p.left > 0 {
			fmt.Fprintf(&b, "\nand %s more that there is no room for\n", answer.Plural(int64(p.left), "thing"))
		}
	}
	if unread := r.codes(true); len(unread) > 0 {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "INCOMPLETE  %s: %s: there may be more\n", shown(r.Path), strings.Join(unread, ", "))
	}
	if r.Folder != "" {
		fmt.Fprintf(&b, "written: %s, %s bytes, into %s\n", answer.Plural(r.Files, "file"), answer.Number(r.Bytes), showcause.Escape(r.Folder))
	}
	if r.NoJail {
		fmt.Fprintln(&b, "without the jail: this process read the file itself (--jail=off)")
	}
	if b.Len() > 0 && !p.quiet {
		b.WriteByte('\n')
	}
	*p = explained{w: p.w, quiet: p.quiet}
	_, err := io.WriteString(p.w, b.String())
	return err
}

// section prints the facts of a kind.
func (p *explained) section(b *strings.Builder, k explain.Kind) {
	fmt.Fprintf(b, "\n%s\n", k)
	place := ""
	deeper := p.deepest(k)
	for i, f := range p.facts[k] {
		if deeper[i] {
			continue // it is said of the layer within
		}
		more := ""
		if f.Cut {
			more = ", and more: -o writes all of it"
		}
		switch k {
		case explain.Embedded:
			fmt.Fprintf(b, "  %s: %s, %s, %s bytes, SHA-256 %s\n", where(f.layer.Trail), visible(f.Text), f.layer.Type, answer.Number(f.layer.Size), f.layer.Digest)
		case explain.Link, explain.External:
			if at := where(f.layer.Trail); at != place {
				place = at
				fmt.Fprintf(b, "  in %s\n", at)
			}
			fmt.Fprintf(b, "    %s%s\n", visible(f.Text), more)
		default:
			lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(f.Text, "\r\n", "\n"), "\r", "\n"), "\n")
			fmt.Fprintf(b, "  %s, %s%s\n", where(f.layer.Trail), answer.Plural(int64(len(lines)), "line"), more)
			for _, line := range lines {
				fmt.Fprintf(b, "    | %s\n", visible(line))
			}
		}
	}
}

// deepest tells which links are those of a layer within theirs too. A mail has them in the letters of its parts, which break
// lines: what one of a part begins with is that one.
func (p *explained) deepest(k explain.Kind) map[int]bool {
	out := map[int]bool{}
	if k != explain.Link {
		return out
	}
	facts := p.facts[k]
	last := map[string]int{}
	var sorted []int
	for i, f := range facts {
		// Layers come in the order of the walk: one within another is behind it.
		if j, ok := last[f.Text]; ok && within(f.layer.Trail, facts[j].layer.Trail) {
			out[j] = true
		}
		last[f.Text] = i
		sorted = append(sorted, i)
	}
	slices.SortFunc(sorted, func(a, b int) int { return cmp.Or(strings.Compare(facts[a].Text, facts[b].Text), a-b) })
	for i, f := range facts {
		if out[i] || f.layer.Type != "mail" {
			continue
		}
		text := strings.TrimSuffix(strings.ReplaceAll(f.Text, "=3D", "="), "=")
		at, _ := slices.BinarySearchFunc(sorted, text, func(j int, text string) int { return strings.Compare(facts[j].Text, text) })
		for _, j := range sorted[at:min(at+maxAlike, len(sorted))] {
			if !strings.HasPrefix(facts[j].Text, text) {
				break
			}
			if j > i && within(facts[j].layer.Trail, f.layer.Trail) {
				out[i] = true
			}
		}
	}
	return out
}

// maxAlike is how many links that begin alike are looked at for each.
const maxAlike = 64

// within tells whether the layer at a trail is in another one.
func within(t, other showcause.Trail) bool {
	return len(t) > len(other) && slices.Equal(t[:len(other)], other)
}

// oddities prints what is odd, each kind once for each place.
func (p *explained) oddities(b *strings.Builder) {
	if len(p.odd) == 0 {
		return
	}
	fmt.Fprint(b, "\noddities\n")
	seen := map[string]int{}
	var order []string
	for _, o := range p.odd {
		line := fmt.Sprintf("  %s: %s", where(o.layer.Trail), visible(o.Text))
		if seen[line]++; seen[line] == 1 {
			order = append(order, line)
		}
	}
	for _, line := range order {
		if n := seen[line]; n > 1 {
			line += fmt.Sprintf(" (%d times)", n)
		}
		fmt.Fprintln(b, line)
	}
}

func where(t showcause.Trail) string {
	if len(t) == 0 {
		return "the file itself"
	}
	return t.String()
}

// visible is a line as a terminal may have it: tabs as spaces, and what does not print
// as a code.
func visible(line string) string {
	line = strings.ReplaceAll(line, "\t", "    ")
	var b strings.Builder
	for i, r := range line {
		switch {
		case r == unicode.ReplacementChar && i < len(line) && line[i] != 0xef:
			fmt.Fprintf(&b, "\\x%02x", line[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, "\\x%02x", r)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// programs are the types of what runs, runs the ends of names by which Windows has something run that is none of these.
var (
	programs  = []string{"pe", "dos-exe", "elf", "macho", "macho-universal"}
	runs      = []string{"exe", "com", "scr", "pif", "msi", "lnk", "url", "js", "jse", "vbs", "vbe", "wsf", "wsh", "hta", "bat", "cmd", "ps1", "jar", "cpl", "dll", "iso", "img", "vhd"}
	documents = []string{"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "rtf", "txt", "jpg", "jpeg", "png", "gif", "htm", "html", "csv", "odt", "ods", "mp3", "mp4", "zip"}
)

// disguised says of a name that it looks like another one: a program's that is a document's or a picture's, two
// endings, and characters that turn the direction of writing.
func disguised(name, kind string) string {
	if strings.ContainsFunc(name, turns) {
		return "a name with characters that turn the direction of writing: it ends in " + visible(name[strings.LastIndexByte(name, '.')+1:]) + ", whatever it looks like"
	}
	name = name[strings.LastIndexAny(name, "/\\")+1:]
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return ""
	}
	ext := extension(name[i+1:])
	j := strings.LastIndexByte(name[:i], '.')
	switch {
	case slices.Contains(programs, kind) && slices.Contains(documents, ext):
		return "a program (" + kind + ") under a name that ends in ." + ext
	case slices.Contains(runs, ext) && slices.Contains(documents, extension(name[j+1:i])) && j >= 0:
		return "a name with two endings: it is ." + ext + ", not ." + extension(name[j+1:i])
	}
	return ""
}

// extension is the ending of a name as Windows takes it.
func extension(s string) string { return strings.ToLower(strings.Trim(s, " \x00")) }

// turns tells the characters that turn the direction of writing (Unicode Standard Annex 9, section 2).
func turns(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }
