package yaracli

import (
	"fmt"
	"strings"

	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/source"
)

// First are the diagnostics that yara tells: of a rule none after its first error.
func First(all yara.Diagnostics) (out yara.Diagnostics) {
	failed := map[source.Pos]bool{}
	for _, d := range all { // a rule whose name is wrong as a whole is not looked into
		if d.Code == source.DuplicateRule || d.Code == source.ConflictingName {
			failed[d.RuleAt] = true
		}
	}
	for _, d := range all {
		of := d.Code == source.DuplicateRule || d.Code == source.ConflictingName
		if d.Rule != "" && failed[d.RuleAt] && !of {
			continue
		}
		if d.Severity == source.Error {
			failed[d.RuleAt] = true
		}
		out = append(out, d)
	}
	return out
}

// Line is a diagnostic as yara prints it.
func Line(d yara.Diagnostic) string {
	if d.Rule != "" && d.Code != source.DuplicateRule && d.Code != source.ConflictingName {
		return fmt.Sprintf("%s: rule \"%s\" in %s(%d): %s", d.Severity, d.Rule, d.File, d.Line, message(d))
	}
	return fmt.Sprintf("%s(%d): %s: %s", d.File, d.Line, d.Severity, message(d))
}

// message is what is wrong, in yara's words where it has them and they are of use.
func message(d yara.Diagnostic) string {
	form := ""
	switch d.Code {
	case source.UnknownIdentifier:
		form = `undefined identifier "%s"`
	case source.UnknownPattern:
		form = `undefined string "%s"`
	case source.UnusedPattern:
		form = `unreferenced string "%s"`
	case source.DuplicateRule, source.ConflictingName:
		form = `duplicated identifier "%s"`
	case source.DuplicatePattern:
		form = `duplicated string identifier "%s"`
	case source.DuplicateTag:
		form = `duplicated tag identifier "%s"`
	case source.DuplicateVariable:
		form = `duplicated loop identifier "%s"`
	case source.DuplicateModifier:
		form = `duplicated modifier`
	case source.UnknownModule:
		form = `unknown module "%s"`
	case source.UnknownField:
		form = `invalid field name "%s"`
	case source.SlowPattern:
		form = `string "%s" may slow down scanning`
	case source.GreedyDotStar:
		form = `string "%s" contains .*, .+ or .{x,} consider using .{,N}, .{1,N} or {x,N} with a reasonable value for N`
	case source.IncludeOff:
		form = `includes are disabled`
	case source.IntegerOverflow:
		form = `integer overflow in "%s"`
	case source.DivisionByZero:
		form = `division by zero`
	case source.MisplacedAnonymous:
		form = `wrong use of anonymous string`
	}
	switch {
	case form == "":
		s := strings.ReplaceAll(d.Title, "`", `"`)
		if d.Label != "" {
			s += ": " + strings.ReplaceAll(d.Label, "`", `"`)
		}
		return s
	case strings.Contains(form, "%s"):
		return fmt.Sprintf(form, name(d.Text))
	}
	return form
}

// name is the name at the beginning of some rule text: of a string with its
// definition, of a module in quotes.
func name(text string) string {
	text = strings.Trim(text, `"`)
	if i := strings.IndexAny(text, " \t\r\n="); i > 0 && strings.HasPrefix(text, "$") {
		text = text[:i]
	}
	if len(text) > 128 {
		text = text[:128]
	}
	return text
}
