/* SPDX-License-Identifier: MIT */
/*
 * One czd enforces on a host at a time, whatever its run directory is: two guards would take each
 * other's knobs for somebody else's. The lock is held while the journal has open entries. It is a
 * file that only root can open (else any tenant could keep the guard from acting), and it is gone
 * when nobody holds it. Where /run cannot be written nothing keeps two apart.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/daemon.h"

#define LOCK_PATH "/run/cz-enforce.lock"

/* Is it still the file of that name? Its last holder may have removed it meanwhile. */
static bool is_current(int fd)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && stat(LOCK_PATH, &named) == 0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

int turn_take(struct daemon *d, struct error *reterr)
{
	while (d->turn_fd < 0) {
		_cleanup_close_ int fd =
		    open(LOCK_PATH, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd < 0) {
			log_debug("%s: %m", LOCK_PATH);
			return 0;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			d->turn_is_anothers = true;
			return error_set(reterr, -EROFS, "%s", TURN_WHY_NOT);
		}
		if (is_current(fd))
			d->turn_fd = TAKE_FD(fd);
	}
	d->turn_is_anothers = false;
	return 0;
}

void turn_give_back(struct daemon *d)
{
	if (d->turn_fd < 0 || (d->actuator && actuator_open_count(d->actuator)))
		return;
	unlink(LOCK_PATH);
	close_fd(&d->turn_fd);
}

bool turn_can_apply(const struct daemon *d, const char **ret_why_not)
{
	if (!d->actuator || !actuator_can_apply(d->actuator, ret_why_not))
		return false;
	if (d->turn_is_anothers && ret_why_not)
		*ret_why_not = TURN_WHY_NOT;
	return !d->turn_is_anothers;
}

void turn_look(struct daemon *d)
{
	if (d->turn_is_anothers && turn_take(d, NULL) == 0)
		log_notice("no other czd enforces any more: enforcing is possible");
	turn_give_back(d);
}
