# Makes documents with LibreOffice in each of its formats, with marks in each place, in the folder that is given.
import sys, os, time, subprocess, tempfile, uno
from com.sun.star.beans import PropertyValue, NamedValue
out = sys.argv[1]
prof = tempfile.mkdtemp(prefix='lo')
pipe = 'showcause%d' % os.getpid()
p = subprocess.Popen(['soffice', '-env:UserInstallation=file://' + prof, '--headless', '--norestore', '--invisible', '--nologo',
    '--accept=pipe,name=%s;urp;' % pipe], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext('com.sun.star.bridge.UnoUrlResolver', local)
    for _ in range(120):
        try:
            ctx = resolver.resolve('uno:pipe,name=%s;urp;StarOffice.ComponentContext' % pipe)
            break
        except Exception:
            time.sleep(0.5)
    desktop = ctx.ServiceManager.createInstanceWithContext('com.sun.star.frame.Desktop', ctx)
    def props(**k):
        r = []
        for n, v in k.items():
            x = PropertyValue(); x.Name = n; x.Value = v; r.append(x)
        return tuple(r)
    def url(name): return 'file://' + os.path.join(out, name)
    def macros(doc, word):
        libs = doc.BasicLibraries
        if not libs.hasByName('Standard'): libs.createLibrary('Standard')
        libs.getByName('Standard').insertByName('Module1', 'Sub Main\n  MsgBox "%s"\nEnd Sub\n' % word)
    def lock(kind):
        r = []
        for n, v in (('CryptoType', kind), ('OOXPassword', 'infected')):
            x = NamedValue(); x.Name = n; x.Value = v; r.append(x)
        return uno.Any('[]com.sun.star.beans.NamedValue', tuple(r))
    def store(doc, name, flt, **k):
        doc.storeToURL(url(name), props(FilterName=flt, Overwrite=True, **k))
        print(name)
    d = desktop.loadComponentFromURL('private:factory/swriter', '_blank', 0, props(Hidden=True))
    t = d.Text; c = t.createTextCursor()
    t.insertString(c, 'mark-writer-body text\n', False)
    st = d.StyleFamilies.getByName('PageStyles').getByName('Standard')
    st.HeaderIsOn = True; st.HeaderText.setString('mark-writer-header')
    st.FooterIsOn = True; st.FooterText.setString('mark-writer-footer')
    n = d.createInstance('com.sun.star.text.Footnote'); t.insertTextContent(c, n, False); n.setString('mark-writer-footnote')
    n = d.createInstance('com.sun.star.text.Endnote'); t.insertTextContent(c, n, False); n.setString('mark-writer-endnote')
    a = d.createInstance('com.sun.star.text.textfield.Annotation'); a.Author = 'x'; a.Content = 'mark-writer-comment'; t.insertTextContent(c, a, False)
    c.HyperLinkURL = 'http://link.example/mark-writer-link'; t.insertString(c, 'link', False); c.HyperLinkURL = ''
    d.DocumentProperties.Title = 'mark-writer-title'
    o = d.createInstance('com.sun.star.text.TextEmbeddedObject'); o.CLSID = '47BBB4CB-CE4C-4E80-a591-42d9ae74950f'
    t.insertTextContent(c, o, False)
    m = o.EmbeddedObject
    if not hasattr(m, 'Sheets'): m = m.Component
    sh = m.Sheets.getByIndex(0); sh.getCellByPosition(0, 0).String = 'mark-embedded-cell'
    macros(d, 'mark-writer-macro')
    for name, flt in [('w.odt', 'writer8'), ('w.fodt', 'OpenDocument Text Flat XML'), ('w.doc', 'MS Word 97'), ('w.docx', 'MS Word 2007 XML'),
                      ('w.rtf', 'Rich Text Format'), ('w.html', 'HTML (StarWriter)'), ('w.txt', 'Text'), ('w.pdf', 'writer_pdf_Export'),
                      ('w.xml', 'MS Word 2003 XML'), ('w.ott', 'writer8_template')]:
        try: store(d, name, flt)
        except Exception as e: print('no', name, e)
    for name, flt in [('sealed.odt', 'writer8'), ('sealed.doc', 'MS Word 97')]:
        try: store(d, name, flt, Password='infected')
        except Exception as e: print('no', name, e)
    try: # as OpenOffice 3 and before encrypt
        provider = ctx.ServiceManager.createInstanceWithContext('com.sun.star.configuration.ConfigurationProvider', ctx)
        node = PropertyValue(); node.Name = 'nodepath'; node.Value = '/org.openoffice.Office.Common/Save/ODF'
        odf = provider.createInstanceWithArguments('com.sun.star.configuration.ConfigurationUpdateAccess', (node,))
        latest = odf.DefaultVersion
        odf.DefaultVersion = 2 # OpenDocument 1.1
        odf.commitChanges()
        store(d, 'sealed-old.odt', 'writer8', Password='infected')
        odf.DefaultVersion = latest
        odf.commitChanges()
    except Exception as e: print('no', 'sealed-old.odt', e)
    for kind in ('Standard',):
        try: store(d, 'sealed-%s.docx' % kind.lower(), 'MS Word 2007 XML', EncryptionData=lock(kind))
        except Exception as e: print('no', kind, e)
    d.close(True)
    d = desktop.loadComponentFromURL('private:factory/scalc', '_blank', 0, props(Hidden=True))
    s = d.Sheets.getByIndex(0)
    s.getCellByPosition(0, 0).String = 'mark-calc-cell'
    s.getCellByPosition(0, 1).Formula = '=CONCATENATE("mark-calc-";"formula")'
    s.getCellByPosition(0, 2).String = 'x'
    s.Annotations.insertNew(s.getCellByPosition(0, 2).CellAddress, 'mark-calc-comment')
    d.Sheets.insertNewByName('mark-calc-sheet', 1)
    d.DocumentProperties.Title = 'mark-calc-title'
    macros(d, 'mark-calc-macro')
    for name, flt in [('c.ods', 'calc8'), ('c.fods', 'OpenDocument Spreadsheet Flat XML'), ('c.xls', 'MS Excel 97'), ('c.xlsx', 'Calc MS Excel 2007 XML'),
                      ('c.xlsm', 'Calc MS Excel 2007 VBA XML'), ('c.csv', 'Text - txt - csv (StarCalc)'), ('c.slk', 'SYLK'), ('c.dif', 'DIF'), ('c.xml', 'MS Excel 2003 XML'), ('c.pdf', 'calc_pdf_Export'), ('c.html', 'HTML (StarCalc)')]:
        try: store(d, name, flt)
        except Exception as e: print('no', name, e)
    for name, flt in [('sealed.xls', 'MS Excel 97'), ('sealed.ods', 'calc8')]:
        try: store(d, name, flt, Password='infected')
        except Exception as e: print('no', name, e)
    d.close(True)
    d = desktop.loadComponentFromURL('private:factory/simpress', '_blank', 0, props(Hidden=True))
    pg = d.DrawPages.getByIndex(0)
    from com.sun.star.awt import Size, Point
    x = d.createInstance('com.sun.star.drawing.TextShape'); x.Size = Size(10000, 3000); x.Position = Point(1000, 1000); pg.add(x); x.String = 'mark-impress-slide'
    np = pg.getNotesPage()
    for i in range(np.Count):
        sh = np.getByIndex(i)
        if sh.supportsService('com.sun.star.presentation.NotesShape'): sh.String = 'mark-impress-notes'
    d.DocumentProperties.Title = 'mark-impress-title'
    macros(d, 'mark-impress-macro')
    for name, flt in [('i.odp', 'impress8'), ('i.fodp', 'OpenDocument Presentation Flat XML'), ('i.ppt', 'MS PowerPoint 97'), ('i.pptx', 'Impress MS PowerPoint 2007 XML'), ('i.pdf', 'impress_pdf_Export')]:
        try: store(d, name, flt)
        except Exception as e: print('no', name, e)
    d.close(True)
    try: desktop.terminate()
    except Exception: pass
finally:
    time.sleep(1)
    p.terminate()
    subprocess.call(['rm', '-rf', prof])
