// Package ruleflags is clamscan's flags about which rules there are: they count where rules are
// compiled, which a scan does with those that are text.
package ruleflags

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/rules"
)

// Flags are what they say.
type Flags struct {
	alerts, sigs, urls, bytecode, unsigned YesNo
	pua, structured, macros, broken        YesNo
	archives, documents, ssl, cloak, disks YesNo
	names                                  YesNo
	ssnFormat, ccMode                      word
	ssnCount, ccCount                      int
	only, except                           []string
	rules                                  rules.Options // Unsigned, Certs
}

// Locks tells whether archives or documents that are encrypted are to be found.
func (r *Flags) Locks() bool { return bool(r.archives) || bool(r.documents) }

// Trust adds the flags that say whose containers are taken.
func Trust(f *pflag.FlagSet, o *rules.Options) {
	f.BoolVar(&o.Unsigned, "unsigned", false, "take ClamAV's containers (.cvd, .cld) without a signature that holds")
	f.StringVar(&o.Certs, "certs", "", "hold detached signatures of containers (.sign) against the certificates in this folder")
}

// YesNo is a flag value as clamscan takes it: --alert-encrypted[=yes|no].
type YesNo bool

func (y *YesNo) String() string {
	if *y {
		return "yes"
	}
	return "no"
}
func (y *YesNo) Type() string { return "yes|no" }

func (y *YesNo) Set(s string) error {
	switch strings.ToLower(s) {
	case "yes", "true", "1":
		*y = true
	case "no", "false", "0":
		*y = false
	default:
		return errors.New("want yes or no")
	}
	return nil
}

// Yes adds a flag that is on when named, and may be given as =yes or =no.
func Yes(f *pflag.FlagSet, v *YesNo, name, short, usage string) {
	f.VarPF(v, name, short, usage).NoOptDefVal = "yes"
}

// word is a flag value that is one of a few.
type word struct {
	value string
	of    []string
}

func (w *word) String() string { return w.value }
func (w *word) Type() string   { return "number" }

func (w *word) Set(s string) error {
	for _, v := range w.of {
		if v == s {
			w.value = s
			return nil
		}
	}
	return fmt.Errorf("want one of %q", w.of)
}

// AddAlerts adds those that ask for more than there is without them.
func (r *Flags) AddAlerts(f *pflag.FlagSet) {
	Yes(f, &r.documents, "alert-encrypted-doc", "", "PDF files that need a password are found")
	Yes(f, &r.archives, "alert-encrypted-archive", "", "archives that need a password are found")
	Yes(f, &r.macros, "alert-macros", "", "documents with macros are found (VBA, XLM)")
	Yes(f, &r.broken, "alert-broken", "", "programs that are broken are found (PE, ELF)")
	Yes(f, &r.disks, "alert-partition-intersection", "", "images of disks whose partitions overlap are found (MBR, GPT)")
	Yes(f, &r.names, "alert-pdf-names", "", "PDF files are found in which names that matter are written with escapes, /Java#53cript")
	Yes(f, &r.ssl, "alert-phishing-ssl", "", "links of mails that show https: and lead elsewhere are found")
	Yes(f, &r.cloak, "alert-phishing-cloak", "", "links of mails that hide where they lead are found")
	Yes(f, &r.structured, "detect-structured", "", "texts with numbers of cards or of US social security are found")
	f.IntVar(&r.ccCount, "structured-cc-count", 3, "with --detect-structured: how many numbers of cards it takes")
	f.IntVar(&r.ssnCount, "structured-ssn-count", 3, "with --detect-structured: how many numbers of social security it takes")
	r.ccMode, r.ssnFormat = word{"0", []string{"0", "1"}}, word{"0", []string{"0", "1", "2"}}
	f.Var(&r.ccMode, "structured-cc-mode", "with --detect-structured: 0 any card, 1 credit cards")
	f.Var(&r.ssnFormat, "structured-ssn-format", "with --detect-structured: 0 078-05-1120, 1 078051120, 2 both")
}

// Add adds all of them.
func (r *Flags) Add(f *pflag.FlagSet) {
	r.AddAlerts(f)
	r.alerts, r.sigs, r.urls, r.bytecode = true, true, true, true
	Yes(f, &r.alerts, "heuristic-alerts", "", "no: none of ClamAV's heuristics, links of mails among them")
	Yes(f, &r.sigs, "phishing-sigs", "", "no: phishing data (.pdb .wdb .gdb) is left out")
	Yes(f, &r.urls, "phishing-scan-urls", "", "no: links of mails are not looked at")
	Yes(f, &r.pua, "detect-pua", "", "load signatures of possibly unwanted applications too")
	f.StringArrayVar(&r.only, "include-pua", nil, "with --detect-pua: of this category alone (repeatable)")
	f.StringArrayVar(&r.except, "exclude-pua", nil, "with --detect-pua: none of this category (repeatable)")
	Yes(f, &r.bytecode, "bytecode", "", "no: ClamAV's programs (.cbc) are left out")
	Yes(f, &r.unsigned, "bytecode-unsigned", "", "load programs that stand in no signed container, too")
	Trust(f, &r.rules)
}

// Apply sets what the flags say.
func (r *Flags) Apply(o *rules.Options) error {
	var err error
	if o.Heuristics, err = r.Heuristics(); err != nil {
		return err
	}
	if len(r.only) > 0 && len(r.except) > 0 {
		return errors.New("flag --include-pua: not together with --exclude-pua")
	}
	if r.pua {
		o.PUA, o.PUAOnly, o.PUAExcept = true, r.only, r.except
	}
	o.BytecodeUnsigned, o.NoBytecode = bool(r.unsigned), !bool(r.bytecode)
	o.Unsigned, o.Certs = r.rules.Unsigned, r.rules.Certs
	o.Heuristics.Off, o.Heuristics.NoLinks = !bool(r.alerts), !bool(r.sigs) || !bool(r.urls)
	return nil
}

// Heuristics are what those of AddAlerts say.
func (r *Flags) Heuristics() (o heuristic.Options, err error) {
	for name, n := range map[string]int{"structured-cc-count": r.ccCount, "structured-ssn-count": r.ssnCount} {
		if n < 1 {
			return o, fmt.Errorf("flag --%s: want at least 1, have %d", name, n)
		}
	}
	return heuristic.Options{
		PhishingSSL: bool(r.ssl), PhishingCloak: bool(r.cloak),
		EncryptedArchives: bool(r.archives), EncryptedDocuments: bool(r.documents), Macros: bool(r.macros),
		BrokenPrograms: bool(r.broken), Partitions: bool(r.disks), Names: bool(r.names),
		Structured: bool(r.structured), CardCount: r.ccCount, CreditOnly: r.ccMode.value == "1", SSNCount: r.ssnCount,
		SSNStripped: r.ssnFormat.value == "1", SSNBoth: r.ssnFormat.value == "2",
	}, nil
}

// Settled refuses flags about rules that are compiled already.
func (r *Flags) Settled(f *pflag.FlagSet, db []string) error {
	if len(db) != 1 {
		return nil
	}
	if _, path := rules.Split(db[0]); !rules.IsCompiled(path) {
		return nil
	}
	var all pflag.FlagSet
	(&Flags{}).Add(&all)
	var err error
	f.Visit(func(flag *pflag.Flag) {
		locks := strings.HasPrefix(flag.Name, "alert-encrypted") // which gaps tell, too
		if err == nil && !locks && all.Lookup(flag.Name) != nil {
			err = fmt.Errorf("flag --%s: the rules are compiled: it goes with rules compile", flag.Name)
		}
	})
	return err
}
