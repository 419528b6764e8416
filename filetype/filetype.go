// Package filetype tells what a stretch of bytes is, from the bytes alone.
//
// Detect gives one primary type. A crafted file can be several things at
// once; that is the business of the formats, each of which decides for itself
// by its own Match whether it reads a layer.
package filetype

// Type is a file type. The zero Type is Unknown ("data").
type Type uint8

// String returns the short lower-case name: "zip", "pe", "utf16le-text".
// Parse is its inverse.
func (t Type) String() string { return t.row().name }

// ClamAV returns the name of the type that ClamAV 1.4 gives such a file
// ("CL_TYPE_ZIP"), as Container and Intermediates of a logical signature name
// it. Types that ClamAV does not tell apart are CL_TYPE_BINARY_DATA, as it
// reports them.
func (t Type) ClamAV() string { return t.row().clam }

// Target returns ClamAV's target number for body signatures of this type, 0
// where only signatures for any file apply (ClamAV documentation, "Body
// Signature Content Format"). Every text type has 7, as ClamAV normalises
// them all before it searches for the signatures of that target.
func (t Type) Target() uint8 { return t.row().target }

// Hides tells whether the content is compressed, encoded, encrypted or
// packed, so that to scan its raw bytes says little. If no format reads such
// a layer, that is a gap "unsupported.format.<String()>".
func (t Type) Hides() bool { return t.row().hides }

func (t Type) row() row {
	if int(t) >= len(rows) {
		t = Unknown
	}
	return rows[t]
}

// Parse returns the type with the given String or ClamAV name. Of several
// types with one ClamAV name it returns the first in All.
func Parse(name string) (Type, bool) {
	for t := range rows {
		if rows[t].name == name {
			return Type(t), true
		}
	}
	for t := range rows {
		if rows[t].clam == name {
			return Type(t), true
		}
	}
	if name == "CL_TYPE_TEXT_UTF8" { // a name that ClamAV has and never gives
		return UTF8, true
	}
	return Unknown, false
}

// All returns every type, in order.
func All() []Type {
	all := make([]Type, len(rows))
	for t := range all {
		all[t] = Type(t)
	}
	return all
}
