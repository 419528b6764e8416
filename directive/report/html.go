package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/internal/page"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// view is the page as the template takes it.
type view struct {
	*Input
	MadeAt    string
	Tasks     []taskView
	Products  []countView
	Totals    casefile.Totals
	Endpoints []endpointView
	Findings  []findingView
	Mentions  []*casefile.Finding
	Gaps      []gapView
	Letters   []*casefile.Entry
	Corrected []string
	Doubts    []directive.Doubt
	Looked    []string // how was looked for it, and what was left out
}

type taskView struct {
	casefile.Task
	When, Count, Class, Doubt string
}

type countView struct {
	Product, Name string
	Endpoints     []string
	Findings      []string
}

type endpointView struct {
	Name, Outcome, Why string
	Findings           []string
	Searches           []*casefile.Run
}

type findingView struct {
	*casefile.Finding
	Name     string
	Verdicts []verdictView
	Log      []*casefile.Entry
}

type verdictView struct {
	Order, Verdict, Reasons string
}

type gapView struct {
	Endpoint, Place, Code, Why, Record string
}

// maxGaps bounds the gaps that the page lists of one search.
const maxGaps = 200

// writeHTML writes the page. What came from outside reaches it through html/template
// alone, and as text.
func writeHTML(w io.Writer, in *Input) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"style": func() template.CSS { return page.Style(pageStyle) },
		"short": func(s string) string { return s[:min(16, len(s))] },
		"record": func(name string) string {
			return "records/" + name[:2] + "/" + name + ".scf"
		},
		"file": func(digest string) string {
			if len(digest) != 64 {
				return ""
			}
			return "files/" + digest[:2] + "/" + digest
		},
		"shown": showcause.Escape,
	}).Parse(pageText)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, in.page()); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

func (in *Input) page() *view {
	s := in.State
	p := &view{Input: in, MadeAt: in.Made.UTC().Format("2006-01-02 15:04:05 UTC"), Totals: s.Totals(in.Order), Mentions: s.Mentions, Corrected: in.Corrections(), Doubts: in.Order.Doubts, Looked: append(in.methods(), in.leftOut()...)}
	for _, t := range in.tasks() {
		p.Tasks = append(p.Tasks, viewTask(in, t))
	}
	p.count()
	for _, e := range s.Endpoints {
		outcome, why, _ := s.Outcome(in.Order, e)
		v := endpointView{Name: e, Outcome: string(outcome), Why: why, Searches: s.Latest(e)}
		for _, f := range s.Findings {
			if f.Endpoint == e {
				v.Findings = append(v.Findings, f.ID)
			}
		}
		p.Endpoints = append(p.Endpoints, v)
	}
	for _, f := range s.Findings {
		p.Findings = append(p.Findings, viewFinding(s, f))
	}
	for _, r := range in.latest() {
		c := &r.Inventory.Coverage
		if c.Unreached != "" {
			p.Gaps = append(p.Gaps, gapView{r.Endpoint, r.Inventory.Target, "unreached", c.Unreached, r.Entry.Name})
		}
		gaps := c.Unread()
		for i, g := range gaps {
			if i == maxGaps {
				p.Gaps = append(p.Gaps, gapView{r.Endpoint, "", "", fmt.Sprintf("%d more", int64(len(gaps)-i)+c.More), r.Entry.Name})
				break
			}
			p.Gaps = append(p.Gaps, gapView{r.Endpoint, g.Place.String(), string(g.Code), g.Why, r.Entry.Name})
		}
	}
	for _, e := range s.Entries {
		switch e.Act {
		case casefile.Contest, casefile.Notice, casefile.Respond, casefile.Extend, casefile.Decide, casefile.Waive, casefile.Attest, casefile.Submit, casefile.Report, casefile.Correct:
			p.Letters = append(p.Letters, e)
		}
	}
	return p
}

// count counts endpoints by product, with the findings that each number rests on.
func (p *view) count() {
	at := map[string]int{}
	seen := map[string]bool{}
	for _, f := range p.covered() {
		i, ok := at[f.Product]
		if !ok {
			i = len(p.Products)
			at[f.Product] = i
			p.Products = append(p.Products, countView{Product: f.Product, Name: ProductName(p.State, f.Product)})
		}
		c := &p.Products[i]
		c.Findings = append(c.Findings, f.ID)
		if key := f.Product + "\x00" + f.Endpoint; !seen[key] {
			seen[key] = true
			c.Endpoints = append(c.Endpoints, f.Endpoint)
		}
	}
}

func viewTask(in *Input, t casefile.Task) taskView {
	v := taskView{Task: t, When: NotKnown, Count: "waits: " + t.Waits, Doubt: in.Order.Unconfirmed(&t.Due)}
	if !t.Known {
		return v
	}
	v.When = t.When.Long()
	days := int(t.Left.Hours() / 24)
	switch {
	case t.Done != nil:
		v.Count, v.Class = "submitted "+t.Done.At(), "ok"
	case t.Suspended:
		v.Count, v.Class = "suspended", "contested"
	case t.Late:
		v.Count, v.Class = fmt.Sprintf("%d days late", -days), "bad"
		if days == 0 {
			v.Count = "late"
		}
	case days == 0:
		v.Count, v.Class = fmt.Sprintf("%d hours left", int(t.Left.Hours())), "bad"
	default:
		v.Count = fmt.Sprintf("%d days left", days)
		if days < 8 {
			v.Class = "contested"
		}
	}
	return v
}

func viewFinding(s *casefile.State, f *casefile.Finding) findingView {
	v := findingView{Finding: f, Name: ProductName(s, f.Product)}
	for _, o := range s.Orders {
		j := s.Verdict(o, f)
		v.Verdicts = append(v.Verdicts, verdictView{o.ID, string(j.Verdict), strings.Join(j.Reasons, "; ")})
	}
	v.Log = append(append([]*casefile.Entry{f.First}, f.Confirms...), f.Contests...)
	v.Log = append(append(v.Log, f.Plans...), f.Removals...)
	for _, e := range []*casefile.Entry{f.Waiver, f.GoneBy} {
		if e != nil {
			v.Log = append(v.Log, e)
		}
	}
	return v
}
