package evidence

import (
	"fmt"
	"strings"
)

// Code says what is wrong with a record. The list is closed; docs/format/record.md
// says what each means.
type Code string

// The codes of a refusal. The first six end the check at once: what follows
// could not be trusted.
const (
	BadSize       Code = "size"      // longer or deeper than any record
	BadJSON       Code = "json"      // not JSON, or a number that is no integer below 2^53, or not UTF-8
	BadDuplicate  Code = "duplicate" // a member of an object twice
	BadCanonical  Code = "canonical" // JSON, but not its one canonical spelling
	BadField      Code = "field"     // a member that the format does not have
	BadShape      Code = "shape"     // a member of the wrong type, missing, empty, or not of this kind of record
	BadType       Code = "type"      // payload type, statement type or predicate type
	BadValue      Code = "value"     // a value outside its range or spelling: digests, times, words, numbers
	BadCommitment Code = "commitment"
	BadDisclosure Code = "disclosure" // names no commitment, or one twice

	BadSignature  Code = "signature"
	NoSignature   Code = "signature.missing" // the payload names a key that has not signed
	MoreSignature Code = "signature.foreign" // signed by a key that the payload does not name
	UnknownKey    Code = "signature.unknown" // no Ed25519 signature is by a key that is trusted
	BadProof      Code = "proof"
	NoProof       Code = "proof.missing"

	BadID         Code = "id"
	BadPolicy     Code = "policy"      // the digest of the policy is not that of the limits and options
	BadRuleDigest Code = "rule.digest" // the rule's digest is not that of its text
	BadRuleText   Code = "rule.text"   // the text is no rule, or not one rule
	BadRuleName   Code = "rule.name"   // the text has another name
	BadMatch      Code = "match"       // out of order, outside its layer, or of a pattern that the rule does not have
	BadCount      Code = "count"       // counts and matches disagree
	BadCondition  Code = "condition"   // the rule does not hold with the matches recorded
	BadTrail      Code = "trail"       // a gap's trail is no trail
	BadCoverage   Code = "coverage"    // sums or gaps disagree with each other or with the derivation
	BadVerdict    Code = "verdict"     // does not follow from findings and gaps
)

// Problem is one reason why a record is refused.
type Problem struct {
	Code  Code   `json:"code"`
	Where string `json:"where"` // JSON pointer into the file or, from /predicate on, into the payload; "" for the whole
	Text  string `json:"text"`
}

func (p Problem) String() string {
	if p.Where == "" {
		return fmt.Sprintf("%s: %s", p.Code, p.Text)
	}
	return fmt.Sprintf("%s: %s: %s", p.Code, p.Where, p.Text)
}

// maxProblems is the largest number of reasons that a refusal names.
const maxProblems = 256

// Problems are the reasons why a record is refused: the first 256.
type Problems []Problem

func (p Problems) Error() string {
	s := make([]string, len(p))
	for i := range p {
		s[i] = p[i].String()
	}
	return "record refused: " + strings.Join(s, "; ")
}

// Has tells whether a code is among the problems.
func (p Problems) Has(c Code) bool {
	for i := range p {
		if p[i].Code == c {
			return true
		}
	}
	return false
}

func (p *Problems) add(c Code, where, format string, a ...any) {
	if len(*p) == maxProblems {
		return
	}
	*p = append(*p, Problem{c, where, fmt.Sprintf(format, a...)})
}

// refuse is a refusal for one reason.
func refuse(c Code, where, format string, a ...any) error {
	return Problems{{c, where, fmt.Sprintf(format, a...)}}
}

// NoteCode says what a verification did not check, or only learned.
type NoteCode string

// The notes.
const (
	NoteHidden    NoteCode = "hidden"     // not disclosed in this copy, so not checked
	NoteNoProof   NoteCode = "no-proof"   // carries no proof of a log
	NoteProof     NoteCode = "proof"      // carries a proof, which was not asked for
	NoteKey       NoteCode = "key"        // a second signature, by a key that was not given
	NoteReads     NoteCode = "reads-file" // the rule's condition reads the file: recheck
	NoteCut       NoteCode = "cut"        // more matches than are recorded, and no counts
	NoteGuard     NoteCode = "guard"      // the rule asks what only the file tells
	NoteText      NoteCode = "no-text"    // the rule's text is not in the record
	NoteCondition NoteCode = "condition"  // the condition was evaluated, and holds
)

// Note is something that a verification did not check, or learned.
type Note struct {
	Code  NoteCode `json:"code"`
	Where string   `json:"where"`
	Text  string   `json:"text"`
}

func (n Note) String() string { return Problem{Code(n.Code), n.Where, n.Text}.String() }
