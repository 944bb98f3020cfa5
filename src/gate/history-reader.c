/* SPDX-License-Identifier: MIT */
#include "gate/history-reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "gate/gate.h"
#include "gate/history.h"

struct job {
	struct job *next;
	struct request *request; /* the loop's; the thread does not look at it */
	struct question question;
	uint64_t until_ns;
	char *text; /* the answer; NULL: `error` */
	size_t len;
	struct error error;
	uint64_t damaged; /* the file that was found so, or 0 */
};

struct jobs { /* oldest first */
	struct job *first, **last;
};

struct reader {
	struct gate *gate;
	sd_event_source *io;
	int done_fd;
	struct store *store; /* the thread's, as is: */
	uint64_t until_ns;   /* of the job at hand */
	pthread_t thread;
	bool started;
	atomic_bool ends;
	size_t nr; /* not answered yet; the loop's */
	struct reader_stats stats;

	pthread_mutex_t lock; /* over both lists */
	pthread_cond_t more;
	struct jobs asked, done;
};

static void push(struct jobs *q, struct job *j)
{
	j->next = NULL;
	*q->last = j;
	q->last = &j->next;
}

static struct job *pop(struct jobs *q)
{
	struct job *j = q->first;

	if (j)
		q->first = j->next;
	if (!q->first)
		q->last = &q->first;
	return j;
}

/* --- the thread ---------------------------------------------------------------------------- */

static bool has_patience(void *arg)
{
	const struct reader *r = arg;

	return !atomic_load(&r->ends) && clock_mono_ns() < r->until_ns;
}

static void answer(struct reader *r, struct job *j)
{
	json_t *body = NULL;

	r->until_ns = j->until_ns;
	if (!has_patience(r))
		error_set(&j->error, -ETIMEDOUT, "others had asked for history first");
	else if (store_begin_reading(r->store, &j->error) == 0)
		body = j->question.answer(r->store, &j->question, &j->error);
	j->text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	j->len = j->text ? strlen(j->text) : 0;
	json_decref(body);
	j->damaged = store_found_damaged(r->store);
	store_end_reading(r->store);
	if (!j->text && !j->error.code)
		error_errno(&j->error, -ENOMEM, "history");
}

static struct job *next_job(struct reader *r)
{
	struct job *j;

	pthread_mutex_lock(&r->lock);
	while (!r->asked.first && !atomic_load(&r->ends))
		pthread_cond_wait(&r->more, &r->lock);
	j = atomic_load(&r->ends) ? NULL : pop(&r->asked);
	pthread_mutex_unlock(&r->lock);
	return j;
}

static void *read_all(void *arg)
{
	static const uint64_t one = 1;
	struct reader *r = arg;
	struct job *j;

	while ((j = next_job(r)) != NULL) {
		answer(r, j);
		pthread_mutex_lock(&r->lock);
		push(&r->done, j);
		pthread_mutex_unlock(&r->lock);
		if (write(r->done_fd, &one, sizeof(one)) < 0)
			continue; /* EAGAIN: it is told already */
	}
	return NULL;
}

/* --- the loop ------------------------------------------------------------------------------ */

static void tell(struct reader *r, struct job *j)
{
	r->nr--;
	r->stats.late_total += j->error.code == -ETIMEDOUT;
	if (j->damaged)
		history_suspect(r->gate->history, j->damaged);
	if (j->error.code == -ETIMEDOUT)
		error_hint(&j->error, "Ask for a shorter time, or try again in a moment.");
	if (j->text)
		request_text(j->request, MHD_HTTP_OK, "application/json", j->text, j->len);
	else
		request_error(j->request, &j->error);
	free(j);
}

static int on_done(sd_event_source *src, int fd, uint32_t events, void *arg)
{
	struct reader *r = arg;
	struct jobs done = {.last = &done.first};
	struct job *j;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return 0;
	pthread_mutex_lock(&r->lock);
	while ((j = pop(&r->done)) != NULL)
		push(&done, j);
	pthread_mutex_unlock(&r->lock);
	while ((j = pop(&done)) != NULL)
		tell(r, j);
	return 0;
}

void reader_ask(struct reader *r, struct request *request, const struct question *q)
{
	struct job *j = r->nr < READER_WAITING_MAX ? calloc(1, sizeof(*j)) : NULL;

	r->stats.asked_total++;
	if (!j) {
		r->stats.refused_total++;
		request_fail(request, MHD_HTTP_SERVICE_UNAVAILABLE, -EBUSY,
			     "too many ask for history", "Try again in a moment.");
		return;
	}
	j->request = request;
	j->question = *q;
	j->until_ns = clock_mono_ns() + READER_PATIENCE_NS;
	r->nr++;
	request_wait(request);
	pthread_mutex_lock(&r->lock);
	push(&r->asked, j);
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->lock);
}

int reader_new(struct gate *g, const char *path, struct reader **ret)
{
	struct reader *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->gate = g;
	r->asked.last = &r->asked.first;
	r->done.last = &r->done.first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->more, NULL);
	r->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e = r->done_fd < 0 ? -errno : store_open_reader(path, has_patience, r, &r->store, NULL);
	if (e == 0)
		e = sd_event_add_io(g->loop, &r->io, r->done_fd, EPOLLIN, on_done, r);
	if (e >= 0)
		e = -pthread_create(&r->thread, NULL, read_all, r);
	r->started = e == 0;
	if (e < 0) {
		reader_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

static void tell_the_end(struct reader *r, struct jobs *q)
{
	struct job *j;

	while ((j = pop(q)) != NULL) {
		if (!j->text && !j->error.code)
			error_set(&j->error, -EBUSY, "cz-gate ends");
		tell(r, j);
	}
}

void reader_free(struct reader *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	atomic_store(&r->ends, true);
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->lock);
	if (r->started)
		pthread_join(r->thread, NULL);
	tell_the_end(r, &r->done);
	tell_the_end(r, &r->asked);
	sd_event_source_disable_unref(r->io);
	close_fd(&r->done_fd);
	store_close(r->store);
	pthread_cond_destroy(&r->more);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct reader_stats reader_stats(const struct reader *r)
{
	return r ? r->stats : (struct reader_stats){0};
}
