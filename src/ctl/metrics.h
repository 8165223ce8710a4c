/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics: reads the Prometheus text format (0.0.4) that GET /metrics replies with. Pure.
 */
#ifndef ROSTERD_CTL_METRICS_H
#define ROSTERD_CTL_METRICS_H

#include <stdbool.h>
#include <stddef.h>

enum {
	METRICS_NAME = 96,
	METRICS_LABELS = 512,
};

struct metrics_sample {
	char name[METRICS_NAME];
	char labels[METRICS_LABELS]; /* what stands between the braces, as it is */
	double value;
};

/*
 * The next sample of the text; moves `*text` behind it. Lines that are no samples, or longer than
 * those of ours, are passed over. false: there are no more.
 */
bool metrics_next(const char **text, struct metrics_sample *sample);

/* The value of the sample with this name and these labels ("" for none); `otherwise`: none has. */
double metrics_value(const char *text, const char *name, const char *labels, double otherwise);

/* The value of one label of a sample, without its escapes. false: it has none. */
bool metrics_label(const struct metrics_sample *sample, const char *label, char *value,
		   size_t value_size);

#endif
