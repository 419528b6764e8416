// Package texts reads the rules of a database that their texts decide, and what it sets beside rules.
package texts

import (
	"path"
	"strings"

	"github.com/showcause/showcause/clamsig/metadata"
	"github.com/showcause/showcause/clamsig/settings"
	"github.com/showcause/showcause/clamsig/trust"
	"github.com/showcause/showcause/ruledb"
)

// Set is what a database has of them.
type Set struct {
	Members      []*metadata.Entry // of containers
	MemberRules  []uint32          // the rule of each
	Certificates []*trust.Entry
	SignerRules  []uint32 // the rule of each certificate
	Heuristics   []uint32 // rules that package heuristic reads
	Magics       []*settings.Magic
	Passwords    [][]byte
	Broken       bool // the database is damaged where some of them stand
}

// Of reads those of a database.
func Of(db *ruledb.DB) *Set {
	s := &Set{}
	for _, r := range db.Heuristics() {
		info, err := db.Info(r)
		if err == nil {
			err = s.add(r, strings.TrimPrefix(path.Ext(info.File), "."), info.Text)
		}
		s.Broken = s.Broken || err != nil
	}
	return s
}

func (s *Set) add(r uint32, kind, text string) error {
	known := func(string) bool { return true } // they were when they were compiled
	switch {
	case metadata.Kinds(kind):
		e, _, err := metadata.Parse(kind, text, known)
		if err == nil {
			s.Members, s.MemberRules = append(s.Members, e), append(s.MemberRules, r)
		}
		return err
	case trust.Kinds(kind):
		e, err := trust.Parse(text)
		if err == nil {
			s.Certificates, s.SignerRules = append(s.Certificates, e), append(s.SignerRules, r)
		}
		return err
	case settings.Kinds(kind):
		e, err := settings.Parse(kind, text, known)
		switch {
		case err != nil:
		case e.Magic != nil:
			s.Magics = append(s.Magics, e.Magic)
		default:
			s.Passwords = append(s.Passwords, e.Password)
		}
		return err
	}
	s.Heuristics = append(s.Heuristics, r)
	return nil
}
