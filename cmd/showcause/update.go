package main

import (
	"errors"
	"strings"

	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/internal/publishcmd"
	"github.com/showcause/showcause/internal/updatecmd"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/update/trial"
	"github.com/showcause/showcause/worker"
)

// updateHost is what the commands about updates get of this program.
func updateHost() updatecmd.Host {
	return updatecmd.Host{
		Release: release(), Scratch: scratch, FlagError: suggestFlag, Newer: exitCode(exitFound),
		Trial: func() (*trial.Process, error) { return trial.Start() },
	}
}

// trialMain is the process of a trial.
func trialMain() int {
	_ = jail.Broker() // where it can be: what opens rules that nobody tried has no way to a network
	return trial.Main(func(j trial.Job, dir string) (*ruledb.DB, error) {
		o := rules.Options{Unsigned: j.Unsigned, Certs: j.Certs, Externals: usualExternals()}
		if dir == j.Old { // what serves was compiled before
			db, _, err := rules.Cached([]string{dir}, o, func() {})
			return db, err
		}
		return compiled(dir, o)
	}, worker.Options{Scratch: scratch})
}

// publishHost is what the commands for publishers get of this program.
func publishHost() publishcmd.Host {
	return publishcmd.Host{Mirror: updateHost().Mirror, Refused: exitCode(exitFound), FlagError: suggestFlag, Compile: func(dir string) (*ruledb.DB, error) { return compiled(dir, rules.Options{}) }}
}

// compiled compiles a folder.
func compiled(dir string, o rules.Options) (*ruledb.DB, error) {
	o.Externals = usualExternals()
	data, err := rules.Compile([]string{dir}, o)
	if err != nil {
		return nil, err
	}
	return ruledb.New(data)
}

// tryRules compiles a folder, and throws the result away. some says that it must
// hold a rule that this build can apply.
func tryRules(dir string, o rules.Options, some bool) error {
	db, err := compiled(dir, o)
	if err == nil && some && db.Len() == 0 {
		err = errors.New("rules: none in what was fetched")
	}
	return err
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
