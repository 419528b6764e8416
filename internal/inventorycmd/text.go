package inventorycmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
)

// maxShown is how many lines of one kind a person is shown.
const maxShown = 20

// text writes lines, and remembers the first error.
type text struct {
	w   io.Writer
	err error
}

func (t *text) line(format string, a ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", a...)
	}
}

func printText(w io.Writer, inv *product.Inventory, set *product.Set) error {
	t := &text{w: w}
	t.line("%s: %s", showcause.Escape(inv.Target), strings.TrimSpace(inv.Kind+" "+showcause.Escape(strings.TrimSpace(inv.System.Name+" "+inv.System.Version))))
	if inv.Coverage.Unreached != "" {
		t.line("  not reached: %s", showcause.Escape(inv.Coverage.Unreached))
		return t.err
	}
	known := product.Match(inv, set)
	for _, p := range known {
		t.presence(inv, set, p)
	}
	counts := map[string]int{}
	for _, o := range inv.Observations {
		counts[o.Source]++
	}
	var list []string
	for _, s := range sources() {
		if counts[s] > 0 {
			list = append(list, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	t.line("  seen: %s", strings.Join(append(list, fmt.Sprintf("%d in all", len(inv.Observations))), ", "))
	t.coverage(&inv.Coverage)
	if len(known) == 0 {
		t.line("  no product that the identities know was found by these methods over this coverage")
	}
	return t.err
}

// presence writes what is known of a product, and what that rests on.
func (t *text) presence(inv *product.Inventory, set *product.Set, p product.Presence) {
	name := p.Product
	for _, q := range set.Products {
		if q.ID == p.Product {
			name = q.Name + " (" + p.Product + ")"
		}
	}
	state := string(p.Class)
	if !p.Present {
		state = "not proven: " + state
	}
	if p.Host != "" {
		state += " in software of " + showcause.Escape(p.Host)
	}
	if p.Root != "" {
		state += ", in " + showcause.Escape(p.Root)
	}
	t.line("  %s: %s: %s", name, state, showcause.Escape(p.Why))
	for i, h := range p.Hits {
		if i == 5 {
			t.line("      and %d more", len(p.Hits)-i)
			break
		}
		o := &inv.Observations[h.Observation]
		f := o.Facts[h.Fact]
		words := []string{fmt.Sprintf("%s %s", f.Kind, showcause.Escape(f.Value))}
		switch {
		case f.Trusted:
			words = append(words, "signature holds, by a root that is trusted")
		case f.Verified:
			words = append(words, "signature holds, by no root that is trusted")
		}
		if h.Identity.Confidence == product.Unconfirmed {
			words = append(words, "identity not confirmed")
		}
		if v := o.Get(product.Version); v != "" {
			words = append(words, "version "+showcause.Escape(v))
		}
		if o.Evidence.SHA256 != (showcause.SHA256{}) {
			words = append(words, "SHA-256 "+o.Evidence.SHA256.String())
		}
		if o.Evidence.Length > 0 {
			words = append(words, fmt.Sprintf("bytes %d to %d", o.Evidence.Offset, o.Evidence.Offset+o.Evidence.Length))
		}
		t.line("      %s: %s", o.Place, strings.Join(words, ", "))
	}
}

func (t *text) coverage(c *product.Coverage) {
	f := c.Files
	t.line("  %s; %d layers inside", f, c.Layers)
	for i, e := range c.Excluded {
		if i == maxShown {
			t.line("  and %d more left out", len(c.Excluded)-i)
			break
		}
		t.line("  left out: %s: %s", showcause.Escape(e.Path), showcause.Escape(e.Why))
	}
	n := 0
	for _, g := range c.Gaps {
		if !g.Code.Unread() {
			continue
		}
		if n++; n <= maxShown {
			t.line("  not reached: %s: %s", g.Place, strings.TrimSuffix(string(g.Code)+", "+showcause.Escape(g.Why), ", "))
		}
	}
	if more := int64(n-min(n, maxShown)) + c.More; more > 0 {
		t.line("  not reached: %d more", more)
	}
}
