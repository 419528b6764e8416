package orders

import (
	"testing"

	"github.com/showcause/showcause/directive"
)

func TestShipped(t *testing.T) {
	for _, id := range IDs() {
		o, err := Order(id)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if o.ID != id {
			t.Errorf("%s.yaml has the id %s", id, o.ID)
		}
		if !o.Template && (len(o.Sources) == 0 || len(o.Doubts) == 0) {
			t.Errorf("%s: an order that ships has sources, and says what is not confirmed", id)
		}
		_ = directive.Covered
	}
}
