package report

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/casefile"
)

// oscalVersion is the version of OSCAL that is written (usnistgov/OSCAL, release 1.2).
const oscalVersion = "1.2.2"

// object is a JSON object.
type object = map[string]any

// uuid makes an identifier of what it names: the same case gives the same document.
func (in *Input) uuid(parts ...string) string {
	d := sha256.Sum256([]byte("showcause oscal\n" + in.Case + "\n" + strings.Join(parts, "\n")))
	d[6], d[8] = d[6]&0x0f|0x50, d[8]&0x3f|0x80 // version 5, RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", d[:4], d[4:6], d[6:8], d[8:10], d[10:16])
}

// namespace is that of our properties.
const namespace = "https://showcause.dev/ns/oscal"

func prop(name, value string) object {
	if value = showcause.Escape(strings.TrimSpace(value)); value == "" { // a string of OSCAL is one line, and not empty
		value = NotKnown
	}
	return object{"name": name, "ns": namespace, "value": value}
}

func (in *Input) stamp() string { return in.Made.UTC().Format(time.RFC3339) }

func (in *Input) metadata(title string) object {
	o := in.Order
	m := object{
		"title": title, "last-modified": in.stamp(), "version": in.stamp(), "oscal-version": oscalVersion,
		"props": []object{prop("order", o.ID), prop("order-version", fmt.Sprint(o.Version)), prop("case", in.Case)},
	}
	if org := in.State.Opening.Organisation; org != "" {
		m["parties"] = []object{{"uuid": in.uuid("party"), "type": "organization", "name": showcause.Escape(strings.TrimSpace(org))}}
	}
	return m
}

func (in *Input) backMatter() object {
	return object{"resources": []object{{
		"uuid": in.uuid("order"), "title": in.Order.Title, "description": "Issuer: " + in.Order.Issuer,
		"props": []object{prop("sha256", in.Order.Entry.Body.Text)},
	}}}
}

// observations are the searches, and what each finding rests on.
func (in *Input) observations() (out []object) {
	for _, r := range in.latest() {
		c := &r.Inventory.Coverage
		about := fmt.Sprintf("Search of %s on %s by %s: %s; %d gaps. %s", r.Inventory.Target, r.Endpoint, strings.Join(c.Methods, ", "), c.Files, int64(len(c.Unread()))+c.More, strings.Join(in.leftOut(), "; "))
		out = append(out, object{
			"uuid": in.uuid("search", r.Entry.Name), "title": "Search of " + r.Endpoint, "description": about, "methods": []string{"TEST"}, "types": []string{"discovery"},
			"subjects":          []object{{"subject-uuid": in.uuid("endpoint", r.Endpoint), "type": "inventory-item"}},
			"relevant-evidence": []object{in.href(r.Entry.Name, "the sealed record of the search"), {"href": "files/" + r.Entry.Body.Text[:2] + "/" + r.Entry.Body.Text, "description": "the inventory"}},
			"collected":         r.Entry.Time,
		})
	}
	for _, f := range in.State.Findings {
		var rests []object
		for _, e := range f.Evidence {
			rests = append(rests, object{"description": fmt.Sprintf("%s %q at %s (sha256 %s, %d bytes): identity %s, %s", e.Kind, e.Value, e.Place, or(e.SHA256), e.Size, e.Identity, e.Confidence)})
		}
		o := object{
			"uuid": in.uuid("observation", f.ID), "title": ProductName(in.State, f.Product), "description": or(f.Why), "methods": []string{"TEST"}, "types": []string{"finding"},
			"subjects": []object{{"subject-uuid": in.uuid("endpoint", f.Endpoint), "type": "inventory-item"}}, "collected": f.Last.Time,
		}
		if rests != nil {
			o["relevant-evidence"] = rests
		}
		out = append(out, o)
	}
	return out
}

func or(s string) string {
	if s == "" {
		return NotKnown
	}
	return s
}

func (in *Input) href(record, what string) object {
	return object{"href": "records/" + record[:2] + "/" + record + ".scf", "description": what}
}

// states are OSCAL's words for ours (risk-status).
var states = map[casefile.FindingState]string{
	casefile.Candidate: "open", casefile.Confirmed: "open", casefile.Contested: "deviation-requested", casefile.Withdrawn: "closed",
	casefile.Removing: "remediating", casefile.Removed: "remediating", casefile.Gone: "closed", casefile.Waived: "deviation-approved",
}

// risks are the covered findings.
func (in *Input) risks() (out []object) {
	deadline := ""
	for _, t := range in.tasks() {
		if t.Known && t.Done == nil && deadline == "" && (t.Duty.Kind == "begin-removal" || t.Duty.Kind == "final" || t.Duty.Kind == "stop-use") {
			deadline = t.When.Deadline(in.Order.Zone()).UTC().Format(time.RFC3339)
		}
	}
	for _, f := range in.State.Findings {
		if in.State.Verdict(in.Order, f).Verdict != directive.Covered {
			continue
		}
		r := object{
			"uuid": in.uuid("risk", f.ID), "title": ProductName(in.State, f.Product) + " on " + f.Endpoint, "description": or(f.Why),
			"statement": "The order " + in.Order.ID + " covers the product.", "status": states[f.State],
			"props":                []object{prop("finding", f.ID), prop("class", string(f.Class)), prop("state", string(f.State))},
			"related-observations": []object{{"observation-uuid": in.uuid("observation", f.ID)}},
		}
		if deadline != "" {
			r["deadline"] = deadline
		}
		if f.Waiver != nil {
			r["mitigating-factors"] = []object{{"uuid": in.uuid("factor", f.ID), "description": f.Waiver.Body.Waiver.Control}}
		}
		if log := in.riskLog(f); log != nil {
			r["risk-log"] = object{"entries": log}
		}
		out = append(out, r)
	}
	return out
}

func (in *Input) riskLog(f *casefile.Finding) (out []object) {
	add := func(e *casefile.Entry, kind, title string) {
		out = append(out, object{
			"uuid": in.uuid("log", f.ID, e.Name), "title": title, "description": or(e.Body.Reason), "start": e.Time,
			"props": []object{{"name": "type", "value": kind}},
		})
	}
	for _, e := range f.Contests {
		switch {
		case e.Act == casefile.Contest:
			add(e, "dr-submission", "contested")
		case e.Body.Value == "withdrawn":
			add(e, "dr-approved", "decided: withdrawn")
		default:
			add(e, "dr-rejected", "decided: "+e.Body.Value)
		}
	}
	if f.Waiver != nil {
		add(f.Waiver, "dr-approved", "waived until "+f.Waiver.Body.Waiver.Expires)
	}
	for _, e := range f.Removals {
		add(e, "remediation", string(e.Act))
	}
	return out
}

// findings say for each finding, and for the whole, whether the order is met.
func (in *Input) findings() (out []object) {
	t := in.State.Totals(in.Order)
	state, reason, why := "satisfied", "pass", in.totals()
	if t.Present > 0 || t.Unreached > 0 || t.Inventory == 0 {
		state, reason = "not-satisfied", "fail"
		if t.Present == 0 {
			reason, why = "other", why+"; what was not reached is neither found nor not found"
		}
	}
	all := object{
		"uuid": in.uuid("finding", "all"), "title": "Covered products, over all endpoints", "description": why,
		"target": object{"type": "objective-id", "target-id": in.Order.ID, "status": object{"state": state, "reason": reason}},
	}
	var related []object
	for _, r := range in.latest() {
		related = append(related, object{"observation-uuid": in.uuid("search", r.Entry.Name)})
	}
	if related != nil {
		all["related-observations"] = related
	}
	out = append(out, all)
	for _, f := range in.State.Findings {
		j := in.State.Verdict(in.Order, f)
		state, reason := "satisfied", "pass"
		if f.Active() && j.Verdict != directive.NotCovered {
			state, reason = "not-satisfied", "fail"
			if j.Verdict == directive.Undetermined {
				reason = "other"
			}
		}
		o := object{
			"uuid": in.uuid("finding", f.ID), "title": ProductName(in.State, f.Product) + " on " + f.Endpoint,
			"description":          fmt.Sprintf("%s (%s): %s: %s", f.Class, f.State, j.Verdict, strings.Join(j.Reasons, "; ")),
			"target":               object{"type": "objective-id", "target-id": in.Order.ID, "status": object{"state": state, "reason": reason}},
			"related-observations": []object{{"observation-uuid": in.uuid("observation", f.ID)}},
		}
		if j.Verdict == directive.Covered {
			o["related-risks"] = []object{{"risk-uuid": in.uuid("risk", f.ID)}}
		}
		out = append(out, o)
	}
	return out
}

func (in *Input) inventory() (out []object) {
	for _, e := range in.State.Endpoints {
		outcome, why, _ := in.State.Outcome(in.Order, e)
		out = append(out, object{"uuid": in.uuid("endpoint", e), "description": e, "props": []object{prop("outcome", string(outcome)), prop("why", why)}})
	}
	return out
}

// writeAssessment writes OSCAL assessment results. They say nil, which a POA&M cannot.
func writeAssessment(w io.Writer, in *Input) error {
	start := in.stamp()
	for _, r := range in.State.Runs {
		start = min(start, r.Entry.Time)
	}
	result := object{
		"uuid": in.uuid("result"), "title": in.Order.Title, "description": in.totals(), "start": start, "end": in.stamp(),
		"reviewed-controls": object{"control-selections": []object{{"description": "the order " + in.Order.ID + ", which is no catalog of controls", "include-all": object{}}}},
		"findings":          in.findings(),
	}
	if inv := in.inventory(); inv != nil {
		result["local-definitions"] = object{"inventory-items": inv}
	}
	if o := in.observations(); o != nil {
		result["observations"] = o
	}
	if r := in.risks(); r != nil {
		result["risks"] = r
	}
	return writeJSON(w, object{"assessment-results": object{
		"uuid": in.uuid("assessment-results", in.stamp()), "metadata": in.metadata("Assessment under " + in.Order.ID),
		"import-ap": object{"href": "#" + in.uuid("order")}, "results": []object{result}, "back-matter": in.backMatter(),
	}})
}

// errNil is why a case without covered findings has no POA&M.
var errNil = errors.New("a plan of action and milestones needs at least one item, and no covered finding stands: it cannot say nil (use --format oscal-ar)")

// writePOAM writes an OSCAL plan of action and milestones.
func writePOAM(w io.Writer, in *Input) error {
	var items []object
	for _, f := range in.covered() {
		items = append(items, object{
			"uuid": in.uuid("item", f.ID), "title": "Remove " + ProductName(in.State, f.Product) + " from " + f.Endpoint, "description": fmt.Sprintf("State: %s. %s", f.State, or(f.Why)),
			"props":                []object{prop("finding", f.ID)},
			"related-observations": []object{{"observation-uuid": in.uuid("observation", f.ID)}}, "related-risks": []object{{"risk-uuid": in.uuid("risk", f.ID)}},
		})
	}
	if items == nil {
		return errNil
	}
	risks := in.risks()
	for _, r := range risks {
		if tasks := in.milestones(); tasks != nil {
			r["remediations"] = []object{{
				"uuid": in.uuid("response", fmt.Sprint(r["uuid"])), "lifecycle": "planned", "title": "Duties of the order", "description": "The dates are computed; the rule of each is in a property, since OSCAL has no business days.", "tasks": tasks,
			}}
		}
	}
	doc := object{
		"uuid": in.uuid("poam", in.stamp()), "metadata": in.metadata("Plan of action under " + in.Order.ID),
		"system-id":         object{"identifier-type": "https://showcause.dev/case", "id": in.Case},
		"local-definitions": object{"inventory-items": in.inventory()},
		"observations":      in.observations(), "risks": risks, "poam-items": items, "back-matter": in.backMatter(),
	}
	return writeJSON(w, object{"plan-of-action-and-milestones": doc})
}

func (in *Input) milestones() (out []object) {
	for _, t := range in.tasks() {
		if !t.Known {
			continue
		}
		out = append(out, object{
			"uuid": in.uuid("task", t.Duty.ID, fmt.Sprint(t.N), t.Finding), "type": "milestone", "title": t.Duty.Title, "description": t.Rule,
			"props":  []object{prop("rule", t.Rule)},
			"timing": object{"on-date": object{"date": t.When.Deadline(in.Order.Zone()).UTC().Format(time.RFC3339)}},
		})
	}
	return out
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
