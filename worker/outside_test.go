package worker

import (
	"context"
	"errors"
	"testing"
)

// TestClaim holds that a reader that only says that it is locked gets no file.
func TestClaim(t *testing.T) {
	noLeak(t)
	p := pool(t, nil, Options{Workers: 1}, "claim")
	_, err := p.Scan(context.Background(), tempFile(t, "fine"))
	if !errors.Is(err, errUnsealed) {
		t.Error(err)
	}
}

func TestFacts(t *testing.T) {
	const head = "Name:\tshowcause\nUid:\t0\t0\t0\t0\n"
	own := parseFacts(head + "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n")
	for text, ok := range map[string]bool{
		"NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t2\n": true,
		"NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n": true,
		"NoNewPrivs:\t1\nSeccomp:\t2\n":                      true, // before Linux 5.9
		"NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n": false,
		"NoNewPrivs:\t1\nSeccomp:\t0\nSeccomp_filters:\t0\n": false,
		"NoNewPrivs:\t1\nSeccomp:\t1\n":                      false,
		"NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t2\n": false,
	} {
		if err := parseFacts(head + text).sealedBeside(own); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
