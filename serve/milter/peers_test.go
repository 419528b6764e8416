package milter

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/serve/accept/accepttest"
	"github.com/showcause/showcause/serve/queue"
)

// miltertest of OpenDKIM holds conversations as a mail server does, by libmilter's own
// reading of the protocol.
func TestMiltertest(t *testing.T) {
	program, err := exec.LookPath("miltertest")
	if err != nil {
		t.Skip("miltertest (package miltertest) is not installed")
	}
	address := accepttest.Serve(t, New(accepttest.Readers(t, "milter", queue.Policy{}), Options{Version: "1", Hostname: "mx"}))
	_, port, _ := net.SplitHostPort(address)
	script := filepath.Join(t.TempDir(), "talk.lua")
	text := fmt.Sprintf(`
conn = mt.connect("inet:%s@127.0.0.1")
if conn == nil then error("no connection") end
mt.conninfo(conn, "host.example.org", "192.0.2.1")
mt.helo(conn, "host.example.org")
function mail(body, want)
  mt.mailfrom(conn, "<a@example.org>")
  mt.rcptto(conn, "<b@example.org>")
  mt.header(conn, "Subject", "x")
  mt.header(conn, "X-Virus-Status", "Clean")
  mt.eoh(conn)
  mt.bodystring(conn, body)
  mt.eom(conn)
  if mt.getreply(conn) ~= want then error("the answer is " .. mt.getreply(conn) .. " for " .. body) end
end
mail("nothing\r\n", SMFIR_ACCEPT)
if not mt.eom_check(conn, MT_HDRADD, "X-Virus-Status", " Clean") and not mt.eom_check(conn, MT_HDRADD, "X-Virus-Status", "Clean") then error("no field") end
if not mt.eom_check(conn, MT_HDRDELETE, "X-Virus-Status") then error("the old field stays") end
mail("%s\r\n", SMFIR_REPLYCODE)
if not mt.eom_check(conn, MT_SMTPREPLY, "550", "5.7.1", "Refused: Test.Marker.UNOFFICIAL") then error("another reply") end
mail("nothing more\r\n", SMFIR_ACCEPT)
mt.disconnect(conn)
`, port, marker)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "-vv", "-s", script).CombinedOutput()
	if err != nil || strings.Contains(string(out), "error") {
		t.Errorf("%v\n%s", err, out)
	}
}
