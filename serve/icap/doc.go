// Package icap is the door for web proxies: ICAP/1.0 (RFC 3507), by which a proxy such as
// Squid has requests (REQMOD) and answers (RESPMOD) looked at.
//
//	head       request line and header, at most 64 KiB
//	Encapsulated: req-hdr=0, res-hdr=137, res-body=296
//	           HTTP headers, at most 256 KiB, kept as they came, since they may have to
//	           be given back
//	body       in chunks; a preview first, which is asked to go on (100 Continue) unless
//	           it was all (ieof). All of it goes to the queue's Spool
//	answer     204, the same message again, or a page that says why not
//
// What is in a body is not looked at here: that is the readers' part, in the jail.
package icap
