#!/bin/sh
# Three people on this machine act out the main story: make demo. Everything
# lies in a temporary folder that is removed at the end, unless KEEP=1.
set -eu
bin=$(cd "${1:-bin}" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/mutuals-demo.XXXXXX")

# Loopback only, on free ports, unseen by the local network.
export MUTUALS_API=127.0.0.1:0 MUTUALS_MDNS=off
export MUTUALS_LISTEN=/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1

ana() { "$bin/mutuals" --home "$work/ana" "$@"; }
ben() { "$bin/mutuals" --home "$work/ben" "$@"; }
chen() { "$bin/mutuals" --home "$work/chen" "$@"; }

end() {
	rc=$?
	trap - EXIT INT TERM
	if [ "${KEEP:-}" = 1 ] && [ $rc = 0 ]; then
		printf '\nThe three nodes go on. Try: %s --home %s chat week\n' "$bin/mutuals" "$work/ben"
		printf 'To end: for h in ana ben chen; do %s --home %s/$h down; done\n' "$bin/mutuals" "$work"
		exit 0
	fi
	for who in ana ben chen; do "$bin/mutuals" --home "$work/$who" down >/dev/null 2>&1 || true; done
	rm -rf "$work"
	exit $rc
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { printf '\n== %s\n' "$*"; }

# until_says TEXT COMMAND… runs the command until it says the text.
until_says() {
	text=$1
	shift
	tries=0
	until "$@" 2>/dev/null | grep -q -- "$text"; do
		tries=$((tries + 1))
		if [ $tries -gt 300 ]; then
			echo "demo: waited in vain for \"$text\" from: $*" >&2
			exit 1
		fi
		sleep 0.1
	done
}

step 'Three people, three nodes, no server'
for who in Ana Ben Chen; do
	lower=$(printf %s $who | tr ABC abc)
	"$bin/mutuals" --home "$work/$lower" init --name $who 2>/dev/null | sed -n '1p'
done

step 'Ana and Ben give each other their cards and follow'
ana id card | ben follow - 2>/dev/null
ben id card | ana follow - 2>/dev/null
until_says Ben ana friends
ana friends

step 'Ana makes a group and offers Ben a seat; he accepts'
ana group create 'Weekend hiking' 2>/dev/null | sed -n '1,2p'
ana members add week Ben 2>/dev/null
until_says Weekend ben requests
ben requests accept "$(ben requests | sed -n '2s/ .*//p')"
until_says Ben ana members list week
ana send week 'The forecast is good.' >/dev/null
until_says forecast ben log week

step 'Chen knows nobody here. Ana sends a passcode by another app:'
ana invite week --uses 5 2>/dev/null >"$work/passcode.txt"
cat "$work/passcode.txt"

step 'Chen pastes the whole message'
{
	echo '小林：周末一起去爬山吗？🥾'
	cat "$work/passcode.txt"
	echo '记得带水！💧'
} | chen join - --yes
until_says forecast chen log week

step 'They talk'
chen send week '大家好 👋' >/dev/null
ben send week 'Hello Chen!' >/dev/null
until_says Hello chen log week
until_says 大家好 ana log week
until_says Hello ana log week
chen log week

step 'Inviter and newcomer are mutuals now'
until_says Ana chen friends
chen friends

step 'All nodes stop and start again; what was said is there'
for who in ana ben chen; do "$bin/mutuals" --home "$work/$who" down 2>/dev/null; done
ben log week
