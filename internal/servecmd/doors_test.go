package servecmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/serve/milter"
)

// The doors for proxies and mail servers: a flag goes before clamav-milter.conf.
func TestProxyDoors(t *testing.T) {
	dir := t.TempDir()
	conf, page := filepath.Join(dir, "clamav-milter.conf"), filepath.Join(dir, "page.html")
	if err := os.WriteFile(conf, []byte("MilterSocket "+dir+"/m.sock\nMilterSocketMode 600\nOnInfected Quarantine\nOnFail Defer\nPidFile /run/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, []byte("<p>{{name}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := resolved(t, "", "--icap", "127.0.0.1:1344", "--icap-page", page, "--icap-service", "a,b", "--milter-config", conf)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.listen) != 2 || s.listen[0].Door != "icap" || s.listen[0].Network != "tcp" || s.listen[1].Door != "milter" || s.listen[1].Network != "unix" || s.listen[1].Mode != 0o600 ||
		s.proxy.icap.Page != "<p>{{name}}" || len(s.proxy.icap.Services) != 2 || s.proxy.milter.OnInfected != milter.Quarantine || s.proxy.milter.OnIncomplete != milter.Defer || len(s.notes) != 1 {
		t.Errorf("%+v", s)
	}
	var out bytes.Buffer
	if err := s.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"milter-on-infected Quarantine", "clamav-milter.conf\n", "clamav-milter.conf:5: PidFile"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	s, err = resolved(t, "", "--milter", "127.0.0.1:7357", "--milter-config", conf, "--milter-on-infected", "reject", "--milter-on-incomplete", "Accept")
	if err != nil || len(s.listen) != 1 || s.listen[0].Address != "127.0.0.1:7357" || s.proxy.milter.OnInfected != milter.Reject || s.proxy.milter.OnIncomplete != milter.Accept {
		t.Errorf("%+v %v", s, err)
	}
	for _, args := range [][]string{{"--icap", "1344"}, {"--milter", "x"}, {"--milter-on-fail", "burn"}, {"--milter-config", dir + "/none"}, {"--icap-page", dir + "/none"}, {"--icap-max-length", "much"}} {
		if _, err := resolved(t, "", args...); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
