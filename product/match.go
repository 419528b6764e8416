package product

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Hit is an identity that a fact of an observation agrees with.
type Hit struct {
	Identity    *Identity
	Observation int // index in Inventory.Observations
	Fact        int // index in its Facts
	Strong      bool
}

// Presence is one product in one root of a target, in one way.
type Presence struct {
	Product string
	Root    string
	Class   Class // with Present: how it is there; without: Remnant or Mention
	Present bool  // closed: by a strong hit, or by two independent weak ones
	Hits    []Hit
	Why     string // one line: what closed it, or what is missing
	// Host is the publisher or vendor of the application that an embedded component is in, "" if it is not told.
	Host string
	// Unconfirmed says that without identities that nobody confirmed it would not be closed.
	Unconfirmed bool
}

// Match judges what the identities say of an inventory. Presences are ordered by product, root and class.
func Match(inv *Inventory, set *Set) []Presence {
	m := matcher{inv: inv, set: set, groups: map[groupKey]*Presence{}}
	m.index()
	for i := range inv.Observations {
		m.observe(i)
	}
	out := make([]Presence, 0, len(m.groups))
	for _, p := range m.groups {
		m.close(p)
		out = append(out, *p)
	}
	out = joinWeak(out)
	slices.SortFunc(out, func(a, b Presence) int {
		return cmp.Or(strings.Compare(a.Product, b.Product), strings.Compare(a.Root, b.Root), cmp.Compare(rank(a.Class), rank(b.Class)))
	})
	return out
}

func rank(c Class) int { return slices.Index(Classes(), c) }

type groupKey struct {
	product, root string
	class         Class
}

type matcher struct {
	inv    *Inventory
	set    *Set
	byKind map[Kind][]*Identity
	groups map[groupKey]*Presence
	apps   map[string]*app // by root and folder
}

// app is what an application's folder holds.
type app struct {
	vendors map[string]string // families that its programs and its path are of, and "" for others with a name of one
	teams   map[string]bool   // team ids in it that are verified and trusted
	bundles map[string]bool
	place   map[string]bool // families that its path is of
}

func appKey(p Place) string { return p.Root + "\x00" + p.App }

// index reads once what observations of one folder say together.
func (m *matcher) index() {
	m.byKind = map[Kind][]*Identity{}
	for i := range m.set.Identities {
		d := &m.set.Identities[i]
		m.byKind[d.Kind] = append(m.byKind[d.Kind], d)
	}
	m.apps = map[string]*app{}
	for i := range m.inv.Observations {
		o := &m.inv.Observations[i]
		if o.Place.App == "" {
			continue
		}
		a := m.apps[appKey(o.Place)]
		if a == nil {
			a = &app{vendors: map[string]string{}, teams: map[string]bool{}, bundles: map[string]bool{}, place: map[string]bool{}}
			m.apps[appKey(o.Place)] = a
		}
		m.learn(a, o)
	}
}

func (m *matcher) learn(a *app, o *Observation) {
	for _, d := range m.byKind[Path] {
		if d.Agrees(o.Platform, Fact{Kind: Path, Value: o.Place.App}) {
			a.place[d.Vendor] = true
		}
	}
	maker, family := "", ""
	for _, f := range o.Facts {
		switch f.Kind {
		case TeamID:
			if f.Verified && f.Trusted {
				a.teams[f.Value] = true
			}
		case BundleID:
			a.bundles[f.Value] = true
		}
		switch f.Kind {
		case Signer, Company, Publisher, TeamID:
			if maker == "" {
				maker = f.Value
			}
			for _, d := range m.byKind[f.Kind] {
				if d.Agrees(o.Platform, f) {
					family = d.Vendor
				}
			}
		}
	}
	if maker != "" && o.Class != Mention {
		if family != "" || a.vendors[""] == "" {
			a.vendors[family] = maker
		}
	}
}

// observe gives the hits of one observation to their groups.
func (m *matcher) observe(i int) {
	o := &m.inv.Observations[i]
	for k, f := range o.Facts {
		for _, d := range m.byKind[f.Kind] {
			if !d.Agrees(o.Platform, f) {
				continue
			}
			h := Hit{Identity: d, Observation: i, Fact: k, Strong: m.strong(o, f, d)}
			class := m.class(o, d)
			key := groupKey{d.Product, o.Place.Root, class}
			if class == Running { // what runs and what is installed prove each other
				key.class = Installed
			}
			g := m.groups[key]
			if g == nil {
				g = &Presence{Product: d.Product, Root: key.root, Class: key.class}
				m.groups[key] = g
			}
			if class == Running {
				g.Class = Running
			}
			if key.class == Embedded {
				g.Host = m.apps[appKey(o.Place)].vendors[""]
			}
			g.Hits = append(g.Hits, h)
		}
	}
}

// class is how the software is there that a hit speaks of: what the observation says, and what the identity
// proves at most.
func (m *matcher) class(o *Observation, d *Identity) Class {
	switch {
	case o.Class == Mention || d.Proves == Mention:
		return Mention
	case o.Class != Installed && o.Class != Running:
		return o.Class
	case d.Proves == Embedded || m.foreign(o, d):
		return Embedded
	case d.Proves == Installer || d.Proves == Backup:
		return d.Proves
	}
	return o.Class
}

// foreign tells whether a program stands in the folder of another vendor's application.
func (m *matcher) foreign(o *Observation, d *Identity) bool {
	if o.Place.App == "" || o.Evidence.Size == 0 {
		return false
	}
	switch d.Kind {
	case Signer, TeamID, Company, Program, Original, Digest, Rule, File:
	default:
		return false
	}
	a := m.apps[appKey(o.Place)]
	return a != nil && a.vendors[""] != "" && !a.place[d.Vendor]
}

// strong tells whether a hit closes "present" alone.
func (m *matcher) strong(o *Observation, f Fact, d *Identity) bool {
	if d.Confidence == Unconfirmed || o.Class == Mention || o.Class == Remnant || d.Proves == Remnant || d.Proves == Mention {
		return false
	}
	switch f.Kind {
	case Package:
		return o.Source != "registry"
	case Signer, TeamID:
		return f.Verified && f.Trusted
	case BundleID:
		a := m.apps[appKey(o.Place)]
		if a == nil {
			return false
		}
		for _, t := range m.byKind[TeamID] {
			if t.Vendor == d.Vendor && t.Confidence != Unconfirmed && a.teams[t.Value] {
				return true
			}
		}
		return false
	case Digest, Rule, Extension:
		return true
	}
	return false
}

// close works out whether a presence is closed, and why.
func (m *matcher) close(p *Presence) {
	if p.Class == Mention {
		p.Why = "a text that names it"
		return
	}
	if p.Class == Remnant {
		p.Why = "only what was left: " + m.words(p.Hits)
		return
	}
	for _, h := range p.Hits {
		if h.Strong {
			p.Present = true
			p.Why = string(h.Identity.Kind) + " " + h.Identity.Value
			return
		}
	}
	if a, b, ok := m.independent(p.Hits, false); ok {
		p.Present = true
		p.Why = "two independent: " + string(a.Identity.Kind) + " " + a.Identity.Value + "; " + string(b.Identity.Kind) + " " + b.Identity.Value
		return
	}
	if _, _, ok := m.independent(p.Hits, true); ok {
		p.Unconfirmed = true
	}
	p.Why = "one weak identity does not prove it: " + m.words(p.Hits) + m.distrust(p.Hits)
	if p.Class == Installed || p.Class == Running || p.Class == Embedded {
		p.Class = Remnant
	}
}

// independent finds two hits of different families that rest on different bytes, one of
// them in a program or a process: a folder and a key are what every uninstaller leaves. Identities that
// nobody confirmed count only if they are wanted.
func (m *matcher) independent(hits []Hit, unconfirmed bool) (a, b Hit, ok bool) {
	for i, a := range hits {
		for _, b := range hits[i+1:] {
			if !unconfirmed && (a.Identity.Confidence == Unconfirmed || b.Identity.Confidence == Unconfirmed) {
				continue
			}
			f, g := m.family(a), m.family(b)
			if f == g || inside(f) == inside(g) && !inside(f) || m.sameBytes(a, b) {
				continue
			}
			return a, b, true
		}
	}
	return a, b, false
}

// family is what a hit must differ in from another: a signature that does not hold, or that leads to nobody who
// is trusted, is no more than what a file says of itself.
func (m *matcher) family(h Hit) string {
	f := &m.inv.Observations[h.Observation].Facts[h.Fact]
	if k := h.Identity.Kind.Family(); k != "signature" || f.Verified && f.Trusted {
		return k
	}
	return "self"
}

// distrust says why signers among hits prove nothing.
func (m *matcher) distrust(hits []Hit) string {
	out := ""
	for _, h := range hits {
		f := &m.inv.Observations[h.Observation].Facts[h.Fact]
		switch {
		case h.Identity.Kind.Family() != "signature":
		case !f.Verified:
			return "; its signature does not hold"
		case !f.Trusted:
			out = "; its signature holds, and leads to no root that is trusted: anybody can make a certificate in this name"
		}
	}
	return out
}

// inside tells whether facts of a family stand in a program that is there.
func inside(family string) bool {
	return family == "self" || family == "signature" || family == "content" || family == "live"
}

func (m *matcher) sameBytes(a, b Hit) bool {
	x, y := &m.inv.Observations[a.Observation], &m.inv.Observations[b.Observation]
	return a.Observation == b.Observation || x.Evidence.Size > 0 && x.Evidence.SHA256 == y.Evidence.SHA256 && x.Evidence.Offset == y.Evidence.Offset
}

func (m *matcher) words(hits []Hit) string {
	var out []string
	for _, h := range hits {
		if s := string(h.Identity.Kind) + " " + h.Identity.Value; !slices.Contains(out, s) && len(out) < 4 {
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ")
}

// joinWeak puts together what became remnants of one product in one root.
func joinWeak(list []Presence) []Presence {
	var out []Presence
	at := map[groupKey]int{}
	slices.SortFunc(list, func(a, b Presence) int {
		return cmp.Or(strings.Compare(a.Product, b.Product), strings.Compare(a.Root, b.Root), cmp.Compare(a.Hits[0].Observation, b.Hits[0].Observation))
	})
	for _, p := range list {
		k := groupKey{p.Product, p.Root, p.Class}
		i, ok := at[k]
		if !ok || p.Present != out[i].Present {
			at[k] = len(out)
			out = append(out, p)
			continue
		}
		out[i].Hits = append(out[i].Hits, p.Hits...)
		out[i].Unconfirmed = out[i].Unconfirmed || p.Unconfirmed
	}
	return out
}

// Outcome is what is said of one product on one target: exactly one of four.
type Outcome string

// The outcomes. NotFound is never more than "not found by these methods over this coverage".
const (
	Present   Outcome = "present"
	NotFound  Outcome = "not found"
	Unreached Outcome = "unreached" // not at all, or not whole and nothing was found in what was
	Excluded  Outcome = "excluded"  // by whoever asked
)

// Totals counts outcomes over targets. Inventory is the sum of the others.
type Totals struct{ Inventory, Present, Absent, Unreached, Excluded int }

// Count adds an outcome.
func (t *Totals) Count(o Outcome) {
	t.Inventory++
	switch o {
	case Present:
		t.Present++
	case NotFound:
		t.Absent++
	case Excluded:
		t.Excluded++
	default:
		t.Unreached++
	}
}

// Judge says what holds of products on a target, of which the presences are. counts tells which
// classes count; nil: what runs, is installed, or is embedded.
func Judge(inv *Inventory, list []Presence, product func(id string) bool, counts func(Class) bool) Outcome {
	if counts == nil {
		counts = func(c Class) bool { return c == Running || c == Installed || c == Embedded }
	}
	for _, p := range list {
		if p.Present && product(p.Product) && counts(p.Class) {
			return Present
		}
	}
	if !inv.Coverage.Whole() {
		return Unreached
	}
	return NotFound
}

// Apps finds the folder of the application that a path is in, "" if there is none that is known by its place.
// Roots of applications are those that each system installs into.
func Apps(name string) string {
	parts := strings.Split(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	for i, p := range parts {
		if strings.HasSuffix(p, ".app") || strings.HasSuffix(p, ".systemextension") && !slices.ContainsFunc(parts[:i], func(q string) bool { return strings.HasSuffix(q, ".app") }) {
			return "/" + strings.Join(parts[:i+1], "/")
		}
	}
	depth := map[string]int{
		"opt": 1, "program files": 1, "program files (x86)": 1, "programdata": 1, "usr/local": 1,
		"library/application support": 1, "snap": 1, "var/lib/flatpak/app": 1,
	}
	// Folders that an application keeps its parts in, so that they are no name of a product.
	inner := map[string]bool{"bin": true, "sbin": true, "lib": true, "lib64": true, "libexec": true, "share": true, "etc": true, "var": true, "x64": true, "x86": true}
	for n := min(len(parts), 4); n > 0; n-- {
		if d, ok := depth[lower(strings.Join(parts[:n], "/"))]; ok && len(parts) > n+d-1 {
			end := n + d
			if len(parts) > end+1 && lower(parts[0]) != "snap" && !inner[lower(parts[end])] {
				end++ // vendor and product
			}
			return "/" + strings.Join(parts[:min(end, len(parts))], "/")
		}
	}
	return ""
}
