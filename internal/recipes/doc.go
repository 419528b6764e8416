// Package recipes has no code of its own: its tests start real programs of others as
// docs/recipes.md says, before a Showcause that runs, and hear what these say of EICAR
// and of a clean file.
package recipes
