package export

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/showcause/showcause/evidence"
)

// OCSF 1.3.0: one event a line. A finding is class 2004, Detection Finding; what is
// said of it, or done, is an update of it; a scan is class 6007, Scan Activity.

type ocsfEvent struct {
	ActivityID   int            `json:"activity_id"` // 1 Create
	ActivityName string         `json:"activity_name"`
	CategoryUID  int            `json:"category_uid"` // 2 Findings
	CategoryName string         `json:"category_name"`
	ClassUID     int            `json:"class_uid"`
	ClassName    string         `json:"class_name"`
	TypeUID      int            `json:"type_uid"` // class_uid * 100 + activity_id
	Time         int64          `json:"time"`     // milliseconds since 1970
	SeverityID   int            `json:"severity_id"`
	Severity     string         `json:"severity"`
	StatusID     int            `json:"status_id"` // 1 New, 3 Suppressed
	Status       string         `json:"status"`
	ConfidenceID int            `json:"confidence_id"` // 0 Unknown
	Metadata     ocsfMetadata   `json:"metadata"`
	Info         ocsfInfo       `json:"finding_info"`
	Comment      string         `json:"comment,omitempty"`
	Malware      []ocsfMalware  `json:"malware,omitempty"`
	Evidences    []ocsfEvidence `json:"evidences,omitempty"`
	Unmapped     map[string]any `json:"unmapped"`
}

type ocsfMetadata struct {
	Version string      `json:"version"` // of the schema
	UID     string      `json:"uid"`
	Product ocsfProduct `json:"product"`
}

type ocsfProduct struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor_name"`
	Version string `json:"version"`
}

type ocsfInfo struct {
	UID      string        `json:"uid"`
	Title    string        `json:"title"`
	Created  int64         `json:"created_time,omitempty"`
	Modified int64         `json:"modified_time,omitempty"`
	Analytic *ocsfAnalytic `json:"analytic,omitempty"`
}

// ocsfScan is an event of class 6007, Scan Activity.
type ocsfScan struct {
	ActivityID   int            `json:"activity_id"` // 2 Completed, 6 Error
	ActivityName string         `json:"activity_name"`
	CategoryUID  int            `json:"category_uid"` // 6 Application Activity
	CategoryName string         `json:"category_name"`
	ClassUID     int            `json:"class_uid"`
	ClassName    string         `json:"class_name"`
	TypeUID      int            `json:"type_uid"`
	Time         int64          `json:"time"`
	SeverityID   int            `json:"severity_id"` // 1 Informational, 3 Medium
	Severity     string         `json:"severity"`
	StatusID     int            `json:"status_id"` // 1 Success, 2 Failure
	Status       string         `json:"status"`
	StatusCode   string         `json:"status_code"` // the verdict
	StatusDetail string         `json:"status_detail,omitempty"`
	Metadata     ocsfMetadata   `json:"metadata"`
	Scan         ocsfScanObject `json:"scan"`
	Detections   int64          `json:"num_detections"` // files with the verdict found
	Files        int64          `json:"num_files"`
	Skipped      int64          `json:"num_skipped_items"` // files that were not read whole, or not at all
	Total        int64          `json:"total"`
	Unmapped     map[string]any `json:"unmapped"`
}

type ocsfScanObject struct {
	UID    string `json:"uid"`
	Name   string `json:"name"`
	TypeID int    `json:"type_id"` // 0 Unknown
	Type   string `json:"type"`
}

// ocsfInput is a file that has gaps, or could not be read.
type ocsfInput struct {
	Path    string         `json:"path,omitempty"`
	SHA256  string         `json:"sha256,omitempty"`
	Verdict string         `json:"verdict"`
	Gaps    []evidence.Gap `json:"gaps,omitempty"`
}

type ocsfAnalytic struct {
	Name    string `json:"name"`
	UID     string `json:"uid"`
	TypeID  int    `json:"type_id"` // 1 Rule
	Type    string `json:"type"`
	Version string `json:"version"`
}

type ocsfMalware struct {
	Name            string `json:"name"`
	UID             string `json:"uid"`
	ClassificationI []int  `json:"classification_ids"` // 0 Unknown
	Provider        string `json:"provider"`
}

type ocsfEvidence struct {
	File *ocsfFile      `json:"file,omitempty"`
	Data map[string]any `json:"data"`
}

type ocsfFile struct {
	Name   string     `json:"name"`
	Path   string     `json:"path,omitempty"`
	TypeID int        `json:"type_id"` // 1 Regular File
	Type   string     `json:"type"`
	Size   int64      `json:"size"`
	Hashes []ocsfHash `json:"hashes,omitempty"`
}

type ocsfHash struct {
	AlgorithmID int    `json:"algorithm_id"` // 1 MD5, 2 SHA-1, 3 SHA-256
	Algorithm   string `json:"algorithm"`
	Value       string `json:"value"`
}

func writeOCSF(w io.Writer, records []*evidence.Sealed) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	rules := ruleNames(records)
	for _, r := range records {
		var event any
		switch s := r.Statement(); s.Kind {
		case evidence.Finding:
			event = ocsfFinding(r, s)
		case evidence.Scan:
			event = ocsfCoverage(r, s)
		default:
			event = ocsfUpdate(r, s, rules)
		}
		if err := e.Encode(event); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return nil
}

func ocsfFinding(r *evidence.Sealed, s *evidence.Statement) ocsfEvent {
	at, _ := time.Parse(time.RFC3339, s.Time.Observed) // its form was verified
	rule, name := s.Rules.Rule, r.Record().Name()
	ev := ocsfEvent{
		ActivityID: 1, ActivityName: "Create", CategoryUID: 2, CategoryName: "Findings", ClassUID: 2004, ClassName: "Detection Finding",
		TypeUID: 200401, Time: at.UnixMilli(), SeverityID: 4, Severity: "High", StatusID: 1, Status: "New",
		Metadata: ocsfMetadata{Version: "1.3.0", UID: name, Product: ocsfProduct{"Showcause", "Showcause", s.Engine.Version}},
		Info: ocsfInfo{UID: name, Title: rule.Name, Created: at.UnixMilli(), Analytic: &ocsfAnalytic{
			Name: rule.Name, UID: rule.Digest, TypeID: 1, Type: "Rule", Version: s.Rules.Database,
		}},
		Malware: []ocsfMalware{{Name: rule.Name, UID: rule.Digest, ClassificationI: []int{0}, Provider: rule.Language}},
		Unmapped: map[string]any{
			"showcause_record": name, "showcause_key": r.Signer().ID(), "showcause_complete": s.Coverage.Complete,
			"showcause_gaps": codes(s.Coverage.Gaps),
		},
	}
	if !rule.Alarms() {
		ev.SeverityID, ev.Severity, ev.StatusID, ev.Status = 1, "Informational", 3, "Suppressed"
	}
	f := &ocsfFile{Name: "unknown", TypeID: 1, Type: "Regular File", Size: s.Input.Size}
	if p := s.Context.Path.Text; p != "" {
		f.Name, f.Path = path.Base(p), p
	}
	for _, h := range []ocsfHash{{3, "SHA-256", s.Subject.SHA256}, {2, "SHA-1", s.Subject.SHA1}, {1, "MD5", s.Subject.MD5}} {
		if h.Value != "" {
			f.Hashes = append(f.Hashes, h)
		}
	}
	data := map[string]any{"layer": layer(s)}
	if n := len(s.Derivation); n > 0 {
		data["derivation"] = s.Derivation
	}
	if m := matches(s); m != nil {
		data["matches"] = m
	}
	ev.Evidences = []ocsfEvidence{{File: f, Data: data}}
	return ev
}

// ocsfUpdate is what was said of a finding, or done because of it.
func ocsfUpdate(r *evidence.Sealed, s *evidence.Statement, rules map[string]string) ocsfEvent {
	at, _ := time.Parse(time.RFC3339, s.Time.Observed)
	name := r.Record().Name()
	finding, what, reason := said(s)
	title := rules[finding]
	if title == "" { // the finding is not among the records
		title = "finding " + finding
	}
	ev := ocsfEvent{
		ActivityID: 2, ActivityName: "Update", CategoryUID: 2, CategoryName: "Findings", ClassUID: 2004, ClassName: "Detection Finding",
		TypeUID: 200402, Time: at.UnixMilli(), SeverityID: 1, Severity: "Informational", StatusID: 99, Status: what,
		Metadata: ocsfMetadata{Version: "1.3.0", UID: name, Product: ocsfProduct{"Showcause", "Showcause", s.Engine.Version}},
		Info:     ocsfInfo{UID: finding, Title: title, Modified: at.UnixMilli()},
		Comment:  what,
		Unmapped: map[string]any{"showcause_record": name, "showcause_key": r.Signer().ID(), "showcause_kind": s.Kind},
	}
	if reason != "" {
		ev.Comment += ": " + reason
	}
	switch {
	case s.Contest != nil:
		ev.StatusID, ev.Status = 2, "In Progress"
	case s.Decision != nil && s.Decision.Outcome == "withdrawn":
		ev.ActivityID, ev.ActivityName, ev.TypeUID = 3, "Close", 200403
		ev.StatusID, ev.Status = 3, "Suppressed"
	}
	return ev
}

// ocsfCoverage is what a scan looked at, and what not.
func ocsfCoverage(r *evidence.Sealed, s *evidence.Statement) ocsfScan {
	at, _ := time.Parse(time.RFC3339, s.Time.Observed)
	v, name := s.Coverage, r.Record().Name()
	gaps := codes(gapsOf(s))
	ev := ocsfScan{
		ActivityID: 2, ActivityName: "Completed", CategoryUID: 6, CategoryName: "Application Activity", ClassUID: 6007, ClassName: "Scan Activity",
		TypeUID: 600702, Time: at.UnixMilli(), SeverityID: 1, Severity: "Informational", StatusID: 1, Status: "Success", StatusCode: s.Verdict,
		StatusDetail: listed(gaps),
		Metadata:     ocsfMetadata{Version: "1.3.0", UID: name, Product: ocsfProduct{"Showcause", "Showcause", s.Engine.Version}},
		Scan:         ocsfScanObject{s.Context.Scan, "showcause scan", 0, "Unknown"},
		Detections:   v.Verdicts["found"], Files: v.Files, Skipped: v.Verdicts["incomplete"] + v.Verdicts["error"], Total: v.Files,
		Unmapped: map[string]any{
			"showcause_record": name, "showcause_key": r.Signer().ID(), "showcause_complete": v.Complete,
			"showcause_layers": v.Objects, "showcause_bytes": v.Bytes, "showcause_gaps": gaps,
		},
	}
	if ev.Scan.UID == "" {
		ev.Scan.UID = s.Subject.Scan
	}
	if !v.Complete {
		ev.SeverityID, ev.Severity, ev.StatusID, ev.Status = 3, "Medium", 2, "Failure"
	}
	if len(v.Gaps) > 0 {
		ev.Unmapped["showcause_scan_gaps"] = v.Gaps
	}
	var inputs []ocsfInput
	for i := range v.Inputs {
		in := ocsfInput{SHA256: v.Inputs[i].Digest.SHA256, Verdict: v.Inputs[i].Verdict, Gaps: v.Inputs[i].Gaps}
		if i < len(s.Context.Paths) {
			in.Path = s.Context.Paths[i].Text
		}
		inputs = append(inputs, in)
	}
	if inputs != nil {
		ev.Unmapped["showcause_inputs"] = inputs
	}
	if v.Parts > 0 {
		ev.Unmapped["showcause_part"], ev.Unmapped["showcause_parts"] = v.Part, v.Parts
	}
	return ev
}
