package unpack

// Cover says that a child was given for what stands in [off, off+n) of the layer,
// as Section does by itself.
func (o *Out) Cover(off, n int64) {
	if n > 0 {
		o.covered = append(o.covered, Span{off, off + n})
	}
}
