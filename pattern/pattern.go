// Package pattern verifies one pattern at one place: bytes with masks, jumps,
// alternatives and boundary assertions, step-counted. A Pattern is a tree as a
// rule language writes it; Compile turns it into a Program, a position-independent
// string of bytes that is stored in a rule database and run as it is, and the
// Atoms by which the prefilter finds the places to verify.
package pattern

// Kind says what an Elem is.
type Kind uint8

// The kinds of Elem.
const (
	Bytes  Kind = iota // Value under Mask
	Gap                // Min to Max bytes of anything
	Alt                // one of Alts, or, negated, any other bytes of their length
	Assert             // a condition on the place, zero bytes long
	Near               // a byte somewhere around the place, within the match or not; zero bytes long
)

// Elem is one element of a sequence.
type Elem struct {
	Kind Kind

	Value, Mask []byte // Bytes, Near (one byte): input[i]&Mask[i] == Value[i]; a nil Mask is all ones
	Fold        bool   // Bytes, Near: ASCII letters compare without case, where the mask is all ones

	// Gap: Max < 0 is unbounded. Near: one of the bytes at these distances from the place is the
	// value, 0 being the byte behind it and -1 the one before, from -128 to 127.
	Min, Max int64

	Alts   [][]Elem // Alt: each a sequence; they may differ in length unless Negate
	Negate bool     // Alt: all of one fixed length, matches that many bytes that equal none; Assert: see Test

	Test Test // Assert
}

// Test is what an Assert asks of the place between two bytes. Those ClamAV
// writes (B), (L) and (W) at the start or the end of a pattern, or next to a
// jump, are named in its documentation, "Body Signature Content Format". What
// they take was measured with clamscan 1.4.6 for every byte value. Each holds
// at the edge of the layer; its negation does not, and asks for a byte there.
// (Between two byte strings ClamAV's (B), (L) and (W) are no assertions: they
// consume a byte, and are an Alt.)
type Test uint8

// The tests.
const (
	WordStart     Test = iota // (B) before bytes: after one of SP - . / < @ _; negated: after none of those and of LF CR " ' = >
	WordEnd                   // (B) after bytes: before one of LF CR SP " ' - / = > _
	LineStart                 // (L) before bytes: after LF
	LineEnd                   // (L) after bytes: before LF or CR LF
	AlnumStart                // (W) before bytes: after a byte that is no ASCII letter or digit
	AlnumEnd                  // (W) after bytes: before such a byte
	FullStart                 // fullword: as AlnumStart
	FullEnd                   // fullword: as AlnumEnd
	FullStartWide             // not after an alphanumeric byte and a zero byte
	FullEndWide               // not before an alphanumeric byte and a zero byte, nor before an alphanumeric byte that is the layer's last
	tests
)

// Base is what an Anchor counts from.
type Base uint8

// The bases. Those of executables need a layer that parses as one; elsewhere
// the pattern cannot match.
const (
	Anywhere    Base = iota
	Start            // from the first byte of the layer
	End              // back from the end of the layer: Offset bytes before it
	Entry            // from the file offset of the entry point; Offset may be negative
	Section          // from the start of section number Number
	SectionEnd       // anywhere within section number Number (ClamAV SEx)
	LastSection      // from the start of the last section (ClamAV SL)
	VersionInfo      // at a version information entry of a PE file (ClamAV VI)
)

// Anchor bounds where a match may begin: from Offset to Offset+Shift after Base.
type Anchor struct {
	Base   Base
	Number int   // section, from 0
	Offset int64 // bytes
	Shift  int64 // further bytes allowed
}

// Pattern is one byte search unit.
type Pattern struct {
	Variants [][]Elem // matches where any of them does (ascii and wide forms, for example)
	Forms    []Form   // in place of Variants: the spellings of a text
	Anchor   Anchor
	// Count is how many matches a rule has to tell apart: 1 when only being
	// there matters, n+1 where "exactly n" does; 0 counts as 1.
	Count int
	// ByEnd tells matches apart by where they end, as ClamAV counts those of a
	// pattern with jumps, in place of where they begin. It has an effect only
	// where Count is above 1 and a jump varies.
	ByEnd bool
}
