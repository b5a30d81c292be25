#!/bin/sh
# Install what pip cannot: speech synthesiser, text reader, libraries that OpenCV and libsndfile need.
# Where that is not possible nothing fails here; `nuthatch doctor` names what is missing.
packages="espeak-ng libgl1 libglib2.0-0 libsndfile1 tesseract-ocr"
command -v apt-get >/dev/null 2>&1 || exit 0
missing=""
for package in $packages; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    echo "not installed (no rights):$missing; see: nuthatch doctor"
    exit 0
fi
$as_root apt-get update -qq || true
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing ||
    echo "could not install:$missing; see: nuthatch doctor"
exit 0
