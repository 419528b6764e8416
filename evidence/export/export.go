// Package export writes verified records in formats that others read: SARIF
// 2.1.0, STIX 2.1, OCSF 1.3.0 (class 2004), lines of JSON, CSV, and a table in
// HTML. What a record hides is left out; nothing is signed in these formats, so
// each entry names the record that it comes from.
package export

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/showcause/showcause/evidence"
)

// Formats are the names that Write takes.
func Formats() []string { return []string{"json", "csv", "html", "sarif", "stix", "ocsf"} }

// Write writes records in a format. tool is the name and version of the program.
// SARIF has findings and what was not read; STIX and OCSF have all kinds of records,
// each in the object or class that comes closest, and JSON, CSV and HTML say the most.
func Write(w io.Writer, format, tool string, records []*evidence.Sealed) error {
	switch format {
	case "json":
		return writeJSON(w, records)
	case "csv":
		return writeCSV(w, records)
	case "html":
		return writeHTML(w, tool, records)
	case "sarif":
		return writeSARIF(w, tool, records)
	case "stix":
		return writeSTIX(w, records)
	case "ocsf":
		return writeOCSF(w, records)
	}
	return fmt.Errorf("export: format %q: want %s", format, strings.Join(Formats(), ", "))
}

// line is one line of JSON.
type line struct {
	Record    string              `json:"record"` // name: SHA-256 of the signed payload
	Key       string              `json:"key"`    // id of the key that signed
	Hidden    []string            `json:"hidden,omitempty"`
	Statement *evidence.Statement `json:"statement"`
}

func writeJSON(w io.Writer, records []*evidence.Sealed) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, s := range records {
		if err := e.Encode(line{s.Record().Name(), s.Signer().ID(), s.Record().Hidden(), s.Statement()}); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return nil
}

// indented writes one JSON document for people and programs.
func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// layer names the layer of a finding by its trail, "the file" for the file itself.
func layer(s *evidence.Statement) string {
	if len(s.Derivation) == 0 {
		return "the file"
	}
	var b strings.Builder
	for i, d := range s.Derivation {
		if i > 0 {
			b.WriteString(" / ")
		}
		fmt.Fprintf(&b, "#%d %s", d.Index, d.Op)
	}
	return b.String()
}

// trail names the place of a gap.
func trail(g *evidence.Gap) string {
	s := evidence.Statement{}
	for _, t := range g.Trail {
		s.Derivation = append(s.Derivation, evidence.Step{Index: t.Index, Op: t.Op})
	}
	return layer(&s)
}

// gapsOf returns all gaps of a record.
func gapsOf(s *evidence.Statement) (out []evidence.Gap) {
	if s.Coverage == nil {
		return nil
	}
	out = append(out, s.Coverage.Gaps...)
	for i := range s.Coverage.Inputs {
		out = append(out, s.Coverage.Inputs[i].Gaps...)
	}
	return out
}

// codes counts gaps by code.
func codes(gaps []evidence.Gap) map[string]int {
	n := map[string]int{}
	for i := range gaps {
		n[gaps[i].Code]++
	}
	return n
}

// listed writes such numbers in the order of the codes: "corrupt 2, encrypted 1".
func listed(n map[string]int) string {
	var out []string
	for _, c := range slices.Sorted(maps.Keys(n)) {
		out = append(out, fmt.Sprintf("%s %d", c, n[c]))
	}
	return strings.Join(out, ", ")
}

// said is what a record says of a finding or did because of it: the finding's
// record, what, and why.
func said(s *evidence.Statement) (finding, what, reason string) {
	switch {
	case s.Action != nil:
		return s.Action.Record, "action: " + s.Action.Deed + ", " + s.Action.Result, s.Action.Reason.Text
	case s.Contest != nil:
		return s.Contest.Record, "contested", s.Contest.Reason.Text
	case s.Decision != nil:
		return s.Decision.Record, "decided: " + s.Decision.Outcome + ", of contest " + s.Decision.Contest, s.Decision.Reason.Text
	}
	return "", "", ""
}

// ruleNames are the rules of findings, by the names of their records.
func ruleNames(records []*evidence.Sealed) map[string]string {
	out := map[string]string{}
	for _, r := range records {
		if s := r.Statement(); s.Kind == evidence.Finding {
			out[r.Record().Name()] = s.Rules.Rule.Name
		}
	}
	return out
}

// matches returns the matches that a record discloses.
func matches(s *evidence.Statement) []evidence.Match {
	if s.Matches == nil {
		return nil
	}
	return s.Matches.List
}
