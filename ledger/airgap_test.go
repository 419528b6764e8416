//go:build airgap

package ledger

// fetchChild has nothing to fetch with.
func fetchChild([]string) {}
