#!/bin/bash
# tls.sh DIR
#
# Makes the certificates of the TLS and mTLS tests with openssl.
#
#   DIR   the folder, made if missing; files of an earlier run are overwritten
#
# Leaves (PEM, EC P-256; keys are PKCS#8):
#   ca.crt ca.key                     the CA the tests trust
#   server.crt server.key             server, SAN localhost, 127.0.0.1, ::1, signed by ca
#   client.crt client.key             client, CN=logweir-client, signed by ca
#   expired.crt expired.key           as server, but past its end date since 2021
#   not-yet.crt not-yet.key           as server, but valid from 2099 on
#   wrong-name.crt wrong-name.key     signed by ca, SAN other.example only
#   other-ca.crt other-ca.key         a CA nobody trusts
#   wrong-ca.crt wrong-ca.key         as server, signed by other-ca
#   wrong-client.crt wrong-client.key as client, signed by other-ca
#   server-chain.crt                  server.crt followed by ca.crt
#   client.pem                        client.crt and client.key in one file
# Needs openssl.
set -euo pipefail

if [ $# != 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 2
fi
command -v openssl >/dev/null || {
    echo "tls.sh: openssl is missing; run tests/tools/install.sh" >&2
    exit 1
}
mkdir -p "$1"
cd "$1"
umask 022
log=$(mktemp)
tmp=$(mktemp -d)
trap 'rm -rf "$log" "$tmp"' EXIT
ssl() { # openssl, silent unless it fails
    if ! openssl "$@" >"$log" 2>&1; then
        cat "$log" >&2
        echo "tls.sh: failed: openssl $*" >&2
        exit 1
    fi
}
key() { ssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }

make_ca() { # NAME CN
    key "$1"
    ssl req -x509 -new -sha256 -key "$1.key" -out "$1.crt" -days 3650 -subj "/O=logweir tests/CN=$2" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

# `openssl ca` rather than `openssl x509`: the latter of OpenSSL 3.0 cannot set the dates.
sign() { # NAME CA CN USAGE SAN [START END]
    key "$1"
    ssl req -new -sha256 -key "$1.key" -out "$tmp/$1.csr" -subj "/O=logweir tests/CN=$3"
    : >"$tmp/index"
    cat >"$tmp/ca.cnf" <<CNF
[ca]
default_ca = it
[it]
new_certs_dir = $tmp
database = $tmp/index
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = none
x509_extensions = ext
[any]
commonName = supplied
organizationName = optional
[ext]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = $4
subjectAltName = $5
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
CNF
    local dates=(-days 3650)
    if [ $# -gt 5 ]; then dates=(-startdate "$6" -enddate "$7"); fi
    ssl ca -batch -notext -config "$tmp/ca.cnf" -cert "$2.crt" -keyfile "$2.key" -in "$tmp/$1.csr" -out "$1.crt" "${dates[@]}"
}

here=DNS:localhost,IP:127.0.0.1,IP:::1
make_ca ca "logweir test CA"
make_ca other-ca "another CA"
sign server ca localhost serverAuth "$here"
sign client ca logweir-client clientAuth DNS:logweir-client
sign expired ca localhost serverAuth "$here" 20200101000000Z 20210101000000Z
sign not-yet ca localhost serverAuth "$here" 20990101000000Z 21000101000000Z
sign wrong-name ca other.example serverAuth DNS:other.example
sign wrong-ca other-ca localhost serverAuth "$here"
sign wrong-client other-ca logweir-client clientAuth DNS:logweir-client
cat server.crt ca.crt >server-chain.crt
cat client.crt client.key >client.pem
