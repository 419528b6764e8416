// Package wire is what a broker and its readers say to each other: messages, frames,
// and the closed lists of words in them. It writes and reads bytes; package worker
// sends them.
//
// All numbers are little-endian and of fixed width. The broker sends messages
// over a socket that keeps their bounds:
//
//	rules     kind u8 = 1
//	          flags u8 (1 names, 2 excerpts, 4 scratch, 8 digests, 16 the input alone, 32 no usual passwords, 64 lines, 128 a descriptor
//	          of files for modules, see EncodeModules, comes with it)
//	          formats 2 x u64 (a bit for each of formats.All)
//	          limits 6 x i64 (file size, scan size, objects, depth, ratio, work), memory i64, scratch i64
//	          matches of a pattern u32 (0: as usual), time i64
//	          length of passwords u16, passwords, externals
//	jobs      kind u8 = 2, flags u8 (1 answer each at once), n u16 (1..64), n x { id u64, size i64, length of externals u16, externals }
//	          and n descriptors, in the same order
//	passwords n x { length u8, bytes }
//	externals nothing, or what EncodeExternals says
//
// The first message is the rules, all others are jobs. The reader answers over a
// pipe with frames:
//
//	frame    length u32 of what follows, kind u8, body
//	ready    kind 1: the status of the jail (jail.Status)
//	refusal  kind 2: why the reader does not start, text
//	report   kind 3: id u64, type u8, size i64, spent 4 x i64 (bytes, objects, depth, work)
//	         findings u32, matches u32, gaps u32; the findings, then the gaps [, lines u32, lines x { n u16, n bytes of printing ASCII }]
//	finding  rule u32, allow-list rule u32 (or 2^32-1), trail [, chain], matches u32, the matches
//	chain    steps+1 x { SHA-256, size i64 }, counts u32, counts x u32; only if the first message asked for digests
//	match    pattern u32, offset i64, length i64 [, n u8, n bytes of excerpt]
//	gap      trail, code u16, offset i64, length i64 (-1 unknown)
//	trail    steps u16, steps x { index u64, op u16 [, n u16, n bytes of name] }
//
// Types, codes and ops are indexes into lists that both sides have compiled in
// (words.go), rules are indexes in the database. Names, excerpts and the lines that
// rules write, which have bytes of the input, are there only if the first message asked
// for them, as quoted data.
package wire
