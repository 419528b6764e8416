// Package evidence makes records: what was found, or looked at, or done, in a
// form that another can check. A record is an in-toto Statement in canonical
// JSON, in a DSSE envelope signed by the host. Whatever would give a file, a
// path, a host or a person away stands in the signed payload as a salted
// commitment, and its clear value beside the payload; a copy without some of the
// clear values verifies under the same signature.
//
// docs/format/record.md specifies the format, and verify.py beside it is a
// second verifier, which shares no code with this one.
//
// This package does not import scan: the checker is independent of the accuser.
package evidence
