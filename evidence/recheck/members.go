package recheck

import (
	"fmt"
	"path"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/metadata"
	"github.com/showcause/showcause/clamsig/trust"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/exe"
)

// asked is a rule about the members of a layer, which is decided while its formats tell of them.
type asked struct {
	entry *metadata.Entry
	of    *layer
	hits  metadata.Hits
}

// compileMember reads a signature of a member of a container.
func compileMember(r *Rule) (test, error) {
	e, _, err := metadata.Parse(strings.TrimPrefix(path.Ext(r.File), "."), r.Text, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	if e.Name != strings.TrimSuffix(r.Name, ".UNOFFICIAL") {
		return nil, fmt.Errorf("its text is of a rule named %s", showcause.Escape(e.Name))
	}
	return func(w *walk, l *layer, _ []rule.Target) {
		if l.view {
			w.differ("rule", "that it fires", "a view, on which it never does")
			return
		}
		w.asked = &asked{entry: e, of: l}
	}, nil
}

// listen has the claim's rule asked of each member of a layer, if it is about those.
func (w *walk) listen(l *layer, out *unpack.Out, format *string) {
	a := w.asked
	if a == nil || a.of != l {
		return
	}
	size := l.Source.Size()
	out.OnMember(func(um unpack.Member) {
		if m := metadata.Member(um); a.entry.Holds(metadata.Types(l.kind, *format), size, &m) {
			a.hits.Add(&m, size, showcause.MaxMatches)
		}
	})
}

// heard concludes what listen began.
func (w *walk) heard(l *layer) {
	a := w.asked
	if a == nil || a.of != l {
		return
	}
	if a.hits.Count == 0 {
		w.differ("rule", "that it fires", "it does not")
		return
	}
	w.out.Holds, w.out.Matches, w.out.Counts = true, a.hits.Matches, []uint32{a.hits.Count}
	w.compare()
	w.excerpts(l)
}

// compileCertificate reads a certificate that is revoked.
func compileCertificate(r *Rule) (test, error) {
	e, err := trust.Parse(r.Text)
	if err != nil {
		return nil, err
	}
	if e.Name != r.Name {
		return nil, fmt.Errorf("its text is of a rule named %s", showcause.Escape(e.Name))
	}
	return func(w *walk, l *layer, _ []rule.Target) {
		var hits []trust.Hit
		if !l.view && l.exe != nil && l.exe.Kind == exe.PE {
			hits, _, _ = trust.Judge([]*trust.Entry{e}, l.Source, w.budget.Work)
		}
		if len(hits) == 0 {
			w.differ("rule", "that it fires", "it does not")
			return
		}
		n := len(hits[0].Matches)
		w.out.Holds, w.out.Matches, w.out.Counts = true, hits[0].Matches[:min(n, showcause.MaxMatches)], []uint32{uint32(n)}
		w.compare()
	}, nil
}
