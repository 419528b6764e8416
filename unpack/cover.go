package unpack

// maxCovered is how many stretches that Cover is told of are kept.
const maxCovered = 1 << 18

// Cover says that what stands in [off, off+n) of the layer was given as a child or
// as a part of one, as Section does by itself.
func (o *Out) Cover(off, n int64) {
	s := Span{off, off + n}
	if k := len(o.covered); off < 0 || n <= 0 || s.To < 0 || k >= maxCovered || k > 0 && o.covered[k-1] == s {
		return
	}
	o.covered = append(o.covered, s)
}
