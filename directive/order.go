// Package directive reads orders: texts that forbid, or advise against, products, and
// ask for reports by dates. An order is data: what it covers, where, what is due when
// and by which rule, how it can be contested, and what of it is not confirmed.
//
// The text is YAML and is specified in docs/format/order.md, with a JSON Schema.
package directive

import (
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause/directive/clock"
)

// Format is the first line of an order's text.
const Format = "showcause-order/1"

// Order is one order. It is immutable once read: an amended order is another one,
// with the same id and a higher version.
type Order struct {
	Format     string           `yaml:"format"`
	ID         string           `yaml:"id"`      // "bod-17-01"
	Version    int              `yaml:"version"` // from 1
	Title      string           `yaml:"title"`
	Issuer     string           `yaml:"issuer"`
	Template   bool             `yaml:"template"` // to be filled in: it has no dates of its own
	Note       string           `yaml:"note"`
	Authority  []Citation       `yaml:"authority"`
	Strength   string           `yaml:"strength"`  // "require" or "advise"
	TimeZone   string           `yaml:"time_zone"` // IANA name, in which its days are counted
	Calendar   string           `yaml:"calendar"`  // by which it is said what is no business day; may be empty
	Dates      Dates            `yaml:"dates"`
	Supersedes []Relation       `yaml:"supersedes"`
	After      []Relation       `yaml:"superseded_by"`
	Covers     Covers           `yaml:"covers"`
	Scope      []Condition      `yaml:"scope"`
	Duties     []Duty           `yaml:"duties"`
	Reports    []Form           `yaml:"reports"`
	Plan       *Form            `yaml:"plan"`
	Response   *Procedure       `yaml:"response"`
	Unreached  []string         `yaml:"not_by_content"` // ways of use that no search of files can see
	Doubts     []Doubt          `yaml:"unconfirmed"`
	Sources    []Source         `yaml:"sources"`
	Calendars  []clock.Calendar `yaml:"calendars"` // of its own

	zone      *time.Location
	calendars map[string]*clock.Calendar
	text      []byte
}

// Citation is a law, a regulation or a text that the order rests on.
type Citation struct {
	Cite   string   `yaml:"cite"`
	Source []string `yaml:"source"`
}

// Dates are kept apart: an order can be effective before it is published.
type Dates struct {
	Signed    *Dated `yaml:"signed"`
	Effective *Dated `yaml:"effective"`
	Published *Dated `yaml:"published"`
	Received  *Dated `yaml:"received"` // by whoever reads it; not of a shipped order
}

// Dated is a date with what it rests on.
type Dated struct {
	On          string   `yaml:"on"`
	Source      []string `yaml:"source"`
	Unconfirmed string   `yaml:"unconfirmed"` // why this is not sure

	moment clock.Moment
}

// Relation names another order.
type Relation struct {
	Order  string   `yaml:"order"` // its id, or its citation where it is no order of ours
	How    string   `yaml:"how"`
	Source []string `yaml:"source"`
}

// Covers is what the order is about.
type Covers struct {
	Entities   []string       `yaml:"entities"`   // as the order names them
	Vendors    []string       `yaml:"vendors"`    // ids of rules/products: all that these make
	Products   []Named        `yaml:"products"`   // named ones
	Exhaustive bool           `yaml:"exhaustive"` // only the named products are covered
	Exclusions []Exclusion    `yaml:"exclusions"`
	Components ComponentRule  `yaml:"components"`
	Classes    []ClassVerdict `yaml:"classes"` // where the order says otherwise than usual
}

// Named is a product that the order names, with the identities of it.
type Named struct {
	Name       string   `yaml:"name"`
	Identities []string `yaml:"identities"` // ids of rules/products; may be empty
}

// Exclusion is what the order leaves out.
type Exclusion struct {
	What       string   `yaml:"what"`
	Identities []string `yaml:"identities"`
	Source     []string `yaml:"source"`
}

// ComponentRule is what the order says of code within another maker's product.
type ComponentRule struct {
	Rule   string   `yaml:"rule"` // "include", "exclude", "substantial", "silent"
	Why    string   `yaml:"why"`
	Source []string `yaml:"source"`
}

// ClassVerdict is what the order makes of a class of finds.
type ClassVerdict struct {
	Class   Class   `yaml:"class"`
	Verdict Verdict `yaml:"verdict"`
	Why     string  `yaml:"why"`
}

// Condition is a question of scope, which a person answers for a system.
type Condition struct {
	ID      string   `yaml:"id"`
	Ask     string   `yaml:"ask"`
	Covered string   `yaml:"covered"` // the answer with which the order applies: "yes" or "no"
	Source  []string `yaml:"source"`
}

// Duty is one thing to do, or to report, by a time.
type Duty struct {
	ID          string        `yaml:"id"`
	Kind        string        `yaml:"kind"` // of dutyKinds
	Title       string        `yaml:"title"`
	Anchor      string        `yaml:"anchor"`
	Offset      int           `yaml:"offset"`
	Unit        clock.Unit    `yaml:"unit"`
	At          string        `yaml:"at"` // of unit instant
	Calendar    string        `yaml:"calendar"`
	Roll        clock.Roll    `yaml:"roll"`
	Every       *Every        `yaml:"every"`
	Report      string        `yaml:"report"` // id of a form
	Begin       bool          `yaml:"begin"`  // it asks to begin then, not to be finished
	Note        string        `yaml:"note"`
	Source      []string      `yaml:"source"`
	Unconfirmed string        `yaml:"unconfirmed"`
	offset      clock.Offset  // as it is computed with
	every       *clock.Offset //
}

// Every makes a duty come again.
type Every struct {
	Offset int        `yaml:"offset"`
	Unit   clock.Unit `yaml:"unit"`
	Until  string     `yaml:"until"` // in words
}

// Form is a report that the order asks for, or its plan.
type Form struct {
	ID     string   `yaml:"id"`
	Title  string   `yaml:"title"`
	Nil    bool     `yaml:"nil"` // a report is due where nothing was found, too
	Fields []Field  `yaml:"fields"`
	Source []string `yaml:"source"`
}

// Field is one thing that a report has to say.
type Field struct {
	ID    string `yaml:"id"`
	Title string `yaml:"title"`
	From  string `yaml:"from"` // what of a case fills it in (Fills); empty: a person
	Note  string `yaml:"note"`
}

// Procedure is how the order can be contested.
type Procedure struct {
	Who       string   `yaml:"who"`
	To        string   `yaml:"to"`
	Due       *Dated   `yaml:"due"`
	Means     string   `yaml:"means"`
	Effect    string   `yaml:"effect"` // what may become of the duties
	Events    []Event  `yaml:"events"` // what happened, where it is known
	Source    []string `yaml:"source"`
	Extension string   `yaml:"extension"`
}

// Event is something that happened in the procedure.
type Event struct {
	On          string   `yaml:"on"`
	What        string   `yaml:"what"`
	Source      []string `yaml:"source"`
	Unconfirmed string   `yaml:"unconfirmed"`
}

// Doubt is something that is said of the order and that nobody has confirmed. It is
// no fact of the order, and is repeated wherever the order is shown.
type Doubt struct {
	About string `yaml:"about" json:"about"`
	Says  string `yaml:"says" json:"says"`
	Why   string `yaml:"why" json:"why"`
}

// Source is a text that a fact was read in.
type Source struct {
	ID      string `yaml:"id"`
	Title   string `yaml:"title"`
	Address string `yaml:"address"`
	Read    string `yaml:"read"` // "primary", "secondary"
}

// The words that an order chooses from.
var (
	strengths      = []string{"require", "advise"}
	componentRules = []string{"include", "exclude", "substantial", "silent"}
	dutyKinds      = []string{"identify", "plan", "begin-removal", "status", "final", "check", "report", "follow-up", "stop-use", "respond"}
	reads          = []string{"primary", "secondary"}
)

// Text returns the order's text as it was read.
func (o *Order) Text() []byte { return slices.Clone(o.text) }

// Zone returns the time zone in which the order's days are counted.
func (o *Order) Zone() *time.Location { return o.zone }

// Duty returns a duty by its id, or nil.
func (o *Order) Duty(id string) *Duty {
	if i := slices.IndexFunc(o.Duties, func(d Duty) bool { return d.ID == id }); i >= 0 {
		return &o.Duties[i]
	}
	return nil
}

// Form returns a report by its id, or nil.
func (o *Order) Form(id string) *Form {
	if i := slices.IndexFunc(o.Reports, func(f Form) bool { return f.ID == id }); i >= 0 {
		return &o.Reports[i]
	}
	return nil
}

// Date returns one of the order's own dates: "signed", "effective", "published",
// "received"; nil where the order has none.
func (o *Order) Date(which string) *Dated {
	switch which {
	case "signed":
		return o.Dates.Signed
	case "effective":
		return o.Dates.Effective
	case "published":
		return o.Dates.Published
	case "received":
		return o.Dates.Received
	}
	return nil
}

// Secondary tells whether all sources named were read in others' words only.
func (o *Order) Secondary(sources []string) bool {
	for _, id := range sources {
		if slices.ContainsFunc(o.Sources, func(s Source) bool { return s.ID == id && s.Read == "primary" }) {
			return false
		}
	}
	return len(sources) > 0
}

// DoubtsOf returns what is not confirmed about a part of the order, "" for all of it.
func (o *Order) DoubtsOf(about string) (out []Doubt) {
	for _, d := range o.Doubts {
		if about == "" || d.About == about || strings.HasPrefix(d.About, about+".") {
			out = append(out, d)
		}
	}
	return out
}
