package extract

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/explain"
)

// Printer writes what was derived. Paths and names are escaped: each call writes
// whole lines, and nothing in them is one that a name forged.
type Printer interface {
	// Layer is a layer, and where it was written, from the folder; "" if it was not.
	Layer(input string, l *Layer, file string) error
	// Fact is what the last layer holds.
	Fact(input string, f explain.Fact) error
	// Gap is what was not read.
	Gap(input string, g showcause.Gap) error
	// Input ends an input.
	Input(r *Result) error
}

// Result is all that is said of one input.
type Result struct {
	Path   string
	Report showcause.Report // without gaps; the verdict stands if Err is nil
	Layers int64            // below the input
	Codes  map[showcause.Code]int64
	Err    error
	NoJail bool
	Folder string // into which the layers were written, "" if they were not
	Files  int64
	Bytes  int64
}

// Verdict is nothing-found if all was read: nothing was looked for.
func (r *Result) Verdict() showcause.Verdict {
	if r.Err != nil {
		return showcause.Error
	}
	for c := range r.Codes {
		if c.Unread() {
			return showcause.Incomplete
		}
	}
	return showcause.NothingFound
}

// codes lists the reasons, those for which bytes went unread or the others.
func (r *Result) codes(unread bool) (out []string) {
	for c, n := range r.Codes {
		if c.Unread() != unread {
			continue
		}
		word := string(c)
		if n > 1 {
			word = fmt.Sprintf("%s (%s times)", word, answer.Number(n))
		}
		out = append(out, word)
	}
	slices.Sort(out)
	return out
}

// shown renders a path as one name: it cannot look like a path and a trail.
func shown(p string) string { return showcause.Step{Name: p}.String() }

// NewPrinter returns a Printer: "tree" for a person, "json" for programs, a
// line each, "names" for the names alone, "explain" for what layers hold.
func NewPrinter(form string, w io.Writer, quiet bool) (Printer, error) {
	switch form {
	case "tree":
		return &tree{w, quiet}, nil
	case "json":
		return &lines{e: answer.NewEncoder(w), quiet: quiet}, nil
	case "names":
		return &names{w: w}, nil
	case "explain":
		return &explained{w: w, quiet: quiet}, nil
	}
	return nil, fmt.Errorf("%q is not one of tree, json, names, explain", form)
}

// tree prints a line for each layer: size, type, SHA-256, and the name, which
// is set in by its depth. Gaps stand where they were met, with a mark where the others have a
// digest.
type tree struct {
	w     io.Writer
	quiet bool
}

func (p *tree) Layer(input string, l *Layer, file string) error {
	if p.quiet {
		return nil
	}
	name := shown(input)
	if n := len(l.Trail); n > 0 {
		name = l.Trail[n-1].String()
	}
	_, err := fmt.Fprintf(p.w, "%13s  %-10s  %s  %*s%s\n", answer.Number(l.Size), l.Type, l.Digest, 2*len(l.Trail), "", name)
	if err == nil && renamed(l, file) {
		_, err = fmt.Fprintf(p.w, "%13s  %-10s  %-64s  %*sas %s\n", "", "", "", 2*len(l.Trail)+2, "", showcause.Escape(file))
	}
	if n := len(l.Trail); err == nil && n > 0 && answer.Hidden(l.Trail[n-1:]) {
		_, err = fmt.Fprintf(p.w, "%13s  %-10s  %-64s  %*s%s\n", "", "", "", 2*len(l.Trail)+2, "", answer.HiddenNote)
	}
	return err
}

// renamed tells whether a file has another name than its container gives it.
func renamed(l *Layer, file string) bool {
	n := len(l.Trail)
	return n > 0 && file != "" && (l.Trail[n-1].Name == "" || !strings.HasSuffix("/"+file, "/"+l.Trail[n-1].Name))
}

func (p *tree) Fact(string, explain.Fact) error { return nil }

func (p *tree) Gap(input string, g showcause.Gap) error {
	if p.quiet {
		return nil
	}
	name := shown(input)
	if n := len(g.Trail); n > 0 {
		name = g.Trail[n-1].String()
	}
	mark := "not read: " + string(g.Code)
	if !g.Code.Unread() {
		mark = "note: " + string(g.Code)
	}
	_, err := fmt.Fprintf(p.w, "%13s  %-10s  %-64s  %*s%s\n", lost(&g), "-", mark, 2*len(g.Trail), "", name)
	return err
}

// lost is how many bytes a gap is, where that is known.
func lost(g *showcause.Gap) string {
	if g.Length <= 0 {
		return "-"
	}
	return answer.Number(g.Length)
}

func (p *tree) Input(r *Result) error {
	var b strings.Builder
	if r.Err != nil {
		fmt.Fprintf(&b, "ERROR  %s: %s\n", shown(r.Path), showcause.Escape(r.Err.Error()))
	}
	unread, notes := r.codes(true), r.codes(false)
	if p.quiet {
		if len(unread) > 0 {
			fmt.Fprintf(&b, "INCOMPLETE  %s: %s\n", shown(r.Path), strings.Join(unread, ", "))
		}
		_, err := io.WriteString(p.w, b.String())
		return err
	}
	if r.Err == nil || r.Layers > 0 {
		fmt.Fprintf(&b, "\n%s: %s\n", shown(r.Path), answer.Plural(r.Layers, "layer"))
	}
	if r.Folder != "" {
		fmt.Fprintf(&b, "written: %s, %s bytes, into %s\n", answer.Plural(r.Files, "file"), answer.Number(r.Bytes), showcause.Escape(r.Folder))
	}
	if len(unread) > 0 {
		fmt.Fprintf(&b, "not read: %s\n", strings.Join(unread, ", "))
	}
	if len(notes) > 0 {
		fmt.Fprintf(&b, "read in every way it can be read: %s\n", strings.Join(notes, ", "))
	}
	if r.NoJail {
		fmt.Fprintln(&b, "without the jail: this process read the file itself (--jail=off)")
	}
	b.WriteByte('\n')
	_, err := io.WriteString(p.w, b.String())
	return err
}

// names prints the name of each layer below the input: those of the steps on
// the way to it, with " / " between them.
type names struct {
	w  io.Writer
	at showcause.Trail
}

func (p *names) Layer(_ string, l *Layer, _ string) error {
	p.at = l.Trail
	if len(l.Trail) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(p.w, l.Trail)
	return err
}

func (p *names) Fact(string, explain.Fact) error { return nil }

// Gap prints the name of what was not derived at all: it is there.
func (p *names) Gap(_ string, g showcause.Gap) error {
	shared := 0
	for shared < min(len(g.Trail), len(p.at)) && g.Trail[shared] == p.at[shared] {
		shared++
	}
	if shared == len(g.Trail) {
		return nil // of a layer that was named
	}
	p.at = g.Trail
	_, err := fmt.Fprintln(p.w, g.Trail)
	return err
}

func (p *names) Input(*Result) error {
	p.at = nil
	return nil
}

// lines prints one JSON object a line: layers and gaps as they come, then the input.
type lines struct {
	e     *json.Encoder
	quiet bool
	at    showcause.Trail
}

// inputPath is the path of the input: escaped, and its bytes where that changed them.
type inputPath struct {
	Path      string `json:"path"`
	PathBytes string `json:"path_bytes,omitempty"` // base64
}

func jsonPath(p string) inputPath {
	j := inputPath{Path: showcause.Escape(p)}
	if j.Path != p {
		j.PathBytes = base64.StdEncoding.EncodeToString([]byte(p))
	}
	return j
}

func (p *lines) Layer(input string, l *Layer, file string) error {
	p.at = l.Trail
	if p.quiet {
		return nil
	}
	return p.e.Encode(struct {
		Kind string `json:"kind"`
		inputPath
		Trail  showcause.Trail  `json:"trail"`
		Type   string           `json:"type"`
		Size   int64            `json:"size"`
		Digest showcause.SHA256 `json:"sha256"`
		Read   int64            `json:"read"`
		File   string           `json:"file,omitempty"` // from the folder
	}{"layer", jsonPath(input), l.Trail, l.Type, l.Size, l.Digest, l.Read, showcause.Escape(file)})
}

func (p *lines) Fact(input string, f explain.Fact) error {
	if p.quiet {
		return nil
	}
	return p.e.Encode(struct {
		Kind string `json:"kind"`
		inputPath
		Trail showcause.Trail `json:"trail"`
		What  string          `json:"what"` // macros, scripts, actions, external references, links, embedded files
		Text  string          `json:"text"` // what is no UTF-8 is replaced
		Cut   bool            `json:"cut,omitempty"`
	}{"fact", jsonPath(input), p.at, f.Kind.String(), f.Text, f.Cut})
}

func (p *lines) Gap(input string, g showcause.Gap) error {
	if p.quiet {
		return nil
	}
	return p.e.Encode(struct {
		Kind string `json:"kind"`
		inputPath
		showcause.Gap
	}{"gap", jsonPath(input), g})
}

func (p *lines) Input(r *Result) error {
	verdict := "whole" // nothing was looked for, so that nothing was not found
	if v := r.Verdict(); v != showcause.NothingFound {
		verdict = v.String()
	}
	out := struct {
		Kind string `json:"kind"`
		inputPath
		Outcome string                   `json:"outcome"` // whole, incomplete, error
		Layers  int64                    `json:"layers"`  // below the input
		Spent   showcause.Spent          `json:"spent"`
		Codes   map[showcause.Code]int64 `json:"gaps,omitempty"`
		Error   string                   `json:"error,omitempty"`
		Jail    string                   `json:"jail,omitempty"` // "off" when it was read without
		Folder  string                   `json:"folder,omitempty"`
		Files   int64                    `json:"files,omitempty"` // that were written
		Bytes   int64                    `json:"bytes,omitempty"`
	}{
		Kind: "input", inputPath: jsonPath(r.Path), Outcome: verdict, Layers: r.Layers, Spent: r.Report.Spent,
		Codes: r.Codes, Folder: showcause.Escape(r.Folder), Files: r.Files, Bytes: r.Bytes,
	}
	if r.Err != nil {
		out.Error = showcause.Escape(r.Err.Error())
	}
	if r.NoJail {
		out.Jail = answer.JailOff
	}
	return p.e.Encode(out)
}
