package yaracmd

import (
	"context"
	"fmt"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/author"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
)

// explaining is one run of rules explain.
type explaining struct {
	h       Host
	ctx     context.Context
	res     *check.Result
	src     showcause.Source
	ext     map[string]module.Value
	w       io.Writer
	json    bool
	told    int
	matches bool
}

// rule explains a rule: on the file itself, or on what is in it. layer is the trail to
// one layer; if it is empty, and the file itself does not match, all that do are told.
func (e *explaining) rule(comp *yara.Compiler, r *check.Rule, layer string) error {
	if layer != "" {
		told, err := e.layers(r, func(l showcause.Layer) bool { return l.Trail.String() == layer })
		if err == nil && told == 0 {
			err = fmt.Errorf("rules explain: no layer %q in the file", layer)
		}
		return err
	}
	x, gaps, err := explained(e.ctx, e.res, r, e.src, e.externals(showcause.Layer{Source: e.src}, detect(e.src)), nil)
	if err != nil {
		return err
	}
	if !x.Matches {
		in, err := e.inside(comp, r)
		if err != nil {
			return err
		}
		if len(in) > 0 {
			_, err := e.layers(r, func(l showcause.Layer) bool { return in[l.Trail.String()] })
			return err
		}
	}
	return e.tell(x, gaps)
}

// inside are the trails to the layers below the file that a rule matches.
func (e *explaining) inside(comp *yara.Compiler, r *check.Rule) (map[string]bool, error) {
	some := *e.res
	some.Rules = author.Needed(e.res, r)
	built, err := comp.Build(&some)
	if err != nil {
		return nil, err
	}
	ext := map[string]any{}
	for _, name := range []string{"filename", "filepath", "extension"} {
		v := e.ext[name]
		if yara.FitsExternal(built.DB(), name, v) == nil {
			ext[name] = v.Text
		}
	}
	found, err := built.NewScanner(yara.ScanOptions{Containers: true, MaxMatches: 1, MaxData: -1, Externals: ext}).Scan(e.ctx, e.src)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, m := range found.Matches {
		if m.Name == r.Name.Name && m.Namespace == r.Namespace && len(m.Trail) > 0 {
			out[m.Trail.String()] = true
		}
	}
	return out, nil
}

// layers explains a rule on some of what is in the file, and tells on how many.
func (e *explaining) layers(r *check.Rule, wanted func(showcause.Layer) bool) (told int, err error) {
	scan.Walk(e.src, scan.Options{Spill: func() (unpack.File, error) { return e.h.Scratch() }}, scan.Visitor{Layer: func(l showcause.Layer, t filetype.Type) (int64, error) {
		if err == nil && e.ctx.Err() != nil {
			err = e.ctx.Err()
		}
		if err != nil || !wanted(l) {
			return l.Source.Size(), nil
		}
		x, gaps, xerr := explained(e.ctx, e.res, r, l.Source, e.externals(l, t), nil)
		if xerr == nil {
			x.Layer = l.Trail.String()
			xerr = e.tell(x, gaps)
		}
		told++
		err = xerr
		return l.Source.Size(), nil
	}})
	return told, err
}

// externals are the external variables for one layer, as scan fills them in.
func (e *explaining) externals(l showcause.Layer, t filetype.Type) map[string]module.Value {
	return scan.Externals(e.ext, l, t, func(string) bool { return true })
}

// detect tells what a file is.
func detect(src showcause.Source) filetype.Type {
	head := make([]byte, 64<<10)
	n, _ := src.ReadAt(head, 0)
	return filetype.Detect(head[:n], src)
}

// tell prints one explanation.
func (e *explaining) tell(x *author.Explanation, gaps []showcause.Gap) (err error) {
	e.matches = e.matches || x.Matches
	if e.json {
		err = answer.NewEncoder(e.w).Encode(x)
	} else {
		if e.told > 0 {
			fmt.Fprintln(e.w)
		}
		err = x.Text(e.w)
	}
	e.told++
	if err != nil {
		return err
	}
	for _, g := range gaps {
		if g.Code.Unread() {
			return fmt.Errorf("rules explain: not all of the file was looked at: %s", g.Code)
		}
	}
	return nil
}
