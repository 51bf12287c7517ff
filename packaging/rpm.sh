#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the packages of rpm/vfio-suite.spec from the source tarball, the same bytes each time. Options of rpmbuild may
# follow. Usage: rpm.sh TARBALL FOLDER [OPTION...]
set -euo pipefail

tarball=$(realpath "$1") folder=$(realpath "$2")
shift 2
top=$folder/rpm
rm -rf "$top"
mkdir -p "$top/SOURCES" "$top/SPECS"
cp "$tarball" "$top/SOURCES/"
tar -C "$top/SPECS" -xf "$tarball" --strip-components=2 --wildcards '*/rpm/*'

# Every file of the tarball has the time of its commit.
SOURCE_DATE_EPOCH=$(tar -tvf "$tarball" --utc --full-time | awk 'NR == 1 { print $4, $5 }' | date --utc -f - +%s)
export SOURCE_DATE_EPOCH
same=(--define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1'
    --define 'source_date_epoch_from_changelog 0' --define '_buildhost localhost')

# Where rpm is not what installs packages, its database knows nothing of what is there.
elsewhere=()
if [ -z "$(rpm --eval '%{?systemd_post:yes}')" ]; then
    elsewhere=(--load "$top/SPECS/macros.elsewhere" --nodeps)
fi
rpmbuild -ba --define "_topdir $top" "${same[@]}" "${elsewhere[@]}" "$@" "$top/SPECS/vfio-suite.spec"

rm -f "$folder"/vfio-suite-*.rpm
mv "$top"/RPMS/*/*.rpm "$top"/SRPMS/*.rpm "$folder/"
rm -rf "$top"
