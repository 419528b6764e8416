# Writes a mailbox with the library that Evolution keeps its mails with (Camel), as Evolution has them in files: lines that begin
# with "From " escaped, and a field of its own. Prints the SHA-256 of what is attached.
import sys, hashlib, gi
gi.require_version('Camel', '1.2')
from gi.repository import Camel, Gio
files = [('a.bin', bytes(range(256)) * 30), ('b c.txt', b'a text\nFrom here on it goes\n.\nend\n'), ('caf\u00e9.dat', b'MZ' + bytes(500))]

def text(s):
    p = Camel.MimePart()
    p.set_content(s.encode(), 'text/plain; charset=utf-8')
    p.set_encoding(Camel.TransferEncoding.ENCODING_QUOTEDPRINTABLE)
    return p

def attached(name, data):
    p = Camel.MimePart()
    p.set_content(data, 'application/octet-stream')
    p.set_disposition('attachment')
    p.set_filename(name)
    p.set_encoding(Camel.TransferEncoding.ENCODING_BASE64)
    return p

def message(k):
    m = Camel.MimeMessage()
    m.set_subject('number %d, b\u00fccher' % k)
    a = Camel.InternetAddress(); a.add('Some One', 'a@a.example'); m.set_from(a)
    m.set_date(1700000000 + k, 0)
    parts = Camel.Multipart()
    parts.set_boundary(None)
    parts.add_part(text('From the first line on\nand \u00e4 more\nFrom another one\n'))
    for name, data in files:
        parts.add_part(attached(name, data))
        print(hashlib.sha256(data).hexdigest())
    Camel.Medium.set_content(m, parts)
    m.set_header('X-Evolution', '%08x-0010' % k)
    return m

with open(sys.argv[1], 'wb') as box:
    for k in range(3):
        out = Gio.MemoryOutputStream.new_resizable()
        escaped = Camel.FilterOutputStream.new(out, Camel.MimeFilterFrom())
        message(k).write_to_output_stream_sync(escaped, None)
        escaped.flush(None)
        escaped.close(None)
        out.close(None)
        box.write(b'From a@a.example Tue Nov 14 22:13:20 2023\n' + out.steal_as_bytes().get_data() + b'\n')
