package export

import (
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"

	"github.com/showcause/showcause/evidence"
)

// columns are those of the CSV file and of the table.
var columns = []string{
	"record", "kind", "time", "verdict", "rule", "path", "size", "sha256", "layer", "layer sha256", "matches",
	"complete", "gaps", "gap codes", "files", "about", "outcome", "reason", "host", "user", "engine", "database", "key",
}

// row is what a record says, one text a column; hidden and absent values are empty.
func row(v *evidence.Sealed) []string {
	s := v.Statement()
	m := map[string]string{
		"record": v.Record().Name(), "kind": string(s.Kind), "time": s.Time.Observed, "verdict": s.Verdict,
		"path": s.Context.Path.Text, "host": s.Context.Host.Text, "user": s.Context.User.Text,
		"sha256": s.Subject.SHA256, "engine": s.Engine.Version, "key": v.Signer().ID(),
	}
	if s.Input != nil {
		m["size"] = strconv.FormatInt(s.Input.Size, 10)
	}
	if s.Rules != nil {
		m["database"] = s.Rules.Database
		if r := s.Rules.Rule; r != nil {
			m["rule"], m["layer"] = r.Name, layer(s)
		}
	}
	if n := len(s.Derivation); n > 0 {
		m["layer sha256"] = s.Derivation[n-1].Digest.SHA256
	}
	var places []string
	for _, x := range matches(s) {
		places = append(places, fmt.Sprintf("%d@%d+%d", x.Pattern, x.Offset, x.Length))
	}
	m["matches"] = strings.Join(places, " ")
	if c := s.Coverage; c != nil {
		m["complete"] = strconv.FormatBool(c.Complete)
		gaps := gapsOf(s)
		m["gaps"], m["gap codes"] = strconv.Itoa(len(gaps)), listed(codes(gaps))
		if s.Kind == evidence.Scan {
			m["files"] = strconv.FormatInt(c.Files, 10)
		}
	}
	switch {
	case s.Action != nil:
		m["about"], m["outcome"], m["reason"] = s.Action.Record, s.Action.Deed+" "+s.Action.Result, s.Action.Reason.Text
	case s.Contest != nil:
		m["about"], m["reason"] = s.Contest.Record, s.Contest.Reason.Text
	case s.Decision != nil:
		m["about"], m["outcome"], m["reason"] = s.Decision.Contest, s.Decision.Outcome, s.Decision.Reason.Text
	}
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = m[c]
	}
	return out
}

// writeCSV writes RFC 4180 with a line of names. A value that a spreadsheet
// would run as a formula has an apostrophe before it.
func writeCSV(w io.Writer, records []*evidence.Sealed) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	_ = c.Write(columns) // the error is Flush's
	for _, s := range records {
		r := row(s)
		for i, v := range r {
			if v != "" && strings.IndexByte("=+-@\t\r", v[0]) >= 0 {
				r[i] = "'" + v
			}
		}
		_ = c.Write(r)
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>Records</title>
<style>
body { font: 14px/1.4 sans-serif; margin: 1em; color-scheme: light dark }
table { border-collapse: collapse }
th, td { border: 1px solid; padding: .2em .5em; text-align: left; vertical-align: top; overflow-wrap: anywhere; min-width: 5em; max-width: 24em }
</style>
</head>
<body>
<h1>Records</h1>
<p>{{len .Rows}} verified records, written by {{.Tool}}. Nothing on this page is signed: the records are.</p>
<table>
<thead><tr>{{range .Columns}}<th scope="col">{{.}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody>
</table>
</body>
</html>
`))

func writeHTML(w io.Writer, tool string, records []*evidence.Sealed) error {
	var rows [][]string
	for _, s := range records {
		rows = append(rows, row(s))
	}
	err := page.Execute(w, struct {
		Tool    string
		Columns []string
		Rows    [][]string
	}{tool, columns, rows})
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}
