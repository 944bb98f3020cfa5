/* SPDX-License-Identifier: MIT */
#include "vm/libvirt-xml.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include "base/cleanup.h"
#include "vm/libvirt-helper.h"
#include "vm/netdev.h"

#define KIB 1024

struct writer {
	struct strbuf *out;
	bool bad; /* a text that XML can't hold */
};

static void put_text(struct writer *w, const char *text)
{
	static const char *const names[128] = {
	    ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&apos;",
	};

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < ' ' || *p == 0x7f)
			w->bad = true;
		else if (*p < 128 && names[*p])
			strbuf_puts(w->out, names[*p]);
		else
			strbuf_add(w->out, (const char *)p, 1);
	}
}

/* One line; each "%" of the pattern is the next argument, a text, escaped. */
static void put(struct writer *w, const char *pattern, ...)
{
	va_list ap;

	va_start(ap, pattern);
	for (; *pattern; pattern++) {
		if (*pattern == '%')
			put_text(w, va_arg(ap, const char *));
		else
			strbuf_add(w->out, pattern, 1);
	}
	va_end(ap);
	strbuf_add(w->out, "\n", 1);
}

static void put_head(struct writer *w, const struct libvirt_domain *d)
{
	const struct zone_spec *s = d->spec;

	put(w, "<domain type='%' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>",
	    d->kvm ? "kvm" : "qemu");
	put(w, "<name>%</name>", s->name);
	put(w, "<metadata><cz:zone xmlns:cz='" LIBVIRT_MARK "' name='%'/></metadata>", s->name);
	strbuf_printf(w->out,
		      "<memory unit='KiB'>%" PRIu64 "</memory>\n"
		      "<currentMemory unit='KiB'>%" PRIu64 "</currentMemory>\n",
		      zone_spec_memory_max(s) / KIB, zone_spec_memory(s) / KIB);
	put(w, "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>");
	/* As with QEMU alone all of them are there, and the guest brings them up. */
	strbuf_printf(w->out, "<vcpu placement='static'>%" PRIu32 "</vcpu>\n",
		      zone_spec_vcpus_max(s));
}

static int put_boot(struct writer *w, const struct libvirt_domain *d, struct error *reterr)
{
	char cmdline[QEMU_CMDLINE_MAX];
	int r = vm_kernel_cmdline(d->spec, d->nonce, cmdline, sizeof(cmdline), reterr);

	if (r < 0)
		return r;
	put(w, "<os><type arch='x86_64' machine='q35'>hvm</type>");
	put(w, "<kernel>%</kernel>", d->kernel);
	put(w, "<initrd>%</initrd>", d->initramfs);
	put(w, "<cmdline>%</cmdline></os>", cmdline);
	put(w, "<features><acpi/></features>");
	strbuf_printf(w->out,
		      "<cpu mode='%s'><topology sockets='1' cores='%" PRIu32
		      "' threads='1'/></cpu>\n",
		      d->kvm ? "host-passthrough" : "maximum", zone_spec_vcpus_max(d->spec));
	put(w, "<on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot>"
	       "<on_crash>destroy</on_crash>");
	return 0;
}

static void put_channels(struct writer *w, const struct libvirt_domain *d)
{
	put(w,
	    "<serial type='unix'><source mode='bind' path='%/console'/><target port='0'/></serial>",
	    d->sockets);
	for (enum channel_port i = 0; i < CHANNEL_NR; i++) {
		const char *name = channel_port_name(i);
		char nr[] = {(char)('0' + i), '\0'};

		put(w,
		    "<channel type='unix'><source mode='bind' path='%/%'/>"
		    "<target type='virtio' name='%'/><alias name='ua-port%'/></channel>",
		    d->sockets, name, name, nr);
	}
	put(w,
	    "<memballoon model='virtio' freePageReporting='on'><stats period='1'/></memballoon>");
}

static void put_limit(struct writer *w, const char *what, uint64_t per_s, uint64_t burst)
{
	if (!per_s)
		return;
	strbuf_printf(w->out, "<total_%s_sec>%" PRIu64 "</total_%s_sec>", what, per_s, what);
	if (burst)
		strbuf_printf(w->out, "<total_%s_sec_max>%" PRIu64 "</total_%s_sec_max>", what,
			      per_s + burst, what);
}

static void put_disk(struct writer *w, const struct libvirt_domain *d)
{
	const struct zone_io_limit *io = &d->spec->resource.io;

	if (!d->disk)
		return;
	put(w,
	    "<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>"
	    "<source file='%'/>",
	    d->disk);
	put(w,
	    "<backingStore type='file'><format type='%'/><source file='%'/><backingStore/>"
	    "</backingStore>",
	    d->base_format == DISK_QCOW2 ? "qcow2" : "raw", d->base);
	put(w, "<target dev='vda' bus='virtio'/><iotune>");
	put_limit(w, "bytes", io->bytes_per_s, io->bytes_burst);
	put_limit(w, "iops", io->ops_per_s, io->ops_burst);
	put(w, "</iotune></disk>");
}

static void put_net(struct writer *w, const struct libvirt_domain *d)
{
	const struct zone_net *n = &d->spec->resource.net;
	char mac[VM_MAC_SIZE];

	vm_mac(d->spec, mac);
	if (n->mode == NET_BRIDGE)
		put(w, "<interface type='bridge'><source bridge='%'/>", n->bridge);
	else if (n->mode == NET_TAP)
		put(w, "<interface type='ethernet'>");
	else
		return;
	put(w,
	    "<mac address='%'/><target dev='%'/><model type='virtio'/>"
	    "<rom enabled='no'/></interface>",
	    mac, d->interface);
}

/* User mode is QEMU's own: libvirt can neither forward its ports nor keep it off the loopback. Nor
 * does it know of the slot, which is one that it would come to last. */
static void put_user_net(struct writer *w, const struct libvirt_domain *d)
{
	const struct zone_net *n = &d->spec->resource.net;
	char mac[VM_MAC_SIZE];

	vm_mac(d->spec, mac);
	strbuf_puts(w->out, "<qemu:arg value='-netdev'/>"
			    "<qemu:arg value='user,id=cznet,restrict=on");
	for (size_t i = 0; i < n->nr_forward; i++)
		strbuf_printf(w->out, ",hostfwd=tcp:127.0.0.1:%u-:%u", n->forward[i].host,
			      n->forward[i].guest);
	put(w, "'/>");
	put(w,
	    "<qemu:arg value='-device'/><qemu:arg "
	    "value='virtio-net-pci,netdev=cznet,mac=%,romfile=,bus=pcie.0,addr=0x10'/>",
	    mac);
}

/* What libvirt has no words for. */
static void put_rest(struct writer *w, const struct libvirt_domain *d)
{
	bool user = d->spec->resource.net.mode == NET_USER;

	if (!user && !d->data)
		return;
	put(w, "<qemu:commandline>");
	if (d->data)
		put(w, "<qemu:arg value='-L'/><qemu:arg value='%'/>", d->data);
	if (user)
		put_user_net(w, d);
	put(w, "</qemu:commandline>");
}

int libvirt_xml(const struct libvirt_domain *d, struct strbuf *ret, struct error *reterr)
{
	struct writer w = {.out = ret};
	int r;

	put_head(&w, d);
	r = put_boot(&w, d, reterr);
	if (r < 0)
		return r;
	put(&w, "<devices><emulator>%</emulator><controller type='usb' model='none'/>",
	    d->emulator);
	put_channels(&w, d);
	if (d->virtiofs)
		put(&w,
		    "<filesystem type='mount'><driver type='virtiofs'/><source socket='%'/>"
		    "<target dir='cz-root'/></filesystem>",
		    d->virtiofs);
	put_disk(&w, d);
	put_net(&w, d);
	strbuf_printf(w.out,
		      "</devices>\n<seclabel type='static' model='dac' relabel='no'><label>+%u:+%u"
		      "</label></seclabel>\n",
		      (unsigned int)d->uid, (unsigned int)d->gid);
	put_rest(&w, d);
	put(&w, "</domain>");
	if (w.bad)
		return error_set(reterr, -EINVAL,
				 "a path or name of the zone holds a control character, which "
				 "libvirt's XML can't");
	return ret->failed ? -ENOMEM : 0;
}
