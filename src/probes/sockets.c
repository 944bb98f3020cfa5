/* SPDX-License-Identifier: MIT */
/* Payload per zone at IP sockets (src/bpf/sockets.bpf.c). Costs each send and
 * receive, so only where it is asked for. */
#include "base/cleanup.h"
#include "probes/zone-sums.h"
#include "sockets.skel.h"

static const char *const hooks[] = {"sock_send_length", "sock_recv_length"};
static const struct sums_spec spec = {
    .elf = sockets_bpf__elf_bytes,
    .hooks = hooks,
    .nr_hooks = ARRAY_SIZE(hooks),
    .nr_fields = 4,
    .metrics = {ZM_SOCKET_SENT_BYTES, ZM_SOCKET_SENDS, ZM_SOCKET_RECEIVED_BYTES,
		ZM_SOCKET_RECEIVES},
};

static int sockets_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	return sums_open(&spec, p, ret_state, why, size);
}

const struct probe probe_sockets = {
    .name = "sockets",
    .summary = "what a zone sends and receives over IP",
    .needs = "BPF with BTF: CAP_BPF and CAP_PERFMON, or root",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics = METRIC_BIT(ZM_SOCKET_SENT_BYTES) | METRIC_BIT(ZM_SOCKET_SENDS) |
	       METRIC_BIT(ZM_SOCKET_RECEIVED_BYTES) | METRIC_BIT(ZM_SOCKET_RECEIVES),
    .open = sockets_open,
    .close = sums_close,
    .read = sums_read,
    .end = sums_end,
    .forget = sums_forget,
};
