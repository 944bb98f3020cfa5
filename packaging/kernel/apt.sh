# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by cz-fetch-kernel and cz-build-kernel: Debian packages of another suite, by an apt state
# of its own. The machine's package sources are read to learn its mirror and never changed, and
# nothing is installed.

suite=forky

say() { printf -- '-- %s\n' "$*"; }

# die MESSAGE [HINT]
die()
{
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	[ $# -lt 2 ] || printf '  %s\n' "$2" >&2
	exit 1
}

# Where the machine's own suite comes from; the archive of its security updates has no other suites.
debian_mirror()
{
	local site
	# shellcheck disable=SC2016 # apt's own words
	site=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' \
		'Identifier: Packages' 2>/dev/null |
		awk '$2 == "Debian" && $3 !~ /-/ { print $1; exit }')
	echo "${site:-http://deb.debian.org/debian/}"
}

# own_apt VERB ARGS..; apt_begin comes first
own_apt()
{
	local tool=apt-get
	case $1 in search | show | depends) tool="apt-cache" ;; esac
	"$tool" -q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Acquire::Check-Valid-Until=false -o Dir::State::Lists="$apt/lists" \
		-o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" \
		-o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@"
}

# apt_begin DIR LOG: the state is in DIR; what apt says goes to LOG.
apt_begin()
{
	local tool
	apt=$1
	for tool in apt-get apt-cache dpkg-deb; do
		command -v $tool >/dev/null || die "$tool is missing: this works on Debian and its kin"
	done
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	printf 'deb [signed-by=%s] %s %s main\n' /usr/share/keyrings/debian-archive-keyring.gpg \
		"$(debian_mirror)" $suite >"$apt/sources.list"
	say "reading the package list of Debian $suite ..."
	own_apt update >>"$2" 2>&1 || {
		tail -n 5 "$2" >&2
		die "the package list could not be read: is the network there?"
	}
}

# unpack_debs DIR PACKAGE..: fetches them, and unpacks them into DIR. Names and versions: DIR/packages.
unpack_debs()
{
	local dir=$1 debs=$apt/debs deb
	shift
	rm -rf "$debs"
	mkdir -p "$dir" "$debs"
	(cd "$debs" && own_apt download "$@") || return 1
	for deb in "$debs"/*.deb; do
		dpkg-deb -x "$deb" "$dir" || return 1
	done
	(cd "$debs" && printf '%s\n' *.deb | sed 's/%3a/:/; s/\.deb$//') >"$dir/packages"
	rm -rf "$debs"
}
