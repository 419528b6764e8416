package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/showcause/showcause"
)

// Kind is what a record is of.
type Kind string

// The kinds. Each has a predicate type of its own.
const (
	Finding  Kind = "finding"  // a rule fired on a layer of a file
	Scan     Kind = "coverage" // what a scan looked at, and what not
	Deed     Kind = "action"   // what was done because of a finding
	Contest  Kind = "contest"  // somebody says that a finding is wrong
	Decision Kind = "decision" // what became of a contest
	Entry    Kind = "case"     // an entry of the case file of an order (docs/format/case.md)
)

const (
	statementType  = "https://in-toto.io/Statement/v1"
	payloadType    = "application/vnd.in-toto+json"
	predicateFirst = "https://showcause.dev/"
	predicateLast  = "/v1"
)

// Statement is what a record says. Seal makes a Record of it, Record.Statement
// returns it. Names, paths and texts in it are as showcause.Escape makes them.
type Statement struct {
	Kind    Kind
	Subject Digests // of the file; of a coverage record Digests{Scan: ...}
	Predicate
}

// Predicate is the part of a Statement that is ours. What a kind of record
// does not have is left zero.
type Predicate struct {
	ID         Private     `json:"id"`                   // Seal fills it in: see Statement.Reproducible
	Verdict    string      `json:"verdict,omitempty"`    // showcause.Verdict of the file, or the worst of the scan
	Input      *Input      `json:"input,omitempty"`      // the file
	Engine     Engine      `json:"engine"`               //
	Rules      *Rules      `json:"rules,omitempty"`      //
	Policy     *Policy     `json:"policy,omitempty"`     //
	Derivation []Step      `json:"derivation,omitempty"` // from the file to the layer; none if the layer is the file
	Matches    *Matches    `json:"matches,omitempty"`    // by pattern, then offset; none of a rule for exact bytes
	Counts     []int64     `json:"counts,omitempty"`     // matches of each pattern, those not recorded too; may be left out
	Coverage   *Coverage   `json:"coverage,omitempty"`   //
	Action     *Action     `json:"action,omitempty"`     //
	Contest    *Contention `json:"contest,omitempty"`    //
	Decision   *Ruling     `json:"decision,omitempty"`   //
	Case       *CaseEntry  `json:"case,omitempty"`       //
	Context    Context     `json:"context"`              // not of the reproducible part
	Time       Time        `json:"time"`                 // not of the reproducible part
}

// Private is a text that the signed payload only commits to.
type Private struct {
	Text       string // the clear value, if it is disclosed
	Commitment string // SHA-256, hexadecimal, where it is not
}

// IsZero tells whether there is neither value nor commitment.
func (p Private) IsZero() bool { return p == Private{} }

// MarshalJSON implements json.Marshaler.
func (p Private) MarshalJSON() ([]byte, error) {
	if p.Commitment != "" {
		return json.Marshal(commitment{p.Commitment})
	}
	return plainJSON(p.Text)
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Private) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		return unmarshalCommitment(b, &p.Commitment)
	}
	return json.Unmarshal(b, &p.Text)
}

type commitment struct {
	Commitment string `json:"commitment"`
}

func unmarshalCommitment(b []byte, to *string) error {
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil || len(m) != 1 || m["commitment"] == "" {
		return errors.New("neither a value nor a commitment")
	}
	*to = m["commitment"]
	return nil
}

// plainJSON is json.Marshal that leaves <, > and & as they are.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// Digests are the digests of the bytes of one file or layer, lower-case
// hexadecimal, private as a whole. SHA256 is always there unless it is hidden;
// MD5 and SHA1 are there where the rule asks for them.
type Digests struct {
	SHA256     string `json:"sha256,omitempty"`
	SHA1       string `json:"sha1,omitempty"`
	MD5        string `json:"md5,omitempty"`
	Commitment string `json:"commitment,omitempty"` // where they are not disclosed
	Scan       string `json:"scan,omitempty"`       // 32 random bytes, the name of a scan; alone, and never private
}

// Input is the file.
type Input struct {
	Size int64  `json:"size"`           // bytes
	Type string `json:"type,omitempty"` // showcause.Report.Type
}

// Engine is the program that says so.
type Engine struct {
	Version  string `json:"version"`
	Binary   string `json:"binary"`             // SHA-256 of the executable
	Revision string `json:"revision,omitempty"` // of the source; "+dirty" after it where the checkout had changes
	Go       string `json:"go"`                 // runtime.Version
	Target   string `json:"target"`             // "linux/amd64"
}

// Rules are the rules that were searched for, and the one that fired.
type Rules struct {
	Database string `json:"database"`         // SHA-256 of the compiled database
	Source   string `json:"source,omitempty"` // SHA-256 of what it was compiled from, where known
	Rule     *Rule  `json:"rule,omitempty"`   // only of a finding
}

// Rule is the rule that fired.
type Rule struct {
	Language string `json:"language"`       // "clamav" or "yara"
	Name     string `json:"name"`           // as reported
	Index    int64  `json:"index"`          // in the database
	Digest   string `json:"digest"`         // SHA-256 of its text
	Text     string `json:"text,omitempty"` // where it is UTF-8 and at most 1 MiB
	Base64   string `json:"base64,omitempty"`
	File     string `json:"file"` // "main.cvd/main.ldb": what kind of ClamAV rule it is follows from the extension
	Line     int64  `json:"line"`
	// Allowed is the rule of an allow-list that overrules the finding.
	Allowed string `json:"allowed,omitempty"`
	// Stage is how far the rule may go, where a signed release says so: shadow, report, act.
	Stage string `json:"stage,omitempty"`
}

// Alarms tells whether a finding by the rule makes a verdict.
func (r *Rule) Alarms() bool { return r.Allowed == "" && r.Stage != "shadow" }

// SetText fills in Digest and the text.
func (r *Rule) SetText(s string) { setText(r, s) }

// Policy is all that changes a verdict besides file, engine and rules.
type Policy struct {
	Digest  string            `json:"digest"` // Seal fills it in: SHA-256 of {limits, options} in canonical JSON
	Limits  showcause.Limits  `json:"limits"`
	Options map[string]string `json:"options,omitempty"`
}

// Step leads from a layer to its child.
type Step struct {
	Index  int64             `json:"index"` // which child, from 0
	Op     string            `json:"op"`    // showcause.Step.Op
	Params map[string]string `json:"params,omitempty"`
	Digest Digests           `json:"digest"` // of the child
	Size   int64             `json:"size"`   // of the child, bytes
}

// Matches are where the rule's patterns hit: private as a whole.
type Matches struct {
	List       []Match
	Commitment string
}

// Match is a hit of a pattern in the last layer of the derivation.
type Match struct {
	Pattern int64 `json:"pattern"`
	Offset  int64 `json:"offset"`
	Length  int64 `json:"length"`
}

// MarshalJSON implements json.Marshaler.
func (m Matches) MarshalJSON() ([]byte, error) {
	if m.Commitment != "" {
		return json.Marshal(commitment{m.Commitment})
	}
	if m.List == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(m.List)
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Matches) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		return unmarshalCommitment(b, &m.Commitment)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(&m.List)
}

// Coverage says what was looked at: of one file in a finding, of many in the
// record of a scan.
type Coverage struct {
	Objects  int64 `json:"objects"` // layers, the files included
	Bytes    int64 `json:"bytes"`   // of all layers
	Depth    int64 `json:"depth"`   // of the deepest trail
	Work     int64 `json:"work"`    // steps
	Complete bool  `json:"complete"`
	Gaps     []Gap `json:"gaps,omitempty"`

	// Only of a scan.
	Files    int64            `json:"files,omitempty"`
	Verdicts map[string]int64 `json:"verdicts,omitempty"` // files by verdict; their sum is Files
	Inputs   []Looked         `json:"inputs,omitempty"`   // every file that has gaps or an error
	Part     int64            `json:"part,omitempty"`     // from 1, where a scan has several records; each counts its own files
	Parts    int64            `json:"parts,omitempty"`
	// Unrecorded is the number of findings that have no record of their own: a file
	// had too many, or could not be read a second time.
	Unrecorded int64 `json:"unrecorded,omitempty"`
}

// Gap is a stretch that was not looked at (showcause.Gap).
type Gap struct {
	Trail  []GapStep `json:"trail,omitempty"` // none is the file itself
	Code   string    `json:"code"`
	Offset int64     `json:"offset"`
	Length int64     `json:"length"` // -1 if it is not known
}

// GapStep is a step of a gap's trail.
type GapStep struct {
	Index int64  `json:"index"`
	Op    string `json:"op"`
}

// Looked is a file of a scan that was not read whole. Its path is in
// Context.Paths, at the same place.
type Looked struct {
	Digest  Digests `json:"digest,omitzero"` // where known
	Size    int64   `json:"size"`            // bytes, -1 if it is not known
	Verdict string  `json:"verdict"`
	Gaps    []Gap   `json:"gaps,omitempty"`
}

// Action is what was done.
type Action struct {
	Deed   string            `json:"deed"`             // "take", "restore", "purge", "hold", a word of ours
	Record string            `json:"record"`           // Record.Digest of the finding, hexadecimal
	Result string            `json:"result"`           // "done", "refused", "undone", a word of ours
	Reason Private           `json:"reason,omitzero"`  // for a person
	Detail map[string]string `json:"detail,omitempty"` // words and numbers of ours; nothing private
}

// Contention says that a finding is wrong.
type Contention struct {
	Record string  `json:"record"` // Record.Digest of the finding, hexadecimal
	Reason Private `json:"reason"`
}

// Ruling is what became of a contest.
type Ruling struct {
	Contest string  `json:"contest"` // Record.Digest of the contest
	Record  string  `json:"record"`  // Record.Digest of the finding
	Outcome string  `json:"outcome"` // "upheld": the finding stands; "withdrawn": it does not
	Reason  Private `json:"reason"`
}

// CaseEntry places an entry in a case file. What it says is a file of its own, which
// is the subject.
type CaseEntry struct {
	Name  string   `json:"name"`            // of the case, 32 random bytes
	Act   string   `json:"act"`             // a word of ours
	After []string `json:"after,omitempty"` // Record.Digest of the entries that it follows, ascending; none of the first
}

// Context is where it happened. It takes no part in what is reproduced.
type Context struct {
	Path  Private   `json:"path,omitzero"`
	Paths []Private `json:"paths,omitempty"` // of Coverage.Inputs
	Host  Private   `json:"host,omitzero"`
	User  Private   `json:"user,omitzero"`
	Scan  string    `json:"scan,omitempty"` // the scan's name, as Digests.Scan
	Jail  string    `json:"jail,omitempty"` // of the readers: "sealed", "degraded", "off"
	Keys  []string  `json:"keys"`           // PublicKey.ID of all that sign, ascending; Seal fills it in
}

// Time is when.
type Time struct {
	Observed string `json:"observed"` // RFC 3339, UTC, whole seconds
}

// wire is a Statement as it stands in JSON.
type wire struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

type subject struct {
	Digest Digests `json:"digest"`
}

func (s *Statement) wire() *wire {
	return &wire{statementType, []subject{{s.Subject}}, predicateFirst + string(s.Kind) + predicateLast, s.Predicate}
}

func (s *Statement) node() (*node, error) { return toNode(s.wire()) }

// MarshalJSON implements json.Marshaler: the in-toto Statement with its private
// values clear where they are disclosed.
func (s *Statement) MarshalJSON() ([]byte, error) {
	n, err := s.node()
	if err != nil {
		return nil, err
	}
	return n.canonical(nil), nil
}

// statementOf reads a statement, whose private values may be clear or commitments.
func statementOf(n *node) (*Statement, error) {
	var w wire
	if err := fromNode(n, &w); err != nil {
		return nil, err
	}
	if w.Type != statementType {
		return nil, refuse(BadType, "/_type", "%.100q", w.Type)
	}
	kind := strings.TrimSuffix(strings.TrimPrefix(w.PredicateType, predicateFirst), predicateLast)
	s := &Statement{Kind: Kind(kind), Predicate: w.Predicate}
	switch s.Kind {
	case Finding, Scan, Deed, Contest, Decision, Entry:
	default:
		return nil, refuse(BadType, "/predicateType", "%.100q", w.PredicateType)
	}
	if w.PredicateType != s.wire().PredicateType {
		return nil, refuse(BadType, "/predicateType", "%.100q", w.PredicateType)
	}
	if len(w.Subject) != 1 {
		return nil, refuse(BadShape, "/subject", "%d subjects, want 1", len(w.Subject))
	}
	s.Subject = w.Subject[0].Digest
	return s, nil
}

// Reproducible returns the canonical JSON of the part of a statement that
// depends on nothing but file, engine, rules and policy: all but the predicate's
// id, time, action and context, with every private value clear. Its SHA-256 is the
// statement's id. It returns nil where a private value of that part is hidden, or the
// statement has what no record may, such as a number from 2^53 on.
func (s *Statement) Reproducible() []byte {
	b, err := s.reproducible()
	if err != nil {
		return nil
	}
	return b
}

var errHidden = errors.New("a statement that hides something")

func (s *Statement) reproducible() ([]byte, error) {
	n, err := s.node()
	if err != nil {
		return nil, err
	}
	p := n.member("predicate")
	for _, k := range []string{"id", "time", "action", "context"} {
		p.remove(k)
	}
	for range privateFields(n, func(_ string, v *node) bool { return v.member("commitment") == nil }) {
		return nil, errHidden
	}
	return n.canonical(nil), nil
}

// newID returns the id of a statement that hides nothing of the reproducible part.
func (s *Statement) newID() (id string, err error) {
	b, err := s.reproducible()
	if err != nil {
		return "", err
	}
	return hexSum(b), nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// privateAt are the places of private values, "*" for each index of a list.
var privateAt = [][]string{
	{"subject", "0", "digest"},
	{"predicate", "id"},
	{"predicate", "derivation", "*", "digest"},
	{"predicate", "matches"},
	{"predicate", "coverage", "inputs", "*", "digest"},
	{"predicate", "action", "reason"},
	{"predicate", "contest", "reason"},
	{"predicate", "decision", "reason"},
	{"predicate", "context", "path"},
	{"predicate", "context", "paths", "*"},
	{"predicate", "context", "host"},
	{"predicate", "context", "user"},
}

// privateFields walks the private values of a statement that do not pass, in
// the order of privateAt. The name of a scan is not private.
func privateFields(n *node, pass func(at string, v *node) bool) func(yield func(string, *node) bool) {
	return func(yield func(string, *node) bool) {
		for _, path := range privateAt {
			if !descend(n, "", path, func(at string, v *node) bool {
				return scanName(at, v) || pass(at, v) || yield(at, v)
			}) {
				return
			}
		}
	}
}

// scanName tells whether a value is the name of a scan, in the one place that
// may have one in the clear.
func scanName(at string, v *node) bool {
	return at == "/subject/0/digest" && len(v.members) == 1 && v.member("scan") != nil
}

func descend(n *node, at string, path []string, yield func(string, *node) bool) bool {
	if n == nil {
		return true
	}
	if len(path) == 0 {
		return yield(at, n)
	}
	key := path[0]
	if key != "*" && key != "0" {
		return descend(n.member(key), at+"/"+key, path[1:], yield)
	}
	for i := range n.list {
		if key == "0" && i > 0 {
			break
		}
		if !descend(&n.list[i], at+"/"+strconv.Itoa(i), path[1:], yield) {
			return false
		}
	}
	return true
}
