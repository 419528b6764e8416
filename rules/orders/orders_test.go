package orders

import (
	"slices"
	"testing"

	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/rules/products"
)

func TestShipped(t *testing.T) {
	set, err := product.Load(products.Files())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range IDs() {
		o, err := Order(id)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if o.ID != id {
			t.Errorf("%s.yaml has the id %s", id, o.ID)
		}
		if o.Template {
			continue
		}
		if len(o.Sources) == 0 || len(o.Doubts) == 0 {
			t.Errorf("%s: an order that ships has sources, and says what is not confirmed", id)
		}
		var named []string
		for _, p := range o.Covers.Products {
			named = append(named, p.Identities...)
		}
		for _, x := range o.Covers.Exclusions {
			named = append(named, x.Identities...)
		}
		for _, n := range named {
			if !slices.ContainsFunc(set.Products, func(p product.Product) bool { return p.ID == n }) {
				t.Errorf("%s: %s is no product that identities lead to", id, n)
			}
		}
	}
}

// TikTok is covered by the clause that names it; others of its maker, and its code in
// applications of others, are not.
func TestTikTok(t *testing.T) {
	o, err := Order("far-52-204-27")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{"government-it": "yes", "incidental": "no", "excepted": "no"}
	for _, v := range []struct {
		id    string
		class directive.Class
		want  directive.Verdict
	}{
		{"bytedance.tiktok", directive.Installed, directive.Covered},
		{"bytedance.capcut", directive.Installed, directive.NotCovered},
		{"bytedance.sdk", directive.Embedded, directive.NotCovered},
	} {
		if j := o.Judge(directive.Article{Vendor: "bytedance", Identity: v.id, Class: v.class}, answers); j.Verdict != v.want {
			t.Errorf("%s: %+v, want %s", v.id, j, v.want)
		}
	}
}
