// Command plant writes a corpus of files that the rules of a ClamAV database
// match, and of near misses, with a manifest:
//
//	go run ./internal/plant/plant -db DIR -out DIR -n 1000 -seed 1
package main

import (
	"flag"
	"fmt"
	"os"
	"sort"

	"github.com/showcause/showcause/internal/plant"
	"github.com/showcause/showcause/rule"
)

func main() {
	db := flag.String("db", "", "file or folder of ClamAV databases")
	out := flag.String("out", "", "folder to write")
	n := flag.Int("n", 1000, "number of rules, spread over the database; 0 for all")
	seed := flag.Uint64("seed", 1, "another seed gives other files of the same rules")
	flag.Parse()
	if *db == "" || *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*db, *out, *n, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "plant:", err)
		os.Exit(2)
	}
}

func run(db, out string, n int, seed uint64) error {
	total := 0
	if err := plant.Each(db, func(*rule.Rule) error { total++; return nil }); err != nil {
		return err
	}
	if n <= 0 || n > total {
		n = total
	}
	c, err := plant.Create(out)
	if err != nil {
		return err
	}
	i := 0
	var failed error
	err = plant.Each(db, func(r *rule.Rule) error {
		i++
		if failed == nil && i*n/total > (i-1)*n/total {
			_, failed = c.Add(r, seed)
		}
		return nil
	})
	if err == nil {
		err = failed
	}
	if cerr := c.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d rules of %d: %d files planted, %d near misses\n", n, total, c.Planted, c.Near)
	report("not planted", c.Not)
	report("no near miss", c.NotNear)
	return nil
}

func report(what string, reasons map[plant.Reason]int) {
	var names []string
	for r := range reasons {
		names = append(names, string(r))
	}
	sort.Strings(names)
	for _, r := range names {
		fmt.Printf("%s: %d: %s\n", what, reasons[plant.Reason(r)], r)
	}
}
