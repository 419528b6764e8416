// Package ruledb is the compiled form of a set of rules: one
// position-independent file that is mapped and used as it is.
//
// All numbers are little-endian. The file begins with a header
//
//	 0  magic    "SCRULES1"
//	 8  size     u64   of the file, bytes
//	16  count    u32   of sections
//	20  version  u32   of the tables' meaning
//	24  check    u64   XXH64 of the header with this field zero
//	32  sections count times {kind u32, part u32, offset u64, length u64, check u64}
//
// and every section begins at a multiple of 64. check is the section's XXH64.
// part tells sections of one kind apart: the target of a partition, and 256 more
// for that without the rules which are for layers that begin with "MZ" alone, or scope
// and algorithm of a digest table. The sections:
//
//	meta      JSON: the sources, what was loaded and what was skipped and why
//	names     bytes of all names
//	texts     the rules' text, as it stood in its file; not read at start
//	yara      one row a rule of YARA's language (yaraRow)
//	spaces    one row a namespace of such rules (spaceRow)
//	abouts    JSON: namespace, tags, metadata and pattern names of such a rule
//	skips     JSON lines: every signature that was left out; not read at start
//	files     {name u32, length u32} of each source file's name, in names
//	rules     one row a rule with patterns (ruleRow)
//	uses      u32 pattern indexes; a rule has a run of them. Then other runs of u32
//	patterns  one row a pattern (patternRow); equal patterns of different rules are one
//	programs  code of patterns and conditions (packages pattern, regex, rule, yara/code)
//	owners    u32 rule indexes; a pattern has a run: the rules it triggers
//	eager     (a target) literals searched for in every layer of the target
//	deferred  (a target) literals searched for only when a trigger has fired
//	eagerrefs, deferredrefs  where each literal leads: u32 starts, then {pattern u32, place u32}
//	always    (a target) u32 rules that can hold with no match at all
//	sizes     (a digest table) u64 sizes that occur, ascending; the last may be "any"
//	starts    (a digest table) u32 first digest of each size, and the count
//	digests   (a digest table) the digests, ascending within a size
//	digestrows (a digest table) one row a digest (digestRow)
//
// A rule is found through a trigger: a smallest set of its patterns of which
// one must be there wherever its condition holds. Only those are searched for
// in every layer; the rest of its patterns only where a trigger was seen.
//
// Open proves lengths, offsets and checksums once, those of texts and skips when they are
// first asked for: nothing is told of a rule out of bytes that rotted. What the checksums cannot
// tell is that the writer meant well: programs are proven too, when first used.
package ruledb
