package rules_test

import (
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

// BenchmarkDefault is what every start with the built-in rules costs.
func BenchmarkDefault(b *testing.B) {
	for range b.N {
		db, err := rules.Default()
		if err != nil {
			b.Fatal(err)
		}
		scan.New(db, scan.Options{}).Scan(showcause.Bytes("x"))
	}
}
