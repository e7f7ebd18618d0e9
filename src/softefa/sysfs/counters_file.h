/*
 * The counters as files of the tree; see counters_file.c.
 */
#ifndef SOFTEFA_COUNTERS_FILE_H
#define SOFTEFA_COUNTERS_FILE_H

/* `path`, in the tree `root`, is about to be used: if it is a counter's, brings
 * it up to date. One thread of a process at a time. */
void softefa_counters_file_refresh(const char *path, const char *root);

#endif
