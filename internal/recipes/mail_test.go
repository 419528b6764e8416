package recipes

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/showcause/showcause/internal/clamdtalk"
)

// postfix starts a Postfix of its own, with these settings besides, and returns its address.
func postfix(t *testing.T, to *sink, settings string) string {
	t.Helper()
	program := needs(t, "postfix", "postfix")
	asRoot(t)
	dir := folder(t, "")
	for _, sub := range []string{"/data", "/spool", "/log"} {
		if err := os.Mkdir(dir+sub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	own(t, dir+"/data", "postfix")
	address := free(t)
	write(t, dir, "etc/main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = %[1]s/log/mail
maillog_file_prefixes = %[1]s
myhostname = mx.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
default_transport = smtp:[127.0.0.1]:%[2]s
alias_maps =
alias_database =
local_recipient_maps =
smtpd_tls_security_level = none
smtp_tls_security_level = none
%[3]s`, dir, port(to.address), settings))
	write(t, dir, "etc/master.cf", address+` inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
local     unix - n n - - local
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
`)
	logs(t, dir+"/log/mail")
	start(t, nil, listens(address), program, "-c", dir+"/etc", "start-fg")
	t.Cleanup(func() { _ = exec.Command(program, "-c", dir+"/etc", "stop").Run() }) // its master is in a group of its own
	return address
}

// Postfix asks the milter.
func TestPostfix(t *testing.T) {
	begin(t)
	needs(t, "postfix", "postfix")
	asRoot(t)
	s, to := serve(t), newSink(t)
	judged(t, postfix(t, to, s.block(t, "Postfix", 0)), to, "Refused: "+hit)
	if !strings.Contains(to.last, "X-Virus-Status: Clean\n") {
		t.Errorf("no X-Virus-Status:\n%s", to.last)
	}
}

// clamav-milter, which Postfix asks, asks us.
func TestClamavMilter(t *testing.T) {
	begin(t)
	program := needs(t, "clamav-milter", "clamav-milter")
	needs(t, "postfix", "postfix")
	asRoot(t)
	s, to := serve(t), newSink(t)
	dir, address := folder(t, ""), free(t)
	conf := write(t, dir, "clamav-milter.conf", s.block(t, "clamav-milter", 0)+
		"MilterSocket inet:"+port(address)+"@127.0.0.1\nForeground yes\nOnInfected Reject\nRejectMsg Refused: %v\nAddHeader Replace\nUser root\nTemporaryDirectory "+dir+"\n")
	start(t, nil, listens(address), program, "-c", conf)
	judged(t, postfix(t, to, "smtpd_milters = inet:"+address+"\n"), to, "Refused: "+hit)
	if !strings.Contains(to.last, "X-Virus-Status: Clean\n") {
		t.Errorf("no X-Virus-Status:\n%s", to.last)
	}
}

// Exim asks by a socket, where it names a file, and over TCP, where it sends it.
func TestExim(t *testing.T) {
	begin(t)
	program := os.Getenv("SHOWCAUSE_EXIM") // unpacked beside a Postfix, with which it cannot be installed
	if program == "" {
		program = needs(t, "exim4", "exim4-daemon-heavy")
	}
	asRoot(t)
	s, to := serve(t), newSink(t)
	for name, scanner := range map[string]string{"path": s.block(t, "Exim", 0), "stream": s.block(t, "Exim", 1)} {
		t.Run(name, func(t *testing.T) {
			dir, address := folder(t, "Debian-exim"), free(t)
			conf := write(t, dir, "exim.conf", fmt.Sprintf(`primary_hostname = mx.test
exim_path = %[5]s
spool_directory = %[1]s/spool
log_file_path = %[1]s/log-%%s
pid_file_path = %[1]s/pid
local_interfaces = 127.0.0.1
acl_smtp_rcpt = accept
keep_environment =
deliver_drop_privilege = true
tls_advertise_hosts =
chunking_advertise_hosts =
%[2]s
begin acl
%[3]s
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = sink
begin transports
sink:
  driver = smtp
  port = %[4]s
  allow_localhost = true
  hosts_try_chunking =
`, dir, scanner, s.block(t, "Exim", 2), port(to.address), program))
			logs(t, dir+"/log-main")
			logs(t, dir+"/log-panic")
			start(t, nil, listens(address), program, "-C", conf, "-bdf", "-oX", port(address))
			judged(t, address, to, hit)
		})
	}
}

// rspamd's module antivirus sends what it has.
func TestRspamd(t *testing.T) {
	begin(t)
	program := needs(t, "rspamd", "rspamd")
	client := needs(t, "rspamc", "rspamd")
	asRoot(t)
	s := serve(t, "--incomplete", "found")
	dir, address := folder(t, "_rspamd"), free(t)
	for _, sub := range []string{"db", "run", "log"} {
		if err := os.Mkdir(dir+"/"+sub, 0o755); err != nil {
			t.Fatal(err)
		}
		own(t, dir+"/"+sub, "_rspamd")
	}
	write(t, dir, "etc/local.d/antivirus.conf", s.block(t, "rspamd", 0))
	write(t, dir, "etc/local.d/worker-normal.inc", "bind_socket = \""+address+"\";\ncount = 1;\n")
	write(t, dir, "etc/local.d/worker-controller.inc", "bind_socket = \""+free(t)+"\";\n")
	write(t, dir, "etc/local.d/worker-proxy.inc", "enabled = false;\n")
	write(t, dir, "etc/local.d/logging.inc", "type = \"file\";\nfilename = \""+dir+"/log/rspamd.log\";\n")
	write(t, dir, "etc/local.d/options.inc", "dns { nameserver = [\"127.0.0.1:9\"]; timeout = 0.1s; retransmits = 1; }\nmap_watch_interval = 10min;\nurl_tld = \""+write(t, dir, "tld", "test\n")+"\"; # the real list takes half a minute\ncontrol_socket = \""+dir+"/run/control mode=0600\";\n")
	logs(t, dir+"/log/rspamd.log")
	start(t, nil, listens(address), program, "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", "/etc/rspamd/rspamd.conf", "--var=LOCAL_CONFDIR="+dir+"/etc", "--var=DBDIR="+dir+"/db", "--var=RUNDIR="+dir+"/run", "--var=LOGDIR="+dir+"/log")
	for content, want := range map[string]string{"nothing\n": "", clamdtalk.EICAR: hit, locked(t): "CLAM_VIRUS_ENCRYPTED"} {
		out, err := exec.Command(client, "-h", address, "symbols", write(t, dir, "mail", string(mail(content)))).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Action: ") {
			t.Fatalf("%v\n%s", err, out)
		}
		said, rejected := strings.Contains(string(out), "CLAM_VIRUS"), strings.Contains(string(out), "Action: reject")
		if said != (want != "") || rejected != said || !strings.Contains(string(out), want) {
			t.Errorf("%q: want %q\n%s", content[:4], want, out)
		}
	}
}

// amavisd takes mail apart, and names the folder.
func TestAmavis(t *testing.T) {
	begin(t)
	program := needs(t, "amavisd", "amavisd-new")
	asRoot(t)
	s, to := serve(t), newSink(t)
	dir, address := folder(t, "amavis"), free(t)
	for _, sub := range []string{"tmp", "db", "var", "quarantine"} {
		if err := os.Mkdir(dir+"/"+sub, 0o755); err != nil {
			t.Fatal(err)
		}
		own(t, dir+"/"+sub, "amavis")
	}
	conf := write(t, folder(t, ""), "amavisd.conf", fmt.Sprintf(`use strict;
$max_servers = 1;
$daemon_user = 'amavis';
$daemon_group = 'amavis';
$mydomain = 'mx.test';
$myhostname = 'amavis.mx.test';
$MYHOME = '%[1]s';
$TEMPBASE = "$MYHOME/tmp";
$QUARANTINEDIR = undef;
$db_home = "$MYHOME/db";
$lock_file = "$MYHOME/var/lock";
$pid_file = "$MYHOME/var/pid";
$enable_db = 0;
$enable_zmq = 0;
$log_level = 1;
$do_syslog = 0;
$logfile = "$MYHOME/var/log";
@local_domains_maps = ( [".$mydomain"] );
$inet_socket_bind = '127.0.0.1';
$inet_socket_port = %[2]s;
$forward_method = 'smtp:[127.0.0.1]:%[3]s';
$notify_method = $forward_method;
@bypass_spam_checks_maps = (1);
$final_virus_destiny = D_REJECT;
$final_bad_header_destiny = D_PASS;
$virus_admin = undef;
$warnvirussender = 0;
%[4]s
@av_scanners_backup = ();
1;
`, dir, port(address), port(to.address), s.block(t, "amavisd", 0)))
	logs(t, dir+"/var/log")
	start(t, nil, listens(address), program, "-c", conf, "foreground")
	judged(t, address, to, hit)
}
