package view

// scope is the names declared in one function, or outside all.
type scope struct {
	up       int // index of the enclosing scope, -1 for none
	names    map[string]int32
	decl     bool // the next name is declared
	comma    bool // by a var or a comma: the body's opening brace does not end that
	list     bool // a comma announces another name
	params   bool // the parameter list has not begun
	braces   int
	brackets int
	base     int // brackets at the last var
}

// declarations numbers the names that var, function and parameter lists
// declare, in their order over the whole script. A name counts from the start
// of the function that declares it, also before its declaration; a function's own name
// counts, unlike in the language, only inside it. What follows a dot is no
// use. Of a var statement in a block only the first name counts: all this is ClamAV's reading.
type declarations struct {
	scopes []scope
	next   int32
	cut    bool // too many functions
}

// maxFunctions bounds the scopes of one script.
const maxFunctions = 1 << 16

// read takes note of the declarations in tokens that begin in the given scope.
func (d *declarations) read(ts []token, cur int) {
	for i := range ts {
		t, s := &ts[i], &d.scopes[cur]
		t.scope = int32(cur)
		switch {
		case t.key && t.is("var"):
			s.decl, s.comma, s.list, s.params, s.base = true, true, true, false, s.brackets
		case t.key && t.is("function") && len(d.scopes) >= maxFunctions:
			d.cut = true
		case t.key && t.is("function"):
			d.scopes = append(d.scopes, scope{up: cur, decl: true, params: true})
			cur = len(d.scopes) - 1
		case t.kind == word && s.decl && !t.key && !dotted(ts, i):
			if s.names == nil {
				s.names = map[string]int32{}
			}
			s.names[string(t.text)] = d.next
			d.next++
			s.decl = false
		case t.kind == sign && s.sign(t.text[0]):
			cur = s.up
		}
	}
}

// resolve gives each use of a declared name its number.
func (d *declarations) resolve(ts []token) {
	for i := range ts {
		if t := &ts[i]; t.kind == word && !t.key && !dotted(ts, i) {
			t.renamed = lookup(d.scopes, int(t.scope), t.text)
		}
	}
}

// sign takes note of a sign, and tells whether it ends a function.
func (s *scope) sign(c byte) bool {
	switch c {
	case ';':
		if s.braces == 0 && (s.brackets == 0 || !s.decl && s.brackets <= s.base) {
			s.decl, s.list, s.params = false, false, false
		}
	case ',':
		if s.list && s.braces == 0 && s.brackets <= s.base {
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
func lookup(scopes []scope, at int, name []byte) int32 {
	for n := 0; at >= 0 && n < maxScopes; n++ {
		if id, ok := scopes[at].names[string(name)]; ok {
			return id
		}
		at = scopes[at].up
	}
	return -1
}
