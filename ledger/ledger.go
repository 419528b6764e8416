// Package ledger is the one door out: the only package that opens an internet
// connection, and the log in which every outbound byte is written down before
// it is sent.
//
// A ledger is a folder with one file in it, ledger.jsonl. The file is a chain
// of lines that is only ever appended to. A line is a JSON object in one
// spelling (docs/ledger.md specifies it):
//
//	{"seq":N,"prev":"H","time":"T","kind":"K", ...the kind's fields...,"sum":"S"}\n
//
//	seq   number of the line, from 0
//	prev  SHA-256 of the line before it, its line end not included; 64 zeros in line 0
//	time  UTC, microseconds: 2025-11-21T08:30:00.000000Z
//	kind  start, send, query, close or torn
//	sum   SHA-256 of the line up to the comma before "sum"
//
// start opens the file. send stands for one TCP connection and holds all the
// plaintext that is sent over it; query is one question to a name server; both
// are on the disk before the first packet. close says what came of one of
// them. torn keeps a tail that a writer which died left behind.
//
// Built with the tag airgap, the package holds the log and its checks only.
package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Purpose says what a request is for.
type Purpose string

// The closed list.
const (
	UpdateMetadata Purpose = "update-metadata" // is there something new?
	UpdateRules    Purpose = "update-rules"    // rule files
	Witness        Purpose = "witness"         // proofs that others saw the same log
	AdminReport    Purpose = "admin-report"    // to the administrator's own server
)

// Known tells whether the purpose is in the closed list.
func (p Purpose) Known() bool {
	switch p {
	case UpdateMetadata, UpdateRules, Witness, AdminReport:
		return true
	}
	return false
}

// FileName is the name of the log in its folder.
const FileName = "ledger.jsonl"

// SystemDir is where root's ledger is.
const SystemDir = "/var/lib/showcause/ledger"

// DefaultDir returns the folder of this user's ledger: SystemDir for root, else
// showcause/ledger in $XDG_STATE_HOME or in ~/.local/state.
func DefaultDir() (string, error) {
	if os.Geteuid() == 0 {
		return SystemDir, nil
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // a relative path is invalid and is ignored (XDG Base Directory Specification)
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("ledger: %w; name its folder", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "showcause", "ledger"), nil
}

// ErrBroken says that the log cannot be gone on with: it was changed, cut or
// taken away. Nothing is sent.
var ErrBroken = errors.New("ledger is broken, nothing is sent")
