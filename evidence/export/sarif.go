package export

import (
	"fmt"
	"io"
	"maps"
	"net/url"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
)

// SARIF 2.1.0 (OASIS Standard, 2020). The file and each layer on the way to a
// finding is an artifact, each the parent of the next (section 3.24.3).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Artifacts   []sarifArtifact   `json:"artifacts,omitempty"`
		Results     []sarifResult     `json:"results"`
		Invocations []sarifInvocation `json:"invocations"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string            `json:"id"`
		Full       *sarifText        `json:"fullDescription,omitempty"`
		Properties map[string]string `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifArtifact struct {
		Location *sarifURI         `json:"location,omitempty"`
		Parent   *int              `json:"parentIndex,omitempty"`
		Length   int64             `json:"length"`
		Hashes   map[string]string `json:"hashes,omitempty"`
		Text     *sarifText        `json:"description,omitempty"`
	}
	sarifURI struct {
		URI   string `json:"uri,omitempty"`
		Index *int   `json:"index,omitempty"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"fingerprints,omitempty"`
		Suppressions []sarifSuppressed `json:"suppressions,omitempty"`
		Properties   map[string]any    `json:"properties"`
	}
	sarifSuppressed struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifURI     `json:"artifactLocation"`
		Region   *sarifRegion `json:"region,omitempty"`
	}
	sarifRegion struct {
		Offset int64 `json:"byteOffset"`
		Length int64 `json:"byteLength"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
)

type sarif struct {
	run   sarifRun
	call  sarifInvocation
	rules map[string]int // by digest of the text
	names map[string]bool
	// What is there already: artifacts by their content, and what was not read.
	artifact map[string]int
	told     map[string]bool
}

func writeSARIF(w io.Writer, tool string, records []*evidence.Sealed) error {
	s := sarif{rules: map[string]int{}, names: map[string]bool{}, artifact: map[string]int{}, told: map[string]bool{}}
	s.run.Tool.Driver = sarifDriver{Name: tool, Rules: []sarifRule{}}
	s.run.Results = []sarifResult{}
	s.call = sarifInvocation{Successful: true, Notifications: []sarifNotification{}}
	for _, r := range records {
		switch st := r.Statement(); st.Kind {
		case evidence.Finding:
			s.finding(r, st)
		case evidence.Scan:
			s.scan(st)
		}
	}
	s.run.Invocations = []sarifInvocation{s.call}
	return indented(w, sarifLog{
		Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{s.run},
	})
}

func (s *sarif) finding(r *evidence.Sealed, st *evidence.Statement) {
	rule := st.Rules.Rule
	index := s.rule(rule)
	id := s.run.Tool.Driver.Rules[index].ID
	file, last := s.artifacts(st)
	var places []sarifLocation
	for _, m := range matches(st) {
		l := sarifLocation{Physical: sarifPhysical{Artifact: sarifURI{Index: &last}, Region: &sarifRegion{m.Offset, m.Length}}}
		if len(st.Derivation) == 0 {
			l.Physical.Artifact.URI = file
		}
		places = append(places, l)
	}
	if places == nil {
		places = []sarifLocation{{Physical: sarifPhysical{Artifact: sarifURI{Index: &last}}}}
	}
	res := sarifResult{
		RuleID: id, RuleIndex: index, Level: "error", Locations: places,
		Message: sarifText{fmt.Sprintf("%s in %s", id, layer(st))},
		Properties: map[string]any{
			"record": r.Record().Name(), "key": r.Signer().ID(), "observed": st.Time.Observed,
			"engine": st.Engine, "database": st.Rules.Database, "complete": st.Coverage.Complete,
		},
	}
	if id := st.ID.Text; id != "" {
		res.Fingerprints = map[string]string{"showcause/v1": id}
	}
	if !rule.Alarms() {
		why := "the rule is at stage shadow"
		if rule.Allowed != "" {
			why = "overruled by the allow-list rule " + rule.Allowed
		}
		res.Level, res.Suppressions = "note", []sarifSuppressed{{"external", why}}
	}
	s.run.Results = append(s.run.Results, res)
	s.gaps(st.Coverage.Gaps, file)
}

// artifacts adds the file of a finding and the layers on the way that are not there
// yet, and returns the file's URI and the index of the last layer.
func (s *sarif) artifacts(st *evidence.Statement) (uri string, last int) {
	file := sarifArtifact{Length: st.Input.Size, Hashes: hashes(st.Subject)}
	if p := st.Context.Path.Text; p != "" {
		uri = fileURI(p)
		file.Location = &sarifURI{URI: uri}
	} else {
		file.Text = &sarifText{"a file whose path is not shown"}
	}
	last = s.add(file, uri != "" || st.Subject.SHA256 != "")
	for i := range st.Derivation {
		d, parent := &st.Derivation[i], last
		last = s.add(sarifArtifact{
			Parent: &parent, Length: d.Size, Hashes: hashes(d.Digest), Text: &sarifText{fmt.Sprintf("#%d %s", d.Index, d.Op)},
		}, true)
	}
	return uri, last
}

// add returns the index of an artifact, which is added unless one like it is there.
// Files of which nothing is known are not told to be one.
func (s *sarif) add(a sarifArtifact, known bool) int {
	parent, uri, text := -1, "", ""
	if a.Parent != nil {
		parent = *a.Parent
	}
	if a.Location != nil {
		uri = a.Location.URI
	}
	if a.Text != nil {
		text = a.Text.Text
	}
	key := fmt.Sprintf("%d %q %q %d %s", parent, uri, text, a.Length, a.Hashes["sha-256"])
	if i, ok := s.artifact[key]; ok && known {
		maps.Copy(s.run.Artifacts[i].Hashes, a.Hashes) // a rule for exact bytes has more
		return i
	}
	s.run.Artifacts = append(s.run.Artifacts, a)
	s.artifact[key] = len(s.run.Artifacts) - 1
	return s.artifact[key]
}

// hashes have the names of the IANA registry of hash functions (section 3.24.11).
func hashes(d evidence.Digests) map[string]string {
	m := map[string]string{}
	for name, v := range map[string]string{"sha-256": d.SHA256, "sha-1": d.SHA1, "md5": d.MD5} {
		if v != "" {
			m[name] = v
		}
	}
	return m
}

func fileURI(path string) string {
	u := url.URL{Path: path}
	if path[0] == '/' {
		u.Scheme = "file"
	}
	return u.String()
}

func (s *sarif) rule(r *evidence.Rule) int {
	if i, ok := s.rules[r.Digest]; ok {
		return i
	}
	i := len(s.run.Tool.Driver.Rules)
	s.rules[r.Digest] = i
	id := r.Name
	if s.names[id] { // another rule of that name
		id += " (" + r.Digest[:16] + ")"
	}
	s.names[id] = true
	out := sarifRule{ID: id, Properties: map[string]string{"sha256": r.Digest, "language": r.Language, "file": r.File}}
	if r.Text != "" {
		out.Full = &sarifText{showcause.Escape(r.Text)}
	}
	s.run.Tool.Driver.Rules = append(s.run.Tool.Driver.Rules, out)
	return i
}

func (s *sarif) scan(st *evidence.Statement) {
	s.gaps(st.Coverage.Gaps, "")
	for i := range st.Coverage.Inputs {
		in, uri := &st.Coverage.Inputs[i], ""
		if i < len(st.Context.Paths) {
			if p := st.Context.Paths[i].Text; p != "" {
				uri = fileURI(p)
			}
		}
		if in.Verdict == "error" && len(in.Gaps) == 0 {
			s.notify("error", "not read", uri)
		}
		s.gaps(in.Gaps, uri)
	}
	s.call.Successful = s.call.Successful && st.Coverage.Complete
}

func (s *sarif) gaps(gaps []evidence.Gap, uri string) {
	for i := range gaps {
		g := &gaps[i]
		level, what := "warning", "not read: "
		if showcause.Code(g.Code).Unread() {
			s.call.Successful = false
		} else {
			level, what = "note", "read in every way it can be read: "
		}
		length := fmt.Sprint(g.Length)
		if g.Length < 0 {
			length = "an unknown number of"
		}
		s.notify(level, fmt.Sprintf("%s%s: %s, %s bytes at %d", what, g.Code, trail(g), length, g.Offset), uri)
	}
}

// notify tells a thing once: each finding of a file has the gaps of the file.
func (s *sarif) notify(level, text, uri string) {
	key := level + "\n" + text + "\n" + uri
	if uri != "" && s.told[key] {
		return
	}
	s.told[key] = true
	n := sarifNotification{Level: level, Message: sarifText{text}}
	if uri != "" {
		n.Locations = []sarifLocation{{Physical: sarifPhysical{Artifact: sarifURI{URI: uri}}}}
	}
	s.call.Notifications = append(s.call.Notifications, n)
}
