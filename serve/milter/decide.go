package milter

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/queue"
)

// Fields about the scan, as clamav-milter has them.
const (
	fieldScanned = "X-Virus-Scanned"
	fieldStatus  = "X-Virus-Status"
)

// decide answers what became of a mail.
func (t *session) decide(said queue.Said, err error) error {
	o := &t.s.o
	action, status, text, what := o.OnClean, "Clean", "", "clean"
	switch {
	case err != nil:
		action, what = o.OnFail, "not scanned"
		text, status = "Not scanned, try again later", "Not scanned"
		for _, e := range [...]error{queue.ErrBusy, queue.ErrStopping, queue.ErrDeadline, queue.ErrNoSpace} {
			if errors.Is(err, e) {
				text = "Not scanned, try again later: " + e.Error()
			}
		}
	case len(said.Names) > 0:
		name := accept.Word(said.Names[0], "%()")
		action, what = o.OnInfected, "found"
		status = "Infected (" + name + ")"
		text = strings.ReplaceAll(o.RejectMsg, "%v", name)
		if !said.Act { // its rule may say so, and do nothing
			action = Accept
		}
	case said.Failed != "":
		action, what = o.OnIncomplete, "not read whole"
		status = "Not scanned (" + accept.Word(said.Failed, "()") + ")"
		text = said.Failed
	}
	if action == Quarantine && t.agreed.actions&canQuarantine == 0 {
		o.Log.Error("the mail server has no quarantine; the mail is deferred", "door", "milter", "client", t.client())
		action = Defer
	}
	if what != "clean" {
		fields := []any{"door", "milter", "client", t.client(), "id", t.id, "from", t.mail.from, "to", strings.Join(t.mail.to, ","), "action", action.String()}
		if err != nil {
			fields = append(fields, "error", err)
		} else {
			fields = append(fields, "status", status)
		}
		o.Log.Info("mail "+what, fields...)
	}
	text = accept.Word(text, "%") // a per cent sign would be a directive to Sendmail
	switch action {
	case Reject:
		t.say(sayReply, "550 5.7.1 "+text+"\x00")
	case Defer:
		t.say(sayReply, "451 4.7.1 "+text+"\x00")
	case Blackhole:
		t.say(sayDiscard)
	default:
		t.fields(status)
		if action == Quarantine {
			t.say(sayQuarantine, text+"\x00")
		}
		t.say(sayAccept)
	}
	return nil
}

// fields sets the header fields about the scan, as far as the server lets us.
func (t *session) fields(status string) {
	o := &t.s.o
	if o.Header == NoHeaders {
		return
	}
	if o.Header == ReplaceHeaders {
		t.remove(fieldScanned, t.mail.scanned)
		t.remove(fieldStatus, t.mail.status)
	}
	if t.agreed.actions&canAddHeader == 0 {
		return
	}
	space := ""
	if t.agreed.steps&leadSpace != 0 {
		space = " "
	}
	by := accept.Word("showcause "+o.Version+" at "+o.Hostname, "")
	t.say(sayAddHeader, fieldScanned+"\x00"+space+by+"\x00")
	t.say(sayAddHeader, fieldStatus+"\x00"+space+status+"\x00")
}

// remove takes out the fields of a name, the last one first, so that the others keep
// their numbers.
func (t *session) remove(name string, n int) {
	if t.agreed.actions&canChgHeader == 0 {
		return
	}
	for ; n > 0; n-- {
		var at [4]byte
		binary.BigEndian.PutUint32(at[:], uint32(n))
		t.say(sayChgHeader, string(at[:]), name+"\x00\x00")
	}
}
