package view

// scope is the names declared in one function, or outside all.
type scope struct {
	up       int // index of the enclosing scope, -1 for none
	names    map[string]int
	decl     bool // the next name is declared
	comma    bool // by a var or a comma: the body's opening brace does not end that
	list     bool // a comma announces another name
	params   bool // the parameter list has not begun
	braces   int
	brackets int
}

// rename numbers the names that var, function and parameter lists declare, in
// their order over the whole script, and marks every use of them. A name
// counts from the start of the function that declares it, also before its
// declaration; a function's own name counts, unlike in the language, only inside
// it. What follows a dot is no use. Of a var statement in a block only the first name
// counts: all this is ClamAV's reading.
func rename(ts []token) {
	scopes := []scope{{up: -1}}
	where := make([]int32, len(ts))
	cur, next := 0, 0
	for i := range ts {
		t, s := &ts[i], &scopes[cur]
		where[i] = int32(cur)
		switch {
		case t.key && t.is("var"):
			s.decl, s.comma, s.list, s.params, s.brackets = true, true, true, false, 0
		case t.key && t.is("function"):
			scopes = append(scopes, scope{up: cur, decl: true, params: true})
			cur = len(scopes) - 1
		case t.kind == word && s.decl && !t.key && !dotted(ts, i):
			if s.names == nil {
				s.names = map[string]int{}
			}
			s.names[string(t.text)] = next
			next++
			s.decl = false
		case t.kind == sign && s.sign(t.text[0]):
			cur = s.up
		}
	}
	for i := range ts {
		if t := &ts[i]; t.kind == word && !t.key && !dotted(ts, i) {
			t.renamed = lookup(scopes, int(where[i]), t.text)
		}
	}
}

// sign takes note of a sign, and tells whether it ends a function.
func (s *scope) sign(c byte) bool {
	switch c {
	case ';':
		if s.braces == 0 {
			s.decl, s.list, s.params = false, false, false
		}
	case ',':
		if s.list && s.braces == 0 && s.brackets == 0 {
			s.decl, s.comma = true, true
		}
	case '(':
		if s.params {
			s.params, s.decl, s.comma, s.list = false, true, false, true
		}
	case ')':
		s.params = s.params && s.decl
	case '{':
		if s.up >= 0 && s.braces == 0 {
			s.decl, s.list, s.params = s.decl && s.comma, false, false
		}
		s.braces++
	case '}':
		s.braces = max(s.braces-1, 0)
		return s.braces == 0 && s.up >= 0
	case '[':
		if !s.decl {
			s.brackets++
		}
	case ']':
		s.brackets = max(s.brackets-1, 0)
	}
	return false
}

// dotted tells whether the token at i follows a dot.
func dotted(ts []token, i int) bool { return i > 0 && ts[i-1].is(".") }

// maxScopes bounds how far out a name is looked for.
const maxScopes = 64

// lookup returns the number of the declaration that a name in a scope refers to, or -1.
func lookup(scopes []scope, at int, name []byte) int {
	for n := 0; at >= 0 && n < maxScopes; n++ {
		if id, ok := scopes[at].names[string(name)]; ok {
			return id
		}
		at = scopes[at].up
	}
	return -1
}
