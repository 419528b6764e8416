package evidence

// condition evaluates the rule's condition with the matches recorded.
func (v *verification) condition() {
	v.note(NoteReads, "/predicate/rules/rule", "not evaluated")
}
