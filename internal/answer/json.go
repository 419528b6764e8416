package answer

import (
	"encoding/base64"
	"encoding/json"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
)

// jsonPrinter writes one JSON object a line: one for each file, then the summary.
type jsonPrinter struct {
	e  *json.Encoder
	o  Options
	db *ruledb.DB
}

func NewEncoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// jsonResult is one line. Path and the names in trails are escaped as in text;
// PathBytes gives the bytes where that changed them.
type jsonResult struct {
	Path      string `json:"path"`
	PathBytes string `json:"path_bytes,omitempty"` // base64
	*showcause.Report
	Verdict showcause.Verdict `json:"verdict"`
	Alerts  []string          `json:"alerts,omitempty"`
	Error   string            `json:"error,omitempty"`
	Jail    string            `json:"jail,omitempty"`  // "off" when it was read without
	Rules   []ruledb.Info     `json:"rules,omitempty"` // with --explain: the rules of the findings
}

func (p *jsonPrinter) Result(r *Result) error {
	if r.Skip != "" {
		return nil
	}
	j := jsonResult{Path: showcause.Escape(r.Path), Verdict: r.Verdict(), Alerts: r.Alerts}
	if j.Path != r.Path {
		j.PathBytes = base64.StdEncoding.EncodeToString([]byte(r.Path))
	}
	if p.o.Quiet && j.Verdict == showcause.NothingFound {
		return nil
	}
	if p.o.Jail == JailOff {
		j.Jail = JailOff
	}
	if r.Err != nil {
		j.Error = errorText(r.Err)
	} else {
		j.Report = &r.Report
	}
	if p.o.Explain {
		seen := map[uint32]bool{}
		for _, f := range r.Report.Findings {
			if seen[f.Index] {
				continue
			}
			seen[f.Index] = true
			info, err := p.db.Info(f.Index)
			if err != nil {
				return err
			}
			j.Rules = append(j.Rules, info)
		}
	}
	return p.e.Encode(j)
}

func (p *jsonPrinter) Finish(t *Totals) error {
	if p.o.NoSummary {
		return nil
	}
	return p.e.Encode(map[string]any{"summary": map[string]any{
		"files": t.Files, "bytes": t.Bytes, "findings": t.Findings, "skipped": t.Skipped,
		"found": t.Verdicts[showcause.Found], "error": t.Verdicts[showcause.Error],
		"incomplete": t.Verdicts[showcause.Incomplete], "nothing_found": t.Verdicts[showcause.NothingFound],
		"accepted": t.Accepted, "rules": t.DB.Len(), "rules_left_out": t.DB.Meta().Skipped, "seconds": t.Elapsed.Seconds(), "interrupted": t.Interrupted, "jail": t.Jail, "incidents": t.Incidents,
	}})
}
