#!/bin/bash
# build-packages.sh [--no-build] [--version VERSION]
#
# Builds the Debian and the rpm package of this checkout into target/package and checks both: lintian (no error, no
# warning), the files and conffiles that each must hold. Installs cargo-deb, cargo-generate-rpm, lintian and rpm where
# they are missing. The same commit gives the same packages (times come from SOURCE_DATE_EPOCH, or the last commit).
#
#   --no-build   takes target/release/logweir as it is
#   --version    another version than Cargo.toml's, such as 0.1.1~rc1
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo=${CARGO:-cargo}
build=1
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
while [ $# -gt 0 ]; do
    case $1 in
    --no-build) build= ;;
    --version) version=$2; shift ;;
    *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
    esac
    shift
done
tests/tools/install.sh packaging
tools=${LOGWEIR_TEST_CACHE:-target/test-tools}/bin
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

if [ -n "$build" ]; then "$cargo" build --locked --release; fi

out=target/package
rm -rf "$out"
mkdir -p "$out/man"
target/release/logweir man "$out/man"
for page in "$out"/man/*.1; do gzip -9nk "$page"; done
cat >"$out/changelog" <<END
logweir ($version-1) unstable; urgency=medium

  * See CHANGELOG.md.

 -- The logweir authors <logweir@users.noreply.github.com>  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END

"$tools/cargo-deb" deb --quiet --no-build --deb-version "$version-1" --output "$out/"
"$tools/cargo-generate-rpm" generate-rpm --set-metadata "version = \"${version//[~-]/_}\"" --output "$out/"
deb=$(echo "$out"/*.deb) rpm=$(echo "$out"/*.rpm)

lintian --allow-root --fail-on error,warning "$deb"
files=$(dpkg-deb --contents "$deb" | awk '{print $1, substr($6, 2)}')
has() { # LINE   in $files
    grep -qxF -e "$1" <<<"$files" || { printf '%s\nnot in the package: %s\n' "$files" "$1" >&2; exit 1; }
}
has '-rwxr-xr-x /usr/bin/logweir'
has '-rw------- /etc/logweir/environment'
has '-rw-r--r-- /usr/share/man/man1/logweir-run.1.gz'
has '-rw-r--r-- /usr/lib/sysusers.d/logweir.conf'
has '-rw-r--r-- /usr/lib/systemd/system/logweir.service'
has '-rw-r--r-- /usr/share/bash-completion/completions/logweir'
[ "$(dpkg-deb --info "$deb" conffiles)" = /etc/logweir/environment ]
for part in postinst prerm postrm; do dpkg-deb --info "$deb" "$part" >"$out/$part"; sh -n "$out/$part"; rm "$out/$part"; done

files=$(rpm -qpl "$rpm")
for path in /usr/bin/logweir /etc/logweir/environment /usr/lib/systemd/system/logweir.service \
    /usr/share/man/man1/logweir.1.gz /usr/lib/sysusers.d/logweir.conf /usr/share/licenses/logweir/LICENSE; do
    has "$path"
done
[ "$(rpm -qp --configfiles "$rpm")" = /etc/logweir/environment ]
[[ $(rpm -qp --requires "$rpm") == *'systemd >= 247'* ]]
[[ $(rpm -qp --scripts "$rpm") == *systemd-sysusers* ]]
ls -l "$deb" "$rpm"
