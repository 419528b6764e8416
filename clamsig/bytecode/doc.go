// Package bytecode loads and runs ClamAV's bytecode signatures (.cbc): programs
// that ClamAV's compiler makes of C, for what patterns cannot say.
//
// A file is text. The first line says for which engines the program is, the second
// has a logical signature that triggers it, or a name; then come its types, the
// functions of the engine that it calls, its constants, debug data, functions block
// by block, and its source. Load reads and verifies it; Run interprets it.
//
// A program has memory of its own: the frames of its functions, its constants, and
// what functions of the engine give it. A pointer is the number of one of these and
// an offset, and each access is tried against it, so that a program that was written
// to do harm harms nothing but itself. Work is counted, memory too; both end. What a
// program does depends on nothing but its input and Context.
//
// It runs as the interpreter of ClamAV 1.4.6 does, but for what that does wrong: it
// does not find what spans two of the pages that it searches, takes constants in
// tables for something else, and never ends in atoi.
package bytecode
