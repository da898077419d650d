/* SPDX-License-Identifier: MIT */
/* triovitctl models: what is loaded. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/ctl.h"

static int print_text(const struct ctl_models *models, struct tv_error *error)
{
	static const char *const heads[] = { "model",	 "name",    "digest", "programs (images)",
					     "input",	 "classes", "MiB",    "runs",
					     "published" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 4,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < models->count; i++) {
		const struct triovit_model_info *info = triovit_model_info(models->list[i]);
		_cleanup_free_ char *programs = ctl_programs(info);

		if (!programs)
			return tv_error_oom(error);
		tool_table_add(&table, "%s", ctl_short_path(info->path));
		tool_table_add(&table, "%s", info->name);
		tool_table_add(&table, "%.12s", info->digest);
		tool_table_add(&table, "%s", programs);
		tool_table_add(&table, "%ux%u", info->width, info->height);
		tool_table_add(&table, "%u", info->classes);
		tool_table_add(&table, "%.2f", (double)info->size / (1 << 20));
		tool_table_add(&table, "%" PRIu64, info->runs);
		tool_table_add(&table, "%s", info->published ? "yes" : "no");
	}
	return tool_table_print(&table, 0, error);
}

static int list(const struct ctl *ctl, const struct ctl_models *models, struct tv_error *error)
{
	json_auto_t *root = NULL;

	if (!ctl->json)
		return print_text(models, error);
	root = ctl_json_models(models);
	return tool_json_print(root, error);
}

static int publish(struct triovit_model *model, struct triovit_error *why)
{
	return triovit_model_publish(model, true, why);
}

static int unpublish(struct triovit_model *model, struct triovit_error *why)
{
	return triovit_model_publish(model, false, why);
}

static const struct verb {
	const char *name;
	int (*run)(struct triovit_model *model, struct triovit_error *why);
} verbs[] = {
	{ "publish", publish },
	{ "unpublish", unpublish },
	{ "unload", triovit_model_unload },
};

static int run(const struct ctl *ctl, struct tv_error *error)
{
	_cleanup_(triovit_closep) struct triovit_client *client = NULL;
	_cleanup_(ctl_models_done) struct ctl_models models = { 0 };
	struct triovit_error why = { 0 };
	const struct verb *verb = verbs;
	struct triovit_model *model;
	int r;

	while (ctl->count && verb < verbs + TV_ARRAY_SIZE(verbs) &&
	       strcmp(verb->name, ctl->arguments[0]))
		verb++;
	if (verb == verbs + TV_ARRAY_SIZE(verbs))
		return tool_wrong_usage(&ctl->command->tool,
					"expected publish, unpublish or unload, not '%s'",
					ctl->arguments[0]);
	if (ctl->count == 1)
		return tool_wrong_usage(&ctl->command->tool, "%s what?", verb->name);
	r = ctl_open(ctl, &client, error);
	if (r >= 0)
		r = ctl_models_get(client, &models, error);
	if (r < 0)
		return r;
	if (!ctl->count)
		return list(ctl, &models, error);
	r = ctl_models_find(&models, ctl->arguments[1], &model, error);
	if (r < 0)
		return r;
	return verb->run(model, &why) < 0 ? ctl_error(error, &why) : 0;
}

const struct ctl_command ctl_models = {
	.tool = {
		.name = "models",
		.arguments = "[publish|unpublish|unload MODEL] [OPTION...]",
		.summary = "list, publish or unload models",
		.help = "Lists the models that you can use: your own and those that are published. With\n"
			"  publish MODEL    it is there for all users; who may do that, polkit says\n"
			"  unpublish MODEL  it no longer is\n"
			"  unload MODEL     you no longer need it; it goes when nobody does\n"
			"A MODEL is called by its name, its digest or the beginning of that, or as in\n"
			"the first column.\n",
	},
	.bit = CTL_MODELS,
	.most = 2,
	.run = run,
};
