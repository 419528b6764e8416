// Package literal finds hundreds of thousands of byte strings at once: a
// prefilter that reads a few bytes here and there, then a full comparison.
//
// # How
//
// A literal is entered into one tier, under one window of its bytes, the one
// that ordinary files hold least (Score). There are two kinds of tier.
//
// A stride tier with stride S reads 4 bytes (a gram) at every S-th place. The
// window is S+3 bytes long and is entered under each of its S grams, its
// phases, so that one of them falls on a place that is read, wherever the
// literal stands. A gram must pass a blocked Bloom filter (two bits in one
// 64-bit word); then its bucket is walked, whose keys are fingerprints of the
// window; then 4 bytes beside the window; then all. Literals of 6
// bytes and more live there, and those of 4 and 5 where there are thousands.
//
// The pair tier reads every place and has literals of 1 to 5 bytes, and the few
// longer ones none of whose wider windows is rare (runs of zeros). The window
// has up to 4 bytes: a first pair and a second. The literals are dealt into 16
// buckets; a table says, for each of the 65,536 byte pairs, of which buckets it
// is a first pair and of which a second. A place is a candidate where the two
// share a bucket.
//
// A literal that ignores case is entered under every spelling of its grams or
// pairs; where there are many such, they have a stride tier of their own, whose
// grams are taken with bit 0x20 set in every byte.
//
// # The blob
//
// All numbers are little-endian; every section starts at a multiple of 8 and is
// padded with zeros to one. Offsets count from the start of the blob. "@" is a
// pair of u32: offset and number of elements.
//
//	header, 64 bytes
//	 0  8  magic "SCLITv1\n"
//	 8  8  length of the blob
//	16  4  number of literals
//	20  4  length of the longest literal (0 when there is none)
//	24  4  number of stride tiers, at most 4
//	28  4  0
//	32  8  @pool      u8         bytes of the literals, lower-cased where case is ignored
//	40  8  @pairs     u32        65,536 or none: first-pair buckets | second-pair buckets<<16
//	48  8  @chains    u32        65,537 or none: first link of each first pair; ascending
//	56  8  @links     link       the pair tier's; in a chain, ascending by mask, then by window
//	then, for each stride tier, 64 bytes
//	 0  4  S, 1 to 8
//	 4  4  1 when grams are taken with 0x20202020 set, else 0
//	 8  4  greatest distance from the start of a literal to a gram of its window
//	12  4  salt
//	16  8  @filter    u64        power of two; see hash
//	24  8  @index     u32        power of two, and one: first key of each bucket; ascending
//	32  8  @keys      u32        see key; ascending in a bucket
//	40  8  @vals      u32        one for each key: first member<<3 | phase
//	48  8  @members   member
//	56  8  0
//
//	member, 16 bytes                   link, 24 bytes
//	 0  4  ID                           0  16  member
//	 4  4  offset in the pool          16   4  window, zero after its end
//	 8  1  offset of the window        20   4  mask: bits of the window that count
//	 9  1  length
//	10  1  1 when case is ignored, 2 when it is the last with its window
//	11  1  offset of the check
//	12  4  check: 4 bytes, with 0x20202020 set where case is ignored;
//	       0 in a literal of 3 bytes and less
//
// hash of a gram: h = gram * (F + salt * 0x632BE59BD9B4E01A) modulo 2^64, F being
// 0x9E3779B97F4A7C15. Filter word: the low bits of h>>44. Its bits: h>>32 and
// h>>38, 6 bits each. Bucket: the top bits of h.
//
// key: the low 8 bytes of the window (all where there are fewer), times F, and
// its last 4 bytes times 0xD6E8FEB86659FD93, added; the upper half, but its low
// bits are 0 to 2, the phase, and 3, set when case is ignored (all bytes then have
// 0x20 set).
package literal
