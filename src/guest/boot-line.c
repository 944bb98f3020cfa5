/* SPDX-License-Identifier: MIT */
#include "guest/boot-line.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"

static int set_name(struct boot_line *b, char *value)
{
	return *value && str_copy(b->name, sizeof(b->name), value) ? 0 : -EINVAL;
}

static int set_nonce(struct boot_line *b, char *value)
{
	int r = channel_nonce_parse(value, b->nonce);

	b->has_nonce = r == 0;
	return r;
}

static int set_root(struct boot_line *b, char *value)
{
	static const char *const names[] = {"none", "virtiofs", "image"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(value, names[i])) {
			b->root = (enum boot_root)i;
			return 0;
		}
	return -EINVAL;
}

/* ADDRESS/PREFIX[,GATEWAY[,DNS]] */
static int set_address(struct net_config *n, char *value)
{
	char *address = strsep(&value, ","), *gateway = strsep(&value, ",");
	char *host = strsep(&address, "/");
	uint32_t prefix;

	if (!address || parse_u32(address, &prefix) < 0 || prefix < 1 || prefix > 32 ||
	    inet_pton(AF_INET, host, &n->address) != 1)
		return -EINVAL;
	n->prefix = prefix;
	if (gateway && *gateway && inet_pton(AF_INET, gateway, &n->gateway) != 1)
		return -EINVAL;
	return !value || !*value || inet_pton(AF_INET, value, &n->dns) == 1 ? 0 : -EINVAL;
}

static int set_net(struct boot_line *b, char *value)
{
	struct net_config n = {0};

	if (!strcmp(value, "none"))
		return 0;
	if (!strcmp(value, "dhcp")) {
		b->net = BOOT_NET_DHCP;
		return 0;
	}
	if (set_address(&n, value) < 0)
		return -EINVAL;
	b->net = BOOT_NET_STATIC;
	b->address = n;
	return 0;
}

static const struct {
	const char *word;
	int (*set)(struct boot_line *b, char *value);
} words[] = {
    {"cz.name=", set_name},
    {"cz.nonce=", set_nonce},
    {"cz.root=", set_root},
    {"cz.net=", set_net},
};

void boot_line_parse(const char *text, struct boot_line *ret, char *wrong, size_t size)
{
	bool seen[ARRAY_SIZE(words)] = {false};
	char line[4096], *rest = line, *word;

	*ret = (struct boot_line){.name = "zone"};
	wrong[0] = 0;
	str_copy(line, sizeof(line), text);
	while ((word = strsep(&rest, " \t\n")))
		for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
			size_t n = strlen(words[i].word);

			if (strncmp(word, words[i].word, n) != 0 || seen[i])
				continue;
			seen[i] = true;
			if (words[i].set(ret, word + n) < 0)
				snprintf(wrong, size, "%s on the kernel command line is not valid",
					 words[i].word);
		}
}

void boot_preempt_check(const char *line, const char *modes, char *wrong, size_t size)
{
	const char *asked = NULL;
	char want[24], in_force[sizeof(want) + 2];
	int len = (int)strcspn(modes, "\n");

	while (len && modes[len - 1] == ' ')
		len--;
	wrong[0] = 0;
	/* of two the kernel takes the last */
	for (const char *p = line; (p = strstr(p, "preempt=")); p++)
		if (p == line || p[-1] == ' ')
			asked = p + strlen("preempt=");
	if (!asked)
		return;
	snprintf(want, sizeof(want), "%.*s", (int)strcspn(asked, " \n"), asked);
	snprintf(in_force, sizeof(in_force), "(%s)", want);
	if (strstr(modes, in_force))
		return;
	if (len)
		snprintf(wrong, size, "no preempt=%s in this kernel; it has: %.*s", want, len,
			 modes);
	else
		snprintf(wrong, size, "no preempt=%s: this kernel's preemption is fixed", want);
}
