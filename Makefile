# make test    install what the tests need, check the source, run every test
# make test-integrations  the recipes of docs/recipes.md against the real programs, some of which are large
# make check   formatting, vet, staticcheck, known vulnerabilities
# make fuzz    every fuzz target, FUZZTIME each (default 60s)
# make bench   everything that is measured, beside ClamAV and YARA, on this machine: an hour or more, 5 GB of scratch space
# make bench-quick  a part of it, small, in about two minutes on a quiet machine
# make diff    the long comparison with clamscan
# make soak    hostile inputs of full size, every verdict on them, databases damaged byte by byte,
#              and log, store and quarantine failing and killed at every step

# make release  binaries for every system, SBOM, provenance, checksums; KEY=, LOG= and LOGKEY= sign and log it,
#              VERSION= names it (docs/verify.md)

GO ?= go
FUZZTIME ?= 60s
PEERS = clamav clamav-testfiles clamav-daemon clamdscan python3-pyclamd libclamav-client-perl yara zip unzip p7zip-full xz-utils bzip2 zstd lz4 lzip lzop ncompress cpio libarchive-tools cabextract gcab genisoimage xorriso unar qemu-utils gdisk e2fsprogs dosfstools mtools exfatprogs ntfs-3g squashfs-tools skopeo umoci arj jlha-utils mscompress binutils procps python3 chromium strace tcpdump iproute2 c-icap squid miltertest file rpm2cpio dexdump mono-mcs msitools osslsigncode mingw-w64-x86-64-dev tlsh-tools python3-jsonschema rpm libhivex-bin sqlite3 wixl uw-mailutils python3-msoffcrypto-tool nsis makeself python3-pefile
# What docs/recipes.md is tried on besides; the libraries are Exim's, which cannot be installed beside Postfix.
RECIPES = clamav-daemon clamdscan python3-pyclamd libclamav-client-perl postfix clamav-milter rspamd amavisd-new proftpd-core proftpd-mod-clamav openssl samba samba-common-bin samba-vfs-modules smbclient libidn12 libldap-2.5-0 libmariadb3 libperl5.36 libpq5 libspf2-2 libgnutls-dane0 libnsl2

.PHONY: build release test test-integrations check fuzz bench bench-quick diff soak deps

build:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -o showcause ./cmd/showcause

release:
	$(GO) run ./cmd/release -o $(or $(OUT),release) $(if $(VERSION),-version $(VERSION)) $(if $(KEY),-key $(KEY)) $(if $(LOG),-log $(LOG) -log-key $(LOGKEY))

test: deps check
	$(GO) tool -modfile=tools/go.mod gotestsum --format pkgname -- -timeout 30m ./...

test-integrations:
	GO="$(GO)" sh tools/integrations.sh $(RECIPES)

deps:
	sh tools/deps.sh $(PEERS)

check:
	GO=$(GO) sh tools/check.sh

fuzz:
	GO=$(GO) sh tools/fuzz.sh $(FUZZTIME)

bench:
	$(GO) run ./bench

bench-quick:
	$(GO) run ./bench -quick

diff:
	$(GO) test -count 1 -v -run 'TestPlanted|TestDerived|TestOffsets|TestSystem' ./internal/plant -args -full

soak:
	$(GO) test -count 1 -v -timeout 60m ./internal/hostile -args -full
	$(GO) test -count 1 -v -timeout 60m ./translog ./evidence/store ./quarantine -args -full
