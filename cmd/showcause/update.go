package main

import (
	"errors"
	"strings"

	"github.com/showcause/showcause/internal/updatecmd"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
)

// updateHost is what the commands about updates get of this program.
func updateHost() updatecmd.Host {
	return updatecmd.Host{
		Release: release(), Scratch: scratch, FlagError: suggestFlag, Newer: exitCode(exitFound),
		Try: func(dir string, unsigned bool, certs string) error {
			return tryRules(dir, rules.Options{Unsigned: unsigned, Certs: certs}, false)
		},
	}
}

// tryRules compiles a folder, and throws the result away. some says that it must
// hold a rule that this build can apply.
func tryRules(dir string, o rules.Options, some bool) error {
	o.Externals = usualExternals()
	data, err := rules.Compile([]string{dir}, o)
	if err != nil {
		return err
	}
	db, err := ruledb.New(data)
	if err != nil {
		return err
	}
	if some && db.Len() == 0 {
		return errors.New("rules: none in what was fetched")
	}
	return nil
}

// release is our version as a server sees it: that of a release, or "devel"
// for all builds that are none, so that no build is told from another.
func release() string {
	v := strings.TrimPrefix(version(), "showcause v")
	for _, c := range []byte(v) {
		if (c < '0' || c > '9') && c != '.' {
			return "devel"
		}
	}
	return v
}
