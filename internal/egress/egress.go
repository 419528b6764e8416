// Package egress is the process that has a network and sees no file that is
// scanned: what it is told, what it answers, how it is started and locked.
//
// The parent opens everything for it: the ledger to append to and a file for
// each answer. It is told its errands as JSON on descriptor 0, answers a line
// of JSON each on 1, and opens nothing itself but what the resolver and TLS
// read. Built with the tag airgap, the package holds the words only.
package egress

import (
	"fmt"

	"github.com/showcause/showcause/ledger"
)

// MaxErrands bounds what one process is sent for.
const MaxErrands = 64

// Job is what the process is told.
type Job struct {
	Version      string   `json:"version"`
	Proxy        string   `json:"proxy"`
	CA           []byte   `json:"ca"` // PEM; empty: the system's
	InsecureHTTP bool     `json:"insecure_http"`
	KeyLog       bool     `json:"key_log"`
	Errands      []Errand `json:"errands"`
}

// Errand is one file to fetch.
type Errand struct {
	URL     string         `json:"url"`
	Purpose ledger.Purpose `json:"purpose"`
	Max     int64          `json:"max"`   // longest answer, bytes
	Known   Validators     `json:"known"` // of what we have; compared here, sent to nobody
}

// Validators are what a server says of a version of a file. No ETag and no date
// goes back to a server, since either may be a name that it gave us: where
// there is a known version, a HEAD request asks what there is.
type Validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Length       int64  `json:"length,omitempty"` // bytes
}

// same tells whether two answers are of one version. It takes two signs that
// agree to believe it.
func (v Validators) same(w Validators) bool {
	return v == w && v.Length > 0 && (v.ETag != "" || v.LastModified != "")
}

// Answer is what became of an errand.
type Answer struct {
	URL       string     `json:"url"` // of the last hop
	Status    int        `json:"status"`
	Unchanged bool       `json:"unchanged"` // what is known is what there is
	Bytes     int64      `json:"bytes"`
	SHA256    string     `json:"sha256"` // hexadecimal
	Now       Validators `json:"now"`
	Seq       uint64     `json:"seq"` // of the last send in the ledger
	Error     string     `json:"error,omitempty"`
}

// entry names the entry in the ledger, if anything was sent.
func (a *Answer) entry() string {
	if a.Seq == 0 { // the ledger's own first line
		return ""
	}
	return fmt.Sprintf(" (seq %d of the ledger)", a.Seq)
}
