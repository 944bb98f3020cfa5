/* SPDX-License-Identifier: MIT */
/* Friendly names: a table of paths as systemd, engines and libvirt make them. */
#include "test.h"

#include "base/cleanup.h"
#include "zones/zones.h"

#define ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD  "01234567-89ab-cdef-0123-456789abcdef"
#define POD_ "01234567_89ab_cdef_0123_456789abcdef"

static const struct {
	const char *path, *name;
	enum zone_kind kind;
} cases[] = {
    {"/", "/", ZONE_CGROUP},
    {"/batch", "batch", ZONE_CGROUP},
    {"/batch/stress-ng", "batch/stress-ng", ZONE_CGROUP},
    {"/cz-web", "web", ZONE_CGROUP},
    {"/cz-web/worker", "web/worker", ZONE_CGROUP},
    {"/cz-", "cz-", ZONE_CGROUP},
    /* systemd */
    {"/system.slice/redis.service", "redis.service", ZONE_CGROUP},
    {"/system.slice", "system.slice", ZONE_CGROUP},
    {"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", ZONE_CGROUP},
    {"/system.slice/web.service/worker/1", "web.service/worker/1", ZONE_CGROUP},
    {"/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Term.scope",
     "user@1000.service/app.slice/app-org.gnome.Term.scope", ZONE_CGROUP},
    {"/system.slice/dev-disk-by\\x2dlabel.swap", "dev-disk-by-label.swap", ZONE_CGROUP},
    {"/system.slice/a\\x2db.service/c\\x2dd", "a-b.service/c-d", ZONE_CGROUP},
    {"/a.service", "a.service", ZONE_CGROUP},
    {"/.service", ".service", ZONE_CGROUP},
    /* engines */
    {"/docker/" ID, "docker-0123456789ab", ZONE_CONTAINER},
    {"/docker/buildkit", "docker/buildkit", ZONE_CGROUP},
    {"/docker/" ID "/init", "docker-0123456789ab/init", ZONE_CONTAINER},
    {"/system.slice/docker-" ID ".scope", "docker-0123456789ab", ZONE_CONTAINER},
    {"/system.slice/docker-registry.scope", "docker-registry.scope", ZONE_CGROUP},
    {"/libpod_parent/libpod-" ID, "podman-0123456789ab", ZONE_CONTAINER},
    {"/machine.slice/libpod-" ID ".scope", "podman-0123456789ab", ZONE_CONTAINER},
    {"/machine.slice/libpod-" ID ".scope/container", "podman-0123456789ab/container",
     ZONE_CONTAINER},
    {"/machine.slice/libpod-conmon-" ID ".scope", "podman-conmon-0123456789ab", ZONE_CGROUP},
    {"/default/" ID, "containerd-0123456789ab", ZONE_CONTAINER},
    {"/system.slice/nerdctl-" ID ".scope", "nerdctl-0123456789ab", ZONE_CONTAINER},
    {"/lxc.payload.web1", "web1", ZONE_CONTAINER},
    {"/lxc/web1", "web1", ZONE_CONTAINER},
    {"/docker/" ID "/docker/" ID, "docker-0123456789ab", ZONE_CONTAINER},
    /* Kubernetes, both drivers */
    {"/kubepods/burstable/pod" POD "/" ID, "pod-01234567-0123456789ab", ZONE_CONTAINER},
    {"/kubepods/burstable/pod" POD, "pod-01234567", ZONE_CGROUP},
    {"/kubepods/besteffort", "kubepods/besteffort", ZONE_CGROUP},
    {"/kubepods/besteffort/pod" POD "/crio-" ID, "pod-01234567-0123456789ab", ZONE_CONTAINER},
    {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
     ".slice/cri-containerd-" ID ".scope",
     "pod-01234567-0123456789ab", ZONE_CONTAINER},
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope", "pod-01234567-0123456789ab",
     ZONE_CONTAINER},
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" ID ".scope",
     "crio-conmon-0123456789ab", ZONE_CGROUP},
    {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice",
     "pod-01234567", ZONE_CGROUP},
    {"/kubepods.slice/kubepods-burstable.slice", "kubepods-burstable.slice", ZONE_CGROUP},
    {"/system.slice/containerd.service/kubepods-burstable-pod" POD_ ".slice:cri-containerd:" ID,
     "pod-01234567-0123456789ab", ZONE_CONTAINER},
    /* VMs and machines */
    {"/machine/qemu-1-web.libvirt-qemu", "web", ZONE_VM},
    {"/machine/qemu-12-my-web-2.libvirt-qemu/vcpu0", "my-web-2/vcpu0", ZONE_VM},
    {"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope", "web", ZONE_VM},
    {"/machine.slice/machine-qemu\\x2d3\\x2dmy\\x2dweb.scope/libvirt/emulator",
     "my-web/libvirt/emulator", ZONE_VM},
    {"/machine.slice/machine-lxc\\x2d7\\x2dbox.scope", "box", ZONE_CONTAINER},
    {"/machine.slice/machine-deb12.scope", "deb12", ZONE_CONTAINER},
    {"/machine.slice/systemd-nspawn@deb12.service/payload", "deb12/payload", ZONE_CONTAINER},
    {"/machine/qemu-x.libvirt-qemu", "machine/qemu-x.libvirt-qemu", ZONE_CGROUP},
    /* what a tenant calls the cgroups below its own */
    {"/user.slice/user-1000.slice/user@1000.service/app.slice/redis.service",
     "user@1000.service/app.slice/redis.service", ZONE_CGROUP},
    {"/cz-batch/redis.service", "batch/redis.service", ZONE_CGROUP},
    {"/cz-batch/x.slice/redis.service", "batch/x.slice/redis.service", ZONE_CGROUP},
    {"/system.slice/web.service/machine-db.scope", "web.service/machine-db.scope", ZONE_CGROUP},
    {"/tenant/lxc/db", "tenant/lxc/db", ZONE_CGROUP},
    {"/tenant/qemu-1-db.libvirt-qemu", "tenant/qemu-1-db.libvirt-qemu", ZONE_CGROUP},
    /* what nobody should be able to do to a terminal */
    {"/evil\x1b[2J\r", "evil\\x1b[2J\\x0d", ZONE_CGROUP},
    {"/evil\\x1b[2J.service", "evil\\x1b[2J.service", ZONE_CGROUP},
    {"/system.slice/a\\x0ab.service", "a\\x0ab.service", ZONE_CGROUP},
    {"/a\\x00b.service", "a\\x00b.service", ZONE_CGROUP},
    {"/bad\xff", "bad\\xff", ZONE_CGROUP},
    {"/a\\", "a\\", ZONE_CGROUP},
};

static void test_names(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum zone_kind kind;
		char name[ZONE_NAME_MAX];

		zone_friendly_name(cases[i].path, name, sizeof(name), &kind);
		if (strcmp(name, cases[i].name) != 0 || kind != cases[i].kind)
			fail_msg("%s: '%s' (%s), expected '%s' (%s)", cases[i].path, name,
				 zone_kind_name(kind), cases[i].name,
				 zone_kind_name(cases[i].kind));
	}
}

/* A name never overruns, however long the path. */
static void test_long(void **state)
{
	char path[3000], name[ZONE_NAME_MAX];
	enum zone_kind kind;

	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = i % 200 ? 'x' : '/';
	path[sizeof(path) - 1] = '\0';
	zone_friendly_name(path, name, sizeof(name), &kind);
	assert_in_range(strlen(name), 100, sizeof(name) - 1);
	memcpy(path + 2900, ".service", 9);
	zone_friendly_name(path, name, sizeof(name), &kind);
	assert_in_range(strlen(name), 100, sizeof(name) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
					   cmocka_unit_test(test_long)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
