// Package egress is the process that has a network and sees no file that is
// scanned: what it is told, what it answers, how it is started and locked.
//
// The parent opens everything for it: the ledger to append to and a file for
// each answer. It is told a Job and its errands, a line of JSON each, on
// descriptor 0, answers a line of JSON each on 1, and opens nothing itself but
// what the resolver and TLS read. Built with the tag airgap, the package holds the words only.
package egress

import (
	"fmt"

	"github.com/showcause/showcause/ledger"
)

// MaxErrands bounds what one process is sent for at once, and the files that it
// is given.
const MaxErrands = 64

// Job is what the process is told.
type Job struct {
	Version      string   `json:"version"`
	Proxy        string   `json:"proxy"`
	CA           []byte   `json:"ca"` // PEM; empty: the system's
	InsecureHTTP bool     `json:"insecure_http"`
	KeyLog       bool     `json:"key_log"`
	NameServer   string   `json:"name_server"` // ip:port; empty: the system's
	Files        int      `json:"files"`       // how many were handed over
	Ports        []uint16 `json:"ports"`       // TCP ports that may be connected to

	Errands []Errand `json:"-"` // those of Run
	URLs    []string `json:"-"` // beginnings of those that a Session may be sent to
}

// Errand is one file to fetch, or one text to ask for.
type Errand struct {
	TXT     string         `json:"txt,omitempty"` // ask the name servers for the texts of this name, and nothing else
	URL     string         `json:"url"`
	Purpose ledger.Purpose `json:"purpose"`
	Max     int64          `json:"max"`   // longest answer, bytes
	Known   Validators     `json:"known"` // of what we have; compared here, sent to nobody
	File    int            `json:"file"`  // which of the files to fill
	// From and To ask for a part (see ledger.Request). The file keeps its first From bytes.
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
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
	URL       string   `json:"url"` // of the last hop
	Status    int      `json:"status"`
	Unchanged bool     `json:"unchanged"` // what is known is what there is
	Bytes     int64    `json:"bytes"`
	SHA256    string   `json:"sha256"` // hexadecimal
	Texts     []string `json:"texts,omitempty"`
	// RetryAfter is the server's word, in seconds or as a date.
	RetryAfter string     `json:"retry_after,omitempty"`
	Whole      int64      `json:"whole,omitempty"` // of a part: length of the whole file, -1: not said
	Now        Validators `json:"now"`
	Seq        uint64     `json:"seq"` // of the last send in the ledger
	Error      string     `json:"error,omitempty"`
}

// entry names the entry in the ledger, if anything was sent.
func (a *Answer) entry() string {
	if a.Seq == 0 { // the ledger's own first line
		return ""
	}
	return fmt.Sprintf(" (seq %d of the ledger)", a.Seq)
}
