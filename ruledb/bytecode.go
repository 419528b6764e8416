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
	r := &db.rules[i]
	return db.texts.read(uint64(r.Text), uint64(r.TextLen))
}
