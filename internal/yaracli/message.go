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
	wrong := map[source.Pos]bool{} // rules with an error besides a string that is not used, which yara looks for last
	for _, d := range all {
		if d.Severity == source.Error && d.Code != source.UnusedPattern {
			wrong[d.RuleAt] = true
		}
	}
	for _, d := range all { // a rule whose name is wrong as a whole is not looked into
		if d.Code == source.DuplicateRule || d.Code == source.ConflictingName {
			failed[d.RuleAt] = true
		}
	}
	for _, d := range all {
		of := d.Code == source.DuplicateRule || d.Code == source.ConflictingName
		if d.Rule != "" && (failed[d.RuleAt] && !of || wrong[d.RuleAt] && d.Code == source.UnusedPattern) {
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
	form, of := "", d.Text
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
	case source.IncludeNotFound:
		form = `can't open include file: %s`
	case source.IncludeCycle:
		form = `includes circular reference: %s`
	case source.WrongArguments:
		form, of = `wrong arguments for function "%s"`, function(d.Text)
	case source.EmptySet:
		if form = `undefined string "%s"`; !strings.HasPrefix(of, "$") {
			of = "$*"
		}
	case source.EmptyPattern:
		form, of = `empty string "%s"`, d.Pattern
	case source.InvalidHex:
		if d.Pattern != "" {
			return fmt.Sprintf(`invalid hex string "%s": %s`, name(d.Pattern), plain(d))
		}
	case source.InvalidRegexp:
		if d.Pattern != "" {
			return fmt.Sprintf(`invalid regular expression "%s": %s`, name(d.Pattern), strings.TrimPrefix(plain(d), "invalid regular expression: "))
		}
	case source.InvalidModifier:
		if d.Pattern != "" && d.OtherText != "" {
			return fmt.Sprintf("invalid modifier combination: %s %s: string \"%s\"", word(d.OtherText), word(d.Text), name(d.Pattern))
		}
	case source.WrongVariables:
		if d.OtherText != "" {
			return fmt.Sprintf(`wrong number of variables: the loop has %s, "%s" yields %s`, strings.TrimSuffix(d.Label, " here"), oneLine(d.OtherText), strings.TrimPrefix(d.OtherLabel, "this yields "))
		}
	case source.SlowPattern:
		form = `string "%s" may slow down scanning`
	case source.GreedyDotStar:
		of = d.Pattern
		form = `%s contains .*, .+ or .{x,} consider using .{,N}, .{1,N} or {x,N} with a reasonable value for N`
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
	case form == "" && d.Pattern != "":
		return fmt.Sprintf(`%s: string "%s"`, plain(d), name(d.Pattern))
	case form == "":
		return plain(d)
	case strings.Contains(form, "%s"):
		return fmt.Sprintf(form, name(of))
	}
	return form
}

// plain is what is wrong in our own words, on one line.
func plain(d yara.Diagnostic) string {
	s := strings.ReplaceAll(d.Title, "`", `"`)
	if d.Label != "" {
		s += ": " + strings.ReplaceAll(d.Label, "`", `"`)
	}
	return s
}

// function is the name of the function that a call calls.
func function(call string) string {
	s, _, _ := strings.Cut(call, "(")
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '.')+1:]
}

// word is the first word of some rule text: of "xor(1-2)" the modifier.
func word(text string) string {
	if i := strings.IndexAny(text, "( \t\r\n"); i > 0 {
		return text[:i]
	}
	return text
}

// oneLine is rule text on one line that is not too long.
func oneLine(text string) string { return name(strings.Join(strings.Fields(text), " ")) }

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
