// Package regex searches for byte regular expressions: those of YARA 4 and
// YARA-X in time linear in the input, those of PCRE in linear time where they
// allow it and by bounded backtracking where they do not.
//
// An expression is read by package syntax into a tree. Compile turns the tree
// into a Program, a nondeterministic automaton as a string of bytes, which a
// rule database stores and runs in place, and the Atoms, literals of which
// every match contains one. Where the prefilter sees an atom, Matcher.Verify
// runs the automaton from the atom's first byte forward for the end of the
// match and backward for its starts, as YARA 4 and YARA-X do: so that a start
// has one match, and which of the ends that is follows the engine (Program.Greedy).
// An expression without an atom is searched for with Matcher.Scan.
//
//	ab(c|d)+e
//
//	0 match
//	1 class e      then 0
//	2 split        3, else 1                a     b    cd        e
//	3 class cd     then 2                 6 --> 5 --> 4 --> 2 --> 1 --> 0
//	4 class cd     then 2                                 ^ |
//	5 class b      then 4                                 | v cd
//	6 class a      then 5                                  3
//	atoms "abc" and "abd", both at 6
//
// The automata are run as deterministic ones that are made while they run
// (dfa.go), over classes of bytes that the expression does not tell apart. A
// state is made at most once for a byte read and costs at most the size of the
// program, and memory is bounded: what is full is forgotten. Steps are a
// function of the program and the input alone, whatever was kept from before:
// around an atom every byte read counts 1 for each 16 instructions; a run over a
// whole large input begins afresh, and counts 1 for each byte and more for each
// state that it makes.
//
// What no finite automaton does (back-references, look-around, atomic groups,
// \K, conditions) is run by the backtracker (backtrack.go), each attempt within
// Matcher.BackLimit.
package regex
