/* SPDX-License-Identifier: MIT */
/* Functions that are still to be written. */
#include <errno.h>

#include "libclient/triovit.h"

int triovit_open(enum triovit_bus bus, const char *where, unsigned int flags,
		 struct triovit_client **ret, struct triovit_error *error)
{
	return -ENOSYS;
}

void triovit_close(struct triovit_client *client)
{
}

int triovit_fd(struct triovit_client *client)
{
	return -ENOSYS;
}

int triovit_events(struct triovit_client *client)
{
	return -ENOSYS;
}

int triovit_timeout(struct triovit_client *client, uint64_t *ret_usec)
{
	return -ENOSYS;
}

int triovit_process(struct triovit_client *client, struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_daemon_get(struct triovit_client *client, struct triovit_daemon **ret,
		       struct triovit_error *error)
{
	return -ENOSYS;
}

void triovit_daemon_free(struct triovit_daemon *daemon)
{
}

int triovit_device_list(struct triovit_client *client, struct triovit_device ***ret,
			size_t *ret_count, struct triovit_error *error)
{
	return -ENOSYS;
}

void triovit_device_list_free(struct triovit_device **devices, size_t count)
{
}

const struct triovit_device_info *triovit_device_info(const struct triovit_device *device)
{
	return NULL;
}

int triovit_device_self_test(struct triovit_device *device, struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_model_load_fd(struct triovit_client *client, int fd, const char *name,
			  struct triovit_model **ret, struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_model_load_fd_async(struct triovit_client *client, int fd, const char *name,
				triovit_model_callback callback, void *userdata,
				struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_model_load_path(struct triovit_client *client, const char *path, const char *name,
			    struct triovit_model **ret, struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_model_load_path_async(struct triovit_client *client, const char *path, const char *name,
				  triovit_model_callback callback, void *userdata,
				  struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_model_list(struct triovit_client *client, struct triovit_model ***ret,
		       size_t *ret_count, struct triovit_error *error)
{
	return -ENOSYS;
}

void triovit_model_list_free(struct triovit_model **models, size_t count)
{
}

int triovit_model_find(struct triovit_client *client, const char *what, struct triovit_model **ret,
		       struct triovit_error *error)
{
	return -ENOSYS;
}

const struct triovit_model_info *triovit_model_info(const struct triovit_model *model)
{
	return NULL;
}

void triovit_model_free(struct triovit_model *model)
{
}

int triovit_model_unload(struct triovit_model *model, struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_model_publish(struct triovit_model *model, bool published, struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_model_preprocess(const struct triovit_model *model, const struct triovit_frame *frame,
			     void *input, size_t size, struct triovit_error *error)
{
	return -ENOSYS;
}

void triovit_result_free(struct triovit_result *result)
{
}

int triovit_model_run(struct triovit_model *model, const void *input, size_t size,
		      const struct triovit_run_options *options, struct triovit_result **ret,
		      struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_model_run_async(struct triovit_model *model, const void *input, size_t size,
			    const struct triovit_run_options *options,
			    triovit_run_callback callback, void *userdata,
			    struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_session_open(struct triovit_model *model, const struct triovit_session_options *options,
			 struct triovit_session **ret, struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_session_open_async(struct triovit_model *model,
			       const struct triovit_session_options *options,
			       triovit_session_callback callback, void *userdata,
			       struct triovit_error *error)
{
	return -ENOSYS;
}

void triovit_session_close(struct triovit_session *session)
{
}

const struct triovit_session_info *triovit_session_info(const struct triovit_session *session)
{
	return NULL;
}

uint8_t *triovit_session_input(const struct triovit_session *session, uint32_t slot)
{
	return NULL;
}

const int16_t *triovit_session_output(const struct triovit_session *session, uint32_t slot)
{
	return NULL;
}

int triovit_session_begin_access(struct triovit_session *session, unsigned int access,
				 struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_session_end_access(struct triovit_session *session, unsigned int access,
			       struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_session_run(struct triovit_session *session, uint32_t slot,
			const struct triovit_run_options *options, struct triovit_result **ret,
			struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_session_run_async(struct triovit_session *session, uint32_t slot,
			      const struct triovit_run_options *options,
			      triovit_run_callback callback, void *userdata,
			      struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_session_run_memory(struct triovit_session *session, int fd, uint64_t input,
			       uint64_t output, const struct triovit_run_options *options,
			       struct triovit_result **ret, struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_session_run_memory_async(struct triovit_session *session, int fd, uint64_t input,
				     uint64_t output, const struct triovit_run_options *options,
				     triovit_run_callback callback, void *userdata,
				     struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_session_cancel(struct triovit_session *session, uint64_t tag, bool *ret_cancelled,
			   struct triovit_error *error)
{
	return -ENOSYS;
}

int triovit_memory_new(size_t size, int *ret_fd, void **ret_data, struct triovit_error *error)
{
	return -ENOSYS;
}
