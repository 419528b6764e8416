package directive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // orders name zones, and not every host has their rules

	"go.yaml.in/yaml/v3"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive/clock"
)

// maxText bounds an order's text, in bytes.
const maxText = 1 << 20

// Problem is one thing that is wrong with an order's text.
type Problem struct {
	File string
	Line int    // from 1; 0 if it has no place
	Path string // "duties[2].unit"
	Text string
}

func (p Problem) Error() string {
	s := showcause.Escape(p.File)
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
	}
	if p.Path != "" {
		s += ": " + p.Path
	}
	return s + ": " + p.Text
}

// Problems are all that is wrong with an order's text, in the order of its lines.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Parse reads an order. file is what errors call it. calendars gives calendars that
// the order names and does not have itself; it may be nil. What is wrong with the
// text is Problems.
func Parse(file string, text []byte, calendars func(id string) *clock.Calendar) (*Order, error) {
	p := parser{file: showcause.Escape(file), order: &Order{text: bytes.Clone(text), calendars: map[string]*clock.Calendar{}}, given: calendars}
	if len(text) > maxText {
		p.bad("", "%d bytes, at most %d", len(text), maxText)
		return nil, p.problems
	}
	if p.decode(text); len(p.problems) == 0 {
		p.check()
	}
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, p.problems
	}
	return p.order, nil
}

type parser struct {
	file     string
	root     yaml.Node
	order    *Order
	given    func(string) *clock.Calendar
	problems Problems
}

// typeName takes the names of Go's types out of what the YAML reader says.
var typeName = regexp.MustCompile(` (?:not found )?in(?:to)? (?:type )?\*?(?:directive|clock)\.[A-Za-z]+`)

// lineOf finds the place in what the YAML reader says.
var lineOf = regexp.MustCompile(`(?:yaml: )?line (\d+): `)

// decode reads the text, and refuses what is no order's form.
func (p *parser) decode(text []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&p.root); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("empty")
		}
		p.yaml(err.Error())
		return
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		p.bad("", "more than one document")
		return
	}
	if n := anchored(&p.root, 0); n != nil {
		p.problems = append(p.problems, Problem{p.file, n.Line, "", "anchors, aliases, tags of one's own and nesting beyond 12 levels are not part of the format"})
		return
	}
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	if err := strict.Decode(p.order); err != nil {
		var t *yaml.TypeError
		if !errors.As(err, &t) {
			p.yaml(err.Error())
			return
		}
		for _, e := range t.Errors {
			p.yaml(e)
		}
	}
}

// anchored returns a node that an order may not have.
func anchored(n *yaml.Node, depth int) *yaml.Node {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || depth > 12 || n.Style&yaml.TaggedStyle != 0 {
		return n
	}
	for _, c := range n.Content {
		if bad := anchored(c, depth+1); bad != nil {
			return bad
		}
	}
	return nil
}

// yaml takes what the YAML reader says.
func (p *parser) yaml(says string) {
	line := 0
	if m := lineOf.FindStringSubmatch(says); m != nil {
		line, _ = strconv.Atoi(m[1])
		says = strings.Replace(says, m[0], "", 1)
	}
	says = typeName.ReplaceAllStringFunc(says, func(s string) string {
		if strings.Contains(s, "not found") {
			return " is no member of the format"
		}
		return ""
	})
	p.problems = append(p.problems, Problem{p.file, line, "", showcause.Escape(strings.TrimPrefix(says, "yaml: "))})
}

// bad notes what is wrong at a path: "duties[2].unit".
func (p *parser) bad(path, format string, a ...any) {
	p.problems = append(p.problems, Problem{p.file, p.line(path), path, showcause.Escape(fmt.Sprintf(format, a...))})
}

var pathStep = regexp.MustCompile(`[a-z_]+|\[\d+\]`)

// line finds a path's line, or that of what is nearest above it.
func (p *parser) line(path string) int {
	if len(p.root.Content) == 0 {
		return 0
	}
	n, line := p.root.Content[0], p.root.Content[0].Line
	for _, step := range pathStep.FindAllString(path, -1) {
		next := (*yaml.Node)(nil)
		if i, err := strconv.Atoi(strings.Trim(step, "[]")); err == nil {
			if n.Kind == yaml.SequenceNode && i < len(n.Content) {
				next = n.Content[i]
			}
		} else if n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					line, next = n.Content[i].Line, n.Content[i+1]
				}
			}
		}
		if next == nil {
			return line
		}
		if n = next; n.Kind != yaml.ScalarNode {
			line = min(line, n.Line)
			if p := n.Line; strings.HasPrefix(step, "[") {
				line = p
			}
		}
	}
	return line
}

// word is an id.
var word = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]{0,63}$`)

func (p *parser) id(path, s string) {
	if !word.MatchString(s) {
		p.bad(path, "%.80q: want a word of a-z 0-9 . _ / -", s)
	}
}

func (p *parser) need(path, s string) {
	if strings.TrimSpace(s) == "" {
		p.bad(path, "missing")
	}
}

func (p *parser) one(path, s string, of []string) {
	if !slices.Contains(of, s) {
		p.bad(path, "%.80q, want %s", s, strings.Join(of, ", "))
	}
}

// unique holds that no id stands twice.
func (p *parser) unique(path string, ids map[string]bool, id string) {
	if p.id(path, id); ids[id] {
		p.bad(path, "%.80q is there twice", id)
	}
	ids[id] = true
}

// check holds what the form cannot say.
func (p *parser) check() {
	o := p.order
	if o.Format != Format {
		p.bad("format", "%.80q, want %s", o.Format, Format)
	}
	p.id("id", o.ID)
	p.need("title", o.Title)
	p.need("issuer", o.Issuer)
	p.one("strength", o.Strength, strengths)
	if o.Version < 1 {
		p.bad("version", "%d, want 1 or more", o.Version)
	}
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil || o.TimeZone == "" || o.TimeZone == "Local" {
		p.bad("time_zone", "%.80q is no zone (want UTC, America/New_York)", o.TimeZone)
		zone = time.UTC
	}
	o.zone = zone
	p.sources()
	p.ownCalendars()
	p.dates()
	p.covers()
	p.scope()
	p.forms()
	p.duties()
	p.response()
}

func (p *parser) sources() {
	o, ids := p.order, map[string]bool{}
	for i, s := range o.Sources {
		at := fmt.Sprintf("sources[%d]", i)
		if s.ID == "" || ids[s.ID] {
			p.bad(at+".id", "missing, or there twice")
		}
		ids[s.ID] = true
		p.need(at+".title", s.Title)
		p.one(at+".read", s.Read, reads)
	}
	for i, a := range o.Authority {
		p.need(fmt.Sprintf("authority[%d].cite", i), a.Cite)
		p.cited(fmt.Sprintf("authority[%d].source", i), a.Source)
	}
	if len(o.Authority) == 0 {
		p.bad("authority", "missing: by which right is this ordered?")
	}
	for i, d := range o.Doubts {
		at := fmt.Sprintf("unconfirmed[%d]", i)
		p.need(at+".about", d.About)
		p.need(at+".says", d.Says)
		p.need(at+".why", d.Why)
	}
}

// cited holds that sources are there. A fact of an order that is no template rests on
// one.
func (p *parser) cited(path string, ids []string) {
	if len(ids) == 0 && len(p.order.Sources) > 0 {
		p.bad(path, "missing: this order has sources, and this fact has none")
	}
	for _, id := range ids {
		if !slices.ContainsFunc(p.order.Sources, func(s Source) bool { return s.ID == id }) {
			p.bad(path, "%.80q is no source of this order", id)
		}
	}
}

func (p *parser) ownCalendars() {
	o := p.order
	for i := range o.Calendars {
		c := &o.Calendars[i]
		if err := c.Prepare(); err != nil {
			p.bad(fmt.Sprintf("calendars[%d]", i), "%v", err)
			continue
		}
		o.calendars[c.ID] = c
	}
	if o.Calendar != "" {
		p.calendar("calendar", o.Calendar)
	}
}

// calendar finds a calendar by its id.
func (p *parser) calendar(path, id string) *clock.Calendar {
	if id == "" {
		p.bad(path, "missing: of which calendar?")
		return nil
	}
	c := p.order.calendars[id]
	if c == nil && p.given != nil {
		if c = p.given(id); c != nil {
			p.order.calendars[id] = c
		}
	}
	if c == nil {
		p.bad(path, "%.80q is no calendar of this order, and none that ships", id)
	}
	return c
}

func (p *parser) dates() {
	for _, name := range []string{"signed", "effective", "published", "received"} {
		if d := p.order.Date(name); d != nil {
			p.dated("dates."+name, d)
		}
	}
}

func (p *parser) dated(path string, d *Dated) {
	m, err := clock.ParseMoment(d.On, p.order.zone)
	if err != nil {
		p.bad(path+".on", "%v", err)
	}
	d.moment = m
	p.cited(path+".source", d.Source)
}

func (p *parser) covers() {
	c := &p.order.Covers
	if len(c.Vendors) == 0 && len(c.Products) == 0 {
		p.bad("covers", "neither vendors nor products")
	}
	for i, v := range c.Vendors {
		p.id(fmt.Sprintf("covers.vendors[%d]", i), v)
	}
	for i, n := range c.Products {
		p.need(fmt.Sprintf("covers.products[%d].name", i), n.Name)
	}
	for i, x := range c.Exclusions {
		p.need(fmt.Sprintf("covers.exclusions[%d].what", i), x.What)
		p.cited(fmt.Sprintf("covers.exclusions[%d].source", i), x.Source)
	}
	p.one("covers.components.rule", c.Components.Rule, componentRules)
	p.need("covers.components.why", c.Components.Why)
	p.cited("covers.components.source", c.Components.Source)
	for i, v := range c.Classes {
		at := fmt.Sprintf("covers.classes[%d]", i)
		p.one(at+".class", string(v.Class), classWords())
		p.one(at+".verdict", string(v.Verdict), []string{string(Covered), string(NotCovered), string(Undetermined)})
		p.need(at+".why", v.Why)
		if v.Class == Mention && v.Verdict != NotCovered {
			p.bad(at+".verdict", "a mention is no product: no order covers it")
		}
	}
}

func (p *parser) scope() {
	ids := map[string]bool{}
	for i, c := range p.order.Scope {
		at := fmt.Sprintf("scope[%d]", i)
		p.unique(at+".id", ids, c.ID)
		p.need(at+".ask", c.Ask)
		p.one(at+".covered", c.Covered, []string{"yes", "no"})
		p.cited(at+".source", c.Source)
	}
}

func (p *parser) forms() {
	o, ids := p.order, map[string]bool{}
	for i := range o.Reports {
		at := fmt.Sprintf("reports[%d]", i)
		p.unique(at+".id", ids, o.Reports[i].ID)
		p.form(at, &o.Reports[i])
	}
	if o.Plan != nil {
		p.form("plan", o.Plan)
	}
}

func (p *parser) form(at string, f *Form) {
	p.need(at+".title", f.Title)
	p.cited(at+".source", f.Source)
	if len(f.Fields) == 0 {
		p.bad(at+".fields", "missing")
	}
	ids := map[string]bool{}
	for i, x := range f.Fields {
		in := fmt.Sprintf("%s.fields[%d]", at, i)
		p.unique(in+".id", ids, x.ID)
		p.need(in+".title", x.Title)
		if x.From != "" {
			p.one(in+".from", x.From, Fills())
		}
	}
}

func (p *parser) duties() {
	o, ids := p.order, map[string]bool{}
	if len(o.Duties) == 0 && o.Strength == "require" {
		p.bad("duties", "missing: what does it require, and when?")
	}
	for i := range o.Duties {
		d, at := &o.Duties[i], fmt.Sprintf("duties[%d]", i)
		p.anchor(at+".anchor", d, ids)
		p.unique(at+".id", ids, d.ID)
		p.one(at+".kind", d.Kind, dutyKinds)
		p.need(at+".title", d.Title)
		p.cited(at+".source", d.Source)
		p.offset(at, d)
		if d.Report != "" && o.Form(d.Report) == nil {
			p.bad(at+".report", "%.80q is no report of this order", d.Report)
		}
	}
}

// anchor holds that what a duty counts from is known before it.
func (p *parser) anchor(path string, d *Duty, before map[string]bool) {
	switch kind, of, has := strings.Cut(d.Anchor, ":"); {
	case d.Unit == clock.Instant && d.Anchor == "":
	case !has && slices.Contains(anchors, kind):
	case has && (kind == "due" || kind == "submitted") && before[of]:
	default:
		p.bad(path, "%.80q, want %s, or due:ID or submitted:ID of a duty above", d.Anchor, strings.Join(anchors, ", "))
	}
}

func (p *parser) offset(at string, d *Duty) {
	d.offset = clock.Offset{N: d.Offset, Unit: d.Unit, Roll: d.Roll}
	p.one(at+".unit", string(d.Unit), []string{"calendar-day", "business-day", "month", "hour", "instant"})
	if d.Unit == clock.Instant {
		t, err := time.Parse(time.RFC3339, d.At)
		if err != nil {
			p.bad(at+".at", "%.80q: want YYYY-MM-DDTHH:MM:SS with a zone", d.At)
		}
		d.offset.At = t
	} else if d.At != "" {
		p.bad(at+".at", "only of unit instant")
	}
	if d.Offset < 0 || d.Offset > 100_000 {
		p.bad(at+".offset", "%d, want 0 to 100000", d.Offset)
	}
	rolls := []string{"", string(clock.NoRoll), string(clock.NextDay), string(clock.Previous)}
	if p.one(at+".roll", string(d.Roll), rolls); d.Roll == clock.NoRoll {
		d.offset.Roll = ""
	}
	business := d.Unit == clock.BusinessDay || d.Every != nil && d.Every.Unit == clock.BusinessDay
	if business || d.offset.Roll != "" || d.Calendar != "" {
		d.offset.Calendar = p.calendar(at+".calendar", d.Calendar)
	}
	if e := d.Every; e != nil {
		p.one(at+".every.unit", string(e.Unit), []string{"calendar-day", "business-day", "month", "hour"})
		p.need(at+".every.until", e.Until)
		if e.Offset < 1 || e.Offset > 100_000 {
			p.bad(at+".every.offset", "%d, want 1 to 100000", e.Offset)
		}
		d.every = &clock.Offset{N: e.Offset, Unit: e.Unit, Roll: d.offset.Roll, Calendar: d.offset.Calendar}
	}
}

func (p *parser) response() {
	r := p.order.Response
	if r == nil {
		return
	}
	p.need("response.who", r.Who)
	p.cited("response.source", r.Source)
	if r.Due != nil {
		p.dated("response.due", r.Due)
	}
	for i, e := range r.Events {
		at := fmt.Sprintf("response.events[%d]", i)
		p.need(at+".what", e.What)
		p.cited(at+".source", e.Source)
		if _, err := clock.ParseDay(e.On); err != nil {
			p.bad(at+".on", "%v", err)
		}
	}
}
