/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as operations (tests/model/play.h): DNS says what the reference says after each.
 */
#include "../model/play.h"

enum {
	INPUT_MAX = 1500 /* longer ones find the same, and take long */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && size <= INPUT_MAX)
		play("this input", data, size);
	return 0;
}
