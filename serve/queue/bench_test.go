package queue

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
)

// mail is one of 4 KiB; no two are the same.
func mail(rng *rand.Rand) []byte {
	b := fmt.Appendf(nil, "From: a@example.org\r\nTo: b@example.net\r\nSubject: %x\r\nMessage-ID: <%x@example.org>\r\nContent-Type: text/plain\r\n\r\n", rng.Uint64(), rng.Uint64())
	for len(b) < 4000 {
		b = fmt.Appendf(b, "%x %s ", rng.Uint32(), []string{"Dear", "colleagues", "the", "minutes", "of", "last", "week"}[rng.IntN(7)])
		if rng.IntN(8) == 0 {
			b = append(b, '\r', '\n')
		}
	}
	return b[:4096]
}

// BenchmarkMails asks for mails of 4 KiB, none of which is in the cache, from 8
// clients. SHOWCAUSE_BENCH_DB names a compiled database; the default is the built-in one.
func BenchmarkMails(b *testing.B) {
	db, err := rules.Default()
	if path := os.Getenv("SHOWCAUSE_BENCH_DB"); path != "" {
		db, err = ruledb.Open(path)
	}
	if err != nil {
		b.Fatal(err)
	}
	q := opened(b, func(o *Options) { o.Rules.DB = db })
	const mails = 4096
	rng := rand.New(rand.NewPCG(1, 2))
	var all [mails][]byte
	for i := range all {
		all[i] = mail(rng)
	}
	var n atomic.Int64
	b.ResetTimer()
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			own := make([]byte, 4096)
			for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
				copy(own, all[i%mails])
				copy(own[60:], fmt.Sprintf("%016x", i))
				if _, err := ask(q, fmt.Sprint(c), own); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	b.ReportMetric(float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano())/float64(b.N), "broker-ns/op")
}
