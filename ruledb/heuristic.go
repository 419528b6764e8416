package ruledb

// Heuristic is the kind of a rule that is decided by what its text says.
const Heuristic = "heuristic"

// Heuristics returns the rules of this kind: rule.Rule.Heuristic.
func (db *DB) Heuristics() (out []uint32) {
	for i := range db.rules {
		if db.rules[i].Flags&flagHeuristic != 0 {
			out = append(out, uint32(i))
		}
	}
	return out
}
