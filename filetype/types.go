package filetype

// The types that other packages ask for by name; Parse finds the others.
const (
	Unknown Type = iota
	PE
	DOS
	ELF
	MachO
	Universal
	Java
	Text
	UTF8
	UTF16LE
	UTF16BE
	Script
	HTML
	HTML16
	Mail
	MHTML
	PDF
	OLE2
	RTF
	SWF
	PackedSWF
	Zip
	Gzip
	Bzip2
	XZ
	LZMA
	Zstd
	LZ4
	Tar
	OldTar
	Ar
	UUEncoded
	BinHex
)

const (
	empty Type = iota + BinHex + 1
	ooxmlWord
	ooxmlPPT
	ooxmlXL
	ooxmlHWP
	sevenZip
	rar
	arj
	cab
	isCab
	chm
	cpioOld
	cpioODC
	cpioNewc
	cpioCRC
	iso9660
	udf
	dmg
	xar
	egg
	alz
	lha
	szdd
	kwaj
	ace
	zoo
	stuffit
	lzip
	lzop
	compress
	pack
	lzh
	zlibT
	oldZstd
	snappy
	lrzip
	rpm
	wim
	crx
	gitPack
	sis
	tnef
	hwp3
	hwpOLE2
	oneNote
	pst
	jetDB
	xmlWord
	xmlXL
	xmlHWP
	xdp
	scrEnc
	cryptFF
	pgp
	luks
	mbr
	gpt
	apm
	hfsPlus
	hfs
	fat
	ntfs
	exfat
	ext
	xfs
	btrfs
	squashfs
	apfs
	f2fs
	jffs2
	ubifs
	jfs
	reiserfs
	ufs
	zfs
	bcachefs
	refs
	lvm
	raid
	parallels
	qed
	ewf
	cramfs
	erofs
	romfs
	ubi
	qcow2
	vmdk
	vhd
	vhdx
	vdi
	dex
	wasm
	pyc
	lnk
	llvm
	gif
	png
	jpeg
	tiff
	bmp
	jpeg2000
	ico
	webp
	psd
	icns
	riff
	mp3
	mp4
	ogg
	flac
	matroska
	mpeg
	asf
	realMedia
	midi
	font
	webFont
	ps
	sqlite
	registry
	evtx
	pcap
	plist
	gettext
	ignored
	zpaq
	dar
	rzip
	arc
	freearc
	ha
	hpack
	arjJar
	uharc
	rnc
	xpk
	powerpacker
	dms
	stuffitX
	bzip1
	bzip3
	lzf
	freezeT
	squeeze
	adf
	neroImage
	discjuggler
	rawCd
	lzfse
	lz5
	lizard
	qpress
	ucl
	mozlz4
	pbzx
	appleArchive
	kgb
	sqx
	ultracompressor
	amigaLzx
	sapcar
	blakhole
	installshieldZ
	nufx
	packit
	afio
	dumpT
	xfsdump
	androidSparse
	androidBackup
	androidPayload
	uimage
	zchunk
	chd
	cso
	daa
	ghost
	acronis
	partclone
	ntfsclone
	partimage
	fsarchiver
)

// row is what is known of a type.
type row struct {
	name   string
	clam   string // ClamAV's name
	target uint8  // ClamAV's target number
	hides  bool
}

// rows is the table of types. ClamAV's names are those that clamscan 1.4.6
// prints under --gen-json; where it has no type of its own, it says
// CL_TYPE_BINARY_DATA. Pictures, sound and fonts are compressed too, but what
// reads them draws and plays and runs nothing, and ClamAV's signatures for
// them are made for the raw bytes: they do not hide.
var rows = [...]row{
	Unknown:         {"data", "CL_TYPE_BINARY_DATA", 0, false},
	PE:              {"pe", "CL_TYPE_MSEXE", 1, false},
	DOS:             {"dos-exe", "CL_TYPE_MSEXE", 1, false},
	ELF:             {"elf", "CL_TYPE_ELF", 6, false},
	MachO:           {"macho", "CL_TYPE_MACHO", 9, false},
	Universal:       {"macho-universal", "CL_TYPE_MACHO_UNIBIN", 9, false},
	Java:            {"java-class", "CL_TYPE_JAVA", 12, false},
	Text:            {"text", "CL_TYPE_TEXT_ASCII", 7, false},
	UTF8:            {"utf8-text", "CL_TYPE_TEXT_ASCII", 7, false},
	UTF16LE:         {"utf16le-text", "CL_TYPE_TEXT_UTF16LE", 7, false},
	UTF16BE:         {"utf16be-text", "CL_TYPE_TEXT_UTF16BE", 7, false},
	Script:          {"script", "CL_TYPE_TEXT_ASCII", 7, false},
	HTML:            {"html", "CL_TYPE_HTML", 3, false},
	HTML16:          {"utf16-html", "CL_TYPE_HTML_UTF16", 3, false},
	Mail:            {"mail", "CL_TYPE_MAIL", 4, true},
	MHTML:           {"mhtml", "CL_TYPE_MHTML", 0, true},
	PDF:             {"pdf", "CL_TYPE_PDF", 10, true},
	OLE2:            {"ole2", "CL_TYPE_MSOLE2", 2, true},
	RTF:             {"rtf", "CL_TYPE_RTF", 0, true},
	SWF:             {"swf", "CL_TYPE_SWF", 11, false},
	PackedSWF:       {"swf-compressed", "CL_TYPE_SWF", 11, true},
	Zip:             {"zip", "CL_TYPE_ZIP", 0, true},
	Gzip:            {"gzip", "CL_TYPE_GZ", 0, true},
	Bzip2:           {"bzip2", "CL_TYPE_BZ", 0, true},
	XZ:              {"xz", "CL_TYPE_XZ", 0, true},
	LZMA:            {"lzma", "CL_TYPE_BINARY_DATA", 0, true},
	Zstd:            {"zstd", "CL_TYPE_BINARY_DATA", 0, true},
	LZ4:             {"lz4", "CL_TYPE_BINARY_DATA", 0, true},
	Tar:             {"tar", "CL_TYPE_POSIX_TAR", 0, true},
	OldTar:          {"tar-old", "CL_TYPE_OLD_TAR", 0, true},
	Ar:              {"ar", "CL_TYPE_BINARY_DATA", 0, true},
	UUEncoded:       {"uuencode", "CL_TYPE_UUENCODED", 0, true},
	BinHex:          {"binhex", "CL_TYPE_BINHEX", 0, true},
	empty:           {"empty", "CL_TYPE_BINARY_DATA", 0, false},
	ooxmlWord:       {"ooxml-word", "CL_TYPE_OOXML_WORD", 0, true},
	ooxmlPPT:        {"ooxml-ppt", "CL_TYPE_OOXML_PPT", 0, true},
	ooxmlXL:         {"ooxml-xl", "CL_TYPE_OOXML_XL", 0, true},
	ooxmlHWP:        {"ooxml-hwp", "CL_TYPE_OOXML_HWP", 0, true},
	sevenZip:        {"7z", "CL_TYPE_7Z", 0, true},
	rar:             {"rar", "CL_TYPE_RAR", 0, true},
	arj:             {"arj", "CL_TYPE_ARJ", 0, true},
	cab:             {"cab", "CL_TYPE_MSCAB", 0, true},
	isCab:           {"installshield-cab", "CL_TYPE_BINARY_DATA", 0, true},
	chm:             {"chm", "CL_TYPE_MSCHM", 0, true},
	cpioOld:         {"cpio-old", "CL_TYPE_CPIO_OLD", 0, true},
	cpioODC:         {"cpio-odc", "CL_TYPE_CPIO_ODC", 0, true},
	cpioNewc:        {"cpio-newc", "CL_TYPE_CPIO_NEWC", 0, true},
	cpioCRC:         {"cpio-crc", "CL_TYPE_CPIO_CRC", 0, true},
	iso9660:         {"iso9660", "CL_TYPE_ISO9660", 0, true},
	udf:             {"udf", "CL_TYPE_UDF", 0, true},
	dmg:             {"dmg", "CL_TYPE_DMG", 0, true},
	xar:             {"xar", "CL_TYPE_XAR", 0, true},
	egg:             {"egg", "CL_TYPE_EGG", 0, true},
	alz:             {"alz", "CL_TYPE_ALZ", 0, true},
	lha:             {"lha", "CL_TYPE_LHA_LZH", 0, true},
	szdd:            {"szdd", "CL_TYPE_MSSZDD", 0, true},
	kwaj:            {"kwaj", "CL_TYPE_BINARY_DATA", 0, true},
	ace:             {"ace", "CL_TYPE_BINARY_DATA", 0, true},
	zoo:             {"zoo", "CL_TYPE_BINARY_DATA", 0, true},
	stuffit:         {"stuffit", "CL_TYPE_BINARY_DATA", 0, true},
	lzip:            {"lzip", "CL_TYPE_BINARY_DATA", 0, true},
	lzop:            {"lzop", "CL_TYPE_BINARY_DATA", 0, true},
	compress:        {"compress", "CL_TYPE_BINARY_DATA", 0, true},
	pack:            {"pack", "CL_TYPE_BINARY_DATA", 0, true},
	lzh:             {"lzh-compress", "CL_TYPE_BINARY_DATA", 0, true},
	oldZstd:         {"zstd-legacy", "CL_TYPE_BINARY_DATA", 0, true},
	zlibT:           {"zlib", "CL_TYPE_BINARY_DATA", 0, true},
	snappy:          {"snappy", "CL_TYPE_BINARY_DATA", 0, true},
	lrzip:           {"lrzip", "CL_TYPE_BINARY_DATA", 0, true},
	rpm:             {"rpm", "CL_TYPE_BINARY_DATA", 0, true},
	wim:             {"wim", "CL_TYPE_BINARY_DATA", 0, true},
	crx:             {"crx", "CL_TYPE_BINARY_DATA", 0, true},
	gitPack:         {"git-pack", "CL_TYPE_BINARY_DATA", 0, true},
	sis:             {"sis", "CL_TYPE_SIS", 0, true},
	tnef:            {"tnef", "CL_TYPE_TNEF", 0, true},
	hwp3:            {"hwp3", "CL_TYPE_HWP3", 0, true},
	hwpOLE2:         {"hwp-ole2", "CL_TYPE_HWPOLE2", 0, true},
	oneNote:         {"onenote", "CL_TYPE_ONENOTE", 0, true},
	pst:             {"pst", "CL_TYPE_BINARY_DATA", 0, true},
	jetDB:           {"jet-database", "CL_TYPE_BINARY_DATA", 0, true},
	xmlWord:         {"xml-word", "CL_TYPE_XML_WORD", 0, true},
	xmlXL:           {"xml-xl", "CL_TYPE_XML_XL", 0, true},
	xmlHWP:          {"xml-hwp", "CL_TYPE_XML_HWP", 0, true},
	xdp:             {"xdp", "CL_TYPE_XDP", 0, true},
	scrEnc:          {"script-encoder", "CL_TYPE_SCRENC", 0, true},
	cryptFF:         {"cryptff", "CL_TYPE_CRYPTFF", 0, true},
	pgp:             {"pgp-message", "CL_TYPE_BINARY_DATA", 0, true},
	luks:            {"luks", "CL_TYPE_BINARY_DATA", 0, true},
	mbr:             {"mbr", "CL_TYPE_MBR", 0, true},
	gpt:             {"gpt", "CL_TYPE_GPT", 0, true},
	apm:             {"apm", "CL_TYPE_APM", 0, true},
	apfs:            {"apfs", "CL_TYPE_BINARY_DATA", 0, true},
	f2fs:            {"f2fs", "CL_TYPE_BINARY_DATA", 0, true},
	jffs2:           {"jffs2", "CL_TYPE_BINARY_DATA", 0, true},
	ubifs:           {"ubifs", "CL_TYPE_BINARY_DATA", 0, true},
	jfs:             {"jfs", "CL_TYPE_BINARY_DATA", 0, true},
	reiserfs:        {"reiserfs", "CL_TYPE_BINARY_DATA", 0, true},
	ufs:             {"ufs", "CL_TYPE_BINARY_DATA", 0, true},
	zfs:             {"zfs", "CL_TYPE_BINARY_DATA", 0, true},
	bcachefs:        {"bcachefs", "CL_TYPE_BINARY_DATA", 0, true},
	refs:            {"refs", "CL_TYPE_BINARY_DATA", 0, true},
	lvm:             {"lvm2", "CL_TYPE_BINARY_DATA", 0, true},
	raid:            {"md-raid", "CL_TYPE_BINARY_DATA", 0, true},
	parallels:       {"parallels", "CL_TYPE_BINARY_DATA", 0, true},
	qed:             {"qed", "CL_TYPE_BINARY_DATA", 0, true},
	ewf:             {"ewf", "CL_TYPE_BINARY_DATA", 0, true},
	hfs:             {"hfs", "CL_TYPE_BINARY_DATA", 0, true},
	hfsPlus:         {"hfsplus", "CL_TYPE_PART_HFSPLUS", 0, true},
	fat:             {"fat", "CL_TYPE_BINARY_DATA", 0, true},
	ntfs:            {"ntfs", "CL_TYPE_BINARY_DATA", 0, true},
	exfat:           {"exfat", "CL_TYPE_BINARY_DATA", 0, true},
	ext:             {"ext", "CL_TYPE_BINARY_DATA", 0, true},
	xfs:             {"xfs", "CL_TYPE_BINARY_DATA", 0, true},
	btrfs:           {"btrfs", "CL_TYPE_BINARY_DATA", 0, true},
	squashfs:        {"squashfs", "CL_TYPE_BINARY_DATA", 0, true},
	cramfs:          {"cramfs", "CL_TYPE_BINARY_DATA", 0, true},
	erofs:           {"erofs", "CL_TYPE_BINARY_DATA", 0, true},
	romfs:           {"romfs", "CL_TYPE_BINARY_DATA", 0, true},
	ubi:             {"ubi", "CL_TYPE_BINARY_DATA", 0, true},
	qcow2:           {"qcow2", "CL_TYPE_BINARY_DATA", 0, true},
	vmdk:            {"vmdk", "CL_TYPE_BINARY_DATA", 0, true},
	vhd:             {"vhd", "CL_TYPE_BINARY_DATA", 0, true},
	vhdx:            {"vhdx", "CL_TYPE_BINARY_DATA", 0, true},
	vdi:             {"vdi", "CL_TYPE_BINARY_DATA", 0, true},
	dex:             {"dex", "CL_TYPE_BINARY_DATA", 0, false},
	wasm:            {"wasm", "CL_TYPE_BINARY_DATA", 0, false},
	pyc:             {"python-compiled", "CL_TYPE_PYTHON_COMPILED", 0, false},
	lnk:             {"lnk", "CL_TYPE_LNK", 0, false},
	llvm:            {"llvm-bitcode", "CL_TYPE_BINARY_DATA", 0, false},
	gif:             {"gif", "CL_TYPE_GIF", 5, false},
	png:             {"png", "CL_TYPE_PNG", 5, false},
	jpeg:            {"jpeg", "CL_TYPE_JPEG", 5, false},
	tiff:            {"tiff", "CL_TYPE_TIFF", 5, false},
	bmp:             {"bmp", "CL_TYPE_GRAPHICS", 5, false},
	jpeg2000:        {"jpeg2000", "CL_TYPE_GRAPHICS", 5, false},
	ico:             {"ico", "CL_TYPE_BINARY_DATA", 0, false},
	webp:            {"webp", "CL_TYPE_RIFF", 0, false},
	psd:             {"psd", "CL_TYPE_BINARY_DATA", 0, false},
	icns:            {"icns", "CL_TYPE_BINARY_DATA", 0, false},
	riff:            {"riff", "CL_TYPE_RIFF", 0, false},
	mp3:             {"mp3", "CL_TYPE_IGNORED", 0, false},
	mp4:             {"mp4", "CL_TYPE_BINARY_DATA", 0, false},
	ogg:             {"ogg", "CL_TYPE_IGNORED", 0, false},
	flac:            {"flac", "CL_TYPE_BINARY_DATA", 0, false},
	matroska:        {"matroska", "CL_TYPE_BINARY_DATA", 0, false},
	mpeg:            {"mpeg", "CL_TYPE_BINARY_DATA", 0, false},
	asf:             {"asf", "CL_TYPE_BINARY_DATA", 0, false},
	realMedia:       {"realmedia", "CL_TYPE_IGNORED", 0, false},
	midi:            {"midi", "CL_TYPE_BINARY_DATA", 0, false},
	font:            {"font", "CL_TYPE_BINARY_DATA", 0, false},
	webFont:         {"web-font", "CL_TYPE_BINARY_DATA", 0, false},
	ps:              {"postscript", "CL_TYPE_PS", 0, false},
	sqlite:          {"sqlite", "CL_TYPE_IGNORED", 0, false},
	registry:        {"registry-hive", "CL_TYPE_BINARY_DATA", 0, false},
	evtx:            {"event-log", "CL_TYPE_BINARY_DATA", 0, false},
	pcap:            {"pcap", "CL_TYPE_BINARY_DATA", 0, false},
	plist:           {"binary-plist", "CL_TYPE_BINARY_DATA", 0, false},
	gettext:         {"gettext", "CL_TYPE_BINARY_DATA", 0, false},
	ignored:         {"ignored", "CL_TYPE_IGNORED", 0, false},
	zpaq:            {"zpaq", "CL_TYPE_BINARY_DATA", 0, true},
	dar:             {"dar", "CL_TYPE_BINARY_DATA", 0, true},
	rzip:            {"rzip", "CL_TYPE_BINARY_DATA", 0, true},
	arc:             {"arc", "CL_TYPE_BINARY_DATA", 0, true},
	freearc:         {"freearc", "CL_TYPE_BINARY_DATA", 0, true},
	ha:              {"ha", "CL_TYPE_BINARY_DATA", 0, true},
	hpack:           {"hpack", "CL_TYPE_BINARY_DATA", 0, true},
	arjJar:          {"arj-jar", "CL_TYPE_BINARY_DATA", 0, true},
	uharc:           {"uharc", "CL_TYPE_BINARY_DATA", 0, true},
	rnc:             {"rnc", "CL_TYPE_BINARY_DATA", 0, true},
	xpk:             {"xpk", "CL_TYPE_BINARY_DATA", 0, true},
	powerpacker:     {"powerpacker", "CL_TYPE_BINARY_DATA", 0, true},
	dms:             {"dms", "CL_TYPE_BINARY_DATA", 0, true},
	stuffitX:        {"stuffit-x", "CL_TYPE_BINARY_DATA", 0, true},
	bzip1:           {"bzip1", "CL_TYPE_BINARY_DATA", 0, true},
	bzip3:           {"bzip3", "CL_TYPE_BINARY_DATA", 0, true},
	lzf:             {"lzf", "CL_TYPE_BINARY_DATA", 0, true},
	freezeT:         {"freeze", "CL_TYPE_BINARY_DATA", 0, true},
	squeeze:         {"squeeze", "CL_TYPE_BINARY_DATA", 0, true},
	adf:             {"adf", "CL_TYPE_BINARY_DATA", 0, true},
	neroImage:       {"nero-image", "CL_TYPE_BINARY_DATA", 0, true},
	discjuggler:     {"discjuggler", "CL_TYPE_BINARY_DATA", 0, true},
	rawCd:           {"raw-cd", "CL_TYPE_BINARY_DATA", 0, true},
	lzfse:           {"lzfse", "CL_TYPE_BINARY_DATA", 0, true},
	lz5:             {"lz5", "CL_TYPE_BINARY_DATA", 0, true},
	lizard:          {"lizard", "CL_TYPE_BINARY_DATA", 0, true},
	qpress:          {"qpress", "CL_TYPE_BINARY_DATA", 0, true},
	ucl:             {"ucl", "CL_TYPE_BINARY_DATA", 0, true},
	mozlz4:          {"mozlz4", "CL_TYPE_BINARY_DATA", 0, true},
	pbzx:            {"pbzx", "CL_TYPE_BINARY_DATA", 0, true},
	appleArchive:    {"apple-archive", "CL_TYPE_BINARY_DATA", 0, true},
	kgb:             {"kgb", "CL_TYPE_BINARY_DATA", 0, true},
	sqx:             {"sqx", "CL_TYPE_BINARY_DATA", 0, true},
	ultracompressor: {"ultracompressor", "CL_TYPE_BINARY_DATA", 0, true},
	amigaLzx:        {"amiga-lzx", "CL_TYPE_BINARY_DATA", 0, true},
	sapcar:          {"sapcar", "CL_TYPE_BINARY_DATA", 0, true},
	blakhole:        {"blakhole", "CL_TYPE_BINARY_DATA", 0, true},
	installshieldZ:  {"installshield-z", "CL_TYPE_BINARY_DATA", 0, true},
	nufx:            {"nufx", "CL_TYPE_BINARY_DATA", 0, true},
	packit:          {"packit", "CL_TYPE_BINARY_DATA", 0, true},
	afio:            {"afio", "CL_TYPE_BINARY_DATA", 0, true},
	dumpT:           {"dump", "CL_TYPE_BINARY_DATA", 0, true},
	xfsdump:         {"xfsdump", "CL_TYPE_BINARY_DATA", 0, true},
	androidSparse:   {"android-sparse", "CL_TYPE_BINARY_DATA", 0, true},
	androidBackup:   {"android-backup", "CL_TYPE_BINARY_DATA", 0, true},
	androidPayload:  {"android-payload", "CL_TYPE_BINARY_DATA", 0, true},
	uimage:          {"uimage", "CL_TYPE_BINARY_DATA", 0, true},
	zchunk:          {"zchunk", "CL_TYPE_BINARY_DATA", 0, true},
	chd:             {"chd", "CL_TYPE_BINARY_DATA", 0, true},
	cso:             {"cso", "CL_TYPE_BINARY_DATA", 0, true},
	daa:             {"daa", "CL_TYPE_BINARY_DATA", 0, true},
	ghost:           {"ghost", "CL_TYPE_BINARY_DATA", 0, true},
	acronis:         {"acronis", "CL_TYPE_BINARY_DATA", 0, true},
	partclone:       {"partclone", "CL_TYPE_BINARY_DATA", 0, true},
	ntfsclone:       {"ntfsclone", "CL_TYPE_BINARY_DATA", 0, true},
	partimage:       {"partimage", "CL_TYPE_BINARY_DATA", 0, true},
	fsarchiver:      {"fsarchiver", "CL_TYPE_BINARY_DATA", 0, true},
}
