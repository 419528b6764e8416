// Package yara compiles YARA rules and scans with them, in Go alone.
//
// It takes all of the language of YARA 4.5 and of YARA-X 1.x, with their modules (pe,
// elf, macho, dotnet, dex, lnk, math, hash, string, time, console and others).
//
//	rules, err := yara.Compile(text, yara.Options{})
//	result, err := rules.Scan(data, yara.ScanOptions{})
//	for _, m := range result.Matches {
//		fmt.Println(m.Namespace, m.Name, m.Tags)
//		for _, f := range m.Found {
//			fmt.Printf("%s at %d: %q\n", f.Pattern, f.Offset, f.Data)
//		}
//	}
//
// Rules are safe for concurrent use. Whoever scans much takes a Scanner for each
// goroutine. Compiled rules are saved with Save; Load maps them, which takes
// milliseconds, and proves them first, so that a damaged file is an error.
//
// Scanning happens in the process that calls it: memory-safe, its work bounded, and
// with no lock around it. The command scans in processes that the kernel has locked in.
//
// Whatever an input holds, scanning it does not fail: what could not be looked at is
// in Result.Gaps, and Result.Complete says whether there is nothing of that kind. A
// rule that did not match an input that is not complete may match it.
//
// What the package is made of:
//
//	yara/source  text, places in it, diagnostics
//	yara/syntax  the text as a tree
//	yara/module  the types of what modules say
//	yara/check   names, types, constants, warnings
//	yara/eval    conditions run as they stand: what a compiled form is held against
//	yara/code    conditions compiled
//	yara/lower   strings and conditions as what a database of rules holds
//	yara/fields  what the modules say
//	yara/author  why a rule matched, tests beside rules, what rules cost
package yara
