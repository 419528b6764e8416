package yara

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/yara/module"
)

// UsualExternals are the external variables that public rules expect, and that a
// scan of files fills in: what the file is called and what it is.
func UsualExternals() []string {
	return []string{"filename", "filepath", "extension", "filetype", "owner", "filemd5"}
}

// IsRuleFile says whether a file is likely one of YARA rules, by its name.
func IsRuleFile(path string) bool {
	return slices.Contains([]string{".yar", ".yara", ".rule", ".rules"}, strings.ToLower(filepath.Ext(path)))
}

// ParseExternal is the value of an external variable that is written on a command
// line, as yara takes it: true or false, an integer, a float, else a string.
func ParseExternal(text string) any {
	digits := strings.TrimPrefix(text, "-")
	number := strings.Trim(digits, "0123456789")
	switch {
	case text == "true", text == "false":
		return text == "true"
	case digits == "" || digits[0] == '.':
	case number == "":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case strings.Count(digits, ".") == 1 && strings.Trim(digits, "0123456789.") == "":
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	}
	return text
}

// Why a value of an external variable is refused.
var (
	ErrUnknownExternal = errors.New("the rules were compiled without it")
	ErrExternalType    = errors.New("invalid type for external variable")
)

// FitsExternal says whether a scan with the rules of db may set an external variable:
// its error wraps ErrUnknownExternal or ErrExternalType. Of a database that does not
// tell which there are all are taken.
func FitsExternal(db *ruledb.DB, name string, v module.Value) error {
	known := db.Meta().Externals
	kind, ok := known[name]
	switch {
	case known == nil:
		return nil
	case !ok:
		return ErrUnknownExternal
	case kind != v.Kind.String():
		return fmt.Errorf("%w: want %s, have %s", ErrExternalType, kind, v.Kind)
	}
	return nil
}

// Defined says whether there is an external variable of that name.
func (c *Compiler) Defined(name string) bool {
	_, ok := c.externals[name]
	return ok
}

// SplitNamespace takes NAMESPACE:PATH apart, as yara does: an argument that is not
// the name of a file, with a colon. The namespace is empty
// if there is none.
func SplitNamespace(arg string) (namespace, path string) {
	if _, err := os.Stat(arg); err == nil {
		return "", arg
	}
	ns, rest, ok := strings.Cut(arg, ":")
	if !ok {
		return "", arg
	}
	if strings.HasPrefix(rest, "/") { // yara takes none of these for a namespace
		if _, err := os.Stat(rest); err != nil {
			return "", arg
		}
	}
	return ns, rest
}
