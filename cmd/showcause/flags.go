package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause/internal/ruleflags"
)

// byteSize is a flag value in bytes: 4096, 25M, 1G (powers of 1024, as clamscan's).
type byteSize int64

func (b *byteSize) String() string { return strconv.FormatInt(int64(*b), 10) }
func (b *byteSize) Type() string   { return "size" }

func (b *byteSize) Set(s string) error {
	shift := 0
	digits := strings.TrimSuffix(strings.ToUpper(s), "B")
	if n := len(digits); n > 0 {
		if i := strings.IndexByte("KMGT", digits[n-1]); i >= 0 {
			shift = 10 * (i + 1)
			digits = digits[:n-1]
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > (1<<62)>>shift {
		return errors.New("want a number of bytes such as 4096, 25M or 1G")
	}
	*b = byteSize(n << shift)
	return nil
}

// milliseconds is a flag value: a number of them, as clamscan takes it, or with a unit.
type milliseconds int64

func (m *milliseconds) String() string { return strconv.FormatInt(int64(*m), 10) }
func (m *milliseconds) Type() string   { return "time" }

func (m *milliseconds) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if d, derr := time.ParseDuration(s); err != nil && derr == nil {
		n, err = d.Milliseconds(), nil
	}
	if err != nil || n < 0 || n > 1<<40 {
		return errors.New("want a number of milliseconds such as 120000, or 90s or 5m")
	}
	*m = milliseconds(n)
	return nil
}

// always is a flag of clamscan that can only be on here.
type always struct{}

func (always) String() string { return "yes" }
func (always) Type() string   { return "yes|no" }

func (always) Set(s string) error {
	var on ruleflags.YesNo
	if err := on.Set(s); err != nil {
		return err
	}
	if !on {
		return errors.New("all that can be read is read")
	}
	return nil
}

// scanFlags adds clamscan's --scan-mail, --scan-archive and so on.
func scanFlags(f *pflag.FlagSet) {
	for _, what := range []string{"archive", "mail", "pe", "elf", "ole2", "pdf", "swf", "html", "xmldocs", "hwp3", "onenote", "image"} {
		flag := f.VarPF(always{}, "scan-"+what, "", "clamscan's")
		flag.NoOptDefVal, flag.Hidden = "yes", true
	}
}

// patterns is a repeatable flag of regular expressions over paths.
type patterns []*regexp.Regexp

func (p *patterns) String() string { return "" }
func (p *patterns) Type() string   { return "regexp" }

func (p *patterns) Set(s string) error {
	re, err := regexp.Compile(s)
	if err != nil {
		return fmt.Errorf("%w (want a regular expression: \\.com$ for what a shell writes as *.com)", err)
	}
	*p = append(*p, re)
	return nil
}

func (p patterns) match(path string) bool {
	for _, re := range p {
		if re.MatchString(path) {
			return true
		}
	}
	return false
}

// noMeaning are flags of clamscan that have none here, and why.
var noMeaning = map[string]string{
	"max-scantime":       "limits are counted, so that a report does not depend on the machine's speed; use --max-work",
	"remove":             "scan changes nothing",
	"move":               "scan changes nothing",
	"copy":               "scan changes nothing",
	"leave-temps":        "there are no temporary files with names",
	"tempdir":            "set TMPDIR",
	"gen-json":           "use --format json",
	"alert-broken-media": "pictures that are broken are no finding; what could not be read of one is said",
	"bytecode-timeout":   "programs are bounded by steps, not by time; use --max-work",
	"statistics":         "there are none",
	"nocerts":            "certificates of programs make nothing clean that rules find",
	"normalize":          "files are searched as they are and normalised, always",
	"log":                "redirect standard output",
	"debug":              "use --explain and --verbose",

	"follow-dir-symlinks":  "links are followed when named on the command line only",
	"follow-file-symlinks": "links are followed when named on the command line only",
	"official-db-only":     "name the files with --db",
}

// suggestFlag makes an error about flags useful: the nearest flag, or why there is none.
func suggestFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return fmt.Errorf("%w (see: %s --help)", err, c.CommandPath())
	}
	name := unknown.GetSpecifiedName()
	if why, ok := noMeaning[name]; ok {
		return fmt.Errorf("flag --%s: %s", name, why)
	}
	if name == "l" {
		return fmt.Errorf("flag -l: %s", noMeaning["log"])
	}
	best, distance := "", len(name)/3+1
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if d := editDistance(name, f.Name); d < distance && !f.Hidden {
			best, distance = f.Name, d
		}
	})
	if len(name) < 3 || best == "" {
		return fmt.Errorf("%w (see: %s --help)", err, c.CommandPath())
	}
	return fmt.Errorf("%w; did you mean --%s?", err, best)
}

// editDistance is the number of single-character edits between two words (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(last+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
