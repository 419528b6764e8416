//go:build !amd64

package literal

// No assembly for this machine: see kernel_amd64.go.

type (
	vectors      struct{}
	shortVectors struct{}
)

func hasVectors() bool { return false }

func (*vectors) fill(*tier)         {}
func (*shortVectors) fill([]uint32) {}

func (t *tier) probeVector(b []byte, groups int, out []byte) { t.probePlain(b, groups, out) }

func (t *tier) lookVector(b []byte, places []uint32, back int, out []byte) {
	t.lookPlain(b, places, back, out)
}

func (t *shortTier) probeVector(b []byte, groups int, out []byte) { t.probePlain(b, groups, out) }

func (t *shortTier) fitVector(b []byte, places []uint32, out []byte) { t.fitPlain(b, places, out) }

func deltasVector(dst, b []byte) int { return 0 }
