# Writes mails with Python's email package into the folder that is given, and for each the SHA-256 of what is attached.
import sys, os, hashlib, itertools, email.policy, mailbox
from email.message import EmailMessage
out = sys.argv[1]
files = [bytes(range(256)) * 40, b'a text\nof two lines\n', b'%!PS-Adobe-3.0\nshowpage\n', b'x' * 5000, b'MZ' + bytes(300)]
names = ['a.bin', 'b.txt', 'caf\u00e9.zip', 'a name that is long enough to be folded over more than one line of the header of a part.dat', 'd.exe']
n = 0
box = mailbox.mbox(os.path.join(out, 'all.mbox'))
sums = []
for policy, cte, nest, html in itertools.product([email.policy.SMTP, email.policy.default, email.policy.SMTP.clone(max_line_length=40)], ['base64', 'quoted-printable'], [0, 1, 2], [False, True]):
    m = EmailMessage(policy=policy)
    m['From'] = 'a@a.example'; m['To'] = 'b@b.example'; m['Subject'] = 'b\u00fccher number %d' % n
    m.set_content('a text with \u00e4 in it\n', cte=cte)
    if html: m.add_alternative('<html><body><p>a page</p></body></html>', subtype='html')
    want = []
    for f, name in zip(files, names):
        if cte == 'quoted-printable':
            m.add_attachment(f, maintype='application', subtype='octet-stream', filename=name, cte='base64' if b'\x00' in f else cte)
        else:
            m.add_attachment(f, maintype='application', subtype='octet-stream', filename=name)
        want.append(hashlib.sha256(f).hexdigest())
    for _ in range(nest):
        o = EmailMessage(policy=policy)
        o['From'] = 'c@c.example'; o['Subject'] = 'forwarded'; o.set_content('see below\n'); o.add_attachment(m); m = o
    open(os.path.join(out, 'm%d.eml' % n), 'wb').write(m.as_bytes())
    open(os.path.join(out, 'm%d.sum' % n), 'w').write('\n'.join(want))
    box.add(m); sums += want
    n += 1
box.flush()
open(os.path.join(out, 'all.sum'), 'w').write('\n'.join(sums))
