package ruledb

// Bytecode tells whether rule i is a program in ClamAV's bytecode, and whether it is
// one only by another name of the program in front of it.
func (db *DB) Bytecode(i uint32) (is, alias bool) {
	if int(i) >= len(db.rules) {
		return false, false
	}
	f := db.rules[i].Flags
	return f&flagBytecode != 0, f&flagAlias != 0
}

// Program gives the text of the program that rule i is. An error says that the
// database is damaged there.
func (db *DB) Program(i uint32) ([]byte, error) {
	return db.texts.read(uint64(db.rules[i].Text), uint64(db.rules[i].TextLen))
}

const Heuristic = "heuristic" // kind of a rule that is decided by what its text says

// Heuristics returns the rules of this kind: rule.Rule.Heuristic.
func (db *DB) Heuristics() (out []uint32) {
	for i := range db.rules {
		if db.rules[i].Flags&flagHeuristic != 0 {
			out = append(out, uint32(i))
		}
	}
	return out
}
