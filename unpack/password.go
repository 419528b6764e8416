package unpack

import (
	"bytes"
	"slices"
)

// Passwords that are tried on what is encrypted, in order: those that the text of
// the input told (Out.Hear), those of Budget.Passwords, the usual ones, and what
// else of the text may be one (Out.Overhear).

// UsualPasswords are the passwords that are tried on everything: those with
// which samples of malware are exchanged, and the first that senders of malware take.
func UsualPasswords() []string {
	return []string{
		"infected", "malware", "virus", "password", "123456", "1234", "12345", "123", "12345678", "infected123", "pass", "secret",
	}
}

const (
	maxHeard    = 32       // passwords of one input that its text told
	maxOver     = 16       // words of one input that nothing says to be passwords
	maxPassword = 128      // bytes of one
	maxListened = 64 << 10 // bytes of texts that wait until a password is asked for
	maxKeys     = 256      // keys that are kept

	// keyShare is the part of the limit of work that guessing may take: 1 of so many.
	keyShare = 2
)

// guessing is what the guessing of passwords for one input knows and has spent.
type guessing struct {
	texts []listened
	kept  int // bytes of them
	heard [][]byte
	over  [][]byte
	asked int64 // how often passwords were looked for
	spent int64
	keys  map[string][]byte
}

// Passwords returns what is to be tried, without doubles.
func (o *Out) Passwords() [][]byte {
	b := o.budget
	o.listen()
	b.guess.asked++
	out := slices.Clone(b.guess.heard)
	add := func(p []byte) {
		if !slices.ContainsFunc(out, func(q []byte) bool { return bytes.Equal(p, q) }) {
			out = append(out, p)
		}
	}
	for _, p := range b.Passwords {
		add(p)
	}
	if !b.NoUsual {
		for _, p := range UsualPasswords() {
			add([]byte(p))
		}
	}
	for _, p := range b.guess.over {
		add(p)
	}
	return out
}

// listened is a text in which find looks for words.
type listened struct {
	text []byte
	find func(text []byte, hear, overhear func([]byte))
}

// Listen notes a text that find hears and overhears words in, once somebody asks for
// passwords: next to no mail has anything encrypted.
func (o *Out) Listen(text []byte, find func(text []byte, hear, overhear func([]byte))) {
	g := &o.budget.guess
	if len(g.heard) >= maxHeard && len(g.over) >= maxOver {
		return
	}
	if g.kept+len(text) > maxListened {
		o.listen()
	}
	if len(text) > maxListened {
		find(text, o.Hear, o.Overhear)
		return
	}
	g.kept += len(text)
	g.texts = append(g.texts, listened{bytes.Clone(text), find})
}

func (o *Out) listen() {
	g := &o.budget.guess
	for _, t := range g.texts {
		t.find(t.text, o.Hear, o.Overhear)
	}
	g.texts, g.kept = nil, 0
}

// Hear notes a word of the text that comes with what is encrypted: it may be
// the password. Only so many are kept for an input, and none of them is ever said.
func (o *Out) Hear(word []byte) {
	g := &o.budget.guess
	if len(word) == 0 || len(word) > maxPassword || len(g.heard) >= maxHeard ||
		slices.ContainsFunc(g.heard, func(q []byte) bool { return bytes.Equal(word, q) }) {
		return
	}
	g.heard = append(g.heard, bytes.Clone(word))
}

// Overhear notes a word of which nothing says that it is a password, but for how it
// stands there. Fewer are kept, and they are tried last.
func (o *Out) Overhear(word []byte) {
	g := &o.budget.guess
	if len(word) > 0 && len(word) <= maxPassword && len(g.over) < maxOver && !slices.ContainsFunc(g.over, func(q []byte) bool { return bytes.Equal(word, q) }) {
		g.over = append(g.over, bytes.Clone(word))
	}
}

// Guess charges n steps of guessing passwords and tells whether to go on. What is
// encrypted may ask for any amount of it; half of the limit of work goes to it
// at most, so that what can be read is read. A spent share is no gap: what is
// encrypted then is one.
func (o *Out) Guess(n int64) bool {
	g := &o.budget.guess
	if n < 0 || n > o.budget.Limits.Work/keyShare-g.spent {
		return false
	}
	g.spent += n
	return o.Work(n)
}

// Unlock charges n steps of making a key from a password that has opened something beside it, and tells whether to go
// on: no guessing, but an eighth of the limit of work is left for what can be read without.
func (o *Out) Unlock(n int64) bool {
	b := o.budget
	return n >= 0 && n <= b.Limits.Work-b.Limits.Work/8-b.Spent.Work && o.Work(n)
}

// Key returns the key with the given name, which must say all that it is made
// of. make is called where it is not known yet, for cost steps. It is nil where
// the limit is spent or make gives none. The key must not be changed.
func (o *Out) Key(name string, cost int64, make func() []byte) []byte {
	g := &o.budget.guess
	if k, ok := g.keys[name]; ok {
		return k
	}
	if !o.Guess(cost) {
		return nil
	}
	if g.keys == nil || len(g.keys) >= maxKeys {
		g.keys = map[string][]byte{}
	}
	k := make()
	g.keys[name] = k
	return k
}
