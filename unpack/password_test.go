package unpack

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

func guesser(l showcause.Limits) (*Budget, *Out, *[]showcause.Gap) {
	var gaps []showcause.Gap
	b := NewBudget(l, 100, nil)
	return b, NewOut(b, nil, func(showcause.Layer) {}, func(g showcause.Gap) { gaps = append(gaps, g) }), &gaps
}

func words(all [][]byte) (out []string) {
	for _, p := range all {
		out = append(out, string(p))
	}
	return out
}

func TestPasswords(t *testing.T) {
	b, o, _ := guesser(showcause.Limits{})
	if got := words(o.Passwords()); !slices.Equal(got, UsualPasswords()) {
		t.Errorf("%q", got)
	}
	b.Passwords = [][]byte{[]byte("mine"), []byte("virus"), []byte("mine")}
	o.Hear([]byte("heard"))
	o.Hear([]byte("heard"))
	o.Hear([]byte("mine"))
	o.Hear(nil)
	o.Hear([]byte(strings.Repeat("x", maxPassword+1)))
	got := words(o.Passwords())
	if !slices.Equal(got[:4], []string{"heard", "mine", "virus", "infected"}) || len(got) != len(UsualPasswords())+2 {
		t.Errorf("%q", got)
	}
	b.NoUsual = true
	if got := words(o.Passwords()); !slices.Equal(got, []string{"heard", "mine", "virus"}) {
		t.Errorf("%q", got)
	}
	for i := range 100 {
		o.Hear(fmt.Append(nil, i))
	}
	if got := o.Passwords(); len(got) != maxHeard+1 { // one that was heard is given too
		t.Errorf("%d passwords", len(got))
	}
	for i := range 100 {
		o.Overhear(fmt.Append(nil, "over", i))
	}
	if got := words(o.Passwords()); len(got) != maxHeard+1+maxOver || got[len(got)-maxOver] != "over0" {
		t.Errorf("%q", got)
	}
	if _, other, _ := guesser(showcause.Limits{}); slices.Contains(words(other.Passwords()), "heard") {
		t.Error("heard for another input")
	}
}

// Guessing has its share of the work, and what is left is for reading.
func TestGuess(t *testing.T) {
	b, o, gaps := guesser(showcause.Limits{Work: 1000})
	made := 0
	key := func(name string, cost int64) []byte {
		return o.Key(name, cost, func() []byte { made++; return []byte(name) })
	}
	first, again := key("a", 300), key("a", 300)
	if string(first) != "a" || string(again) != "a" || made != 1 || b.Spent.Work != 300 {
		t.Errorf("made %d times, work %d", made, b.Spent.Work)
	}
	if key("b", 300) != nil || made != 1 || len(*gaps) > 0 {
		t.Errorf("a key past the share: made %d times, %v", made, *gaps)
	}
	if string(key("c", 200)) != "c" || o.Guess(1) || o.Guess(-1) || !o.Work(500) {
		t.Errorf("work %d, %v", b.Spent.Work, *gaps)
	}
	if string(key("a", 300)) != "a" {
		t.Error("a key that is known costs nothing")
	}
	if o.Work(1) || len(*gaps) != 1 {
		t.Errorf("%v", *gaps)
	}
}

// TestListen holds that texts are searched in their order, once, when passwords are asked
// for or when too many wait.
func TestListen(t *testing.T) {
	b := NewBudget(showcause.Limits{}, 1<<20, nil)
	b.NoUsual = true
	o := NewOut(b, nil, nil, nil)
	found := 0
	find := func(text []byte, hear, overhear func([]byte)) {
		found++
		hear(text[:3])
		overhear(text[3:6])
	}
	text := []byte("oneOUT")
	o.Listen(text, find)
	copy(text, "twoTOO") // a text is the caller's
	o.Listen(text, find)
	if found > 0 {
		t.Errorf("%d texts searched for nobody", found)
	}
	for range 2 {
		if got := fmt.Sprintf("%s", o.Passwords()); got != "[one two OUT TOO]" || found != 2 {
			t.Errorf("%s after %d texts", got, found)
		}
	}
	for i := range 10 {
		o.Listen(append([]byte(fmt.Sprintf("%03dabc", i)), make([]byte, 16<<10)...), find)
	}
	if found < 5 || found == 12 {
		t.Errorf("%d texts searched, the others wait", found)
	}
	if got := fmt.Sprintf("%.3s", o.Passwords()); got != "[one two 000 001 002 003 004 005 006 007 008 009 OUT TOO abc]" {
		t.Errorf("%s", got)
	}
	o.Listen(make([]byte, maxListened+1), find)
	if found != 13 {
		t.Error("a text that is too long to wait was not searched")
	}
}
