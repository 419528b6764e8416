package program

import (
	"fmt"
	"testing"

	"github.com/showcause/showcause/binary/pe"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// TestLanguages holds that what a version resource says in any of its languages is seen: a decoy in one hides no other.
func TestLanguages(t *testing.T) {
	o := &look.Out{}
	pairs := []pe.Pair{{Key: "CompanyName", Value: "Acme"}, {Key: "companyname", Value: "Other"}, {Key: "ProductName", Value: "x"}, {Key: "CompanyName", Value: "Other"}}
	if got := values(o, pairs, "CompanyName", product.Company); len(got) != 2 || got[0].Value != "Other" || got[1].Value != "Acme" || len(o.Gaps) > 0 {
		t.Errorf("%v, %v", got, o.Gaps)
	}
	for i := range maxValues + 1 {
		pairs = append(pairs, pe.Pair{Key: "CompanyName", Value: fmt.Sprint(i)})
	}
	if got := values(o, pairs, "CompanyName", product.Company); len(got) != maxValues || len(o.Gaps) != 1 {
		t.Errorf("%d values, %v", len(got), o.Gaps)
	}
}
