package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
)

// clamscanNames maps clamscan's other spellings of a flag to ours.
func clamscanNames(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	switch name {
	case "database":
		name = "db"
	case "all-match":
		name = "allmatch"
	case "max-dir-recursion":
		name = "max-recursion"
	case "alert-encrypted-archive", "alert-encrypted-doc":
		name = "alert-encrypted"
	}
	return pflag.NormalizedName(name)
}

// openDB opens the rules that --db names: none is the built-in rules.
func openDB(path string, stderr io.Writer) (*ruledb.DB, error) {
	if path == "" {
		return rules.Default()
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if !st.IsDir() && rules.IsCompiled(path) {
		return ruledb.Open(path)
	}
	db, warning, err := rules.Cached(path)
	if warning != nil {
		fmt.Fprintf(stderr, "showcause: %v\n", warning)
	}
	return db, err
}
