package casefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/showcause/showcause/directive/clock"
)

// Act is what an entry does.
type Act string

// The acts. docs/format/case.md says which members of a Body each has.
const (
	Open      Act = "open"      // begins the case
	Accept    Act = "accept"    // accepts the key of another host
	Receive   Act = "order"     // an order, or an amended one, was received
	Answer    Act = "answer"    // a question of scope is answered
	Endpoints Act = "endpoints" // what there is to search
	Search    Act = "search"    // a target was searched: an inventory
	Judge     Act = "verdicts"  // what the orders made of it
	Confirm   Act = "confirm"   // a person confirms a finding as an identification
	Contest   Act = "contest"   // somebody says that a finding, or an order, is wrong
	Notice    Act = "notice"    // somebody is told, and may respond until a day
	Respond   Act = "respond"
	Extend    Act = "extend"
	Decide    Act = "decide"
	Plan      Act = "plan"
	Propose   Act = "remove.propose" // a dry run
	Approve   Act = "remove.approve"
	Begin     Act = "remove.begin"
	Done      Act = "remove.done"
	Waive     Act = "waive"
	Attest    Act = "attest"
	Report    Act = "report"
	Submit    Act = "submit" // a report went out, by hands of a person
	Correct   Act = "correct"
)

// Body is what an entry says. What an act does not have is left out.
type Body struct {
	By      string `json:"by,omitempty"`     // who says so, as given
	Reason  string `json:"reason,omitempty"` //
	At      string `json:"at,omitempty"`     // when it happened, YYYY-MM-DD or RFC 3339; empty: when it was written
	Order   string `json:"order,omitempty"`  // id of the order that it is about
	Version int    `json:"version,omitempty"`
	Finding string `json:"finding,omitempty"` // id of the finding that it is about
	About   string `json:"about,omitempty"`   // name of the entry that it is about
	Duty    string `json:"duty,omitempty"`

	Opening   *Opening          `json:"opening,omitempty"`
	Key       string            `json:"key,omitempty"`       // PEM, of Accept
	Text      string            `json:"text,omitempty"`      // digest of a file: the order's text, the inventory, the plan, a letter, an output
	Name      string            `json:"name,omitempty"`      // what that file was called
	Files     []string          `json:"files,omitempty"`     // digests of more files
	Condition string            `json:"condition,omitempty"` // of Answer
	Value     string            `json:"value,omitempty"`     // the answer, the outcome, the format
	Endpoint  string            `json:"endpoint,omitempty"`
	Endpoints []string          `json:"endpoints,omitempty"`
	Products  string            `json:"products,omitempty"` // digest of the identities that were looked for
	Verdicts  []FindingVerdict  `json:"verdicts,omitempty"`
	Letter    *Letter           `json:"letter,omitempty"`
	To        string            `json:"to,omitempty"` // a day: of Extend, Decide
	Suspended bool              `json:"suspended,omitempty"`
	Removal   *Removal          `json:"removal,omitempty"`
	Waiver    *Waiver           `json:"waiver,omitempty"`
	Expires   string            `json:"expires,omitempty"`
	Figures   map[string]Totals `json:"figures,omitempty"` // by order
	Was       map[string]Totals `json:"was,omitempty"`     // of Correct
	Receipt   string            `json:"receipt,omitempty"`
}

// Opening begins a case.
type Opening struct {
	Title        string `json:"title"`
	Organisation string `json:"organisation,omitempty"`
	Contact      string `json:"contact,omitempty"`
	Nonce        string `json:"nonce"` // 32 random bytes, hexadecimal; the case's name rests on it
}

// FindingVerdict is what one order made of one finding.
type FindingVerdict struct {
	Order   string   `json:"order"`
	Version int      `json:"version"`
	Finding string   `json:"finding"`
	Verdict string   `json:"verdict"`
	Reasons []string `json:"reasons"`
}

// Letter is a notice or a response.
type Letter struct {
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	Due     string `json:"due,omitempty"` // until when a response is taken
	Grounds string `json:"grounds,omitempty"`
}

// Removal is how a product is removed.
type Removal struct {
	Method   string     `json:"method"` // "package-manager", "uninstaller", "quarantine", "by-hand"
	Target   string     `json:"target,omitempty"`
	Package  string     `json:"package,omitempty"`
	Commands [][]string `json:"commands,omitempty"`
	Files    []Taken    `json:"files,omitempty"` // that go to the quarantine
	Needs    []string   `json:"needs,omitempty"` // what a person has to bring: a credential, a restart
	Exit     int        `json:"exit,omitempty"`
}

// Taken is a file that goes to the quarantine.
type Taken struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Waiver is an exception, which always ends.
type Waiver struct {
	Authority string `json:"authority"`
	Code      string `json:"code"` // of WaiverCodes
	Control   string `json:"control"`
	Expires   string `json:"expires"`
}

// WaiverCodes are the reasons for which something is waived.
func WaiverCodes() []string {
	return []string{"law-enforcement", "national-security", "security-research", "operational-requirement", "credential-needed"}
}

// sound says what is missing in what another host wrote: nothing that follows needs to ask.
func (b *Body) sound(act Act) error {
	switch {
	case act == Open && b.Opening == nil:
		return errors.New("opens a case, and says nothing of it")
	case (act == Propose || act == Done) && b.Removal == nil:
		return errors.New("a removal that says not how")
	case (act == Notice || act == Respond) && b.Letter == nil:
		return errors.New("a letter without one")
	case act == Waive && (b.Waiver == nil || b.Waiver.Authority == "" || b.Waiver.Control == ""):
		return errors.New("a waiver without authority, control or end")
	}
	if act == Waive {
		if _, err := clock.ParseDay(b.Waiver.Expires); err != nil {
			return fmt.Errorf("a waiver without an end: %w", err)
		}
	}
	return nil
}

// MaxWaiver is how many days a waiver lasts at most: one that is longer is waived anew, by somebody who looks again.
const MaxWaiver = 366

// bytes writes a body.
func (b *Body) bytes() ([]byte, error) {
	out, err := json.Marshal(b)
	return append(out, '\n'), err
}

// readBody reads one; nothing unknown is passed over.
func readBody(text []byte) (*Body, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	b := &Body{}
	if err := d.Decode(b); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("entry: something follows it")
	}
	return b, nil
}
