package placed

import "strings"

const contentTypes = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>`

// parts are those of packages of Office.
var parts = strings.Fields(`_rels/.rels docProps/app.xml docProps/core.xml docProps/custom.xml docProps/thumbnail.jpeg customXml/item1.xml customXml/itemProps1.xml
	word/document.xml word/document2.xml word/header1.xml word/footer1.xml word/footnotes.xml word/endnotes.xml word/comments.xml word/commentsExtended.xml word/people.xml word/settings.xml word/styles.xml word/numbering.xml
	word/fontTable.xml word/webSettings.xml word/glossary/document.xml word/theme/theme1.xml word/media/image1.png word/media/image1.svg word/embeddings/oleObject1.bin word/embeddings/Sheet.xlsx word/activeX/activeX1.xml
	word/activeX/activeX1.bin word/vbaData.xml word/attachedToolbars.bin word/printerSettings/printerSettings1.bin word/_rels/document.xml.rels word/_rels/settings.xml.rels word/charts/chart1.xml word/diagrams/data1.xml
	word/afchunk.mht word/fonts/font1.odttf word/bibliography.xml
	xl/workbook.xml xl/workbook.bin xl/sharedStrings.xml xl/worksheets/sheet1.xml xl/worksheets/sheet1.bin xl/macrosheets/sheet1.xml xl/dialogsheets/sheet1.xml xl/chartsheets/sheet1.xml xl/externalLinks/externalLink1.xml
	xl/externalLinks/_rels/externalLink1.xml.rels xl/comments1.xml xl/threadedComments/threadedComment1.xml xl/drawings/drawing1.xml xl/drawings/vmlDrawing1.vml xl/connections.xml xl/queryTables/queryTable1.xml xl/tables/table1.xml
	xl/pivotCache/pivotCacheDefinition1.xml xl/model/item.data xl/customData/item1.data xl/ctrlProps/ctrlProp1.xml xl/calcChain.xml xl/metadata.xml
	ppt/presentation.xml ppt/slides/slide1.xml ppt/slides/_rels/slide1.xml.rels ppt/notesSlides/notesSlide1.xml ppt/slideMasters/slideMaster1.xml ppt/slideLayouts/slideLayout1.xml ppt/handoutMasters/handoutMaster1.xml
	ppt/comments/comment1.xml ppt/commentAuthors.xml ppt/tags/tag1.xml ppt/presProps.xml ppt/media/media1.mp4 ppt/embeddings/oleObject1.bin customUI/customUI14.xml userCustomization/customUI.xml [trash]/0000.dat unknown.dat`)

// openXML has it in each part of a package.
func openXML(l *list) {
	for _, p := range parts {
		data := body
		if strings.HasSuffix(p, ".xml") || strings.HasSuffix(p, ".rels") {
			data = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><a xmlns="x"><b c="` + Marker + `"/></a>`
		}
		l.add("ooxml/"+strings.ReplaceAll(p, "/", " "), zipOf(member{"[Content_Types].xml", contentTypes, false}, member{p, data, false}))
	}
	for name, data := range map[string]string{
		"text": "<w:t>" + Marker + "</w:t>", "comment": "<!--" + Marker + "-->", "CDATA": "<![CDATA[" + Marker + "]]>", "instruction": "<?" + Marker + "?>", "UTF-16": "", "base64": "<w:binData>" + lines(body) + "</w:binData>",
		"field": "<w:instrText>DDEAUTO " + Marker + "</w:instrText>", "field in pieces": "<w:instrText>DDEAUTO " + Marker[:9] + "</w:instrText></w:r><w:r><w:instrText>" + Marker[9:] + "</w:instrText>", "references": "<w:t>" + codes(Marker) + "</w:t>", "entity": "",
	} {
		doc := `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">` + data + `</w:document>`
		switch name {
		case "UTF-16":
			doc = "\xff\xfe" + wide(`<?xml version="1.0" encoding="UTF-16"?><w:t>`+Marker+`</w:t>`)
		case "entity":
			doc = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e "` + Marker + `">]><a>&e;</a>`
		}
		l.add("ooxml/document/"+name, zipOf(member{"[Content_Types].xml", contentTypes, false}, member{"word/document.xml", doc, false}))
	}
	for name, inner := range map[string]string{
		"compound file": string(compoundOf(9, leaf{"a", body})), "zip": string(zipOf(member{"b", body, false})), "packaged": string(compoundOf(9, leaf{"\x01Ole10Native", native("a", body)})),
		"PDF": string(pdfPaged(pdfStream("/Filter/FlateDecode", zlibbed(body)))), "RTF": "{\\rtf1{\\object\\objemb{\\*\\objdata " + digits(ole1("Package", packaged("a", body))) + "}}}",
	} {
		l.add("ooxml/embedded/"+name, zipOf(member{"[Content_Types].xml", contentTypes, false}, member{"word/embeddings/oleObject1.bin", inner, false}))
		l.add("ooxml/embedded as it is/"+name, zipOf(member{"[Content_Types].xml", contentTypes, true}, member{"word/embeddings/oleObject1.bin", inner, true}))
	}
}

// openDocument has it in each part of a package of OpenDocument.
func openDocument(l *list) {
	for _, p := range strings.Fields(`content.xml styles.xml meta.xml settings.xml META-INF/manifest.xml META-INF/documentsignatures.xml Basic/Standard/Module1.xml Scripts/python/a.py Scripts/javascript/a.js Pictures/1.png Pictures/1.svg
		Object_1/content.xml Object_1 ObjectReplacements/Object_1 Thumbnails/thumbnail.png Configurations2/accelerator/current.xml Dialogs/Standard/Dialog1.xml Media/a.mp4 Fonts/a.ttf layout-cache manifest.rdf Versions/Version1`) {
		data := body
		if strings.HasSuffix(p, ".xml") {
			data = `<?xml version="1.0" encoding="UTF-8"?><a:b xmlns:a="x"><c>` + Marker + `</c></a:b>`
		}
		l.add("odf/"+strings.ReplaceAll(p, "/", " "), zipOf(member{"mimetype", "application/vnd.oasis.opendocument.text", true}, member{p, data, false}))
	}
}

// codes are the letters as references to characters.
func codes(s string) string {
	var b strings.Builder
	for _, c := range s {
		b.WriteString("&#x" + digits(string(c)) + ";")
	}
	return b.String()
}

// flatXML has it in base64 of documents that are one file of XML.
func flatXML(l *list) {
	bin := string(compoundOf(9, vbaProject("Macros/", source, 0x21)...))
	mso := "ActiveMime\x00\x00\x01\xf0\x04\x00\x00\x00\xff\xff\xff\xff\x00\x00\x07\xf0" + u32(zlibSize(bin)) + "\x04\x00\x00\x00\x04\x00\x00\x00" + u32(0) + u32(len(bin)) + zlibbed(bin)
	word := func(name, data string) string {
		return `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><?mso-application progid="Word.Document"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"><w:` + name + ` w:name="editdata.mso">` + data + `</w:` + name + `></w:wordDocument>`
	}
	l.text("xml/Word 2003, macros", word("binData", lines(mso)))
	l.text("xml/Word 2003, data", word("binData", lines(body)))
	l.text("xml/Word 2003, object", word("docOleData", lines(string(compoundOf(9, leaf{"a", body})))))
	l.text("xml/Word 2003, text", word("t", Marker))
	l.text("xml/flat package", `<?xml version="1.0"?><?mso-application progid="Word.Document"?><pkg:package xmlns:pkg="http://schemas.microsoft.com/office/2006/xmlPackage"><pkg:part pkg:name="/word/vbaProject.bin"><pkg:binaryData>`+lines(bin)+`</pkg:binaryData></pkg:part></pkg:package>`)
	l.text("xml/flat OpenDocument", `<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"><draw:image><office:binary-data>`+lines(body)+`</office:binary-data></draw:image></office:document>`)
	l.text("xml/flat OpenDocument, macro", `<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"><ooo:source-code>Sub Main
MsgBox &quot;`+Marker+`&quot;</ooo:source-code></office:document>`)
	l.text("xml/Excel 2003", `<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"><Worksheet><Table><Row><Cell><Data>`+Marker+`</Data></Cell></Row></Table></Worksheet></Workbook>`)
	l.text("xml/HWPML", `<?xml version="1.0" encoding="UTF-8"?><HWPML Version="2.8"><TAIL><BINDATASTORAGE><BINDATA Encoding="Base64" Id="1" Size="9">`+lines(body)+`</BINDATA></BINDATASTORAGE></TAIL></HWPML>`)
	l.text("xml/HWPML, compressed", `<?xml version="1.0" encoding="UTF-8"?><HWPML Version="2.8"><TAIL><BINDATASTORAGE><BINDATA Compress="true" Encoding="Base64" Id="1" Size="9">`+lines(string(deflated(body)))+`</BINDATA></BINDATASTORAGE></TAIL></HWPML>`)
	pdf := string(pdfPaged(pdfStream("/Filter/FlateDecode", zlibbed(body))))
	l.text("xml/XDP", `<?xml version="1.0" encoding="UTF-8"?><?xfa generator="x"?><xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/"><pdf xmlns="http://ns.adobe.com/xdp/pdf/"><document><chunk>`+lines(pdf)+`</chunk></document></pdf></xdp:xdp>`)
	l.text("xml/ActiveMime", mso)
}

func zlibSize(s string) int { return len(zlibbed(s)) }
