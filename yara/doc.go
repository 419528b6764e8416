// Package yara turns YARA rule text into rules. What it is made of:
//
//	yara/source  text, places in it, diagnostics
//	yara/syntax  the text as a tree
//	yara/module  the types of what modules say
//	yara/check   names, types, constants, warnings
//	yara/eval    conditions run as they stand: what a compiled form is held against
package yara
