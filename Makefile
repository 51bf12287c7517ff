# SPDX-License-Identifier: LGPL-2.1-or-later
# "make help" lists what there is to do. Packages of distributions call "make install DESTDIR=... NOBUILD=1".

CARGO ?= cargo
PKG_CONFIG ?= pkg-config
INSTALL ?= install
DESTDIR ?=
PREFIX ?= /usr
SYSCONFDIR ?= /etc

# A directory as the system's own package tells it. Debian 12 still says /lib, which is a link to /usr/lib there.
pkgdir = $(patsubst /lib/%,/usr/lib/%,$(shell $(PKG_CONFIG) --variable=$(1) $(2) 2>/dev/null))

BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib/vfio
DOCDIR ?= $(PREFIX)/share/doc/vfio-suite
MANDIR ?= $(PREFIX)/share/man
GENERATORDIR ?= $(call pkgdir,systemdsystemgeneratordir,systemd)
SYSTEMUNITDIR ?= $(call pkgdir,systemdsystemunitdir,systemd)
UDEVDIR ?= $(call pkgdir,udevdir,udev)
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
# These have one place everywhere, and their tools need not be there when a package is built. An empty one leaves its files
# out: no distribution has all of these.
DRACUTDIR ?= $(PREFIX)/lib/dracut/modules.d
INITRAMFSTOOLSDIR ?= $(PREFIX)/share/initramfs-tools
MKINITCPIODIR ?= $(PREFIX)/lib/initcpio
APPARMORDIR ?= $(SYSCONFDIR)/apparmor.d
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
# Of Debian's and Gentoo's kernel packages.
KERNELPOSTINSTDIR ?= $(SYSCONFDIR)/kernel/postinst.d
KERNELINSTALLDIR ?= $(PREFIX)/lib/kernel/install.d
BASHCOMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPLETIONDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPLETIONDIR ?= $(PREFIX)/share/fish/vendor_completions.d

# OPENRC=1 installs its scripts too; SYSTEMD= leaves out what only systemd reads.
OPENRC ?=
SYSTEMD ?= yes
INITDIR ?= $(SYSCONFDIR)/init.d

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
DEB_ARCH = $(shell dpkg --print-architecture)
TARGETDIR ?= $(or $(CARGO_TARGET_DIR),target)
RELEASE = $(TARGETDIR)/release
PROGRAMS = vfio vfio-generator vfio-udev vfio-bind vfio-guest vfio-sync vfio-libvirt-hook vfio-kernel-install
SOURCE_TARBALL = dist/vfio-suite-$(VERSION).tar.xz
UNITS = vfio-early.service vfio-bind@.service vfio-boot-ok.service vfio-guest@.service vfio-sync.path vfio-sync.service
MANUALS = $(wildcard man/*.[1-8])

# No path of the build machine in the programs (panic messages carry source paths): two builds of one source are equal.
CARGO_HOME ?= $(HOME)/.cargo
RELEASE_RUSTFLAGS = $(RUSTFLAGS) --remap-path-prefix=$(CURDIR)=/usr/src/vfio-suite --remap-path-prefix=$(CARGO_HOME)=/usr/src/cargo

# The lab builds with the same, so that nothing is compiled twice.
RELEASE_ENV = CONST_RANDOM_SEED=vfio-suite VFIO_UNITDIR='$(SYSTEMUNITDIR)' RUSTFLAGS='$(strip $(RELEASE_RUSTFLAGS))'

SUBSTITUTE = sed -e 's,@BINDIR@,$(BINDIR),g' -e 's,@LIBDIR@,$(LIBDIR),g' -e 's,@UDEVDIR@,$(UDEVDIR),g' \
	-e 's,@SYSTEMUNITDIR@,$(SYSTEMUNITDIR),g' -e 's,@SYSCONFDIR@,$(SYSCONFDIR),g' -e 's,@INITDIR@,$(INITDIR),g'
# $(call install_from,MODE,SOURCE.in,TARGET)
define install_from
	$(SUBSTITUTE) $(2) | $(INSTALL) -D -m$(1) /dev/stdin '$(DESTDIR)$(3)'

endef
# $(call install_file,MODE,SOURCE,TARGET)
define install_file
	$(INSTALL) -D -p -m$(1) $(2) '$(DESTDIR)$(3)'

endef
# An empty directory would install into the root of DESTDIR.
require = $(if $($(1)),,$(error $(1) is empty: pkg-config does not know it. Install systemd-dev (Debian 12: systemd and udev) or give $(1)=DIRECTORY))

# $(call stage,NAME,SECONDS) COMMAND: one line of result, all of the output in a file, an end in any case.
stage = @tests/stage.sh $(1) $(2)
SHELL_SCRIPTS = $(wildcard fuzz/*.sh tests/*.sh tests/images/*.sh tests/libvirt/*.sh tests/lab/*.sh tests/lab/guest/*.sh tests/lab/guest/*/*.sh debian/*.postinst debian/*.prerm debian/*.postrm \
	dracut/50vfio/*.in initramfs-tools/hooks/*.in initramfs-tools/scripts/*/*.in mkinitcpio/*.in kernel-install/postinst.d/*.in completions/*.bash packaging/*.sh \
	packaging/*.in packaging/*.install openrc/*.in tests/packages/*.sh) .ci/run PKGBUILD debian/tests/smoke debian/tests/lab
RESULTS = $(abspath $(TARGETDIR))/check/results.jsonl
STAGED = $(abspath $(TARGETDIR))/check/root
# The trees of tests/images.sh need root.
AS_ROOT = $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=HOME,XDG_CACHE_HOME,VFIO_LAB,VFIO_LAB_CACHE,VFIO_LAB_DEB,VFIO_LAB_KEEP,VFIO_LAB_MIRROR)

.PHONY: all
all: build ## build the programs (release)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1 - \2/p' Makefile

.PHONY: build
build:
	$(RELEASE_ENV) $(CARGO) build --release --locked $(PROGRAMS:%=--bin %)

.PHONY: install
install: $(if $(NOBUILD),,build) ## install into DESTDIR (NOBUILD=1: what was built before)
	$(foreach dir,$(if $(SYSTEMD),GENERATORDIR SYSTEMUNITDIR) UDEVDIR,$(call require,$(dir)))
	$(call install_file,755,$(RELEASE)/vfio,$(BINDIR)/vfio)
	$(if $(SYSTEMD),$(call install_file,755,$(RELEASE)/vfio-generator,$(GENERATORDIR)/vfio-generator))
	$(call install_file,755,$(RELEASE)/vfio-udev,$(UDEVDIR)/vfio-udev)
	$(call install_file,755,$(RELEASE)/vfio-bind,$(LIBDIR)/vfio-bind)
	$(call install_file,755,$(RELEASE)/vfio-guest,$(LIBDIR)/vfio-guest)
	$(call install_file,755,$(RELEASE)/vfio-sync,$(LIBDIR)/vfio-sync)
	$(call install_from,755,packaging/before-removal.in,$(LIBDIR)/before-removal)
	$(call install_file,755,$(RELEASE)/vfio-libvirt-hook,$(SBINDIR)/vfio-libvirt-hook)
	$(if $(KERNELINSTALLDIR),$(call install_file,755,$(RELEASE)/vfio-kernel-install,$(KERNELINSTALLDIR)/95-vfio.install))
	$(if $(KERNELPOSTINSTDIR),$(call install_from,755,kernel-install/postinst.d/xx-vfio.in,$(KERNELPOSTINSTDIR)/xx-vfio))
	$(INSTALL) -d '$(DESTDIR)$(SYSCONFDIR)/libvirt/hooks/qemu.d'
	ln -sfn '$(SBINDIR)/vfio-libvirt-hook' '$(DESTDIR)$(SYSCONFDIR)/libvirt/hooks/qemu.d/50-vfio'
	$(INSTALL) -d '$(DESTDIR)$(SYSCONFDIR)/issue.d'
	ln -sfn /run/vfio/issue '$(DESTDIR)$(SYSCONFDIR)/issue.d/vfio.issue'
	$(call install_file,644,cli/vfio-notify.desktop,$(SYSCONFDIR)/xdg/autostart/vfio-notify.desktop)
	$(if $(APPARMORDIR),$(call install_file,644,libvirt/apparmor-libvirt-qemu,$(APPARMORDIR)/abstractions/libvirt-qemu.d/vfio))
	$(call install_file,644,libvirt/10-vfio-guest.rules,$(DOCDIR)/examples/10-vfio-guest.rules)
	$(if $(SYSTEMD),$(foreach unit,$(UNITS),$(call install_from,644,units/$(unit).in,$(SYSTEMUNITDIR)/$(unit))))
	$(if $(OPENRC),$(foreach script,vfio-bind vfio-boot vfio-guest,$(call install_from,755,openrc/$(script).in,$(INITDIR)/$(script))))
	$(call install_file,644,udev/70-vfio.rules,$(UDEVDIR)/rules.d/70-vfio.rules)
	$(if $(DRACUTDIR),$(call install_from,755,dracut/50vfio/module-setup.sh.in,$(DRACUTDIR)/50vfio/module-setup.sh))
	$(if $(DRACUTDIR),$(call install_from,755,dracut/50vfio/vfio-early.sh.in,$(DRACUTDIR)/50vfio/vfio-early.sh))
	$(if $(INITRAMFSTOOLSDIR),$(call install_from,755,initramfs-tools/hooks/vfio.in,$(INITRAMFSTOOLSDIR)/hooks/vfio))
	$(if $(INITRAMFSTOOLSDIR),$(call install_from,755,initramfs-tools/scripts/init-top/00-vfio.in,$(INITRAMFSTOOLSDIR)/scripts/init-top/00-vfio))
	$(if $(MKINITCPIODIR),$(call install_from,644,mkinitcpio/install.in,$(MKINITCPIODIR)/install/vfio))
	$(if $(MKINITCPIODIR),$(call install_from,644,mkinitcpio/hook.in,$(MKINITCPIODIR)/hooks/vfio))
	$(call install_file,644,units/vfio-tmpfiles.conf,$(TMPFILESDIR)/vfio.conf)
	$(if $(and $(SYSTEMD),$(SYSUSERSDIR)),$(call install_file,644,units/vfio-sysusers.conf,$(SYSUSERSDIR)/vfio-suite.conf))
	# For other packages' drop-ins.
	$(INSTALL) -d '$(DESTDIR)$(PREFIX)/lib/vfio.conf.d'
	$(if $(DESTDIR),,test -e '$(SYSCONFDIR)/vfio.conf' ||) $(call install_file,644,vfio.conf,$(SYSCONFDIR)/vfio.conf)
	$(call install_file,644,completions/vfio.bash,$(BASHCOMPLETIONDIR)/vfio)
	$(call install_file,644,completions/_vfio,$(ZSHCOMPLETIONDIR)/_vfio)
	$(call install_file,644,completions/vfio.fish,$(FISHCOMPLETIONDIR)/vfio.fish)
	$(foreach page,$(MANUALS),$(call install_file,644,$(page),$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))))

# What every other package is built from; it needs no network any more. WORKTREE=1: not HEAD but what is in the work tree.
.PHONY: dist
dist: ## the source tarball with all crates, in dist/
	packaging/dist.sh $(SOURCE_TARBALL)

# What a package's own check runs. "make check" has more, with what that needs.
.PHONY: test
test:
	$(CARGO) test --locked --no-fail-fast

# On Fedora and elsewhere: elsewhere with macros of our own. All of it from the tarball.
.PHONY: rpm
rpm: dist ## the package of Fedora, in dist/
	packaging/rpm.sh $(SOURCE_TARBALL) dist

.PHONY: arch
arch: dist ## the package of Arch Linux, in dist/
	packaging/arch.sh $(SOURCE_TARBALL) dist

# KEY=FINGERPRINT of a secret key of gpg's, URL=where the folder will be. "make deb rpm arch" makes what it is made of.
.PHONY: repository
repository: ## of dist/: repositories for apt, dnf, pacman and Portage, signed (KEY=FINGERPRINT URL=https://...)
	packaging/repository.sh dist dist/repository '$(KEY)' '$(URL)'

# The packages of Debian and Ubuntu. -d: the toolchain may come from elsewhere than from packages, which is all that
# the build dependencies could tell. The packages land in dist/ and nothing in the folder above.
.PHONY: deb
deb: setup ## the Debian package, in dist/
	rm -rf dist/deb dist/vfio-suite_*.deb
	mkdir -p dist/deb
	VFIO_DEB_DIR=dist/deb dpkg-buildpackage -b -us -uc -d --buildinfo-option=-udist/deb \
		--buildinfo-file=dist/deb/vfio-suite.buildinfo --changes-option=-udist/deb \
		--changes-file=dist/deb/vfio-suite.changes
	mv dist/deb/*.deb dist/

# Everything, stopping at the first failure. CI runs this on a new machine; the time limits are for one of two cores. The
# properties get the same cases each time, so that it says the same of the same code; check-all and test draw new ones.
.PHONY: check
check: check-begins setup ## everything: format, lints, tests, package, images, lab
	$(call stage,format,60) $(CARGO) fmt --all --check
	$(call stage,clippy,900) $(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	$(call stage,documentation,600) env RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --lib
	$(call stage,tests,1500) env $(if $(filter all,$(VFIO_LAB)),VFIO_KILLS=1000,PROPTEST_RNG_SEED=1) $(CARGO) test --locked --no-fail-fast
	$(call stage,advisories,900) tests/advisories.sh
	$(call stage,shell,60) shellcheck $(SHELL_SCRIPTS)
	$(call stage,manuals,60) mandoc -T lint -W warning $(MANUALS)
	$(call stage,package,900) $(MAKE) deb
	$(call stage,lintian,120) lintian --allow-root --fail-on error,warning dist/vfio-suite_$(VERSION)_$(DEB_ARCH).deb
	$(call stage,source,600) tests/packages/source.sh $(SOURCE_TARBALL)
	$(call stage,rpm-and-arch,600) tests/packages/build.sh $(TARGETDIR) $(SOURCE_TARBALL) dist
	$(call stage,rpmlint,120) rpmlint --strict --config tests/packages/rpmlint.toml --rpmlintrc rpm/vfio-suite.rpmlintrc \
		dist/vfio-suite-$(VERSION)-1.src.rpm dist/vfio-suite-$(VERSION)-1.$(shell uname -m).rpm rpm/vfio-suite.spec
	$(call stage,packages,120) tests/packages.sh dist
	$(call stage,upgrade,60) tests/packages/upgrade.sh dist
	$(call stage,ebuild,120) tests/packages/ebuild.sh $(TARGETDIR)
	$(call stage,openrc,600) $(AS_ROOT) tests/packages/openrc.sh $(TARGETDIR)
	$(call stage,repository,600) $(AS_ROOT) tests/packages/repository.sh dist
	$(call stage,roots,1200) $(AS_ROOT) tests/packages/roots.sh dist $(if $(filter all,$(VFIO_LAB)),,trixie)
	$(call stage,install,120) $(MAKE) install NOBUILD=1 DESTDIR=$(STAGED)
	$(call stage,boot-files,120) $(AS_ROOT) tests/boot-files.sh $(RELEASE)/vfio
	$(call stage,units,60) tests/units.sh $(STAGED)
	$(call stage,mkinitcpio,60) tests/mkinitcpio.sh $(STAGED)
	$(call stage,images,1200) $(AS_ROOT) tests/images.sh dist/vfio-suite_$(VERSION)_$(DEB_ARCH).deb
	$(call stage,libvirt,1200) $(AS_ROOT) tests/libvirt.sh $(RELEASE)/vfio $(abspath $(TARGETDIR))/check/dumps
	$(call stage,definitions,600) env VFIO_LIBVIRT_DUMPS=$(abspath $(TARGETDIR))/check/dumps $(CARGO) test --locked --test definition what_libvirt
	$(call stage,lab,$(LAB_SECONDS)) $(LAB)
	@echo "check: all stages passed, in $$(awk -F '[:,]' '/"stage"/ { s += $$4 } END { print int(s / 60) + 1 }' $(RESULTS)) minutes; $(RESULTS) has each of them"

.PHONY: check-begins
check-begins:
	@echo "check: $(if $(filter all,$(VFIO_LAB)),six hours,48 minutes) on two idle cores, most of it in the stages tests and lab; 25 GB of disk here and"
	@echo "check: 10 GB in the lab's cache ($(or $(VFIO_LAB_CACHE),$${XDG_CACHE_HOME:-$$HOME/.cache}/vfio-suite-lab)). What a stage prints is in $(TARGETDIR)/check"
	@mkdir -p $(TARGETDIR)/check && rm -f $(RESULTS)

.PHONY: check-all
check-all: export VFIO_LAB = all
check-all: LAB_SECONDS = 14400
check-all: check ## the same, with the lab's long scenarios, and every package built from the tarball
	$(call stage,from-source,7200) $(AS_ROOT) tests/packages/from-source.sh $(SOURCE_TARBALL)

# Real kernels in virtual machines. ONLY=WORD runs the scenarios with that word in their names.
LAB_SECONDS ?= 3600
LAB = env VFIO_LAB_RESULTS=$(RESULTS) $(RELEASE_ENV) $(CARGO) test --release --locked --features lab --test lab -- $(if $(ONLY),--include-ignored) $(ONLY)
.PHONY: lab
lab: setup deb ## the lab alone (ONLY=WORD: scenarios with that word)
	$(LAB)

COUNT ?= 1000
.PHONY: soak
soak: setup deb ## many hand-overs in one machine of the lab (COUNT=1000)
	env VFIO_LAB_SOAK=$(COUNT) VFIO_LAB_RESULTS=$(RESULTS) $(RELEASE_ENV) $(CARGO) test --release --locked --features lab --test lab -- --include-ignored --nocapture --exact machine_soak

# A machine of the lab, before and after, as it happens.
.PHONY: demo
demo: setup deb ## boot a machine with two cards, before and after
	env $(RELEASE_ENV) $(CARGO) test --quiet --release --locked --features lab --test lab -- demo

.PHONY: bench
bench: ## what the boot-time programs cost, and whether readers are linear (ONLY='--bench linear': that alone)
	@tests/setup-debian.sh bench
	$(CARGO) bench --locked $(ONLY)

.PHONY: bench-guest
bench-guest: setup deb ## how long a hand-over and a give-back take, beside the guide's libvirt hooks
	env $(RELEASE_ENV) $(CARGO) test --quiet --release --locked --features lab --test lab -- bench

.PHONY: record
record: ## a report of a user's as a machine of tests/hosts (REPORT=FILE NAME=what-it-is)
	VFIO_RECORD='$(abspath $(REPORT))' VFIO_RECORD_AS='$(NAME)' $(CARGO) test --quiet --locked --test hosts a_report_becomes -- --nocapture

SECONDS ?= 60
.PHONY: fuzz
fuzz: ## every fuzz target for SECONDS=60 each (ONLY=TARGET: one)
	fuzz/run.sh $(SECONDS) $(ONLY)

.PHONY: setup
setup: ## install what all of this needs (Debian 12 and 13)
	@tests/setup-debian.sh

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean
	rm -rf dist debian/vfio-suite debian/.debhelper debian/files debian/debhelper-build-stamp debian/*.substvars
