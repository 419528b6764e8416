package source

// Errors.
const (
	// Text and syntax.
	SyntaxError       Code = "syntax_error"
	InvalidEscape     Code = "invalid_escape"
	InvalidUTF8       Code = "invalid_utf8"
	UnclosedText      Code = "unclosed_text"   // a text, regular expression or comment without its end
	InvalidInteger    Code = "invalid_integer" // a literal that 64 bits do not hold
	InvalidHex        Code = "invalid_hex"     // a hex pattern
	InvalidRegexp     Code = "invalid_regexp"  // a regular expression
	IdentifierTooLong Code = "identifier_too_long"
	NestingTooDeep    Code = "nesting_too_deep"
	TooLarge          Code = "too_large" // a pattern or rule past a limit of this program

	// Names.
	DuplicateRule      Code = "duplicate_rule"
	DuplicateTag       Code = "duplicate_tag"
	DuplicatePattern   Code = "duplicate_pattern"
	DuplicateVariable  Code = "duplicate_variable"
	DuplicateModifier  Code = "duplicate_modifier"
	ConflictingName    Code = "conflicting_name" // a rule named as a module or an external variable
	RuleInSet          Code = "rule_in_set"      // a rule that an earlier set of rules would have meant
	UnknownIdentifier  Code = "unknown_identifier"
	UnknownField       Code = "unknown_field"
	UnknownModule      Code = "unknown_module"
	InvalidModuleName  Code = "invalid_module_name"
	UnknownPattern     Code = "unknown_pattern"
	UnusedPattern      Code = "unused_pattern"
	EmptySet           Code = "empty_set"           // a set of patterns or rules that nothing is in
	MisplacedAnonymous Code = "misplaced_anonymous" // $ # @ ! outside a loop over patterns

	// Types and values.
	WrongType         Code = "wrong_type"
	WrongArguments    Code = "wrong_arguments"
	NotAFunction      Code = "not_a_function"
	NotIndexable      Code = "not_indexable"
	NotAStructure     Code = "not_a_structure"
	WrongVariables    Code = "wrong_variables" // as many variables as a loop yields
	IntegerOverflow   Code = "integer_overflow"
	DivisionByZero    Code = "division_by_zero"
	NegativeShift     Code = "negative_shift"
	NegativeNumber    Code = "negative_number"
	OutOfRange        Code = "out_of_range"
	InvalidRange      Code = "invalid_range"
	InvalidQuantifier Code = "invalid_quantifier"
	InvalidPercent    Code = "invalid_percent"
	LoopTooDeep       Code = "loop_too_deep"

	// Patterns.
	InvalidModifier Code = "invalid_modifier"
	InvalidAlphabet Code = "invalid_alphabet"
	EmptyPattern    Code = "empty_pattern"
	PatternTooShort Code = "pattern_too_short"
	TooManyPatterns Code = "too_many_patterns"

	// Includes.
	IncludeCycle    Code = "include_cycle"
	IncludeTooDeep  Code = "include_too_deep"
	IncludeOff      Code = "include_off"
	IncludeNotFound Code = "include_not_found"

	// Of one dialect only.
	OtherDialect Code = "other_dialect"
)

// Warnings. Those that YARA-X has too carry its names.
const (
	AmbiguousExpr          Code = "ambiguous_expr"
	BoolIntComparison      Code = "bool_int_comparison"
	ConsecutiveJumps       Code = "consecutive_jumps"
	DeprecatedField        Code = "deprecated_field"
	DuplicateImport        Code = "duplicate_import"
	DuplicatePatternValue  Code = "duplicate_pattern_value"
	GlobalRuleMisuse       Code = "global_rule_misuse"
	GreedyDotStar          Code = "greedy_dot_star"
	IgnoredRule            Code = "ignored_rule"
	InvalidMetadata        Code = "invalid_metadata"
	InvalidRuleName        Code = "invalid_rule_name"
	InvalidTag             Code = "invalid_tag"
	InvariantExpr          Code = "invariant_expr"
	MissingMetadata        Code = "missing_metadata"
	NonBoolExpr            Code = "non_bool_expr"
	PotentiallySlowLoop    Code = "potentially_slow_loop"
	RedundantModifier      Code = "redundant_modifier"
	SlowPattern            Code = "slow_pattern"
	TextAsHex              Code = "text_as_hex"
	TooManyIterations      Code = "too_many_iterations"
	UnintendedPatternInSet Code = "unintended_pattern_in_set"
	UnknownTag             Code = "unknown_tag"
	UnsatisfiableExpr      Code = "unsatisfiable_expr"
	UnsupportedModule      Code = "unsupported_module"
	UnusedIdentifier       Code = "unused_identifier"
	DeprecatedKeyword      Code = "deprecated_keyword" // entrypoint
	UnknownEscape          Code = "unknown_escape"     // in a regular expression: the letter itself
	DialectsDisagree       Code = "dialects_disagree"  // both accept the text, and mean different things
)

// YARAName is the name that YARA 4.5 gives to an error (libyara/include/yara/error.h),
// empty if it has none.
func (c Code) YARAName() string {
	switch c {
	case SyntaxError, InvalidEscape, InvalidUTF8, UnclosedText, InvalidInteger, IdentifierTooLong,
		WrongVariables, OtherDialect:
		return "ERROR_SYNTAX_ERROR"
	case InvalidHex:
		return "ERROR_INVALID_HEX_STRING"
	case InvalidRegexp:
		return "ERROR_INVALID_REGULAR_EXPRESSION"
	case DuplicateRule, ConflictingName:
		return "ERROR_DUPLICATED_IDENTIFIER"
	case DuplicateTag:
		return "ERROR_DUPLICATED_TAG_IDENTIFIER"
	case DuplicatePattern:
		return "ERROR_DUPLICATED_STRING_IDENTIFIER"
	case DuplicateVariable:
		return "ERROR_DUPLICATED_LOOP_IDENTIFIER"
	case DuplicateModifier:
		return "ERROR_DUPLICATED_MODIFIER"
	case RuleInSet:
		return "ERROR_IDENTIFIER_MATCHES_WILDCARD"
	case UnknownIdentifier:
		return "ERROR_UNDEFINED_IDENTIFIER"
	case UnknownField:
		return "ERROR_INVALID_FIELD_NAME"
	case UnknownModule:
		return "ERROR_UNKNOWN_MODULE"
	case InvalidModuleName:
		return "ERROR_INVALID_MODULE_NAME"
	case UnknownPattern, EmptySet:
		return "ERROR_UNDEFINED_STRING"
	case UnusedPattern:
		return "ERROR_UNREFERENCED_STRING"
	case MisplacedAnonymous:
		return "ERROR_MISPLACED_ANONYMOUS_STRING"
	}
	return c.yaraValue()
}

// yaraValue is YARAName of errors of types, values, patterns and includes.
func (c Code) yaraValue() string {
	switch c {
	case WrongType:
		return "ERROR_WRONG_TYPE"
	case WrongArguments:
		return "ERROR_WRONG_ARGUMENTS"
	case NotAFunction:
		return "ERROR_NOT_A_FUNCTION"
	case NotIndexable:
		return "ERROR_NOT_INDEXABLE"
	case NotAStructure:
		return "ERROR_NOT_A_STRUCTURE"
	case IntegerOverflow:
		return "ERROR_INTEGER_OVERFLOW"
	case DivisionByZero:
		return "ERROR_DIVISION_BY_ZERO"
	case NegativeShift:
		return "ERROR_INVALID_OPERAND"
	case InvalidRange, InvalidQuantifier, NegativeNumber, OutOfRange:
		return "ERROR_INVALID_VALUE"
	case InvalidPercent:
		return "ERROR_INVALID_PERCENTAGE"
	case LoopTooDeep:
		return "ERROR_LOOP_NESTING_LIMIT_EXCEEDED"
	case InvalidModifier, InvalidAlphabet:
		return "ERROR_INVALID_MODIFIER"
	case EmptyPattern:
		return "ERROR_EMPTY_STRING"
	case TooManyPatterns:
		return "ERROR_TOO_MANY_STRINGS"
	case IncludeCycle:
		return "ERROR_INCLUDES_CIRCULAR_REFERENCE"
	case IncludeTooDeep:
		return "ERROR_INCLUDE_DEPTH_EXCEEDED"
	}
	return ""
}
