package worker

import "github.com/showcause/showcause/worker/wire"

// What reports that wait may take in the broker's memory, bytes. A caller that
// prints in the order of Submit keeps all that come behind a slow file.
const maxWaiting = 256 << 20

// waiting is what the reports weigh that are answered, while a file that was
// submitted before is not.
type waiting struct {
	first   uint64  // the first job without an answer
	weights []int64 // of the jobs from it on; -1 is one without an answer
	total   int64
}

// submitted notes the next job.
func (w *waiting) submitted(id uint64) {
	if len(w.weights) == 0 {
		w.first = id
	}
	w.weights = append(w.weights, -1)
}

// answered notes that a job has its answer.
func (w *waiting) answered(id uint64, weight int64) {
	if id < w.first || id-w.first >= uint64(len(w.weights)) || w.weights[id-w.first] >= 0 {
		return
	}
	w.weights[id-w.first] = weight
	w.total += weight
	n := 0
	for n < len(w.weights) && w.weights[n] >= 0 {
		w.total -= w.weights[n]
		n++
	}
	w.weights = w.weights[n:]
	w.first += uint64(n)
}

// room is what a report may weigh now.
func (w *waiting) room() int64 { return max(maxWaiting-w.total, wire.LeastRoom) }
