package directive

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict is what an order makes of a find: there are three answers, since a
// question that nobody has answered is neither yes nor no.
type Verdict string

// The verdicts.
const (
	Covered      Verdict = "covered"
	NotCovered   Verdict = "not-covered"
	Undetermined Verdict = "undetermined"
)

// Class is what a find of a product is.
type Class string

// The classes.
const (
	Installed Class = "installed" // the product is set up here
	Running   Class = "running"
	Remnant   Class = "remnant"   // left behind: paths, keys, names
	Installer Class = "installer" // a package or setup program that would install it
	Embedded  Class = "embedded"  // its code within another maker's product
	Backup    Class = "backup"    // in a copy that is kept
	Mention   Class = "mention"   // a text that names it; counts nowhere
)

// usual is what an order makes of a class if it does not say otherwise. Embedded
// code has a rule of its own in each order.
var usual = []ClassVerdict{
	{Installed, Covered, "the product is installed"},
	{Running, Covered, "the product is running"},
	{Remnant, Undetermined, "only traces of the product were found; they prove neither that it is there nor that it is not"},
	{Installer, Undetermined, "an installer is kept here; whether keeping it is use or presence, a person decides"},
	{Backup, NotCovered, "a copy in a backup is listed with the backup, and is no endpoint"},
	{Mention, NotCovered, "a text that names the product is not the product"},
}

func classWords() (out []string) {
	for _, c := range usual {
		out = append(out, string(c.Class))
	}
	return append(out, string(Embedded))
}

// Article is what an order judges.
type Article struct {
	Vendor   string // id of rules/products
	Identity string // id of rules/products
	Class    Class
	// Weak says that no identity which was found proves the product by itself.
	Weak bool
}

// Judgement is what one order makes of one article, and why.
type Judgement struct {
	Verdict Verdict
	Reasons []string // each one stands by itself; the first decides
	Asks    []string // ids of conditions without an answer
}

// Judge evaluates an article under the order. answers are the answers ("yes", "no")
// to conditions of scope, by id.
func (o *Order) Judge(a Article, answers map[string]string) Judgement {
	if a.Class == Mention {
		return Judgement{NotCovered, []string{usual[len(usual)-1].Why}, nil}
	}
	steps := []Judgement{o.subject(a), o.class(a), o.scope(answers)}
	if a.Weak && a.Class != Remnant {
		steps = append(steps, Judgement{Undetermined, []string{"one weak identity does not prove the product"}, nil})
	}
	var out Judgement
	for _, v := range []Verdict{NotCovered, Undetermined, Covered} {
		for _, s := range steps {
			if s.Verdict != v {
				continue
			}
			if out.Verdict == "" {
				out.Verdict = v
			}
			if v == out.Verdict {
				out.Reasons = append(out.Reasons, s.Reasons...)
				out.Asks = append(out.Asks, s.Asks...)
			}
		}
	}
	return out
}

// subject asks whether the order is about this product at all.
func (o *Order) subject(a Article) Judgement {
	has := func(ids []string) bool { return slices.Contains(ids, a.Identity) }
	for _, x := range o.Covers.Exclusions {
		if has(x.Identities) {
			return Judgement{NotCovered, []string{"the order leaves out: " + x.What}, nil}
		}
	}
	for _, n := range o.Covers.Products {
		if has(n.Identities) {
			return Judgement{Covered, []string{"the order names the product: " + n.Name}, nil}
		}
	}
	if slices.Contains(o.Covers.Vendors, a.Vendor) && !o.Covers.Exhaustive {
		return Judgement{Covered, []string{"a product of the vendor that the order names; its list of products is not exhaustive"}, nil}
	}
	return Judgement{NotCovered, []string{"no product that the order names"}, nil}
}

// class applies the order's rule for what the find is.
func (o *Order) class(a Article) Judgement {
	for _, c := range slices.Concat(o.Covers.Classes, usual) {
		if c.Class == a.Class {
			return Judgement{c.Verdict, []string{c.Why}, nil}
		}
	}
	c := o.Covers.Components
	switch {
	case a.Class != Embedded:
		return Judgement{Undetermined, []string{fmt.Sprintf("the order has no rule for what is %q", a.Class)}, nil}
	case c.Rule == "include":
		return Judgement{Covered, []string{"embedded code is included: " + c.Why}, nil}
	case c.Rule == "exclude":
		return Judgement{NotCovered, []string{"embedded code is excluded: " + c.Why}, nil}
	case c.Rule == "substantial":
		return Judgement{Undetermined, []string{"embedded code is included where it is substantial or essential, which a person decides: " + c.Why}, nil}
	}
	return Judgement{Undetermined, []string{"the order does not say what holds for embedded code: " + c.Why}, nil}
}

// scope applies what was answered about the system.
func (o *Order) scope(answers map[string]string) Judgement {
	out := Judgement{Verdict: Covered}
	for _, c := range o.Scope {
		switch given := answers[c.ID]; given {
		case c.Covered:
		case "yes", "no":
			return Judgement{NotCovered, []string{fmt.Sprintf("out of scope: %s The answer is %s.", c.Ask, given)}, nil}
		default:
			out.Verdict = Undetermined
			out.Asks = append(out.Asks, c.ID)
		}
	}
	if len(out.Asks) > 0 {
		out.Reasons = []string{"not answered: " + strings.Join(out.Asks, ", ")}
	}
	return out
}

// Fills returns the words that name what of a case fills a field of a report.
func Fills() []string {
	return []string{
		"organisation", "contact", "components", "products", "endpoints", "methods", "coverage", "gaps", "removals", "contracts",
		"mission", "timeline", "controls", "replacements", "replacement-timeline", "challenges", "costs", "verdicts", "contests",
		"contract-number", "order-number", "supplier", "supplier-ids", "brand", "model", "description", "mitigation", "prevention",
	}
}
