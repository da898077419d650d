# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The libraries of another architecture, for cross builds: Debian's own packages, from the mirror
# that this machine uses, through an apt configuration of our own. The machine's package lists,
# architectures and preferences stay as they are, and root is not needed.

debian_codename() {
	sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

# The lines of a sources.list for Debian's own suites, as apt reads them from whatever form the
# machine's sources have. Third parties seldom have foreign architectures; they are left out.
debian_sources() {
	local codename keyring=/usr/share/keyrings/debian-archive-keyring.gpg option=
	codename=$(debian_codename)
	[ -e "$keyring" ] && option="[signed-by=$keyring] "
	# shellcheck disable=SC2016 # the variables are apt's
	apt-get indextargets --format '$(COMPONENT) $(ORIGIN) $(RELEASE) $(REPO_URI)' \
		'Created-By: Packages' | sort -u |
		while read -r component origin release uri; do
			# Without package lists on this machine apt leaves the variable as it stands.
			# shellcheck disable=SC2016
			case $origin in Debian | '$(ORIGIN)') ;; *) continue ;; esac
			case $component/$release in
			main/"$codename" | main/"$codename"-updates | main/"$codename"-security)
				printf 'deb %s%s %s main\n' "$option" "$uri" "$release"
				;;
			esac
		done
}

# A configuration for apt-get -c, with its state below folder.
apt_configuration() { # ARCH FOLDER
	mkdir -p "$2"/{state/lists/partial,cache/archives/partial}
	: >"$2/status"
	debian_sources >"$2/sources.list"
	[ -s "$2/sources.list" ] || {
		echo "no Debian suite among this machine's apt sources"
		return 1
	}
	# The machine's own configuration stays in force below this (proxies, certificates), but for
	# what it does after updates and around dpkg.
	cat >"$2/apt.conf" <<-END
		APT::Architecture "$1";
		#clear APT::Architectures;
		APT::Architectures { "$1"; };
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Pre-Install-Pkgs;
		#clear DPkg::Post-Invoke;
		APT::Sandbox::User "root";
		Acquire::Retries "5";
		Acquire::http::Timeout "60";
		Acquire::https::Timeout "60";
		Acquire::Languages "none";
		Dir::State "$2/state";
		Dir::State::status "$2/status";
		Dir::Cache "$2/cache";
		Dir::Etc::sourcelist "$2/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
	END
}

# note_package DEB ROOT FINAL: in a database of dpkg's in ROOT/var/lib/dpkg, for dpkg-shlibdeps. Files
# have the names by which they will be found, which are those of FINAL.
note_package() {
	local info=$2/var/lib/dpkg/info name
	name=$(dpkg-deb -f "$1" Package) && mkdir -p "$info" || return
	{
		dpkg-deb -f "$1" && printf 'Status: install ok installed\n\n'
	} >>"$2/var/lib/dpkg/status" || return
	dpkg-deb --fsys-tarfile "$1" | tar -t | sed "s|^\\.|$3|; s|/\$||" >"$info/$name.list" || return
	dpkg-deb --ctrl-tarfile "$1" | tar -x -C "$info" --no-same-owner --transform "s|^\\./|$name.|" \
		--wildcards './*'
}

# Downloads packages with all they depend on and unpacks them to FOLDER/root, which will be FINAL.
fill_sysroot() { # ARCH TRIPLET FOLDER FINAL PACKAGE...
	local arch=$1 triplet=$2 folder=$3 final=$4 package libraries
	shift 4
	apt_configuration "$arch" "$folder/apt" || return
	# One index of several may be out of step on the mirror; what is needed may be in the others.
	limit 600 apt-get -q -c "$folder/apt/apt.conf" update || echo "trying with what there is"
	limit 1800 apt-get -q -y -c "$folder/apt/apt.conf" --no-install-recommends --download-only \
		install "$@" || return
	mkdir "$folder/root" || return
	for package in "$folder"/apt/cache/archives/*.deb; do
		# Neither documentation nor the static OpenBLAS, which is most of the bytes.
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$folder/root" --no-same-owner \
			--exclude='./usr/share/doc' --exclude='./usr/share/man' \
			--exclude='./usr/share/locale' --exclude='./usr/share/info' \
			--exclude='*/openblas-pthread/*.a' || return
		note_package "$package" "$folder/root" "$final" || return
	done
	# What the maintainer scripts would have done with update-alternatives.
	libraries=$folder/root/usr/lib/$triplet
	ln -s openblas-pthread/libopenblas.so.0 "$libraries/libopenblas.so.0" &&
		ln -s ../openblas-pthread/pkgconfig/openblas.pc "$libraries/pkgconfig/openblas.pc" &&
		rm -rf "$folder/apt"
}

# sysroot_path ARCH PACKAGE...: where the sysroot of these packages is, or will be. The name changes
# with the list of packages and with this script.
sysroot_path() {
	local arch=$1 key
	shift
	key=$({ printf '%s\n' "$(debian_codename)" "$@" && cat "$top/tests/cross/sysroot.sh"; } |
		sha256sum)
	printf '%s/sysroot-%s-%.12s\n' "$cache" "$arch" "$key"
}

# make_sysroot ARCH TRIPLET PACKAGE...: builds it aside and renames it, so that it is whole or absent.
make_sysroot() {
	local arch=$1 triplet=$2 path aside
	shift 2
	path=$(sysroot_path "$arch" "$@")
	# The time says when it was last of use: what was not for a month goes.
	[ -d "$path" ] && touch "$path" && return
	mkdir -p "$cache" || return
	find "$cache" -mindepth 1 -maxdepth 1 -name "sysroot-$arch*" -mtime +30 -exec rm -rf {} +
	aside=$(mktemp -d "$cache/sysroot-$arch.XXXXXX") || return
	if quietly "$top/build/sysroot-$arch.log" fill_sysroot "$arch" "$triplet" "$aside" "$path" "$@"; then
		# Unpacking has set the time to that of a package, and by it the next would go. Another
		# run may have been faster; its sysroot is as good.
		touch "$aside/root"
		mv -T "$aside/root" "$path" 2>/dev/null || [ -d "$path" ]
	else
		false
	fi
	local status=$?
	rm -rf "$aside"
	return "$status"
}
