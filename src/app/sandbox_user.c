/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/sandbox_user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Who ---- */

int sandbox_user_find(struct sandbox_user *user, const char *text, char *message,
		      size_t message_size)
{
	size_t len = strcspn(text, ":");
	const struct passwd *entry;
	const struct group *group;

	if (len == 0 || len >= sizeof(user->name)) {
		snprintf(message, message_size, "user: '%.80s' is no name of a user", text);
		return -1;
	}
	memcpy(user->name, text, len);
	user->name[len] = '\0';
	entry = getpwnam(user->name);
	if (!entry) {
		snprintf(message, message_size, "user: there is no user '%.80s'", user->name);
		return -1;
	}
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	if (!text[len])
		return 0;
	group = getgrnam(text + len + 1);
	if (!group) {
		snprintf(message, message_size, "user: there is no group '%.80s'", text + len + 1);
		return -1;
	}
	user->gid = group->gr_gid;
	return 0;
}

bool sandbox_user_is_current(const struct sandbox_user *user)
{
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;

	return getresuid(&real, &effective, &saved) == 0 && real == user->uid &&
	       effective == user->uid && saved == user->uid &&
	       getresgid(&real_group, &effective_group, &saved_group) == 0 &&
	       real_group == user->gid && effective_group == user->gid && saved_group == user->gid;
}

int sandbox_user_become(const struct sandbox_user *user, char *message, size_t message_size)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || initgroups(user->name, user->gid) ||
	    setresgid(user->gid, user->gid, user->gid) ||
	    setresuid(user->uid, user->uid, user->uid)) {
		snprintf(message, message_size,
			 "user: cannot become '%.80s': %s (only root can become another user)",
			 user->name, strerror(errno));
		return -1;
	}
	return 0;
}

/* ---- The data directory ---- */

/*
 * Only what root has left behind, and only files without a second name: whoever may write in the
 * directory could have linked a file of root's from elsewhere.
 */
static int own_file(int directory, const char *name, const struct sandbox_user *user)
{
	int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), result = 0;
	struct stat status;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &status))
		result = -1;
	else if (S_ISREG(status.st_mode) && status.st_uid == 0 && status.st_nlink == 1)
		result = fchownat(fd, "", user->uid, user->gid, AT_EMPTY_PATH);
	close(fd);
	return result;
}

static int own_files(int directory, const struct sandbox_user *user)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *files = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *file;

	if (!files) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	while (result == 0 && (file = readdir(files)))
		result = own_file(directory, file->d_name, user);
	closedir(files);
	return result;
}

/* A wrong path must not make a system's directory the user's: it has to have been ours. */
static int own_directory(int directory, bool is_new, const struct sandbox_user *user)
{
	struct stat status;

	if (fstat(directory, &status))
		return -1;
	if (!is_new && faccessat(directory, "revision", F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (status.st_uid == 0 && fchown(directory, user->uid, user->gid))
		return -1;
	return own_files(directory, user);
}

int sandbox_user_own_directory(const struct sandbox_user *user, const char *directory,
			       char *message, size_t message_size)
{
	bool is_new = mkdir(directory, 0750) == 0;
	int fd = is_new || errno == EEXIST ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
					   : -1;
	int result = fd < 0 ? -1 : own_directory(fd, is_new, user);

	if (result)
		snprintf(message, message_size, "%s: %s", directory, strerror(errno));
	if (fd >= 0)
		close(fd);
	return result;
}
