// Package house holds no code: its test holds the table of floors in
// docs/architecture.md against the imports, and the sizes of packages, files
// and functions against their limits.
package house
