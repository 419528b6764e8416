package check

import "github.com/showcause/showcause/yara/source"

// batchText is the text, bytes, of the sources that InBatches parses at a time,
// at least: their trees are about fifty times as large.
const batchText = 512 << 10

// InBatches is Check for a large set. It gives the rules to take as soon as they are
// checked, some sources at a time, in order; the Result at that moment knows their
// expressions. When take is back, rules of namespaces that no later input has are
// forgotten, with all that is known of them: they are empty then, and memory does not
// grow with the set. Once there is an error, take is not called any more.
//
// The Result has the diagnostics, as Check's has, and otherwise what is not forgotten.
func InBatches(set *source.Sources, inputs []Input, o Options, take func(*Result, []*Rule)) *Result {
	last := map[string]int{} // the last input of each namespace
	for i, in := range inputs {
		last[in.Namespace] = i
	}
	c := newChecker(set, o)
	failed := 0 // diagnostics that were looked at
	for at := 0; at < len(inputs); {
		end := batchEnd(inputs, at)
		first := len(c.Rules)
		c.sources(inputs[at:end])
		for failed < len(c.Diags) && c.Diags[failed].Severity != source.Error {
			failed++
		}
		if failed == len(c.Diags) {
			take(c.Result, c.Rules[first:])
		}
		c.forget(func(namespace string) bool { return last[namespace] < end })
		at = end
	}
	c.suppress()
	c.sort()
	return c.Result
}

// batchEnd is the index after the last input of the batch that begins at a given one.
func batchEnd(inputs []Input, at int) int {
	for size := 0; at < len(inputs) && size < batchText; at++ {
		size += len(inputs[at].Source.Text)
	}
	return at
}

// forget empties the rules of namespaces that are over. A tree that something
// points into is kept as a whole, so that nothing may.
func (c *checker) forget(over func(namespace string) bool) {
	kept := c.Rules[:0]
	for _, r := range c.Rules {
		if !over(r.Namespace) {
			kept = append(kept, r)
			continue
		}
		delete(c.seen, r.Namespace)
		*r = Rule{}
	}
	clear(c.Rules[len(kept):])
	c.Rules = kept
	if len(kept) > 0 {
		return
	}
	clear(c.Types)
	clear(c.Consts)
	clear(c.Refs)
	clear(c.Sets)
	clear(c.Regexps)
}
