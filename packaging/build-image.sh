#!/bin/bash
# build-image.sh [--no-build] [--twice]
#
# Builds the container image of this checkout without Docker: one static binary in an empty image, run as a user that
# is not root. Leaves in target/image: logweir (the binary), logweir.tar (an OCI archive, for `skopeo copy` or
# `podman load`), logweir.cdx.json (the bill of materials, CycloneDX 1.5). Checks that the image is below 15 MB, that the
# binary asks for no library, and that it works in it: `--version`, `check` and `try` in the image, and a `run` in an
# empty folder as its root, without /etc, that finds `localhost` and an address. Installs buildah where it is missing.
#
#   --no-build   takes target/image/logweir as it is
#   --twice      builds what is committed a second time in another folder and compares: the same bytes. Takes minutes.
#
# Other architectures: `rustup target add aarch64-unknown-linux-gnu`, a linker for it, and TARGET=aarch64-unknown-linux-gnu;
# or packaging/Dockerfile with `docker buildx build --platform linux/amd64,linux/arm64`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo=${CARGO:-cargo}
build=1 twice=
while [ $# -gt 0 ]; do
    case $1 in
    --no-build) build= ;;
    --twice) twice=1 ;;
    *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
    esac
    shift
done
[ "$(id -u)" = 0 ] || { echo "build-image: run this as root, or by \`buildah unshare\`" >&2; exit 1; }
tests/tools/install.sh image
host=$(rustc -vV | sed -n 's/^host: //p')
target=${TARGET:-$host}
out=$PWD/target/image
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
die() { printf 'build-image: %s\n' "$*" >&2; exit 1; }
mkdir -p "$out"

# Paths of this machine must not be in the binary, so that every machine makes the same one. `--target` keeps the flags
# away from build scripts and procedural macros. Relocations in their packed form save half a megabyte, and copying only
# very small functions into their callers nearly two.
profile=image
compile() { # SOURCE TARGET-DIR
    local home=${CARGO_HOME:-$HOME/.cargo}
    (cd "$1" && RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=all -C llvm-args=-inline-threshold=50 --remap-path-prefix=$1=/logweir --remap-path-prefix=$home=/cargo" \
        CFLAGS="-ffile-prefix-map=$home=/cargo -ffile-prefix-map=$1=/logweir -ffile-prefix-map=$2=/target" \
        "$cargo" build --locked --profile "$profile" --target "$target" --target-dir "$2")
}
if [ -n "$build" ]; then
    compile "$PWD" "$PWD/target"
    install -m 755 "target/$target/$profile/logweir" "$out/logweir"
fi
binary=$out/logweir
if readelf -d "$binary" | grep NEEDED; then die "the binary asks for libraries"; fi

if [ -n "$twice" ]; then
    second=$(mktemp -d)
    git archive HEAD | tar -x -C "$second"
    git -C "$second" init -q
    compile "$second" "$second/target"
    cmp "$binary" "$second/target/$target/$profile/logweir" || { rm -rf "$second"; die "two builds differ"; }
    rm -rf "$second"
    echo "two builds in two folders: the same bytes, sha256 $(sha256sum <"$binary" | cut -c1-64)"
fi

python3 packaging/bill_of_materials.py "$target" >"$out/logweir.cdx.json"

# Its own store, so that nothing of the machine's is touched.
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
b() { buildah --root "$store/root" --runroot "$store/run" --storage-driver vfs "$@"; }
mkdir -p "$store/context/state"
cp "$binary" "$out/logweir.cdx.json" "$store/context/"
cat >"$store/context/Containerfile" <<'END'
FROM scratch
COPY --chown=0:0 logweir /logweir
COPY --chown=0:0 logweir.cdx.json /usr/share/logweir/logweir.cdx.json
COPY --chown=65532:65532 state /var/lib/logweir
USER 65532:65532
EXPOSE 9600
ENTRYPOINT ["/logweir"]
CMD ["run", "--data-dir", "/var/lib/logweir", "/etc/logweir/pipelines"]
END
b bud --isolation chroot --format oci --timestamp "$SOURCE_DATE_EPOCH" -q -t logweir:latest "$store/context" >"$store/id"
rm -f "$out/logweir.tar"
b push -q logweir:latest "oci-archive:$out/logweir.tar:logweir:latest"
bytes=$(b inspect --type image --format '{{.FromImage}}' logweir:latest >/dev/null && du -sb "$store/context" | cut -f1)
[ "$bytes" -lt 15000000 ] || die "the image has $bytes bytes, 15 MB is the limit"

# It works in the image, as the user that it says.
id=$(b from logweir:latest)
mkdir "$store/pipelines"
cat >"$store/pipelines/app.toml" <<'END'
[inputs.app]
type = "stdin"
[outputs.logs]
type = "elasticsearch"
hosts = ["http://localhost:9", "http://127.0.0.1:9"]
index = "logs"
END
chmod -R a+rX "$store/pipelines"
inside() { b run --isolation chroot -v "$store/pipelines:/etc/logweir/pipelines:ro" "$id" -- /logweir "$@"; }
inside --version
inside check /etc/logweir/pipelines
[[ $(echo hello | inside try /etc/logweir/pipelines/app.toml) == *'"message":"hello"'* ]] || die "try says something else"
[ "$(b inspect --format '{{.OCIv1.Config.User}}' "$id")" = 65532:65532 ] || die "it runs as root"

# Without any file of a machine it finds localhost and addresses, and says of other names what is missing.
empty=$store/empty
mkdir -p "$empty/pipelines" "$empty/data"
cp "$binary" "$empty/logweir"
sed 's/"http:\/\/127.0.0.1:9"/"http:\/\/nowhere.example:9"/' "$store/pipelines/app.toml" >"$empty/pipelines/app.toml"
(echo hello; sleep 12) | timeout 12 chroot "$empty" /logweir run --admin off --data-dir /data /pipelines 2>"$store/log" || true
grep -q 'onnection refused' "$store/log" || { cat "$store/log" >&2; die "localhost was not found"; }
grep -q 'no /etc/resolv.conf' "$store/log" || { cat "$store/log" >&2; die "a name without servers: another error"; }

ls -l "$out"
echo "image: $(stat -c %s "$out/logweir.tar") bytes packed, $bytes unpacked, $(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))["components"]))' "$out/logweir.cdx.json") components"
