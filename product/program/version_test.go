package program_test

import (
	"slices"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/estate"
	"github.com/showcause/showcause/product/look"
	"github.com/showcause/showcause/product/program"
)

// TestOtherAlphabets holds that names in a version resource are read in any alphabet, whole.
func TestOtherAlphabets(t *testing.T) {
	const company = "Контора, 株式会社 𝒳"
	f := look.NewFile("/x.exe", showcause.Bytes(estate.PE(nil, "CompanyName", company)))
	o := &look.Out{}
	for _, r := range program.Readers() {
		if r.Match(f) {
			r.Read(f, o)
		}
	}
	for _, ob := range o.Observations {
		if slices.ContainsFunc(ob.Facts, func(x product.Fact) bool { return x.Kind == product.Company && x.Value == company }) {
			return
		}
	}
	t.Errorf("%+v, %v", o.Observations, o.Gaps)
}
