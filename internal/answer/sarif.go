package answer

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/url"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
)

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Results     []sarifResult     `json:"results"`
		Invocations []sarifInvocation `json:"invocations"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID   string     `json:"id"`
		Full *sarifText `json:"fullDescription,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID     string          `json:"ruleId"`
		RuleIndex  int             `json:"ruleIndex"`
		Level      string          `json:"level"`
		Message    sarifText       `json:"message"`
		Locations  []sarifLocation `json:"locations"`
		Properties map[string]any  `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region *sarifRegion `json:"region,omitempty"`
		} `json:"physicalLocation"`
	}
	sarifRegion struct {
		ByteOffset int64 `json:"byteOffset"`
		ByteLength int64 `json:"byteLength"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
)

// sarifPrinter gathers one SARIF run: a finding is a result, what was not read
// is a notification of the run, and the run is successful only if there is none.
type sarifPrinter struct {
	w     io.Writer
	db    *ruledb.DB
	run   sarifRun
	call  sarifInvocation
	known map[uint32]int // rules of the run by their index in the database
	names map[string]bool
}

func newSarif(w io.Writer, o Options, db *ruledb.DB) *sarifPrinter {
	return &sarifPrinter{
		w: w, db: db, known: map[uint32]int{}, names: map[string]bool{},
		run: sarifRun{
			Tool:    sarifTool{sarifDriver{Name: "showcause", Version: o.Version, Rules: []sarifRule{}}},
			Results: []sarifResult{},
		},
		call: sarifInvocation{Notifications: []sarifNotification{}},
	}
}

func (p *sarifPrinter) Result(r *Result) error {
	if r.Skip != "" {
		return nil
	}
	if r.Err != nil {
		p.notify(r.Path, "error", "unreadable: "+errorText(r.Err))
	}
	for i, a := range r.Alerts {
		p.add(r, &showcause.Finding{Rule: a, Index: math.MaxUint32 - uint32(i)}, ruledb.Info{})
	}
	for i := range r.Report.Findings {
		f := &r.Report.Findings[i]
		if !f.Alarms() {
			continue
		}
		info, err := p.db.Info(f.Index)
		if err != nil {
			return err
		}
		p.add(r, f, info)
	}
	for i := range r.Report.Gaps {
		g := &r.Report.Gaps[i]
		level, what := "warning", "not read: "
		if !g.Code.Unread() {
			level, what = "note", "read in every way it can be read: "
		}
		p.notify(r.Path, level, what+string(g.Code)+": "+place(r.Path, g.Trail)+stretch(g)+hiddenTail(g.Trail))
	}
	return nil
}

func (p *sarifPrinter) add(r *Result, f *showcause.Finding, info ruledb.Info) {
	id, text := showcause.Escape(f.Rule), info.Text
	index, ok := p.known[f.Index]
	if ok {
		id = p.run.Tool.Driver.Rules[index].ID
	} else {
		if p.names[id] { // another rule of the same name
			id = fmt.Sprintf("%s (%s:%d)", id, showcause.Escape(info.File), info.Line)
		}
		p.names[id] = true
		index = len(p.known)
		p.known[f.Index] = index
		rule := sarifRule{ID: id}
		if text != "" {
			rule.Full = &sarifText{showcause.Escape(text)}
		}
		p.run.Tool.Driver.Rules = append(p.run.Tool.Driver.Rules, rule)
	}
	res := sarifResult{
		RuleID: id, RuleIndex: index, Level: "error",
		Message: sarifText{id + " in " + place(r.Path, f.Trail) + hiddenTail(f.Trail)}, Locations: []sarifLocation{location(r.Path, f)},
	}
	if f.Digest != "" {
		res.Properties = map[string]any{"trail": f.Trail.String(), "matches": f.Matches, "ruleSHA256": f.Digest}
	}
	p.run.Results = append(p.run.Results, res)
}

// location is the file, and the bytes of the first match where they are the file's own.
func location(path string, f *showcause.Finding) (l sarifLocation) {
	l.Physical.Artifact.URI = fileURI(path)
	if f != nil && len(f.Trail) == 0 && len(f.Matches) > 0 {
		l.Physical.Region = &sarifRegion{f.Matches[0].Offset, f.Matches[0].Length}
	}
	return l
}

// fileURI is a path as a relative or file URI (RFC 3986).
func fileURI(path string) string {
	u := url.URL{Path: path}
	if len(path) > 0 && path[0] == '/' {
		u.Scheme = "file"
	}
	return u.String()
}

func (p *sarifPrinter) notify(path, level, text string) {
	p.call.Notifications = append(p.call.Notifications, sarifNotification{level, sarifText{text}, []sarifLocation{location(path, nil)}})
}

func (p *sarifPrinter) Finish(t *Totals) error {
	if t.Interrupted {
		p.call.Notifications = append(p.call.Notifications, sarifNotification{"error", sarifText{"interrupted: the rest was not scanned"}, []sarifLocation{}})
	}
	if t.Jail.Mode == JailOff {
		p.call.Notifications = append(p.call.Notifications, sarifNotification{"warning", sarifText{"without the jail: this process read the files itself (--jail=off)"}, []sarifLocation{}})
	}
	p.call.Successful = !t.Interrupted && t.Verdicts[showcause.Error]+t.Verdicts[showcause.Incomplete] == 0
	p.run.Invocations = []sarifInvocation{p.call}
	e := json.NewEncoder(p.w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{
		Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{p.run},
	})
}

// hiddenTail is HiddenNote behind the place, on a line of its own, where it is to be said.
func hiddenTail(t showcause.Trail) string {
	if Hidden(t) {
		return "\n" + HiddenNote
	}
	return ""
}
