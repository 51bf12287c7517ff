# Copyright 2026 The vfio-suite developers
# SPDX-License-Identifier: LGPL-2.1-or-later

EAPI=8

# The crates are in the tarball ("make dist"), in vendor/, and .cargo/config.toml there says so.
CRATES=""
RUST_MIN_VER="1.85.0"

inherit cargo linux-info optfeature systemd tmpfiles udev

DESCRIPTION="Give a GPU to a virtual machine and take it back"
HOMEPAGE="https://vfio-suite.invalid/"
SRC_URI="${P}.tar.xz"
# It is made, not had from an address; put it into DISTDIR.
RESTRICT="fetch"

LICENSE="LGPL-2.1+"
# What is linked in: LICENSE.dependencies in the tarball.
LICENSE+=" 0BSD Apache-2.0 Apache-2.0-with-LLVM-exceptions BSD MIT Unlicense ZLIB"
SLOT="0"
KEYWORDS="~amd64 ~arm64"
IUSE="dracut libvirt openrc systemd"
REQUIRED_USE="|| ( openrc systemd )"

RDEPEND="
	acct-group/vfio-guest
	acct-user/vfio-guest
	sys-apps/kmod
	virtual/udev
	dracut? ( sys-kernel/dracut )
	libvirt? ( >=app-emulation/libvirt-6.5.0[qemu] )
	openrc? ( sys-apps/openrc )
	systemd? ( sys-apps/systemd )
"
BDEPEND="virtual/pkgconfig"

CONFIG_CHECK="~IOMMU_SUPPORT ~VFIO ~VFIO_PCI"

# Programs made by cargo do not know the C compiler's flags.
QA_FLAGS_IGNORED="usr/.*"

src_compile() {
	cargo_env emake build
}

src_test() {
	cargo_env emake test
}

src_install() {
	local args=(
		NOBUILD=1
		DESTDIR="${D}"
		RELEASE="$(cargo_target_dir)"
		DOCDIR="${EPREFIX}/usr/share/doc/${PF}"
		UDEVDIR="${EPREFIX}$(get_udevdir)"
		INITRAMFSTOOLSDIR=
		MKINITCPIODIR=
		SYSUSERSDIR=
		APPARMORDIR=
	)
	use dracut || args+=( DRACUTDIR= )
	use openrc && args+=( OPENRC=1 )
	if use systemd; then
		args+=( SYSTEMUNITDIR="$(systemd_get_systemunitdir)" GENERATORDIR="$(systemd_get_utildir)/system-generators" )
	else
		args+=( SYSTEMD= )
	fi
	emake install "${args[@]}"

	if ! use libvirt; then
		rm -r "${ED}"/etc/libvirt || die
	fi
	keepdir /usr/lib/vfio.conf.d
	dodoc README.md NEWS.md docs/GUESTS.md docs/JSON.md docs/MESSAGES.md
}

pkg_postinst() {
	udev_reload
	use systemd && tmpfiles_process vfio.conf
	elog "Say in ${EROOT}/etc/vfio.conf which card is for guests."
	use systemd && elog "'systemctl enable --now vfio-sync.path' notices edits."
	use libvirt && optfeature "making the domain of a guest" app-emulation/virt-manager
	use openrc && elog "OpenRC: rc-update add vfio-bind sysinit; rc-update add vfio-boot default; after an edit: vfio sync"
}

pkg_prerm() {
	# Not at an upgrade: what runs then is given back by the new programs.
	[[ -n ${REPLACED_BY_VERSION} || -n ${ROOT} ]] || "${EPREFIX}"/usr/lib/vfio/before-removal
}

pkg_postrm() {
	udev_reload
	[[ -z ${REPLACED_BY_VERSION} ]] || return 0
	if [[ -e ${EROOT}/var/lib/vfio/initramfs ]]; then
		ewarn "An initramfs may still reserve a GPU; run: dracut --force --regenerate-all"
	fi
	rm -f "${EROOT}"/var/lib/vfio/{boots,initramfs,setup,synced}
	rmdir --ignore-fail-on-non-empty "${EROOT}/var/lib/vfio" 2>/dev/null
}
