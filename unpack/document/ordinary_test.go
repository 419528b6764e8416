package document

import (
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// ordinary are mails in the manner of programs in wide use, with the
// children expected. None of them may give a gap.
func ordinary() map[string]struct {
	mail string
	want []string
} {
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	pdf := lines76(b64("%PDF-1.4 not really "+strings.Repeat("0123456789 ", 40)), "\r\n")
	type m = struct {
		mail string
		want []string
	}
	return map[string]m{
		"gmail": {
			crlf(ordinaryGmail) + pdf + "--000000000000a1b2c3061050--\r\n",
			[]string{"mime.quoted-printable", "mime.quoted-printable", "mime.base64 Rechnung März.pdf"},
		},
		"outlook": {
			crlf(ordinaryOutlook) + pdf + "\r\n--_004_AM0PR01MB1234ABCDEFAM0PR01MB1234eurp_--\r\n",
			[]string{"mime.quoted-printable", "mime.quoted-printable", "mime.base64 image001.png"},
		},
		"thunderbird": {
			crlf(ordinaryThunderbird) + pdf + "--------------abcDEF0123456789abcDEF01--\r\n\r\n",
			[]string{"mbox.message", "mime.7bit", "mime.base64 a very long name of a photograph that has to be split.jpg"},
		},
		"mutt, signed with PGP": {ordinaryMutt, []string{"mime.7bit", "mime.7bit signature.asc"}},
		"apple mail": {crlf(ordinaryAppleMail) + pdf + crlf(`
--Apple-Mail=_11234567-89AB-CDEF-0123-456789ABCDEF--

--Apple-Mail=_01234567-89AB-CDEF-0123-456789ABCDEF--
`), []string{"mime.7bit", "mime.7bit", "mime.base64 Protokoll März.pdf"}},
		"delivery status":  {ordinaryBounce, []string{"mime.7bit", "mime.7bit", "mime.7bit", "mime.7bit", "mime.7bit"}},
		"list, plain":      {ordinaryList, []string{"mbox.message", "mime.7bit"}},
		"patch":            {ordinaryPatch, []string{"mbox.message", "mime.7bit"}},
		"S/MIME, detached": {crlf(ordinarySMIME) + pdf + "------ABC--\r\n\r\n", []string{"mime.7bit", "mime.base64 smime.p7s"}},
		"invitation":       {crlf(ordinaryInvitation), []string{"mime.8bit"}},
	}
}

func TestOrdinary(t *testing.T) {
	for name, m := range ordinary() {
		t.Run(name, func(t *testing.T) {
			r := walkTree(t, m.mail, showcause.Limits{})
			if fmt.Sprint(r.ops) != fmt.Sprint(m.want) {
				t.Errorf("children\n%q\nwant\n%q", r.ops, m.want)
			}
			if len(r.gaps) > 0 {
				t.Errorf("gaps %s", r.codes())
			}
		})
	}
}

func TestNoMail(t *testing.T) {
	for name, s := range map[string]string{
		"source":    "package main\n\n// From: here\nfunc main() { x := y; case z: return }\n",
		"changelog": "2024-02-01  Frank  <frank@example.net>\n\n\t* file.c: From: and Subject: are read.\n",
		"debian":    "foo (1.0-1) unstable; urgency=low\n\n  * New.\n\n -- Frank <f@example.net>  Thu, 01 Feb 2024 12:03:52 +0100\n",
		"control":   "Package: foo\nVersion: 1.0\nMaintainer: Frank <f@example.net>\nDescription: a thing\n long\n",
		"python":    "Metadata-Version: 2.1\nName: foo\nVersion: 1.0\nSummary: a thing\nAuthor: Frank\n\nText.\n",
		"yaml":      "name: foo\non:\n  push:\njobs:\n  build:\n    runs-on: x\n",
		"prose":     "It was a dark night: the rain fell.\n\nFrom: nowhere.\n",
		"log":       "12:03:52 host daemon: started\n12:03:53 host daemon: Subject: x\n",
		"json":      "{\"From\": 1,\n\"Subject\": 2}\n",
		"makefile":  "all: foo\nfoo: bar\n\tcc -o foo bar\n",
		"copyright": "Format: x\nSource: y\n\n" + strings.Repeat("Files: *\nCopyright: z\n\n", 4000),
		"words":     strings.Repeat("word", 20_000) + " and more",
		"begin":     "begin with the first thing\nand so on\n",
		"c":         "from:\n\treturn 0;\nto:\n\tbegin 644 x;\n",
	} {
		for _, f := range formats() {
			if name != "c" && !(f.Name == "uuencode" && len(s) > unpack.HeadSize) && f.Match(unpacktest.Probe(showcause.Bytes(s))) {
				t.Errorf("%s matches %s", f.Name, name)
			}
		}
	}
}

const ordinaryGmail = `Delivered-To: bob@example.com
Received: by 2002:a05:6402:1234:b0:4f0:1234:5678 with SMTP id a1csp123456edv;
        Thu, 1 Feb 2024 03:04:05 -0800 (PST)
X-Received: by 2002:a17:906:1111:b0:a36:aaaa:bbbb with SMTP id c7mr123ejg.1.1706785445;
        Thu, 01 Feb 2024 03:04:05 -0800 (PST)
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
        d=gmail.com; s=20230601; t=1706785444; x=1707390244; darn=example.com;
        h=to:subject:message-id:date:from:mime-version:from:to:cc:subject;
        bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;
        b=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/abcd
         efgh==
MIME-Version: 1.0
From: Alice <alice@gmail.com>
Date: Thu, 1 Feb 2024 12:03:52 +0100
Message-ID: <CAAA=abc+def@mail.gmail.com>
Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=
To: bob@example.com
Content-Type: multipart/mixed; boundary="000000000000a1b2c3061050"

--000000000000a1b2c3061050
Content-Type: multipart/alternative; boundary="000000000000a1b2c1061050"

--000000000000a1b2c1061050
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe,
a long line that is softly broken because it would be longer than seventy=
-six characters

--=20
Alice

--000000000000a1b2c1061050
Content-Type: text/html; charset="UTF-8"
Content-Transfer-Encoding: quoted-printable

<div dir=3D"ltr">Gr=C3=BC=C3=9Fe,<br></div>

--000000000000a1b2c1061050--
--000000000000a1b2c3061050
Content-Type: application/pdf; name="Rechnung März.pdf"
Content-Disposition: attachment; filename="=?UTF-8?Q?Rechnung_M=C3=A4rz=2Epdf?="
Content-Transfer-Encoding: base64
X-Attachment-Id: f_ls1abc
Content-ID: <f_ls1abc>

`

const ordinaryOutlook = `Received: from AM0PR01MB1234.eurprd01.prod.exchangelabs.com
 (2603:10a6:208:1::1) by AM0PR01MB5678.eurprd01.prod.exchangelabs.com with
 HTTPS; Thu, 1 Feb 2024 11:03:52 +0000
From: Carol <carol@contoso.com>
To: "bob@example.com" <bob@example.com>
Subject: FW: Report
Thread-Topic: Report
Thread-Index: AQHaVP0abcdefghijklmnop=
Date: Thu, 1 Feb 2024 11:03:50 +0000
Message-ID:
	<AM0PR01MB1234ABCDEF@AM0PR01MB1234.eurprd01.prod.exchangelabs.com>
Accept-Language: en-US
Content-Language: en-US
X-MS-Has-Attach: yes
X-MS-TNEF-Correlator:
Content-Type: multipart/related;
	boundary="_004_AM0PR01MB1234ABCDEFAM0PR01MB1234eurp_";
	type="multipart/alternative"
MIME-Version: 1.0

--_004_AM0PR01MB1234ABCDEFAM0PR01MB1234eurp_
Content-Type: multipart/alternative;
	boundary="_000_AM0PR01MB1234ABCDEFAM0PR01MB1234eurp_"

--_000_AM0PR01MB1234ABCDEFAM0PR01MB1234eurp_
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Please see the report.

________________________________
From: Dave <dave@contoso.com>
Sent: Thursday, February 1, 2024 11:00 AM
To: Carol <carol@contoso.com>
Subject: Report

Here it is.=A0

--_000_AM0PR01MB1234ABCDEFAM0PR01MB1234eurp_
Content-Type: text/html; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

<html><head>
<meta http-equiv=3D"Content-Type" content=3D"text/html; charset=3Diso-8859-=
1">
</head><body>Please see the report.</body></html>

--_000_AM0PR01MB1234ABCDEFAM0PR01MB1234eurp_--

--_004_AM0PR01MB1234ABCDEFAM0PR01MB1234eurp_
Content-Type: image/png; name="image001.png"
Content-Description: image001.png
Content-Disposition: inline; filename="image001.png"; size=1234;
	creation-date="Thu, 01 Feb 2024 11:03:50 GMT";
	modification-date="Thu, 01 Feb 2024 11:03:50 GMT"
Content-ID: <image001.png@01DA54FD.12345678>
Content-Transfer-Encoding: base64

`

const ordinaryThunderbird = `From - Thu Feb  1 12:03:52 2024
X-Mozilla-Status: 0001
X-Mozilla-Status2: 00800000
X-Mozilla-Keys:                                                                                 
Message-ID: <12345678-1234-1234-1234-123456789abc@example.org>
Date: Thu, 1 Feb 2024 12:03:52 +0100
MIME-Version: 1.0
User-Agent: Mozilla Thunderbird
Content-Language: en-US
To: bob@example.com
From: Erin <erin@example.org>
Subject: photos
Content-Type: multipart/mixed; boundary="------------abcDEF0123456789abcDEF01"

This is a multi-part message in MIME format.
--------------abcDEF0123456789abcDEF01
Content-Type: text/plain; charset=UTF-8; format=flowed
Content-Transfer-Encoding: 7bit

Hi, here are the photos.

-- 
Erin

--------------abcDEF0123456789abcDEF01
Content-Type: image/jpeg; name="a very long name of a photograph that has to be split.jpg"
Content-Disposition: attachment;
 filename*0="a very long name of a photograph that has to be";
 filename*1=" split.jpg"
Content-Transfer-Encoding: base64

`

const ordinaryMutt = `Date: Thu, 1 Feb 2024 12:03:52 +0100
From: Frank <frank@example.net>
To: list@example.org
Subject: Re: [list] patch
Message-ID: <20240201110352.GA1234@example.net>
References: <20240131110352.GA1234@example.net>
MIME-Version: 1.0
Content-Type: multipart/signed; micalg=pgp-sha512;
	protocol="application/pgp-signature"; boundary="tThc/1wpZn/ma/RB"
Content-Disposition: inline
In-Reply-To: <20240131110352.GA1234@example.net>


--tThc/1wpZn/ma/RB
Content-Type: text/plain; charset=us-ascii
Content-Disposition: inline

On Wed, Jan 31, 2024 at 12:00:00PM +0100, Bob wrote:
> --- a/file.c
> +++ b/file.c

Looks good to me.

--
Frank

--tThc/1wpZn/ma/RB
Content-Type: application/pgp-signature; name="signature.asc"

-----BEGIN PGP SIGNATURE-----

iQIzBAEBCgAdFiEEabcdefABCDEF0123456789abcdefABCDFiEEabcdefABCDEF
0123456789abcdefABCDiQIzBAEBCgAdFiEEabcdefABCDEF0123456789abcdef
=AbCd
-----END PGP SIGNATURE-----

--tThc/1wpZn/ma/RB--
`

const ordinaryAppleMail = `From: Grace <grace@icloud.com>
Content-Type: multipart/alternative;
	boundary="Apple-Mail=_01234567-89AB-CDEF-0123-456789ABCDEF"
Mime-Version: 1.0 (Mac OS X Mail 16.0 \(3774.400.31\))
Subject: minutes
Message-Id: <01234567-89AB-CDEF-0123-456789ABCDEF@icloud.com>
Date: Thu, 1 Feb 2024 12:03:52 +0100
To: bob@example.com
X-Mailer: Apple Mail (2.3774.400.31)


--Apple-Mail=_01234567-89AB-CDEF-0123-456789ABCDEF
Content-Transfer-Encoding: 7bit
Content-Type: text/plain;
	charset=us-ascii

The minutes are attached.


--Apple-Mail=_01234567-89AB-CDEF-0123-456789ABCDEF
Content-Type: multipart/mixed;
	boundary="Apple-Mail=_11234567-89AB-CDEF-0123-456789ABCDEF"


--Apple-Mail=_11234567-89AB-CDEF-0123-456789ABCDEF
Content-Transfer-Encoding: 7bit
Content-Type: text/html;
	charset=us-ascii

<html><body>The minutes are attached.</body></html>
--Apple-Mail=_11234567-89AB-CDEF-0123-456789ABCDEF
Content-Disposition: attachment;
	filename*=utf-8''Protokoll%20M%C3%A4rz.pdf
Content-Type: application/pdf;
	x-unix-mode=0644;
	name="=?utf-8?Q?Protokoll_M=C3=A4rz=2Epdf?="
Content-Transfer-Encoding: base64

`

const ordinaryBounce = `Return-Path: <>
Date: Thu, 1 Feb 2024 12:03:52 +0100 (CET)
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: alice@example.org
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="4TQZJ2.1706785432/mx.example.com"
Message-Id: <20240201110352.4TQZJ3@mx.example.com>

This is a MIME-encapsulated message.

--4TQZJ2.1706785432/mx.example.com
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

--4TQZJ2.1706785432/mx.example.com
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
X-Postfix-Queue-ID: 4TQZJ2

Final-Recipient: rfc822; bob@example.com
Action: failed
Status: 5.1.1

--4TQZJ2.1706785432/mx.example.com
Content-Description: Undelivered Message
Content-Type: message/rfc822

Return-Path: <alice@example.org>
From: alice@example.org
To: bob@example.com
Subject: hello
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="=-abc"

--=-abc
Content-Type: text/plain

hello there

--=-abc
Content-Type: text/html

<p>hello there</p>

--=-abc--

--4TQZJ2.1706785432/mx.example.com--
`

const ordinaryList = `From frank@example.net Thu Feb  1 12:03:52 2024
From: frank at example.net (Frank)
Date: Thu, 1 Feb 2024 12:03:52 +0100
Subject: [list] question
Message-ID: <mailman.1.1706785432.123.list@example.org>

From the archive one learns that "From " is quoted.
>From time to time.

begin with the first, and end with the last.
`

const ordinaryPatch = `From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001
From: Heidi <heidi@example.com>
Date: Thu, 1 Feb 2024 12:03:52 +0100
Subject: [PATCH] file: do it

It does it.
---
 file.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/file.c b/file.c
index 0123456..789abcd 100644
--- a/file.c
+++ b/file.c
@@ -1 +1 @@
-a
+b
-- 
2.43.0

`

const ordinarySMIME = `From: a@example.com
To: b@example.com
Subject: signed
MIME-Version: 1.0
Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="----ABC"

This is an S/MIME signed message

------ABC
Content-Type: text/plain

signed text
------ABC
Content-Type: application/pkcs7-signature; name="smime.p7s"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="smime.p7s"

`

const ordinaryInvitation = `From: a@example.com
To: b@example.com
Subject: meeting
MIME-Version: 1.0
Content-Type: text/calendar; charset=utf-8; method=REQUEST
Content-Transfer-Encoding: 8bit

BEGIN:VCALENDAR
END:VCALENDAR
`
