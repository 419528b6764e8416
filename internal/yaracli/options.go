// Package yaracli is yara's command line: its options, what it prints, and its words
// for what goes wrong, so that what was written for yara works with the name changed.
//
// Source: yara 4.2.3 as it behaves, and the documentation of 4.5 for options that are newer
// ("Running YARA from the command-line").
package yaracli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Options are the options of the command. Those that are not yara's come last.
type Options struct {
	Strings, Length, XorKey, Meta, Tags, Namespace bool // what is printed of a match
	Negate, Count                                  bool
	TagNames, Identifiers                          []string
	MaxRules                                       int64
	Recursive, NoFollow, ScanList                  bool
	SkipLarger                                     int64 // bytes; 0: no file is
	Threads                                        int64
	Timeout                                        int64    // seconds
	Defines                                        []string // NAME=VALUE
	ModuleData                                     []string // MODULE=FILE
	Fast, ModuleDump, Stats, NoConsole             bool
	Compiled                                       bool
	NoWarnings, FailOnWarnings, StrictEscape       bool
	MaxStrings                                     int64 // of a rule
	Version, Help, ModuleNames                     bool
	// Taken, and without effect here.
	StackSize, MaxChunk int64
	AtomTable           string

	Dialect     string
	Relaxed     bool
	IncludeDirs []string
	NoIncludes  bool
	Containers  bool
	Jail        string
}

// MaxThreads is the most threads that yara takes.
const MaxThreads = 32

// option is one option: exactly one of the pointers is set.
type option struct {
	short byte
	long  string
	arg   string // what the argument is called
	help  string
	flag  *bool
	int   *int64
	text  *string
	texts *[]string
	given bool
}

// mostTexts is how often an option with a text may be given.
const mostTexts = 32

// list are all options, in the order of the help.
func (o *Options) list() []option {
	return []option{
		{long: "atom-quality-table", arg: "FILE", help: "taken, without effect: atoms are chosen otherwise", text: &o.AtomTable},
		{short: 'C', long: "compiled-rules", help: "RULES is what `showcause rules compile` wrote", flag: &o.Compiled},
		{short: 'c', long: "count", help: "print only the number of rules that match", flag: &o.Count},
		{short: 'E', long: "strict-escape", help: "warn of escapes that mean nothing", flag: &o.StrictEscape},
		{short: 'd', long: "define", arg: "VAR=VALUE", help: "define an external variable", texts: &o.Defines},
		{short: 'q', long: "disable-console-logs", help: "leave out what rules say with the console module", flag: &o.NoConsole},
		{long: "fail-on-warnings", help: "take a warning for an error", flag: &o.FailOnWarnings},
		{short: 'f', long: "fast-scan", help: "one match of each string where that is enough", flag: &o.Fast},
		{short: 'h', long: "help", help: "show this help", flag: &o.Help},
		{short: 'i', long: "identifier", arg: "IDENTIFIER", help: "print only the rules of that name", texts: &o.Identifiers},
		{long: "max-process-memory-chunk", arg: "NUMBER", help: "taken, without effect: processes are not scanned", int: &o.MaxChunk},
		{short: 'l', long: "max-rules", arg: "NUMBER", help: "stop after so many rules have matched", int: &o.MaxRules},
		{long: "max-strings-per-rule", arg: "NUMBER", help: "refuse rules with more strings (default 10000)", int: &o.MaxStrings},
		{short: 'x', long: "module-data", arg: "MODULE=FILE", help: "give a file to a module (cuckoo)", texts: &o.ModuleData},
		{short: 'M', long: "module-names", help: "list the modules", flag: &o.ModuleNames},
		{short: 'n', long: "negate", help: "print the rules that do not match", flag: &o.Negate},
		{short: 'N', long: "no-follow-symlinks", help: "leave out symbolic links in folders", flag: &o.NoFollow},
		{short: 'w', long: "no-warnings", help: "leave out warnings", flag: &o.NoWarnings},
		{short: 'm', long: "print-meta", help: "print metadata", flag: &o.Meta},
		{short: 'D', long: "print-module-data", help: "print what the modules say of the file", flag: &o.ModuleDump},
		{short: 'e', long: "print-namespace", help: "print the namespace", flag: &o.Namespace},
		{short: 'S', long: "print-stats", help: "print what the rules are made of", flag: &o.Stats},
		{short: 's', long: "print-strings", help: "print the strings that matched", flag: &o.Strings},
		{short: 'L', long: "print-string-length", help: "print their lengths", flag: &o.Length},
		{short: 'X', long: "print-xor-key", help: "print the key and the text of xor strings", flag: &o.XorKey},
		{short: 'g', long: "print-tags", help: "print tags", flag: &o.Tags},
		{short: 'r', long: "recursive", help: "go into folders", flag: &o.Recursive},
		{long: "scan-list", help: "TARGET is a list of files, one a line", flag: &o.ScanList},
		{short: 'z', long: "skip-larger", arg: "NUMBER", help: "leave out files in folders that have as many bytes or more", int: &o.SkipLarger},
		{short: 'k', long: "stack-size", arg: "SLOTS", help: "taken, without effect: the stack is bounded by the rule", int: &o.StackSize},
		{short: 't', long: "tag", arg: "TAG", help: "print only the rules with that tag", texts: &o.TagNames},
		{short: 'p', long: "threads", arg: "NUMBER", help: "files scanned at a time in a folder", int: &o.Threads},
		{short: 'a', long: "timeout", arg: "SECONDS", help: "stop after so many seconds", int: &o.Timeout},
		{short: 'v', long: "version", help: "show the version", flag: &o.Version},
		{long: "dialect", arg: "DIALECT", help: "yara (YARA 4.5) or yara-x; default: what either takes", text: &o.Dialect},
		{long: "relaxed-re-syntax", help: "regular expressions of yara-x as YARA 4 takes them", flag: &o.Relaxed},
		{long: "include-dir", arg: "DIR", help: "look for included files here too", texts: &o.IncludeDirs},
		{long: "no-includes", help: "refuse include", flag: &o.NoIncludes},
		{long: "containers", help: "look inside archives, mails and other containers too", flag: &o.Containers},
		{long: "top-only", help: "the default: only the bytes of the file itself, as yara does", flag: new(bool)},
		{long: "jail", arg: "on|off", help: "off: read files in this process", text: &o.Jail},
	}
}

// Parse reads arguments as yara does: options first or between, an argument of a
// short one after a space, of a long one after "=" (here also after a space). rest
// are the rules and the target. An error is what yara prints.
func Parse(args []string) (o *Options, rest []string, err error) {
	o = &Options{Threads: MaxThreads, Timeout: 1_000_000, Jail: "on"}
	opts := o.list()
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case len(arg) > 2 && strings.HasPrefix(arg, "--"):
			name, value, given := strings.Cut(arg[2:], "=")
			opt := findLong(opts, name)
			if opt == nil {
				return nil, nil, fmt.Errorf("unknown option `%s`", arg)
			}
			if !given && opt.flag == nil && i+1 < len(args) {
				i++
				value, given = args[i], true
			}
			if err := opt.set(arg, value, given); err != nil {
				return nil, nil, err
			}
		case len(arg) > 1 && arg[0] == '-' && arg[1] != '-':
			used, err := short(opts, arg, args[i+1:])
			if err != nil {
				return nil, nil, err
			}
			if used {
				i++
			}
		default:
			rest = append(rest, arg)
		}
	}
	return o, rest, nil
}

// short reads one argument with short options. It tells whether the next was used.
func short(opts []option, arg string, next []string) (used bool, err error) {
	for j := 1; j < len(arg); j++ {
		opt := findShort(opts, arg[j])
		switch {
		case opt == nil:
			return false, fmt.Errorf("unknown option `%s`", arg)
		case opt.flag != nil:
			err = opt.set(arg, "", false)
		case j+1 < len(arg): // yara wants a space
			return false, opt.set(arg, arg[j+1:], j == 1)
		case len(next) == 0:
			err = opt.set(arg, "", false)
		default:
			err, used = opt.set(arg, next[0], true), true
		}
		if err != nil {
			return false, err
		}
	}
	return used, nil
}

func findLong(opts []option, name string) *option {
	for i := range opts {
		if opts[i].long == name {
			return &opts[i]
		}
	}
	return nil
}

func findShort(opts []option, c byte) *option {
	for i := range opts {
		if opts[i].short == c {
			return &opts[i]
		}
	}
	return nil
}

// set gives an option its value. arg is how it was written.
func (p *option) set(arg, value string, given bool) error {
	if p.given && p.texts == nil {
		return fmt.Errorf("too many `%s` options", arg)
	}
	p.given = true
	switch {
	case p.flag != nil && given:
		return fmt.Errorf("option `%s` doesn't expect an argument", arg)
	case p.flag != nil:
		*p.flag = true
	case p.int != nil:
		n, err := strconv.ParseInt(value, 0, 64)
		if !given || err != nil {
			return fmt.Errorf("option `%s` requires an integer argument", arg)
		}
		*p.int = n
	case !given:
		return fmt.Errorf("option `%s` requires a string argument", arg)
	case p.text != nil:
		*p.text = value
	case len(*p.texts) == mostTexts:
		return fmt.Errorf("too many `%s` options", arg)
	default:
		*p.texts = append(*p.texts, value)
	}
	return nil
}

// usage is the line that says how the command is called.
const usage = "Usage: yara [OPTION]... [NAMESPACE:]RULES_FILE... FILE | DIR | PID"

// ErrArguments is the error where rules or target are missing, in yara's words.
var ErrArguments = errors.New("yara: wrong number of arguments\n" + usage + "\n\nTry `--help` for more options")

// Help is the text of --help.
func Help() string {
	var b strings.Builder
	b.WriteString("Scan with YARA rules, with the options and the output of yara.\n" +
		"Usage: showcause yara [OPTION]... [NAMESPACE:]RULES_FILE... FILE | DIR\n\n" +
		"Files are read by processes without a network (see: showcause scan --help).\n\n")
	o := Options{}
	for _, p := range o.list() {
		s := "      "
		if p.short != 0 {
			s = "  -" + string(p.short) + ", "
		}
		s += "--" + p.long
		if p.arg != "" {
			s += "=" + p.arg
		}
		fmt.Fprintf(&b, "%-40s %s\n", s, p.help)
	}
	return b.String()
}
