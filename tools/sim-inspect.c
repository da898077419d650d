/* SPDX-License-Identifier: MIT */
/* triovit-sim inspect, of a checkpoint: what it holds, layer by layer. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim-inspect.h"
#include "tools/sim-subject.h"

static int parse(const struct tool_command *self, int argc, char **argv,
		 struct sim_inspect_options *ret)
{
	static const struct tool_option options[] = {
		SIM_SIZE(struct sim_inspect_options, size),
		SIM_TARGET(struct sim_inspect_options, target),
		SIM_IMAGES(struct sim_inspect_options, images),
		{ "commands", 0, tool_take_flag, offsetof(struct sim_inspect_options, commands), 0,
		  0 },
		SIM_JSON(struct sim_inspect_options, json),
		{ 0 },
	};
	int code = tool_parse(self, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind != 1)
		return tool_wrong_usage(self,
					"expected one CHECKPOINT or MODEL, or b0, b1, b2 or b3");
	ret->subject = argv[optind];
	return TOOL_GO_ON;
}

/* checkpoint: whether the network comes from a file, with weights and preprocessing. */
static int load(const struct sim_inspect_options *options, bool checkpoint,
		const struct tv_architecture *architecture, struct tv_network **ret,
		struct tv_error *error)
{
	const struct tv_checkpoint_options how = { .size = options->size };

	if (options->commands || options->target || options->images)
		return tv_error_set(error, -EINVAL,
				    "%s: no model, whose programs --commands, --target and "
				    "--images are about",
				    options->subject);
	if (checkpoint)
		return tv_checkpoint_read(options->subject, &how, ret, error);
	return tv_network_new(architecture, options->size ? options->size : 224, ret, error);
}

static const char *kind_name(const struct tv_node *node)
{
	switch (node->kind) {
	case TV_NODE_CONV:
		if (node->in_height == 1 && node->in_width == 1)
			return "linear";
		if (node->groups == 1)
			return "conv";
		return node->groups == node->in_channels ? "depthwise" : "grouped";
	case TV_NODE_ATTENTION:
		return "attention";
	case TV_NODE_POOL:
		return "pool";
	case TV_NODE_NORM:
		return "norm";
	}
	return "?";
}

static const char *activation_name(enum tv_activation activation)
{
	switch (activation) {
	case TV_ACTIVATION_NONE:
		return NULL;
	case TV_ACTIVATION_RELU:
		return "relu";
	case TV_ACTIVATION_HARDSWISH:
		return "hardswish";
	}
	return NULL;
}

static const char *naming_name(enum tv_naming naming)
{
	return naming == TV_NAMING_MIT ? "mit" : "timm";
}

static void add_layer(struct tool_table *table, const struct tv_node *node)
{
	const char *activation = activation_name(node->activation);

	tool_table_add(table, "%s", node->name);
	tool_table_add(table, "%s", kind_name(node));
	tool_table_add(table, "%s", activation ? activation : "");
	if (node->kind == TV_NODE_CONV) {
		tool_table_add(table, "%ux%u", node->kernel, node->kernel);
		tool_table_add(table, "%u", node->stride);
		tool_table_add(table, "%u", node->groups);
	} else {
		for (unsigned int i = 0; i < 3; i++)
			tool_table_add(table, "%s", "");
	}
	tool_table_add(table, "%ux%ux%u", node->in_height, node->in_width, node->in_channels);
	tool_table_add(table, "%ux%ux%u", node->out_height, node->out_width, node->out_channels);
	tool_table_add(table, "%" PRIu64, node->parameters);
	tool_table_add(table, "%.3f", tv_node_macs(node) / 1e6);
}

static int print_layers(const struct tv_network *network, struct tv_error *error)
{
	static const char *const heads[] = { "layer",	   "kind",   "activation", "kernel",
					     "stride",	   "groups", "input",	   "output",
					     "parameters", "M MACs" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 3,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < network->count; i++)
		add_layer(&table, &network->nodes[i]);
	return tool_table_print(&table, 0, error);
}

static void print_figures(const char *what, const unsigned int *values, size_t count)
{
	printf("%s", what);
	for (size_t i = 0; i < count; i++)
		printf(" %u", values[i]);
}

static void print_ignored(const struct tv_network *network)
{
	size_t counters = 0;
	char text[256];

	printf("ignored     %zu tensors\n", network->ignored_count);
	for (size_t i = 0; i < network->ignored_count; i++) {
		/* Every batch norm that PyTorch saves has one: no news, and many. */
		if (strstr(network->ignored[i], ".num_batches_tracked:")) {
			counters++;
			continue;
		}
		snprintf(text, sizeof(text), "%s", network->ignored[i]);
		printf("            %s\n", tool_printable(text));
	}
	if (counters)
		printf("            %zu counters (num_batches_tracked)\n", counters);
}

static void print_checkpoint(const struct tv_network *network)
{
	printf("naming      %s\n", naming_name(network->naming));
	printf("preprocess  shorter side to %u (bicubic), central %ux%u, "
	       "mean %g %g %g, std %g %g %g\n",
	       network->resize, network->size, network->size, network->mean[0], network->mean[1],
	       network->mean[2], network->std[0], network->std[1], network->std[2]);
	printf("labels      %s\n", network->labels ? "in the checkpoint" : "none");
	print_ignored(network);
}

static int print_text(const struct tv_network *network, bool checkpoint, struct tv_error *error)
{
	const struct tv_architecture *a = &network->architecture;
	int r;

	sim_print_architecture(network);
	print_figures("widths", a->widths, TV_ARRAY_SIZE(a->widths));
	print_figures(", depths", a->depths, TV_ARRAY_SIZE(a->depths));
	print_figures(", head", a->head_widths, TV_ARRAY_SIZE(a->head_widths));
	printf(", attention dimension %u, expansion %u\n\n", a->head_dim, a->expand);
	r = print_layers(network, error);
	if (r < 0)
		return r;
	printf("\nparameters  %.3f M (%" PRIu64 ")\n", tv_network_parameters(network) / 1e6,
	       tv_network_parameters(network));
	printf("MACs        %.1f M (%" PRIu64 ")\n", tv_network_macs(network) / 1e6,
	       tv_network_macs(network));
	if (checkpoint)
		print_checkpoint(network);
	return 0;
}

static json_t *shape_json(unsigned int height, unsigned int width, unsigned int channels)
{
	return sim_json_unsigned((const unsigned int[]){ height, width, channels }, 3);
}

/* A node that another one refers to, by name; null for none. */
static json_t *reference_json(const struct tv_network *network, int index)
{
	if (index == TV_NETWORK_INPUT)
		return json_string("input");
	return index < 0 ? json_null() : json_string(network->nodes[index].name);
}

/* The one or two nodes whose values a node reads. */
static json_t *sources_json(const struct tv_network *network, const struct tv_node *node)
{
	if (node->input2 == TV_NETWORK_NONE)
		return json_pack("[o]", reference_json(network, node->input));
	return json_pack("[o, o]", reference_json(network, node->input),
			 reference_json(network, node->input2));
}

static json_t *layer_json(const struct tv_network *network, const struct tv_node *node)
{
	json_auto_t *layer = json_pack(
		"{s:s, s:s, s:s?, s:o, s:o, s:o, s:o, s:I, s:I}", "name", node->name, "kind",
		kind_name(node), "activation", activation_name(node->activation), "from",
		sources_json(network, node), "shortcut", reference_json(network, node->shortcut),
		"input", shape_json(node->in_height, node->in_width, node->in_channels), "output",
		shape_json(node->out_height, node->out_width, node->out_channels), "parameters",
		(json_int_t)node->parameters, "macs", (json_int_t)tv_node_macs(node));

	if (!layer)
		return NULL;
	if (node->kind == TV_NODE_CONV &&
	    (json_object_set_new(layer, "kernel", json_integer(node->kernel)) < 0 ||
	     json_object_set_new(layer, "stride", json_integer(node->stride)) < 0 ||
	     json_object_set_new(layer, "groups", json_integer(node->groups)) < 0))
		return NULL;
	return TV_TAKE_PTR(layer);
}

static json_t *layers_json(const struct tv_network *network)
{
	json_auto_t *layers = json_array();

	for (size_t i = 0; i < network->count; i++)
		if (json_array_append_new(layers, layer_json(network, &network->nodes[i])) < 0)
			return NULL;
	return TV_TAKE_PTR(layers);
}

static json_t *strings_json(char *const *strings, size_t count)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(array, tool_json_string(strings[i])) < 0)
			return NULL;
	return TV_TAKE_PTR(array);
}

static json_t *checkpoint_json(const struct tv_network *network)
{
	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o}", "naming", naming_name(network->naming),
			 "resize", (int)network->resize, "mean",
			 sim_json_float(network->mean, TV_ARRAY_SIZE(network->mean)), "std",
			 sim_json_float(network->std, TV_ARRAY_SIZE(network->std)), "labels",
			 network->labels ?
				 strings_json(network->labels, network->architecture.classes) :
				 json_null(),
			 "ignored", strings_json(network->ignored, network->ignored_count));
}

static int print_json(const struct tv_network *network, bool checkpoint, struct tv_error *error)
{
	json_auto_t *root =
		json_pack("{s:o, s:i, s:o, s:I, s:I, s:o}", "architecture",
			  sim_json_architecture(&network->architecture), "size", (int)network->size,
			  "checkpoint", checkpoint ? checkpoint_json(network) : json_null(),
			  "parameters", (json_int_t)tv_network_parameters(network), "macs",
			  (json_int_t)tv_network_macs(network), "layers", layers_json(network));

	return tool_json_print(root, error);
}

static int inspect(const struct sim_inspect_options *options, struct tv_error *error)
{
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	struct tv_architecture architecture;
	bool checkpoint, model = false;
	int r = 0;

	checkpoint = tv_architecture_by_name(options->subject, &architecture, NULL) < 0;
	if (checkpoint)
		r = sim_is_model(options->subject, &model, error);
	if (r < 0)
		return r;
	if (model)
		return sim_inspect_model(options, error);
	r = load(options, checkpoint, &architecture, &network, error);
	if (r < 0)
		return r;
	return (options->json ? print_json : print_text)(network, checkpoint, error);
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	struct sim_inspect_options options = { 0 };
	struct tv_error error = { 0 };
	int code = parse(self, argc, argv, &options);

	if (code != TOOL_GO_ON)
		return code;
	return inspect(&options, &error) < 0 ? tool_fail(&error) : EXIT_SUCCESS;
}

const struct tool_command sim_inspect = {
	.name = "inspect",
	.arguments = "CHECKPOINT|MODEL|ARCH [OPTION...]",
	.summary = "show what is in a checkpoint or a model",
	.help = "Shows what a checkpoint holds, layer by layer, and how it wants its images;\n"
		"of a model its programs, and what the integers of its layers stand for.\n"
		"ARCH (b0, b1, b2 or b3) stands for the published architecture without weights;\n"
		"a file of that name is ./b0.\n"
		"\n"
		"Options:\n"
		"      --size N        side of the input, a multiple of 32 (else the\n"
		"                      checkpoint's, else 224)\n"
		"      --commands      of a model: the commands of one program\n"
		"      --target NAME   of which one: what it is for\n"
		"      --images N      of which one: how many images a job works on\n"
		"      --json          for programs; shapes are [height, width, channels]\n"
		"  -h, --help\n",
	.run = run,
};
