#!/usr/bin/env bash
# See to it that there is a Chromium: the one in PATH, or else Debian's package where this may install it.
set -euo pipefail

for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" > /dev/null; then exit 0; fi
done
if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
  echo "Installing Debian's chromium ..."
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null
  if command -v chromium > /dev/null; then exit 0; fi
fi
echo "No Chromium was found, and it could not be installed from here." >&2
echo "Install it (Debian, Ubuntu: apt install chromium), then run \`make test-browser\` again." >&2
exit 1
