// Package syntax reads regular expressions over bytes, as YARA 4, YARA-X and
// PCRE2 write them, into one tree. What is wrong with one is told with a
// stable code and its place.
//
// Deliberately different from the engines:
//
//   - YARA-X, (?u): \b is that of ASCII.
//   - PCRE: recursion, branch reset, verbs, callouts and Unicode classes are
//     refused (Unsupported); a look-behind may have alternatives and
//     repetitions of any lengths up to 255 bytes.
package syntax
