//go:build airgap

package ledger

// There is nothing to fetch with.
func fetchChild([]string) {}
func netChild([]string)   {}
