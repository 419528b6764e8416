package trust

import (
	"errors"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

const line = "Name;1;50d261313e153a9419378c8b388c16fc53da56e2;0c221b9f489dfeffc42254a5e00bed663eef7ff3;CCAFF6FA98F93B96;010001;1;0;1;0;comment"

func TestParse(t *testing.T) {
	for text, want := range map[string]bool{
		line: true, line + ";1": true, line + ";1;300": true, line + ";1;300;2": false, strings.TrimSuffix(line, ";comment"): false,
		strings.Replace(line, "0c221b9f489dfeffc42254a5e00bed663eef7ff3", "", 1): true, strings.Replace(line, ";1;", ";2;", 1): false,
		strings.Replace(line, "50d2", "50zz", 1): false, strings.Replace(line, "CCAFF6FA98F93B96", "", 1): false, strings.Replace(line, "0c22", "", 1): false,
		strings.Replace(line, "010001", "", 1): true, "": false,
	} {
		e, err := Parse(text)
		if (err == nil) != want || err != nil && !errors.Is(err, ErrForm) {
			t.Errorf("%q: %v", text, err)
		} else if want && (e.Name != "Name" || !e.Trusted || !e.code || !e.cert) {
			t.Errorf("%q: %+v", text, e)
		}
	}
}

// FuzzJudge: no list and no program makes it panic.
func FuzzJudge(f *testing.F) {
	f.Add(line, []byte("MZ"))
	f.Fuzz(func(t *testing.T, text string, b []byte) {
		if e, err := Parse(text); err == nil {
			left := int64(1 << 20)
			Judge([]*Entry{e}, showcause.Bytes(b), func(n int64) bool { left -= n; return left > 0 })
		}
	})
}
