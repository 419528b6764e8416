package showcause

// Limits bound what one input may cost. The zero value of a field means its
// default. All are counted, none is timed, so that a report is a function of
// the bytes, the rules and the limits alone.
type Limits struct {
	FileSize int64 `json:"file_size"` // bytes of one layer that are looked at; default 4 GiB for children, no bound for the input itself
	ScanSize int64 `json:"scan_size"` // bytes of all layers below the input together; default 4 GiB
	Objects  int64 `json:"objects"`   // layers below the input; default 100,000
	Depth    int   `json:"depth"`     // steps of a trail; default 32
	Ratio    int64 `json:"ratio"`     // expanded bytes for each byte of input, once RatioFloor bytes came out, and 2 GiB of zeros out of deflate; default 250
	Work     int64 `json:"work"`      // steps; default 4e9
}

// RatioFloor is the expanded size in bytes below which no ratio is judged. Zeros out of
// deflate raise it, by 2 GiB and a little at most.
const RatioFloor = 256 << 20

// WithDefaults returns the limits with every zero field at its default.
func (l Limits) WithDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.FileSize, 4<<30)
	def(&l.ScanSize, 4<<30)
	def(&l.Objects, 100_000)
	def(&l.Ratio, 250)
	def(&l.Work, 4_000_000_000)
	if l.Depth <= 0 {
		l.Depth = 32
	}
	return l
}
