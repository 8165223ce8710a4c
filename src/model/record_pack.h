/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_pack: registrations as the registry keeps them. Whoever makes one (model/record.h) puts it
 * together text by text; at a million of them that is several small blocks each, so the registry
 * keeps a copy in one block. Control thread only.
 */
#ifndef ROSTERD_MODEL_RECORD_PACK_H
#define ROSTERD_MODEL_RECORD_PACK_H

#include "model/record.h"

/*
 * A copy with all its lists and texts in one block, to be freed by free() alone; but for the
 * service's name, which is `service`, the caller's, and must live as long. NULL when out of memory.
 */
struct registration *record_pack(const struct registration *registration, char *service);

#endif
