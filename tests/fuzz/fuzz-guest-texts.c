/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "fuzz.h"
#include "guest/boot-line.h"
#include "guest/policy-proc.h"
#include "guest/user.h"

static void fuzz_users(const char *text)
{
	struct user u;

	if (user_find(text, text, "web", &u) == 0) {
		FUZZ_ASSERT(!strcmp(u.name, "web") && u.nr_groups >= 1);
		FUZZ_ASSERT(u.nr_groups <= USER_GROUPS_MAX);
	}
	FUZZ_ASSERT(user_find(text, text, "7", &u) == 0 && u.uid == 7);
}

static void fuzz_policy(char *text)
{
	char *words[POLICY_WORDS_MAX];
	struct policy_choice c;
	int n;

	if (policy_choose(text, text, true, &c, NULL) == 0)
		FUZZ_ASSERT(!strchr(c.name, '/'));
	n = policy_words(text, words, POLICY_WORDS_MAX);
	FUZZ_ASSERT(n == -E2BIG || (n < POLICY_WORDS_MAX && !words[n]));
}

/* The kernel command line, passwd and group, options of policies: any text will do. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct boot_line b;
	char wrong[64];

	boot_line_parse(s, &b, wrong, sizeof(wrong));
	FUZZ_ASSERT(b.name[0] && (b.net != BOOT_NET_STATIC ||
				  (b.address.prefix >= 1 && b.address.prefix <= 32)));
	boot_preempt_check(s, s, wrong, sizeof(wrong));
	fuzz_users(s);
	fuzz_policy(s);
	return 0;
}
