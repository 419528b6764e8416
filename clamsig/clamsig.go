// Package clamsig reads ClamAV signature databases, alone or inside a CVD, CLD
// or CUD container, and turns each signature into a rule. What it cannot apply
// whole it leaves out whole, with a reason: no signature is half-applied.
//
// The languages are those of the ClamAV documentation, "Signatures": hashes
// (.hdb .hsb .mdb .msb .imp .fp .sfp and .hdu .hsu .mdu .msu), OpenIOC files (.ioc), bodies (.ndb
// .ndu .sdb), logical signatures (.ldb .ldu) and the icons that they ask for (.idb), programs (.cbc)
// and names to ignore (.ign .ign2).
// Where the documentation is silent, this package does as clamscan 1.4.6 was
// seen to do.
package clamsig

import (
	"errors"
	"fmt"

	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/rule"
)

// DefaultLevel is the functionality level of ClamAV 1.4.6: the last number n
// for which it loads a signature with Engine:n-255.
const DefaultLevel = 216

// ErrMalformed is wrapped by the error that Options.Strict makes of a
// malformed line.
var ErrMalformed = errors.New("malformed signature")

// Sink takes the signatures in the order of the files and lines.
type Sink interface {
	// Rule and Digest take one signature. The value and everything it points to
	// is valid during the call only. An error says that the signature cannot be
	// compiled; it becomes a Skip with the reason Pattern.
	Rule(*rule.Rule) error
	Digest(*rule.DigestRule) error
	// Skip takes a signature that was left out.
	Skip(Skip)
}

// Skip is one signature that was left out.
type Skip struct {
	File   string // as in rule.Origin
	Line   int    // from 1; 0 where the whole file is one signature
	Name   string // as it would be reported; may be empty where the line is malformed
	Reason Reason
	Detail string
}

// Reason says why a signature was left out.
type Reason string

// The closed list.
const (
	PCRE               Reason = "pcre"                // a regular expression among its subsignatures
	ByteCompare        Reason = "byte-compare"        // a byte comparison among them
	Macro              Reason = "macro"               // uses or belongs to a macro group
	FuzzyImage         Reason = "fuzzy-image"         // a fuzzy image hash among them
	Bytecode           Reason = "bytecode"            // a program that is not signed, or that says it is not to be run
	FunctionalityLevel Reason = "functionality-level" // is for older or newer engines
	PUA                Reason = "pua"                 // possibly unwanted application, not asked for
	Ignored            Reason = "ignored"             // named by an .ign or .ign2 file
	Target             Reason = "target"              // for a type that is internal, unused or unknown
	Attribute          Reason = "attribute"           // an unknown key or file type; ClamAV leaves these out too
	Setting            Reason = "setting"             // sets something of ClamAV's own readers
	DatabaseType       Reason = "database-type"       // in a kind of file that is not read
	Malformed          Reason = "malformed"           // clamscan refuses the file
	Pattern            Reason = "pattern"             // has no form in package pattern, or the sink refused it
)

// Options say what to load. The zero value is what clamscan loads by itself.
type Options struct {
	Strict bool // a malformed line is an error
	PUA    bool // load the .hdu .hsu .mdu .msu .ndu and .ldu files
	// Of them, only signatures of one of these categories, or none of these: what stands between
	// points of a name that begins with "PUA". One that has no category is left out then.
	PUAOnly, PUAExcept []string

	Level int // functionality level; 0 is DefaultLevel

	// Icons are lines of .idb files that are taken for loaded before all else.
	Icons []string

	// BytecodeUnsigned loads .cbc files that stand alone, too.
	BytecodeUnsigned bool
	NoBytecode       bool // loads none at all

	// Link takes each line of .pdb, .wdb and .gdb files, by the name of its file and without its
	// levels; if it is nil, they are left out.
	Link func(file, line string)

	Trust *cvd.Trust // whose signatures containers need; nil: ClamAV's own
}

// FileStats says what became of one file. A container has an entry of its own,
// without signatures, before those of its members.
type FileStats struct {
	File     string // base name; "main.cvd/main.ldb" inside a container
	Kind     string // see Classify
	Lines    int    // all, comments among them
	Loaded   int    // signatures that the sink took
	Skipped  int    // signatures left out
	Known    int    // what clamscan adds to its "Known viruses" for the file
	ByReason map[Reason]int

	// From a container's header.
	Version    int
	Signatures int
	Level      int    // functionality level that it asks for
	Builder    string // who built it
	Time       string // when, as written: "16 Sep 2021 08-32 -0400"
	Proof      string // what shows where it comes from, in words
}

// Stats says what became of everything that was loaded.
type Stats struct{ Files []FileStats }

// Loaded returns the number of signatures that the sink took.
func (s *Stats) Loaded() int { return s.sum(func(f *FileStats) int { return f.Loaded }) }

// Skipped returns the number of signatures that were left out.
func (s *Stats) Skipped() int { return s.sum(func(f *FileStats) int { return f.Skipped }) }

// Known returns what clamscan prints as "Known viruses" for the same files. It
// counts loaded signatures, allow-list entries among them and duplicates twice,
// but none that it leaves out for a level, a list of names to ignore, a PUA
// file or an attribute that it does not know.
func (s *Stats) Known() int { return s.sum(func(f *FileStats) int { return f.Known }) }

// ByReason returns the numbers of signatures left out for each reason.
func (s *Stats) ByReason() map[Reason]int {
	out := map[Reason]int{}
	for i := range s.Files {
		for r, n := range s.Files[i].ByReason {
			out[r] += n
		}
	}
	return out
}

func (s *Stats) sum(of func(*FileStats) int) (n int) {
	for i := range s.Files {
		n += of(&s.Files[i])
	}
	return n
}

// refusal is why a signature is left out.
type refusal struct {
	reason Reason
	detail string
	known  bool // clamscan counts it all the same
}

func (r *refusal) Error() string { return r.detail }

// malformed refuses what clamscan refuses.
func malformed(format string, a ...any) *refusal {
	return &refusal{reason: Malformed, detail: fmt.Sprintf(format, a...)}
}

// unsupported refuses what clamscan loads.
func unsupported(r Reason, format string, a ...any) *refusal {
	return &refusal{reason: r, detail: fmt.Sprintf(format, a...), known: true}
}

// outside refuses what clamscan leaves out without a word.
func outside(r Reason, format string, a ...any) *refusal {
	return &refusal{reason: r, detail: fmt.Sprintf(format, a...)}
}
