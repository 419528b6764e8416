// Package worker is the jail's two sides: Read is the reader's, a process that
// is locked before its first byte of input and scans descriptors; Pool is the
// broker's, which opens files, passes them, and believes nothing that it is told.
//
// All numbers are little-endian and of fixed width. The broker sends messages
// over a socket that keeps their bounds (descriptor 3 of the reader):
//
//	rules    kind u8 = 1, flags u8 (1 names, 2 excerpts, 4 scratch, 8 digests), formats u64 (a bit for each of formats.All)
//	         limits 6 x i64 (file size, scan size, objects, depth, ratio, work), memory i64, scratch i64
//	jobs     kind u8 = 2, flags u8 (1 answer each at once), n u16 (1..64), n x { id u64, size i64 }
//	         and n descriptors, in the same order
//
// The first message is the rules, all others are jobs. The reader answers over
// a pipe (descriptor 1) with frames:
//
//	frame    length u32 of what follows, kind u8, body
//	ready    kind 1: the status of the jail (jail.Status)
//	refusal  kind 2: why the reader does not start, text
//	report   kind 3: id u64, type u8, size i64, spent 4 x i64 (bytes, objects, depth, work)
//	         findings u32, matches u32, gaps u32; the findings, then the gaps
//	finding  rule u32, allow-list rule u32 (or 2^32-1), trail [, chain], matches u32, the matches
//	chain    steps+1 x { SHA-256, size i64 }, counts u32, counts x u32; only if the first message asked for digests
//	match    pattern u32, offset i64, length i64 [, n u8, n bytes of excerpt]
//	gap      trail, code u16, offset i64, length i64 (-1 unknown)
//	trail    steps u16, steps x { index u64, op u16 [, n u16, n bytes of name] }
//
// Types, codes and ops are indexes into lists that both sides have compiled in
// (words.go), rules are indexes in the database. Names and excerpts, which are
// bytes of the input, are there only if the first message asked for them, as
// quoted data. A reader that was taken over can say wrong things about the file
// that did it, those in the same message, and those that it is handed until it is
// replaced (Options.Recycle files at most, 32 of them at once), in these words; it
// can say nothing else. If it does anything that no reader does, it is ended, what
// came in the same read is scanned again by another, and Pool.Incidents tells of
// it: what it had answered before stands, and may be wrong.
//
// The reader scans one file after the other in the order of the jobs and
// answers in that order, so that the first job without an answer is the one that
// killed it.
package worker
