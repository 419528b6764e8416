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
// and every section begins at a multiple of 64. check is the section's XXH64. Behind
// those stand the cold sections, which Open does not read, each at a multiple of 4,096:
// of such a one check is the number of its first page in sums. part tells sections of one kind apart: the target of a partition, and 256 more
// for that without the rules which are for layers that begin with "MZ" alone, or scope
// and algorithm of a digest table. The sections:
//
//	meta      JSON: the sources, what was loaded and what was skipped and why
//	names     bytes of all names
//	texts     (cold) the rules' text, as it stood in its file
//	yara      one row a rule of YARA's language (yaraRow)
//	spaces    one row a namespace of such rules (spaceRow)
//	abouts    JSON: namespace, tags, metadata and pattern names of such a rule
//	skips     (cold) JSON lines: every signature that was left out
//	files     {name u32, length u32} of each source file's name, in names (rule.Origin.Staged)
//	rules     one row a rule with patterns (ruleRow)
//	uses      u32 pattern indexes; a rule has a run of them. Then other runs of u32
//	patterns  one row a pattern (patternRow); equal patterns of different rules are one
//	programs  code of patterns and conditions (packages pattern, regex, rule, yara/code);
//	          comparisons
//	owners    u32 rule indexes; a pattern has a run: the rules it triggers
//	eager     (a target) literals searched for in every layer of the target
//	deferred  (a target) literals searched for only when a trigger has fired
//	eagerrefs, deferredrefs  where each literal leads: u32 starts, then {pattern u32, place u32}
//	always    (a target) u32 rules that can hold with no match at all
//	sizes     (a digest table) the sizes that occur (sizeRow)
//	sizelows  (a digest table) u16: their lowest 16 bits, as lists or as a bit each
//	digests   (a digest table, cold) pages of rules, ascending by digest (digestMeta)
//	digestindex (a digest table) one row a page (indexRow)
//	stems     (cold) names of rules for exact bytes without their number: uvarint of where
//	          it goes, uvarint length, bytes
//	sums      the first 16 bytes of each cold page's SHA-256
//
// A rule is found through a trigger: a smallest set of its patterns of which
// one must be there wherever its condition holds. Only those are searched for
// in every layer; the rest of its patterns only where a trigger was seen.
//
// What is for exact bytes is looked up by size in memory that Open has proven, and by
// digest in one page of 4,096 bytes: the index is searched from where an evenly spread
// digest would be. Ten million rules are 300 MB, of which Open reads 6.
//
// Open proves lengths, offsets and checksums of what is not cold. A cold page is copied and
// proven at each reading: nothing is told of a rule, and nothing is looked up, in bytes that
// rotted, or were changed in the file after Open. What the checksums cannot tell is that the
// writer meant well: programs are proven too, when first used.
package ruledb
