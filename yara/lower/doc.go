// Package lower makes rules of YARA's language into package rule's: strings into
// patterns and regular expressions, conditions into code, and what must hold of
// the patterns and of the first bytes for the code to have a chance.
package lower
