package scan

import (
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause/clamsig/metadata"
	"github.com/showcause/showcause/clamsig/settings"
	"github.com/showcause/showcause/clamsig/trust"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
)

// texts are the rules that their texts decide, by what they are.
type texts struct {
	members    members
	heuristics []uint32
	magics     []*settings.Magic
	passwords  [][]byte
	certs      certificates
}

func byText(db *ruledb.DB) (t texts) {
	any := func(string) bool { return true } // they were known when they were compiled
	for _, r := range db.Heuristics() {
		info, err := db.Info(r)
		kind := strings.TrimPrefix(path.Ext(info.File), ".")
		switch {
		case err != nil:
			t.members.broken = true
		case metadata.Kinds(kind):
			if e, _, err := metadata.Parse(kind, info.Text, any); err == nil {
				t.members.rules, t.members.entries = append(t.members.rules, r), append(t.members.entries, e)
			} else {
				t.members.broken = true
			}
		case settings.Kinds(kind):
			s, err := settings.Parse(kind, info.Text, any)
			if err != nil {
				t.members.broken = true
			} else if s.Magic != nil {
				t.magics = append(t.magics, s.Magic)
			} else {
				t.passwords = append(t.passwords, s.Password)
			}
		case trust.Kinds(kind):
			if e, err := trust.Parse(info.Text); err == nil {
				t.certs.rules, t.certs.entries = append(t.certs.rules, r), append(t.certs.entries, e)
			} else {
				t.members.broken = true
			}
		default:
			t.heuristics = append(t.heuristics, r)
		}
	}
	return t
}

// Passwords returns those that a database sets (.pwdb), which a Scanner tries behind those of its
// Options.
func Passwords(db *ruledb.DB) [][]byte { return byText(db).passwords }

// magics notes the types that the database's magics give a layer of which nothing else is known: it
// is read as these besides.
func (in *input) magics(l *layer) {
	if l.as || in.options.TopOnly || l.kind != filetype.Unknown && rule.Target(l.kind.Target()) != rule.ASCII {
		return
	}
	for _, m := range in.texts.magics {
		if m.Type != l.kind && m.In(l.head) && !slices.Contains(l.handlers, m.Type) {
			l.handlers = append(l.handlers, m.Type)
		}
	}
	in.budget.Work(int64(len(in.texts.magics)))
}
