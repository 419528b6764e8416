// Package literal finds hundreds of thousands of byte strings at once: a
// prefilter that reads a few bytes here and there, then a full comparison.
//
// # How
//
// A literal is entered into one tier, under one window of its bytes, the one
// that ordinary files hold least (freq.bin). The plan of the tiers is that
// which is estimated to cost least.
//
// A stride tier with stride S (1, 2, 4, 8 or 16) reads a gram of Q bytes (1 to
// 8) at every S-th place. The window is S+Q-1 bytes long, and its S grams, one
// for each phase, are in a filter, so that one of them falls on a place that is
// read, wherever the literal stands. Where the filter passes a gram, a second
// filter is asked for each of the S windows that may lie there; where one
// passes, its key leads to the literals, of which 4 more bytes are compared, and
// then all. Both filters are blocked Bloom filters: two bits in a word of 32.
//
// A tier is of a kind: exact; lower, which takes every byte with bit 0x20 set, for
// literals that ignore case, and others with them where that costs less than
// two tiers; or delta, which takes each byte exclusive-or the next, the same under
// every one-byte key, for literals with keys.
//
// The short tier reads every place, and has a small number of literals: the
// shortest, those that ignore case where they are few, and those none of whose
// wider windows is rare. Windows have up to 4 bytes; the literals are dealt into
// 16 buckets. 16 masks of buckets for the low half of a byte, and 16 for the high half, at
// each of the 4 places say in which buckets a place may be (the method is known
// as Teddy).
//
// A buffer goes through all tiers in blocks of 32 KB. In each tier a kernel
// reads the block and writes a bit for each place; what passes is looked at
// together, without a branch on what was read, so that the loads overlap. The
// kernels are plain Go, each with a twin in assembly for machines that have AVX2.
//
// # The blob
//
// All numbers are little-endian; every section starts at a multiple of 8 and is
// padded with zeros to one. Offsets count from the start of the blob. "@" is a
// pair of u32: offset and number of elements.
//
//	header, 64 bytes
//	 0  8  magic "SCLITv2\n"
//	 8  8  length of the blob
//	16  4  number of literals
//	20  4  length of the longest literal (0 when there is none)
//	24  4  number of stride tiers, at most 24
//	28  4  0
//	32  8  @pool      u8         bytes of the literals, lower-cased where case is ignored
//	40  8  @masks     u32        none or 128: by place (4), half (low, high) and its value (16): a bit for a bucket
//	48  8  @buckets   u32        none or 17: first link of each bucket, and the end; ascending
//	56  8  @links     link       the short tier's
//	then, for each stride tier, 64 bytes
//	 0  4  S: 1, 2, 4, 8 or 16
//	 4  4  Q: 1 to 8
//	 8  4  kind: 0 exact, 1 lower, 2 delta
//	12  4  greatest distance from the start of a literal to a gram of its window
//	16  4  salt
//	20  4  0
//	24  8  @filter    u32        of grams; number a power of two
//	32  8  @windows   u32        the second filter; number a power of two
//	40  8  @index     u32        power of two, and one: first member of each bucket; ascending
//	48  8  @keys      u32        one for each member; ascending
//	56  8  @members   member
//
//	member, 16 bytes                   link, 24 bytes
//	 0  4  ID                           0  16  member
//	 4  4  offset in the pool          16   4  window, zero after its end; where case
//	 8  1  offset of the window                is ignored, letters without bit 0x20
//	 9  1  length                      20   4  mask: bits of the window that count
//	10  1  1: case is ignored; 2: keys
//	11  1  offset of the check
//	12  4  check: 4 bytes, with 0x20202020 set where case is ignored; 0 in a
//	       literal of 3 bytes and less; with keys: the least, the greatest<<8
//
// All sums are modulo 2^32. A gram, padded with zeros to 8 bytes, has the hash
// v = low*A + high*B + salt*0x632BE59B, low being its first 4 bytes and high the
// others; a window has v = low*A + high*B + low'*D + high'*E, of its first 8
// bytes and (primed) its last 8, padded or 0 where it has no more than 8. Then
// v ^= v>>15. A is 0x9E3779B1, B 0x85EBCA77, C 0xC2B2AE3D, D 0x27D4EB2F,
// E 0x165667B1. The key is v*C; its upper bits are the word in a filter, and the
// bucket. The bits in the word are v>>27 and the low 5 bits of v.
package literal
