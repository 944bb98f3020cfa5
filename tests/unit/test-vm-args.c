/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/str.h"
#include "vm/netdev.h"
#include "vm/qemu-args.h"
#include "test.h"

#define NONCE "000102030405060708090a0b0c0d0e0f"

static void plan_fill(struct qemu_plan *p, struct zone_spec *s)
{
	zone_spec_defaults(s);
	s->name = strdup("web");
	s->runtime = RUNTIME_VM;
	s->resource.net.mode = NET_NONE;
	qemu_plan_init(p, s, NONCE);
	p->kernel = 10;
	p->initramfs = 11;
	p->data = 12;
	p->qmp = 13;
	p->console = 14;
	for (int i = 0; i < CHANNEL_NR; i++)
		p->port[i] = 15 + i;
}

/* All arguments on one line; the caller frees. */
static char *line_of(const struct qemu_plan *p)
{
	struct qemu_args a = {0};
	struct strbuf b = {0};
	struct error e = {0};

	assert_int_equal(qemu_args_build(p, "qemu", &a, &e), 0);
	assert_null(a.argv[a.nr]);
	for (size_t i = 0; i < a.nr; i++)
		strbuf_printf(&b, "%s%s", i ? " " : "", a.argv[i]);
	qemu_args_done(&a);
	return b.data;
}

static void test_whole_line(void **state)
{
	static const char expected[] =
	    "qemu -name guest=web,debug-threads=on -nodefaults -no-user-config -no-reboot -display "
	    "none"
	    " -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
	    " -L /proc/self/fd/12 -machine q35,usb=off,vmport=off,memory-backend=ram"
	    " -object memory-backend-memfd,id=ram,size=512M,share=on -m 512M"
	    " -smp cpus=1,maxcpus=1,sockets=1,cores=1,threads=1 -accel tcg,thread=multi -cpu max"
	    " -kernel /proc/self/fd/10 -initrd /proc/self/fd/11"
	    " -append console=ttyS0 panic=-1 quiet rdinit=/init cz.name=web cz.nonce=" NONCE
	    " cz.root=none cz.net=none maxcpus=1"
	    " -chardev socket,id=console,fd=14 -serial chardev:console"
	    " -chardev socket,id=qmp,fd=13 -mon chardev=qmp,mode=control"
	    " -device virtio-serial-pci,max_ports=8"
	    " -chardev socket,id=cz.control,fd=15"
	    " -device virtserialport,id=port0,chardev=cz.control,name=cz.control"
	    " -chardev socket,id=cz.log,fd=16"
	    " -device virtserialport,id=port1,chardev=cz.log,name=cz.log"
	    " -chardev socket,id=cz.term,fd=17"
	    " -device virtserialport,id=port2,chardev=cz.term,name=cz.term"
	    " -device virtio-balloon-pci,id=balloon,free-page-reporting=on -device pvpanic-pci";
	struct zone_spec s = {0};
	struct qemu_plan p;
	_cleanup_free_ char *line = NULL;

	plan_fill(&p, &s);
	line = line_of(&p);
	assert_string_equal(line, expected);
	zone_spec_done(&s);
}

static void test_parts(void **state)
{
	struct zone_spec s = {0};
	struct qemu_plan p;
	_cleanup_free_ char *line = NULL, *micro = NULL;

	plan_fill(&p, &s);
	s.resource.vcpus = 2;
	s.resource.vcpus_max = 4;
	s.resource.memory_bytes = 256ull << 20;
	s.resource.memory_max_bytes = (1ull << 30) + 1;
	s.os.rootfs_kind = ROOTFS_IMAGE;
	s.resource.io.bytes_per_s = 1000;
	s.resource.io.bytes_burst = 500;
	s.resource.net.mode = NET_USER;
	s.resource.net.nr_forward = 1;
	s.resource.net.forward[0].host = 8080;
	s.resource.net.forward[0].guest = 80;
	p.disk = 20;
	p.base = 21;
	p.base_format = DISK_QCOW2;
	p.kvm = true;
	p.kvm_fd = 22;
	line = line_of(&p);
	assert_non_null(strstr(line, " -smp cpus=4,maxcpus=4,"));
	assert_non_null(strstr(line, " maxcpus=2 -"));
	assert_non_null(strstr(line, " -m 1025M "));
	assert_non_null(
	    strstr(line, " -add-fd fd=22,set=1 -accel kvm,device=/dev/fdset/1 -cpu host"));
	assert_non_null(strstr(line, "cz.root=image cz.net=dhcp"));
	assert_non_null(
	    strstr(line, "\"backing\":{\"driver\":\"qcow2\",\"read-only\":true,\"backing\":null,"));
	assert_non_null(
	    strstr(line, "x-bps-total=1000,x-bps-total-max=1500,x-bps-total-max-length=1"));
	assert_non_null(strstr(line, " -device virtio-blk-pci,drive=disk"));
	assert_non_null(
	    strstr(line, " -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:8080-:80 "));
	s.os.machine = MACHINE_MICROVM;
	micro = line_of(&p);
	assert_non_null(strstr(micro, " -machine microvm,"));
	assert_null(strstr(micro, "-pci"));
	zone_spec_done(&s);
}

/* What users may write goes nowhere but into the kernel's command line, and is one argument there.
 */
static void test_injection(void **state)
{
	struct zone_spec s = {0};
	struct qemu_plan p;
	struct qemu_args a = {0};
	struct error e = {0};
	size_t before;

	plan_fill(&p, &s);
	assert_int_equal(qemu_args_build(&p, "qemu", &a, &e), 0);
	before = a.nr;
	qemu_args_done(&a);
	s.os.cmdline = strdup("a,b -device evil \"x y\" -append z");
	s.os.rootfs = strdup("/srv/a,file=/etc/shadow");
	assert_int_equal(qemu_args_build(&p, "qemu", &a, &e), 0);
	assert_int_equal(a.nr, before);
	for (size_t i = 0; i < a.nr; i++) {
		assert_true(!strstr(a.argv[i], "evil") ||
			    !strncmp(a.argv[i], "console=ttyS0 ", 14));
		assert_null(strstr(a.argv[i], "shadow"));
	}
	qemu_args_done(&a);
	free(s.os.cmdline);
	s.os.cmdline = strdup("a\nb");
	assert_int_equal(qemu_args_build(&p, "qemu", &a, &e), -EINVAL);
	free(s.os.cmdline);
	s.os.cmdline = malloc(3000);
	memset(s.os.cmdline, 'x', 2999);
	s.os.cmdline[2999] = 0;
	assert_int_equal(qemu_args_build(&p, "qemu", &a, &e), -E2BIG);
	free(s.os.cmdline);
	s.os.cmdline = NULL;
	s.resource.net.mode = NET_TAP;
	s.resource.net.address = strdup("192.0.2.1/24 init=/bin/sh");
	assert_int_equal(qemu_args_build(&p, "qemu", &a, &e), -EINVAL);
	zone_spec_done(&s);
}

static void test_net_words(void **state)
{
	struct zone_spec s = {0};
	struct qemu_plan p;
	char line[QEMU_CMDLINE_MAX], name[16], other[16];
	struct error e;

	plan_fill(&p, &s);
	s.resource.net.mode = NET_TAP;
	s.resource.net.address = strdup("192.0.2.1/24");
	s.resource.net.dns = strdup("192.0.2.9");
	assert_int_equal(vm_kernel_cmdline(&s, NONCE, line, sizeof(line), &e), 0);
	assert_non_null(strstr(line, " cz.net=192.0.2.1/24,,192.0.2.9 "));
	assert_null(strstr(line, "preempt="));
	s.os.preempt = PREEMPT_LAZY;
	s.resource.net.gateway = strdup("192.0.2.254");
	assert_int_equal(vm_kernel_cmdline(&s, NONCE, line, sizeof(line), &e), 0);
	assert_non_null(strstr(line, " cz.net=192.0.2.1/24,192.0.2.254,192.0.2.9 "));
	assert_non_null(strstr(line, " preempt=lazy"));
	zone_spec_done(&s);

	netdev_name("web", name);
	assert_string_equal(name, "cz-web");
	netdev_name("exactly-12ch", name);
	assert_string_equal(name, "cz-exactly-12ch");
	netdev_name("a-name-that-is-long-1", name);
	netdev_name("a-name-that-is-long-2", other);
	assert_int_equal(strlen(name), 15);
	assert_string_not_equal(name, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole_line),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_injection),
	    cmocka_unit_test(test_net_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
