#!/bin/sh
# ensure_program.sh WHAT PACKAGE PATH...: do nothing if one of the paths is there, else install Debian's package.
set -eu
what=$1 package=$2
shift 2
for path in "$@"; do
    [ -n "$path" ] && { [ -x "$path" ] || command -v "$path" >/dev/null 2>&1; } && exit 0
done
if ! command -v apt-get >/dev/null 2>&1; then
    echo "$what is missing: install it (Debian's package is $package), or say in the README's way where it is" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "$what is missing: run 'apt-get install $package' as root" >&2
        exit 1
    }
    as_root=sudo
fi
echo "installing $package"
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$package" >/dev/null
