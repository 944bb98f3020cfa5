/* SPDX-License-Identifier: MIT */
#include "fuzz.h"
#include "guest/dhcp.h"

/* Any bytes are a lease or are not; what is one can be asked for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {0};
	struct dhcp_lease l = {.lease_s = 77};
	uint8_t out[DHCP_SIZE];

	if (dhcp_read(data, size, 0, mac, &l) < 0) {
		FUZZ_ASSERT(l.lease_s == 77);
		return 0;
	}
	FUZZ_ASSERT(l.config.prefix <= 32);
	dhcp_write(out, 0, mac, &l);
	FUZZ_ASSERT(dhcp_read(out, sizeof(out), 0, mac, &l) < 0); /* ours is no answer */
	return 0;
}
