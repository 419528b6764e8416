package export

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/showcause/showcause/evidence"
)

// OCSF 1.3.0, class 2004, Detection Finding: one event a line.

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
	Malware      []ocsfMalware  `json:"malware"`
	Evidences    []ocsfEvidence `json:"evidences"`
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
	UID      string       `json:"uid"`
	Title    string       `json:"title"`
	Created  int64        `json:"created_time"`
	Analytic ocsfAnalytic `json:"analytic"`
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
	for _, r := range records {
		s := r.Statement()
		if s.Kind != evidence.Finding {
			continue
		}
		if err := e.Encode(ocsfFinding(r, s)); err != nil {
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
		Info: ocsfInfo{UID: name, Title: rule.Name, Created: at.UnixMilli(), Analytic: ocsfAnalytic{
			Name: rule.Name, UID: rule.Digest, TypeID: 1, Type: "Rule", Version: s.Rules.Database,
		}},
		Malware: []ocsfMalware{{Name: rule.Name, UID: rule.Digest, ClassificationI: []int{0}, Provider: rule.Language}},
		Unmapped: map[string]any{
			"showcause_record": name, "showcause_key": r.Signer().ID(), "showcause_complete": s.Coverage.Complete,
		},
	}
	if rule.Allowed != "" {
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
