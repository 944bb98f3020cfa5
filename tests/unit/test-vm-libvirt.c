/* SPDX-License-Identifier: MIT */
/* What libvirt is told to run. */
#include <string.h>
#include "base/cleanup.h"
#include "vm/libvirt-xml.h"
#include "test.h"

#define NONCE "000102030405060708090a0b0c0d0e0f"

static void domain_fill(struct libvirt_domain *d, struct zone_spec *s)
{
	zone_spec_defaults(s);
	s->name = strdup("web");
	s->runtime = RUNTIME_VM;
	s->resource.net.mode = NET_NONE;
	*d = (struct libvirt_domain){.spec = s,
				     .nonce = NONCE,
				     .uid = 2000000000,
				     .gid = 2000000001,
				     .emulator = "/usr/bin/qemu",
				     .kernel = "/s/boot-kernel",
				     .initramfs = "/s/boot-initramfs",
				     .sockets = "/r/private",
				     .interface = "cz-web"};
}

/* The caller frees. */
static char *xml_of(const struct libvirt_domain *d)
{
	struct strbuf b = {0};
	struct error e = {0};

	assert_int_equal(libvirt_xml(d, &b, &e), 0);
	return b.data;
}

static void test_golden(void **state)
{
	static const char expected[] =
	    "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
	    "<name>web</name>\n"
	    "<metadata><cz:zone xmlns:cz='urn:control-zone:zone' name='web'/></metadata>\n"
	    "<memory unit='KiB'>1048576</memory>\n"
	    "<currentMemory unit='KiB'>262144</currentMemory>\n"
	    "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\n"
	    "<vcpu placement='static'>4</vcpu>\n"
	    "<os><type arch='x86_64' machine='q35'>hvm</type>\n"
	    "<kernel>/s/boot-kernel</kernel>\n"
	    "<initrd>/s/boot-initramfs</initrd>\n"
	    "<cmdline>console=ttyS0 panic=-1 quiet rdinit=/init cz.name=web cz.nonce=" NONCE
	    " cz.root=none cz.net=none maxcpus=2 a=&quot;b&quot; &lt;/cmdline&gt;&amp;&apos;"
	    "</cmdline></os>\n"
	    "<features><acpi/></features>\n"
	    "<cpu mode='maximum'><topology sockets='1' cores='4' threads='1'/></cpu>\n"
	    "<on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot>"
	    "<on_crash>destroy</on_crash>\n"
	    "<devices><emulator>/usr/bin/qemu</emulator><controller type='usb' model='none'/>\n"
	    "<serial type='unix'><source mode='bind' path='/r/private/console'/><target port='0'/>"
	    "</serial>\n"
	    "<channel type='unix'><source mode='bind' path='/r/private/cz.control'/>"
	    "<target type='virtio' name='cz.control'/><alias name='ua-port0'/></channel>\n"
	    "<channel type='unix'><source mode='bind' path='/r/private/cz.log'/>"
	    "<target type='virtio' name='cz.log'/><alias name='ua-port1'/></channel>\n"
	    "<channel type='unix'><source mode='bind' path='/r/private/cz.term'/>"
	    "<target type='virtio' name='cz.term'/><alias name='ua-port2'/></channel>\n"
	    "<memballoon model='virtio' freePageReporting='on'><stats period='1'/></memballoon>\n"
	    "</devices>\n"
	    "<seclabel type='static' model='dac' relabel='no'><label>+2000000000:+2000000001"
	    "</label></seclabel>\n"
	    "</domain>\n";
	struct zone_spec s = {0};
	struct libvirt_domain d;
	_cleanup_free_ char *xml = NULL;

	domain_fill(&d, &s);
	s.resource.vcpus = 2;
	s.resource.vcpus_max = 4;
	s.resource.memory_bytes = 256ull << 20;
	s.resource.memory_max_bytes = 1ull << 30;
	s.os.cmdline = strdup("a=\"b\" </cmdline>&'");
	xml = xml_of(&d);
	assert_string_equal(xml, expected);
	zone_spec_done(&s);
}

static void test_parts(void **state)
{
	struct zone_spec s = {0};
	struct libvirt_domain d;
	_cleanup_free_ char *user = NULL, *tap = NULL;

	domain_fill(&d, &s);
	d.kvm = true;
	d.data = "/usr/share/q's";
	d.virtiofs = "/s/virtiofs.sock";
	d.disk = "/s/disk.qcow2";
	d.base = "/images/a<b";
	d.base_format = DISK_RAW;
	s.resource.io.bytes_per_s = 1000;
	s.resource.io.bytes_burst = 500;
	s.resource.net.mode = NET_USER;
	s.resource.net.nr_forward = 1;
	s.resource.net.forward[0].host = 8080;
	s.resource.net.forward[0].guest = 80;
	user = xml_of(&d);
	assert_non_null(strstr(user, "<domain type='kvm'"));
	assert_non_null(strstr(user, "<cpu mode='host-passthrough'>"));
	assert_non_null(strstr(user, "<source socket='/s/virtiofs.sock'/>"));
	assert_non_null(strstr(user, "<format type='raw'/><source file='/images/a&lt;b'/>"));
	assert_non_null(strstr(user, "<total_bytes_sec>1000</total_bytes_sec>"
				     "<total_bytes_sec_max>1500</total_bytes_sec_max></iotune>"));
	assert_non_null(strstr(user, "<qemu:arg value='/usr/share/q&apos;s'/>"));
	assert_non_null(strstr(user, "value='user,id=cznet,restrict=on,"
				     "hostfwd=tcp:127.0.0.1:8080-:80'/>"));
	assert_non_null(strstr(user, ",romfile=,bus=pcie.0,addr=0x10'/>"));
	assert_null(strstr(user, "<interface"));

	d.data = NULL;
	s.resource.net.mode = NET_BRIDGE;
	s.resource.net.bridge = strdup("br'0");
	tap = xml_of(&d);
	assert_non_null(strstr(tap, "<interface type='bridge'><source bridge='br&apos;0'/>"));
	assert_non_null(strstr(tap, "<target dev='cz-web'/><model type='virtio'/>"
				    "<rom enabled='no'/></interface>"));
	assert_null(strstr(tap, "qemu:arg"));
	zone_spec_done(&s);
}

static void test_control_characters(void **state)
{
	struct zone_spec s = {0};
	struct libvirt_domain d;
	struct strbuf b = {0};
	struct error e = {0};

	domain_fill(&d, &s);
	d.emulator = "/usr/bin/q\033emu";
	assert_int_equal(libvirt_xml(&d, &b, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "control character"));
	strbuf_done(&b);
	zone_spec_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden),
					   cmocka_unit_test(test_parts),
					   cmocka_unit_test(test_control_characters)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
