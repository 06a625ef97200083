#!/usr/bin/env bash
# Install what the tests of the exported programs run with: node, a C++ and a Kotlin compiler, and the libraries that those
# programs need. Packages of npm and headers go into .test-packages, the rest comes with apt where this runs as root.
# Quick when all is there. What cannot be installed is named in one line; its tests are then skipped (in CI they fail).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
into=$PWD/.test-packages
lock=tests/e2e/programs/package-lock.json
failed=()

has_header() { command -v g++ >/dev/null && g++ -E -x c++ -include "$1" /dev/null >/dev/null 2>&1; }

apt_packages() { # those that are missing
	command -v node >/dev/null || echo nodejs
	command -v npm >/dev/null || echo npm
	command -v g++ >/dev/null || echo g++
	command -v java >/dev/null || echo default-jre-headless
	has_header turbojpeg.h || echo libturbojpeg0-dev
	has_header png.h || echo libpng-dev
	has_header nlohmann/json.hpp || echo nlohmann-json3-dev
}

install_apt_packages() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq -o DPkg::Lock::Timeout=120 update &&
		apt-get -qq -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"
} >/dev/null 2>&1

install_npm_packages() {
	command -v npm >/dev/null || return 1
	cp "${lock%-lock.json}.json" "$lock" "$into/" &&
		npm ci --prefix "$into" --ignore-scripts --no-audit --no-fund --fetch-retries=1 &&
		cp "$lock" "$into/installed.json"
} >/dev/null 2>&1

# ONNX Runtime's wheel has the library but no headers; Debian has them since its release 13, and any release can unpack them
install_onnxruntime_headers() (
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && cd "$work" && chmod 755 .
	if ! apt-get -qq download libonnxruntime-dev; then
		mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 '/debian/$') || return 1
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >sources.list
		mkdir -p lists/partial cache/archives/partial none
		own=(-o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts="$work/none"
			-o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache")
		apt-get -qq "${own[@]}" update && apt-get -qq "${own[@]}" download libonnxruntime-dev || return 1
	fi
	dpkg-deb -x libonnxruntime-dev_*.deb unpacked && rm -rf "$into/include" && cp -r unpacked/usr/include/onnxruntime "$into/include"
) >/dev/null 2>&1

mkdir -p "$into"
missing=$(apt_packages)
if [ -n "$missing" ]; then
	echo "Installing ${missing//$'\n'/, } for the tests of the exported programs"
	# shellcheck disable=SC2086  # one word a package
	install_apt_packages $missing
	missing=$(apt_packages)
	[ -z "$missing" ] || failed+=("${missing//$'\n'/, }")
fi
if ! cmp -s "$lock" "$into/installed.json"; then
	install_npm_packages || failed+=("the packages of $lock")
fi
if [ ! -f "$into/include/onnxruntime_cxx_api.h" ]; then
	install_onnxruntime_headers || failed+=("ONNX Runtime's C++ headers (Debian's libonnxruntime-dev)")
fi
if [ ${#failed[@]} -gt 0 ]; then
	list=$(printf '; %s' "${failed[@]}")
	echo "install_test_packages: cannot install ${list:2}: run it as root with apt, npm and a network, or go without these tests" >&2
	exit 1
fi
