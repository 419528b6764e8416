package code

import "testing"

// TestShapes holds that every op has a shape.
func TestShapes(t *testing.T) {
	for op := Jump; op < ops; op++ {
		if shapes[op] == (shape{}) {
			t.Errorf("op %d has no shape", op)
		}
	}
}
