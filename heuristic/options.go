package heuristic

import (
	"fmt"
	"slices"
	"strings"
)

// Options say which heuristics there are. The zero value is what clamscan does by itself.
type Options struct {
	Off bool // none at all

	PhishingSSL   bool // links of mails that show https: and lead elsewhere, to any host
	PhishingCloak bool // links of mails that hide where they lead
	NoLinks       bool // links of mails are not looked at

	EncryptedArchives  bool
	EncryptedDocuments bool
	Macros             bool // of compound files
	BrokenPrograms     bool
	Partitions         bool // that overlap
	Names              bool // of PDF that are written with escapes

	Structured  bool // numbers of cards and of US social security
	CardCount   int  // how many it takes; 0: 3
	CreditOnly  bool // no debit cards
	SSNCount    int  // how many it takes; 0: 3
	SSNStripped bool // without hyphens
	SSNBoth     bool // with hyphens or without
	NoSSN       bool // numbers of cards alone
}

// Order puts names of what heuristics found behind those of signatures, or before them, and
// changes nothing else: clamscan says the latter only with --heuristic-scan-precedence.
func Order(names []string, first bool) {
	slices.SortStableFunc(names, func(a, b string) int {
		x, y := strings.HasPrefix(a, prefix), strings.HasPrefix(b, prefix)
		switch {
		case x == y:
			return 0
		case x == first:
			return -1
		}
		return 1
	})
}

const prefix = "Heuristics."

// Texts returns the texts of the rules that the options ask for.
func (o *Options) Texts(lines []Line) (out []string, err error) {
	if o.Off {
		return nil, nil
	}
	if !o.NoLinks {
		if out, err = linkTexts(lines, o); err != nil {
			return nil, err
		}
	}
	if o.EncryptedArchives {
		out = append(out, LockedZip, LockedRAR, Locked7z, LockedEGG)
	}
	if o.EncryptedDocuments {
		out = append(out, LockedPDF)
	}
	if o.Macros {
		out = append(out, MacrosVBA, MacrosXLM)
	}
	if o.BrokenPrograms {
		out = append(out, Broken)
	}
	if o.Names {
		out = append(out, Names)
	}
	if o.Partitions {
		out = append(out, OverlapMBR, OverlapGPT)
	}
	if o.Structured {
		head := fmt.Sprintf("%s;count=%d", Cards, orThree(o.CardCount))
		if o.CreditOnly {
			head += ";credit-only"
		}
		if out = append(out, head); !o.NoSSN {
			out = append(out, fmt.Sprintf("%s;count=%d;%s", Security, orThree(o.SSNCount), strings.Join(o.forms(), ";")))
		}
	}
	return out, nil
}

func orThree(n int) int {
	if n < 1 {
		return 3
	}
	return n
}

func (o *Options) forms() (out []string) {
	if !o.SSNStripped || o.SSNBoth {
		out = append(out, "hyphens")
	}
	if o.SSNStripped || o.SSNBoth {
		out = append(out, "stripped")
	}
	return out
}
