#!/bin/sh
# SPDX-License-Identifier: MIT
# What an administrator does with the packages, from installing to purging, on a machine with systemd.
# Run by test-packages in a guest; /debs has them, /debs/newer the same with a higher version.
export DEBIAN_FRONTEND=noninteractive
group=/sys/fs/cgroup
failed=0

# check NAME COMMAND..: one case. The command's output is shown, and its last line is the reason.
check()
{
	name=$1
	shift
	start=$(cut -d. -f1 /proc/uptime)
	("$@") >/tmp/out 2>&1 </dev/null
	status=$?
	sed 's/^/    /' /tmp/out
	took=$(($(cut -d. -f1 /proc/uptime) - start))
	if [ $status = 0 ]; then
		echo "case ok packages/$name $took"
	else
		echo "case FAIL packages/$name $took - exit $status: $(tail -n 1 /tmp/out)"
		journalctl -q -u czd -n 20 --no-pager | sed 's/^/    czd: /'
		failed=1
		case $name in install | restart | kill | upgrade) exit 1 ;; esac # nothing works after it
	fi
}

fail()
{
	echo "$*"
	exit 1
}

# within SECONDS COMMAND..: until it succeeds
within()
{
	until=$(($(cut -d. -f1 /proc/uptime) + $1))
	shift
	while ! "$@" >/tmp/within 2>&1; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt $until ] || fail "not within the time: $* ($(tail -n 1 /tmp/within))"
		sleep 1 # a question to systemd is work for it, and a guest is slow
	done
}

# is FILE TEXT
is() { [ "$(cat "$1")" = "$2" ] || fail "$1 is '$(cat "$1")', not '$2'"; }
# has FILE WORDS
has() { grep -q -- "$2" "$1" || fail "no '$2' in $1"; }

# Everything there is, as far as czd could have left a trace in it.
traces()
{
	find / -xdev \( -name '*czd*' -o -name '*cz-*' -o -name '*czctl*' -o -path '*/cz/*' -o -name '*control-zone*' \) \
		-not -path '/proc/*' -not -path '/sys/*' -not -path '/debs*' -not -path '/cz*' -not -name 'cz-command*'
	find /sys/fs/cgroup /sys/fs/bpf /run -name '*cz*' -not -name '*cz-command*' -not -path '/run/log/*'
	getent group cz cz-admin cz-gate
	getent passwd cz-gate
	find /run/systemd -name 50-CPUWeight.conf -o -name 50-AllowedCPUs.conf -o -name 50-MemoryHigh.conf -o -name '50-IO*BandwidthMax.conf'
	grep -l 1 /sys/fs/cgroup/*/cpu.idle 2>/dev/null
}

install_all()
{
	apt-get install -q -y --no-install-recommends /debs/*.deb || fail "apt failed"
	systemctl is-active czd && systemctl is-enabled czd || fail "czd does not run"
	getent group cz && getent group cz-admin || fail "no groups"
	is /sys/fs/cgroup/system.slice/czd.service/cgroup.controllers "cpuset cpu io memory pids"
	# an action is measured for as long as anything here looks at it
	sed -i 's/#measure: 1s/measure: 60s/' /etc/cz/czd.yaml
	systemctl restart czd
}

ask_doctor()
{
	czctl doctor >/tmp/doctor || fail "doctor: exit $?"
	cat /tmp/doctor
	has /tmp/doctor "idle class of a cgroup  *cpu.idle (v2)"
	has /tmp/doctor "CPU sets  *cpuset.cpus"
}

# history NAME..: czctl history as that user, from when the gateway has any
history() { setpriv --reuid nobody --regid nogroup "$@" czctl history; }

# It filters its own system calls, within what the unit lets it do. From the first start on it tells nobody what czd would not tell them.
gate_token()
{
	(within 30 systemctl is-active cz-gate) || fail "$(journalctl -u cz-gate --no-pager | tail -n 5)"
	[ "$(stat -c '%U:%G %a' /etc/cz/read-token)" = "root:cz 640" ] || fail "$(ls -l /etc/cz/read-token)"
	within 30 czctl history || fail "root"
	within 10 history --groups "$(getent group cz | cut -d: -f3)"
	history --clear-groups >/tmp/refused 2>&1 && fail "nobody may read: $(cat /tmp/refused)"
	has /tmp/refused 'needs a token'
	cp /etc/cz/read-token /tmp/token
}

start_work()
{
	# on one CPU: the other is left to what is tested
	systemd-run -q --slice=batch.slice --unit=hog -p CPUAffinity=1 sh -c 'while :; do :; done'
	systemd-run -q --unit=web -p CPUAffinity=1 sh -c 'while :; do sleep 0.05; done'
}

# on: the hog is put in the idle class
on()
{
	within 60 czctl mode enforce
	within 60 grep -q 1 $group/batch.slice/cpu.idle
}

protect()
{
	within 60 czctl protect web.service # the ledger is loaded now: on a slow guest that takes a while
	within 60 czctl protect batch.slice --class be
	on
	czctl actions >/tmp/actions
	cat /tmp/actions
	has /tmp/actions 'batch.slice *cpu.idle *0 -> 1'
	czctl why web.service
}

# systemd takes its idea of a unit for the truth again whenever it writes one of its properties, or
# is reloaded: what czd has turned has to be part of that idea, and not for longer than it holds.
owned()
{
	on
	within 10 sh -c 'systemctl show batch.slice -p CPUWeight | grep -qx CPUWeight=idle'
	systemctl daemon-reload
	systemctl set-property --runtime batch.slice CPUQuota=150%
	within 10 grep -q 150000 $group/batch.slice/cpu.max
	is $group/batch.slice/cpu.idle 1
	systemctl daemon-reload
	is $group/batch.slice/cpu.idle 1
	systemctl set-property --runtime batch.slice CPUQuota=
	# asked for by hand: systemd and the file are as before, and no file of ours is left
	czctl undo || fail "exit $?"
	is $group/batch.slice/cpu.idle 0
	within 10 sh -c 'systemctl show batch.slice -p CPUWeight | grep -qx "CPUWeight=\[not set\]"'
	within 10 test ! -e /run/systemd/system.control/batch.slice.d/50-CPUWeight.conf
	is $group/batch.slice/cpu.weight 100
	[ ! -e /run/cz/owners ] || fail "notes are left: $(cat /run/cz/owners)"
}

# The same of limits on memory and io, as long as they hold; nobody else's properties are touched.
limits_owned()
{
	systemctl set-property --runtime batch.slice IOAccounting=yes
	systemd-run -q --wait --slice=batch.slice dd if=/dev/vda of=/dev/null bs=64k count=20 iflag=direct
	mkdir -p /run/lab
	rm -f /run/hold
	mkfifo /run/hold
	/owner-lab /run/lab /batch.slice memory.high 67108864 io.max 10485760 </run/hold >/run/lab/out 2>&1 &
	exec 3>/run/hold
	within 30 grep -qx told /run/lab/out
	systemctl show batch.slice -p MemoryHigh | grep -qx MemoryHigh=67108864 || fail "systemd has not heard of memory.high"
	systemctl show batch.slice | grep -qx 'IOReadBandwidthMax=/dev/vda 10485760' || fail "nor of io.max"
	systemctl daemon-reload
	systemctl set-property --runtime batch.slice MemoryMax=900M IOWeight=200
	is $group/batch.slice/memory.high 67108864
	has $group/batch.slice/io.max 'rbps=10485760 wbps=10485760'
	systemctl set-property --runtime batch.slice MemoryMax= IOWeight=
	exec 3>&-
	wait
	has /run/lab/out 'left: 0'
	is $group/batch.slice/memory.high max
	is $group/batch.slice/io.max ''
	systemctl show batch.slice -p MemoryHigh | grep -qx MemoryHigh=infinity || fail "systemd still thinks of memory.high"
	ls /run/systemd/system.control/batch.slice.d >/run/lab/files
	! grep -q 'MemoryHigh\|BandwidthMax' /run/lab/files || fail "left: $(cat /run/lab/files)"
	[ ! -e /run/lab/owners ] || fail "notes are left: $(cat /run/lab/owners)"
}

# A D-Bus that hangs is nobody czd waits for; what it could not be told is given back later.
bus_hangs()
{
	systemctl restart czd
	on
	within 10 sh -c 'systemctl show batch.slice -p CPUWeight | grep -qx CPUWeight=idle'
	systemctl kill -s STOP dbus
	czctl undo || fail "exit $?"
	is $group/batch.slice/cpu.idle 0
	czctl list >/dev/null || fail "czd does not answer"
	systemctl kill -s CONT dbus
	within 20 sh -c 'systemctl show batch.slice -p CPUWeight | grep -qx "CPUWeight=\[not set\]"'
}

reload_bad()
{
	within 60 czctl mode enforce
	cp /etc/cz/czd.yaml /tmp/good
	printf 'mode: sideways\n' >>/etc/cz/czd.yaml
	systemctl reload czd && fail "a broken file was taken"
	systemctl status czd --no-pager >/tmp/status
	cat /tmp/status
	has /tmp/status "'sideways' is not a mode"
	# asked past systemd: the old one stays in force, and that is said
	systemctl kill --kill-whom=main -s HUP czd
	within 10 sh -c 'systemctl show czd -p StatusText | grep -q "going on with the old configuration"'
	czctl mode | grep -q enforce || fail "the mode has changed"
	cp /tmp/good /etc/cz/czd.yaml
	sed -i 's/^zones:/&\n  - {match: dbus.service, class: lc}/' /etc/cz/czd.yaml
	systemctl reload czd || fail "a good file was refused: $(systemctl status czd --no-pager | tail -n 5)"
	within 10 sh -c 'czctl list | grep -q dbus.service'
}

# Stopping undoes; what users asked for is still known afterwards.
restart_czd()
{
	systemctl restart czd || fail "no restart"
	is $group/batch.slice/cpu.idle 0
	czctl list --all | grep -q 'batch.slice *be' || fail "batch.slice is not best-effort any more"
	on
}

# Everything of it killed at once: the unit undoes, and starts it again.
kill_czd()
{
	systemctl kill -s KILL czd
	within 30 sh -c 'systemctl show czd -p NRestarts | grep -qx NRestarts=1'
	is $group/batch.slice/cpu.idle 0
	within 30 czctl mode enforce
	on
}

hang_keeper()
{
	mkdir -p /run/systemd/system/czd.service.d
	printf '[Service]\nWatchdogSec=4\n' >/run/systemd/system/czd.service.d/test.conf
	systemctl daemon-reload
	systemctl restart czd
	pid=$(systemctl show czd -p MainPID --value)
	sleep 6
	[ "$(systemctl show czd -p MainPID --value)" = "$pid" ] || fail "killed although it lives"
	kill -STOP "$pid"
	within 30 sh -c "systemctl is-active czd && ! systemctl show czd -p MainPID | grep -qx MainPID=$pid"
	rm -r /run/systemd/system/czd.service.d
	systemctl daemon-reload
	within 30 czctl mode enforce
}

apply_zone()
{
	cat >/tmp/zone.yaml <<-'END'
	apiVersion: cz/v1
	kind: Zone
	metadata: {name: job}
	runtime: cgroup
	class: be
	resource: {cpuset: "1"}
	apps:
	  - {name: sleeper, command: [sleep, "100000"]}
	END
	czctl apply -f /tmp/zone.yaml || fail "exit $?"
	within 30 grep -q . $group/cz-zones/job/sleeper/cgroup.procs
	cat $group/cz-zones/job/sleeper/cgroup.procs >/tmp/pid
	is $group/cz-zones/job/cpuset.cpus 1
}

zone_goes_on()
{
	is $group/cz-zones/job/sleeper/cgroup.procs "$(cat /tmp/pid)"
	is $group/cz-zones/job/cpuset.cpus 1
	within 20 sh -c 'czctl list --all | grep -q "job .*running"'
}

upgrade()
{
	echo '# mine' >>/etc/cz/czd.yaml
	systemctl daemon-reload
	before=$(systemctl show czd -p MainPID --value)
	apt-get install -q -y --no-install-recommends /debs/newer/*.deb || fail "apt failed"
	dpkg-query -W czd | grep -q newer || fail "not upgraded"
	[ "$(systemctl show czd -p MainPID --value)" != "$before" ] || fail "the old one runs on"
	has /etc/cz/czd.yaml '# mine'
	cmp /tmp/token /etc/cz/read-token || fail "another token"
	czctl list --all | grep -q 'batch.slice *be' || fail "batch.slice is not best-effort any more"
	zone_goes_on
}

stop_czd()
{
	on
	systemctl stop czd || fail "exit $?"
	is $group/batch.slice/cpu.idle 0
	is $group/batch.slice/cpu.weight 100
	systemctl show czd -p Result | grep -qx Result=success || fail "$(systemctl show czd -p Result)"
	systemctl start czd
}

# apt names packages as it finds them in the folder
names() { dpkg-query -W -f '${Package} ${Version}\n' 'cz*' | sed -n 's/ .*//p'; }

remove_all()
{
	# shellcheck disable=SC2046
	apt-get remove -q -y $(names) || fail "apt failed"
	[ ! -e "/proc/$(cat /tmp/pid)" ] || fail "the zone's app lives"
	[ ! -e $group/cz-zones ] || fail "$group/cz-zones is still there"
	[ -e /etc/cz/czd.yaml ] && [ -e /var/lib/cz ] || fail "more was removed than the programs"
}

purge_all()
{
	# shellcheck disable=SC2046
	apt-get purge -q -y $(names) || fail "apt failed"
	systemctl daemon-reload
	traces >/tmp/after
	diff /tmp/before /tmp/after || fail "purge left: $(diff /tmp/before /tmp/after | sed -n 's/^> //p' | head -n 3 | tr '\n' ' ')"
}

systemctl is-system-running --wait >/dev/null
systemctl start batch.slice
traces >/tmp/before
check install install_all
start_work
check doctor ask_doctor
check gate-token gate_token
check protect protect
check owned owned
check limits-owned limits_owned
check bus-hangs bus_hangs
check reload-broken reload_bad
check restart restart_czd
check kill kill_czd
check watchdog hang_keeper
check zone apply_zone
systemctl restart czd
check zone-restart zone_goes_on
check upgrade upgrade
check stop stop_czd
check remove remove_all
check purge purge_all
exit $failed
